//! The mouse: every gesture is an action that has a key too.

use ratatui::layout::Rect;

use super::App;
use super::frame;
use crate::action::Action;
use crate::event::{Gesture, Mouse};

/// Where the button went down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pane: usize,
    at: (u16, u16),
}

impl App {
    pub(super) fn mouse(&mut self, mouse: Mouse) {
        match mouse.did {
            Gesture::Press => self.press(mouse),
            Gesture::Drag => {}
            Gesture::Release => self.release(mouse),
            Gesture::Menu => {
                self.press(mouse);
                self.act(Action::Palette);
            }
            Gesture::Wheel { steps, ctrl } => self.wheel(mouse, steps, ctrl),
        }
        self.dirty |= !matches!(mouse.did, Gesture::Drag);
    }

    fn press(&mut self, mouse: Mouse) {
        self.held = None;
        if !self.overlays.is_empty() {
            return self.press_over(mouse);
        }
        if let Some(action) = frame::hint_at(self, mouse.x, mouse.y) {
            return self.act(action);
        }
        if let Some(crumb) = frame::crumb_at(self, mouse.x, mouse.y) {
            while self.depth() > crumb + 1 {
                self.back();
            }
            return;
        }
        let Some((pane, at)) = self.pane_at(mouse.x, mouse.y) else { return };
        self.focus(pane);
        self.held = Some(Held { pane, at });
        if self.with_top(false, |screen, cx| screen.click(pane, at.0, at.1, cx)) {
            self.act(Action::Open);
        }
    }

    fn release(&mut self, mouse: Mouse) {
        let Some(held) = self.held.take() else { return };
        let Some((pane, at)) = self.pane_at(mouse.x, mouse.y) else { return };
        if pane == held.pane && at != held.at {
            self.with_top(false, |screen, cx| screen.drag(pane, held.at, at, cx));
        }
    }

    fn wheel(&mut self, mouse: Mouse, steps: i16, ctrl: bool) {
        let down = steps > 0;
        if ctrl {
            return self.act(if down { Action::ZoomOut } else { Action::ZoomIn });
        }
        if !self.overlays.is_empty() {
            return self.wheel_over(down);
        }
        let Some((pane, _)) = self.pane_at(mouse.x, mouse.y) else { return };
        self.focus(pane);
        for _ in 0..steps.unsigned_abs().min(50) {
            self.act(if down { Action::Down } else { Action::Up });
        }
    }

    fn focus(&mut self, pane: usize) {
        let views = &mut self.tabs[self.current].views;
        let top = views.len() - 1;
        views[top].focus = pane;
    }

    /// The pane at a cell, and the cell within its frame.
    fn pane_at(&self, x: u16, y: u16) -> Option<(usize, (u16, u16))> {
        let panes = self.top().panes(self.body());
        let within = |pane: &Rect| pane.contains((x, y).into());
        let pane = panes.iter().position(within)?;
        let area = panes[pane];
        Some((pane, ((x - area.x).saturating_sub(1), (y - area.y).saturating_sub(1))))
    }
}
