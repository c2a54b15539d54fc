//! The loop: waits for what can happen, lets [`update`] change the state, carries out its effects,
//! and draws at most once in 16 ms, and not at all when nothing changed.
//!
//! Input comes first, always: no answer, no timer and no frame is waited for before a key is taken.
//! Nothing here blocks but the write of a frame.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::ask::Ask;
use api::client::ClientError;
use crossterm::event::{
    Event as Input, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use crate::app::{self, App, update};
use crate::clipboard::{self, Surroundings, Way};
use crate::effect::Effect;
use crate::event::{Event, Gesture, Key, Mouse, Now};
use crate::files;
use crate::keyboard::Keyboard;
use crate::request::{Outcome, Request, Told};
use crate::slot::Ticket;
use crate::terminal::Guard;

/// Two frames are at least so far apart.
const FRAME: Duration = Duration::from_millis(16);
/// Answers kept for views that ask the same again.
const CACHE_BYTES: u64 = 64 << 20;
/// How long: beyond, what was true may no longer be.
const CACHE_TTL: Duration = Duration::from_secs(15);
/// Events taken in one turn before a frame is drawn.
const DRAIN_MAX: usize = 256;

type Cache = moka::future::Cache<(String, bytes::Bytes), Told>;

/// Everything the loop holds besides the state.
struct Runtime {
    ask: Arc<dyn Ask>,
    cache: Cache,
    start: Instant,
    asking: JoinSet<(Ticket, Outcome)>,
    handles: HashMap<Ticket, AbortHandle>,
    tickets: HashMap<Id, Ticket>,
    /// Files being written.
    writing: JoinSet<Result<String, String>>,
    guard: Guard,
    clipboard: Way,
    /// None while the terminal is lent.
    keyboard: Option<Keyboard>,
}

/// Runs the explorer until it is left.
pub(crate) async fn run(ask: Arc<dyn Ask>, mut app: App, guard: Guard) -> io::Result<()> {
    let size = guard.screen.size()?;
    let mut runtime = Runtime::new(ask, guard, Keyboard::start()?);
    let mut signals = Signals::new()?;
    let mut drawn: Option<Instant> = None;
    let first = Event::Resize { width: size.width, height: size.height };
    let mut quit = runtime.handle(&mut app, first).await?;
    while !quit {
        let due = drawn.map_or_else(Instant::now, |at| at + FRAME);
        if app.is_dirty() && due <= Instant::now() {
            app.take_dirty();
            runtime.guard.screen.draw(|frame| app::frame::render(&app, frame))?;
            drawn = Some(Instant::now());
        }
        let wait = if app.is_dirty() { Some(due) } else { None };
        let Some(event) = runtime.next(&app, &mut signals, wait).await? else { continue };
        quit = runtime.handle(&mut app, event).await?;
        quit = quit || runtime.drain(&mut app).await?;
    }
    Ok(())
}

impl Runtime {
    fn new(ask: Arc<dyn Ask>, guard: Guard, keyboard: Keyboard) -> Runtime {
        let cache = Cache::builder()
            .max_capacity(CACHE_BYTES)
            .weigher(|_, told: &Told| u32::try_from(told.bytes).unwrap_or(u32::MAX))
            .time_to_live(CACHE_TTL)
            .build();
        Runtime {
            ask,
            cache,
            start: Instant::now(),
            asking: JoinSet::new(),
            handles: HashMap::new(),
            tickets: HashMap::new(),
            writing: JoinSet::new(),
            guard,
            clipboard: Surroundings::of(|name| std::env::var(name).ok()).way(),
            keyboard: Some(keyboard),
        }
    }

    fn now(&self) -> Now {
        let mono_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now { mono_ms, unix_ns: api::time::now_ns() }
    }

    /// Waits for the next event; `None` when a frame is due or what came means nothing.
    async fn next(
        &mut self,
        app: &App,
        signals: &mut Signals,
        frame_due: Option<Instant>,
    ) -> io::Result<Option<Event>> {
        let wake = app.wake_at_ms().map(|ms| self.start + Duration::from_millis(ms));
        let keyboard = self.keyboard.as_mut();
        let input = async {
            match keyboard {
                Some(keyboard) => keyboard.next().await,
                None => std::future::pending().await,
            }
        };
        Ok(tokio::select! {
            biased;
            input = input => read(input?),
            event = signals.next() => Some(event),
            Some(done) = self.asking.join_next_with_id() => self.answered(done),
            Some(wrote) = self.writing.join_next() => {
                Some(Event::Wrote(wrote.unwrap_or_else(|error| Err(error.to_string()))))
            }
            () = until(frame_due) => None,
            () = until(wake) => Some(Event::Tick),
        })
    }

    /// Takes what has come in the meantime, so that one frame shows all of it.
    async fn drain(&mut self, app: &mut App) -> io::Result<bool> {
        for _ in 0..DRAIN_MAX {
            let event = match self.keyboard.as_mut().and_then(Keyboard::waiting) {
                Some(input) => read(input?),
                None => match self.asking.try_join_next_with_id() {
                    Some(done) => self.answered(done),
                    None => return Ok(false),
                },
            };
            if let Some(event) = event
                && self.handle(app, event).await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Changes the state by an event and carries out what follows; true when it is to end.
    async fn handle(&mut self, app: &mut App, event: Event) -> io::Result<bool> {
        let now = self.now();
        let effects = update(app, now, event);
        self.complain_if_slow(now);
        for effect in effects {
            if self.carry_out(app, effect).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A debug build says when a step takes longer than half a frame.
    fn complain_if_slow(&self, began: Now) {
        if cfg!(debug_assertions) {
            let ms = self.now().mono_ms - began.mono_ms;
            if ms > 8 {
                tracing::debug!(ms, "a step of the explorer was slow");
            }
        }
    }

    async fn carry_out(&mut self, app: &mut App, effect: Effect) -> io::Result<bool> {
        match effect {
            Effect::Ask { ticket, request, fresh } => self.start_asking(ticket, request, fresh),
            Effect::Cancel(ticket) => {
                if let Some(handle) = self.handles.remove(&ticket) {
                    handle.abort();
                }
            }
            Effect::Copy(text) => self.copy(text)?,
            Effect::Write { name, bytes } => {
                self.writing.spawn(files::write(name, bytes));
            }
            Effect::Download { name, request } => {
                self.writing.spawn(files::download(name, request, self.ask.clone()));
            }
            Effect::Edit(text) => {
                let edited = self.edit(text).await?;
                app.edited(edited);
            }
            Effect::Keep(change) => {
                self.writing.spawn(files::keep(change));
            }
            Effect::Mouse(on) => self.guard.mouse(on)?,
            Effect::Suspend => self.suspend(app).await?,
            Effect::Quit => return Ok(true),
        }
        Ok(false)
    }

    /// Onto the clipboard of the person at the keyboard; what is too long goes to a file.
    fn copy(&mut self, text: String) -> io::Result<()> {
        match (self.clipboard, clipboard::sequence(&text)) {
            (Way::Host(command), _) => {
                self.writing.spawn(files::pipe(command, text));
            }
            (Way::Terminal, Ok(sequence)) => self.guard.write(&sequence)?,
            (Way::Terminal, Err(_)) => {
                self.writing.spawn(files::write("otlake-copy.txt".to_owned(), text.into_bytes()));
            }
        }
        Ok(())
    }

    fn start_asking(&mut self, ticket: Ticket, request: Request, fresh: bool) {
        let asked = answer(self.ask.clone(), self.cache.clone(), request, fresh);
        let handle = self.asking.spawn(async move { (ticket, asked.await) });
        self.tickets.insert(handle.id(), ticket);
        self.handles.insert(ticket, handle);
    }

    /// A panic in a worker is an answer too: a failed one.
    fn answered(&mut self, done: Result<(Id, (Ticket, Outcome)), JoinError>) -> Option<Event> {
        let (id, outcome) = match done {
            Ok((id, (_, outcome))) => (id, outcome),
            Err(error) if error.is_cancelled() => {
                self.tickets.remove(&error.id());
                return None;
            }
            Err(error) => {
                let text = "the explorer failed while it read the answer".to_owned();
                (error.id(), Err(ClientError::Garbled(text)))
            }
        };
        let ticket = self.tickets.remove(&id)?;
        self.handles.remove(&ticket);
        Some(Event::Answer(ticket, outcome))
    }

    /// Stops as a job of the shell does, and goes on where it was.
    async fn suspend(&mut self, app: &mut App) -> io::Result<()> {
        let mut go_on = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
        self.guard.lend()?;
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)?;
        // This thread may run a little before the whole process stops.
        go_on.recv().await;
        self.guard.take_back()?;
        app.redraw();
        Ok(())
    }

    /// Lends the terminal to the person's editor.
    async fn edit(&mut self, text: String) -> io::Result<Result<String, String>> {
        if let Some(keyboard) = self.keyboard.take() {
            keyboard.stop();
        }
        self.guard.lend()?;
        let edited = files::edit(text).await;
        self.guard.take_back()?;
        self.keyboard = Some(Keyboard::start()?);
        Ok(edited)
    }
}

/// The answer, from the cache where it is new enough. Equal requests under way are one.
async fn answer(ask: Arc<dyn Ask>, cache: Cache, request: Request, fresh: bool) -> Outcome {
    let key = (request.call.path.clone(), request.call.body.clone());
    if fresh {
        let told = request.ask(ask).await?;
        cache.insert(key, told.clone()).await;
        return Ok(told);
    }
    cache.try_get_with(key, request.ask(ask)).await.map_err(|error| (*error).clone())
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// What came from the terminal, as an event of ours.
fn read(input: Input) -> Option<Event> {
    Some(match input {
        Input::Key(key) if key.kind == KeyEventKind::Release => return None,
        Input::Key(key) => Event::Key(Key::from(key)),
        Input::Mouse(mouse) => Event::Mouse(gesture(mouse)?),
        Input::Paste(text) => Event::Paste(text),
        Input::Resize(width, height) => Event::Resize { width, height },
        Input::FocusGained => Event::Focus(true),
        Input::FocusLost => Event::Focus(false),
    })
}

fn gesture(mouse: MouseEvent) -> Option<Mouse> {
    const STEPS: i16 = 3;
    let ctrl = mouse.modifiers.contains(KeyModifiers::CONTROL);
    let did = match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => Gesture::Press,
        MouseEventKind::Down(MouseButton::Right) => Gesture::Menu,
        MouseEventKind::Up(MouseButton::Left) => Gesture::Release,
        MouseEventKind::Drag(MouseButton::Left) => Gesture::Drag,
        MouseEventKind::ScrollDown => Gesture::Wheel { steps: STEPS, ctrl },
        MouseEventKind::ScrollUp => Gesture::Wheel { steps: -STEPS, ctrl },
        _ => return None,
    };
    Some(Mouse { x: mouse.column, y: mouse.row, did })
}

/// The signals that end or stop a program of a terminal.
struct Signals {
    terminate: Signal,
    hang_up: Signal,
    quit: Signal,
    stop: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            stop: signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
        })
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::Terminate,
            _ = self.hang_up.recv() => Event::Terminate,
            _ = self.quit.recv() => Event::Terminate,
            _ = self.stop.recv() => Event::Stop,
        }
    }
}
