//! The map: who calls whom, coloured by what changed; as a graph, a list or a matrix.

use api::views::{EdgeRow, List as Rows, Map as Question, Options, ServiceRow};
use ratatui::layout::Rect;

use super::{Cx, Go, Grid, Look, Screen, Subject, service, services, trace, traces};
use crate::action::{Action, Layer};
use crate::format;
use crate::overlay::{Overlay, filter};
use crate::pane;
use crate::request::Request;
use crate::scope::{Compare, Fixed, Scope};
use crate::theme::Role;
use crate::widgets::map::matrix::Matrix;
use crate::widgets::map::{self, Map as Drawing, Step, export};
use crate::widgets::table::{Sort, Table};
use crate::widgets::{Pen, piece};
use crate::window::{List, next_where};

mod model;
mod painted;
#[cfg(test)]
mod tests;

use model::{Edge, Model, NodeId};
use painted::{ColourBy, Painted, edge_columns, edge_row, joint};

const EDGES: usize = 0;
const BEFORE: usize = 1;
const SERVICES: usize = 2;

const MAP_PANE: usize = 0;
const NODE_PANE: usize = 1;
const EDGE_PANE: usize = 2;
const LIST_PANE: usize = 3;

/// Columns of the trends in the nodes.
/// Maps of more nodes open as a list, since their lines cannot be told apart.
const NODES_MAX: usize = 60;
/// Neighbourhoods reach at most so far.
const DEPTH_MAX: usize = 6;

/// How the map is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shape {
    #[default]
    Graph,
    List,
    Matrix,
}

/// The map with what is under the cursor.
#[derive(Debug, Default)]
pub(crate) struct Map {
    shape: Shape,
    /// The person chose the shape; a large map stays what it is.
    is_chosen: bool,
    colour: ColourBy,
    /// Only what is near this node, up to a distance.
    focus: Option<NodeId>,
    depth: usize,
    /// The person has chosen what is near; else it is what fits.
    is_focused: bool,
    wanted: Option<String>,
    whole: Model,
    shown: Model,
    cursor: Option<NodeId>,
    /// What is asked next is asked past every cache.
    is_fresh: bool,
    /// The person put the cursor there; else it stands on the worst edge known so far.
    is_moved: bool,
    /// The edge last walked along.
    edge: Option<(NodeId, NodeId)>,
    /// Callee of the matrix under the cursor.
    callee: usize,
    list: List,
}

fn map_of(range: Fixed, scope: &Scope) -> Request {
    let question = Question { from: range.from(), to: range.to(), ..Question::default() };
    Request::view(&question, &scope.options())
}

/// The map with the cursor on a service.
pub(crate) fn open(service: Option<&str>) -> Box<dyn Screen> {
    Box::new(Map { wanted: service.map(str::to_owned), depth: 2, ..Map::default() })
}

impl Map {
    fn cursor_at(&self) -> Option<usize> {
        self.shown.place(self.cursor.as_ref()?)
    }

    fn edge(&self) -> Option<&Edge> {
        if self.shape == Shape::List {
            return self.shown.edges.get(self.list.at(self.shown.edges.len())?);
        }
        let (from, to) = self.edge.as_ref()?;
        self.shown.edges.iter().find(|e| e.from == *from && e.to == *to)
    }

    /// Asks for what colours the map, once that is there.
    fn ask_for_colours(&mut self, cx: &mut Cx<'_>) {
        cx.fresh = std::mem::take(&mut self.is_fresh);
        match period_before(cx.fixed, cx.scope.compare) {
            Some(range) => cx.ask(BEFORE, map_of(range, cx.scope)),
            None => cx.slots[BEFORE].clear(cx.out),
        }
        let options = Options { sql: Some(true), ..Options::default() };
        let services = services::question(cx.fixed, cx.scope.compare);
        cx.ask(SERVICES, Request::view(&services, &options));
    }

    fn refill(&mut self, cx: &mut Cx<'_>) {
        let Some(now) = cx.get::<Rows<EdgeRow>>(EDGES) else { return };
        let before = cx.get::<Rows<EdgeRow>>(BEFORE).map(|answer| &answer.rows[..]);
        let services = cx.get::<Rows<ServiceRow>>(SERVICES).map(|answer| &answer.rows[..]);
        self.whole = Model::of(&now.rows, before, services.unwrap_or_default());
        if !self.is_focused {
            self.focus_if_large(cx);
        }
        self.reduce();
    }

    /// Begins near the worst edge where the whole does not fit into the pane.
    fn focus_if_large(&mut self, cx: &Cx<'_>) {
        let size = self.size(cx);
        let fits = |model: &Model| {
            let layout = Painted::of(model, self.colour, size).layout;
            layout.width <= size.0 && layout.height <= size.1
        };
        let named = self.wanted.as_ref().and_then(|name| self.whole.named(name));
        let worst = || self.whole.edges.first().map(|edge| edge.from.clone());
        let Some(middle) = self.focus.clone().or(named).or_else(worst) else { return };
        let is_small = self.whole.nodes.len() > NODES_MAX || fits(&self.whole);
        let depth = [2, 1].into_iter().find(|depth| fits(&self.whole.near(&middle, *depth)));
        (self.focus, self.depth) = match is_small {
            true => (None, 2),
            false => (Some(middle), depth.unwrap_or(1)),
        };
    }

    /// What is near the focus, or all; the cursor stands on what it stood on, else on the worst edge.
    fn reduce(&mut self) {
        self.shown = match &self.focus {
            Some(focus) => self.whole.near(focus, self.depth),
            None => self.whole.clone(),
        };
        if !self.is_chosen {
            let is_large = self.shown.nodes.len() > NODES_MAX;
            self.shape = if is_large { Shape::List } else { Shape::Graph };
        }
        if let Some(named) = self.wanted.as_ref().and_then(|name| self.shown.named(name)) {
            (self.cursor, self.is_moved, self.wanted) = (Some(named), true, None);
        }
        if !self.is_moved || self.cursor_at().is_none() {
            self.cursor = self.shown.edges.first().map(|e| e.from.clone());
            self.edge = None;
        }
        if self.edge().is_none() {
            self.choose_edge();
        }
    }

    /// The worst edge of the node under the cursor: of those that leave it, else of those that come.
    fn choose_edge(&mut self) {
        let Some(cursor) = &self.cursor else { return };
        let edges = &self.shown.edges;
        let leaving = edges.iter().find(|e| e.from == *cursor);
        let found = leaving.or_else(|| edges.iter().find(|e| e.to == *cursor));
        self.edge = found.map(|e| (e.from.clone(), e.to.clone()));
    }

    fn stand_on(&mut self, id: NodeId) {
        self.cursor = Some(id);
        self.is_moved = true;
        self.choose_edge();
    }

    fn walk(&mut self, step: Step, cx: &Cx<'_>) {
        let Some(at) = self.cursor_at() else { return };
        let size = self.size(cx);
        let painted = Painted::of(&self.shown, self.colour, size);
        let Some(to) = map::step(&painted.layout, &painted.edges, at, step) else { return };
        let (here, there) = (self.shown.nodes[at].id.clone(), self.shown.nodes[to].id.clone());
        self.cursor = Some(there.clone());
        self.is_moved = true;
        match step {
            Step::On => self.edge = Some((here, there)),
            Step::Back => self.edge = Some((there, here)),
            Step::Before | Step::Behind => self.choose_edge(),
        }
    }

    /// The next node by how bad its worst edge is.
    fn next_by_impact(&mut self, forward: bool) {
        let mut order: Vec<NodeId> = Vec::new();
        for edge in &self.shown.edges {
            for id in [&edge.from, &edge.to] {
                if !order.contains(id) {
                    order.push(id.clone());
                }
            }
        }
        let at = order.iter().position(|id| Some(id) == self.cursor.as_ref()).unwrap_or(0);
        if let Some(next) = next_where(at, order.len(), forward, |_| true) {
            self.stand_on(order[next].clone());
        }
    }

    fn act_on_matrix(&mut self, action: Action) -> bool {
        let len = self.shown.nodes.len();
        let at = self.cursor_at().unwrap_or(0);
        let last = len.saturating_sub(1);
        let to = match action {
            Action::Up => at.saturating_sub(1),
            Action::Down => (at + 1).min(last),
            Action::Left => {
                self.callee = self.callee.saturating_sub(1);
                at
            }
            Action::Right => {
                self.callee = (self.callee + 1).min(last);
                at
            }
            _ => return false,
        };
        if let (Some(from), Some(into)) =
            (self.shown.nodes.get(to), self.shown.nodes.get(self.callee))
        {
            self.cursor = Some(from.id.clone());
            self.edge = Some((from.id.clone(), into.id.clone()));
            self.is_moved = true;
        }
        true
    }

    fn act_on_graph(&mut self, action: Action, cx: &Cx<'_>) -> bool {
        match action {
            Action::Left => self.walk(Step::Back, cx),
            Action::Right => self.walk(Step::On, cx),
            Action::Up => self.walk(Step::Before, cx),
            Action::Down => self.walk(Step::Behind, cx),
            _ => return false,
        }
        true
    }

    fn act_on_list(&mut self, action: Action, cx: &Cx<'_>) -> bool {
        let pane = if cx.height(LIST_PANE) > 0 { LIST_PANE } else { MAP_PANE };
        let moved =
            self.list.act(action, self.shown.edges.len(), cx.height(pane).saturating_sub(1));
        if let Some(edge) = self.edge().filter(|_| moved) {
            let (from, to) = (edge.from.clone(), edge.to.clone());
            self.cursor = Some(from.clone());
            self.edge = Some((from, to));
            self.is_moved = true;
        }
        moved
    }

    fn turn_focus(&mut self, cx: &mut Cx<'_>) {
        self.is_focused = true;
        self.focus = match (&self.focus, &self.cursor) {
            (Some(focus), Some(cursor)) if focus == cursor => None,
            (_, cursor) => cursor.clone(),
        };
        self.reduce();
        cx.say(match &self.focus {
            Some(id) => {
                let steps = format::many(self.depth, "step");
                format!("near {}, {steps}; + - changes, f again shows all", id.name)
            }
            None => "all".to_owned(),
        });
    }

    fn deepen(&mut self, by: isize) -> bool {
        if self.focus.is_none() {
            return false;
        }
        self.is_focused = true;
        self.depth = self.depth.saturating_add_signed(by).clamp(1, DEPTH_MAX);
        self.reduce();
        true
    }

    fn open_node(&self, cx: &mut Cx<'_>) {
        let Some(id) = &self.cursor else { return };
        if id.is_service() {
            return cx.push(service::open(&id.name), cx.scope.clone());
        }
        let scope = cx.scope.and(&filter::term("peer", &id.name, true));
        cx.push(Box::new(traces::Traces::default()), scope);
    }

    fn open_exemplar(&self, cx: &mut Cx<'_>) {
        match self.edge().and_then(Edge::exemplar) {
            Some(id) => cx.push(trace::open(id, None), cx.scope.clone()),
            None => cx.say("no trace of this edge"),
        }
    }

    /// Cells for the graph.
    fn size(&self, cx: &Cx<'_>) -> (u16, u16) {
        let width = cx.widths.first().copied().unwrap_or(0);
        (width, cx.heights.first().copied().unwrap_or(0).saturating_sub(1))
    }

    /// What can be copied of a map.
    fn copies(&self) -> Overlay {
        let names: Vec<String> = self.shown.nodes.iter().map(|n| n.id.name.clone()).collect();
        let lines = self.export_lines();
        let mut rows = vec![
            ('m', "as Mermaid", export::mermaid(&names, &lines)),
            ('g', "as DOT, for Graphviz", export::dot(&names, &lines)),
        ];
        if let Some(id) = &self.cursor {
            rows.insert(0, ('y', "the name under the cursor", id.name.clone()));
        }
        Overlay::texts("Copy the map", rows)
    }

    fn export_lines(&self) -> Vec<export::Line> {
        let line = |e: &Edge| {
            let p99 =
                e.p99_ms.map_or(String::new(), |ms| format!(" p99 {}", format::duration_ms(ms)));
            Some(export::Line {
                from: self.shown.place(&e.from)?,
                to: self.shown.place(&e.to)?,
                words: format!("{}/s{p99}", format::rate(e.per_second)),
                is_dashed: e.is_message,
                is_thick: e.on_path,
            })
        };
        self.shown.edges.iter().filter_map(line).collect()
    }
}

impl Screen for Map {
    fn layer(&self) -> Layer {
        Layer::Map
    }

    fn crumb(&self) -> String {
        "map".to_owned()
    }

    fn link(&self) -> String {
        "map".to_owned()
    }

    fn slots(&self) -> usize {
        3
    }

    /// A map is made of whole traces: the line finds a node instead of filtering.
    fn filters(&self) -> Option<&'static str> {
        None
    }

    fn filter_line(&self, _look: &Look<'_>) -> String {
        String::new()
    }

    fn find(&mut self, text: &str, cx: &mut Cx<'_>) -> bool {
        let wanted = text.to_lowercase();
        let hit = |at: usize| self.shown.nodes[at].id.name.to_lowercase().contains(&wanted);
        let from = self.cursor_at().unwrap_or(0);
        match next_where(from, self.shown.nodes.len(), true, hit) {
            Some(at) => {
                self.stand_on(self.shown.nodes[at].id.clone());
            }
            None => cx.say(format!("no node has {text} in its name")),
        }
        true
    }

    fn layout(&self, body: Rect) -> Vec<Rect> {
        let none = Rect { width: 0, height: 0, ..body };
        if body.width >= 180 && body.height >= 45 {
            let bottom = 12;
            let right = 60;
            let left = Rect { width: body.width - right, height: body.height - bottom, ..body };
            let x = body.x + left.width;
            let node = Rect { x, width: right, height: left.height / 2, ..body };
            let y = body.y + node.height;
            let edge = Rect { x, y, width: right, height: left.height - node.height };
            let list = Rect { y: body.y + left.height, height: bottom, ..body };
            return vec![left, node, edge, list];
        }
        if body.height < 14 {
            return vec![body, none, none, none];
        }
        let lower = if body.width >= 110 && body.height >= 26 { 9 } else { 4 };
        let upper = Rect { height: body.height - lower, ..body };
        let below = Rect { y: body.y + upper.height, height: lower, ..body };
        if body.width < 110 {
            return vec![upper, none, below, none];
        }
        let half = body.width / 2;
        let node = Rect { width: half, ..below };
        let edge = Rect { x: below.x + half, width: body.width - half, ..below };
        vec![upper, node, edge, none]
    }

    fn load(&mut self, cx: &mut Cx<'_>) {
        self.is_fresh = cx.fresh;
        cx.ask(EDGES, map_of(cx.fixed, cx.scope));
        if cx.slots[EDGES].ticket().is_none() {
            self.ask_for_colours(cx);
        }
    }

    fn told(&mut self, slot: usize, cx: &mut Cx<'_>) {
        if slot == EDGES {
            self.ask_for_colours(cx);
        }
        self.refill(cx);
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> bool {
        let moved = match self.shape {
            _ if *cx.focus == LIST_PANE => self.act_on_list(action, cx),
            Shape::Graph => self.act_on_graph(action, cx),
            Shape::List => self.act_on_list(action, cx),
            Shape::Matrix => self.act_on_matrix(action),
        };
        if moved {
            return true;
        }
        match action {
            Action::Open => self.open_node(cx),
            Action::Exemplar => self.open_exemplar(cx),
            Action::NextPane | Action::NextError => self.next_by_impact(true),
            Action::PreviousPane | Action::PreviousError => self.next_by_impact(false),
            Action::Focus | Action::Include => self.turn_focus(cx),
            Action::ZoomIn => return self.deepen(1),
            Action::ZoomOut => return self.deepen(-1),
            Action::ColourBy => {
                self.colour = self.colour.next();
                cx.say(format!("colour: {}", self.colour.title()));
            }
            Action::NextView => {
                self.is_chosen = true;
                self.shape = match self.shape {
                    Shape::Graph => Shape::List,
                    Shape::List => Shape::Matrix,
                    Shape::Matrix => Shape::Graph,
                };
            }
            Action::CopyMenu => cx.go.push(Go::Over(self.copies())),
            Action::Back if self.focus.is_some() => {
                self.focus = None;
                self.reduce();
            }
            _ => return false,
        }
        true
    }

    fn click(&mut self, pane: usize, x: u16, y: u16, cx: &mut Cx<'_>) -> bool {
        if pane != MAP_PANE || self.shape != Shape::Graph {
            return false;
        }
        let painted = Painted::of(&self.shown, self.colour, self.size(cx));
        let (left, top) = painted.scroll(self.cursor_at(), self.size(cx));
        let Some(at) = painted.layout.node_at(x + left, y + top) else { return false };
        let was_there = self.cursor_at() == Some(at);
        self.stand_on(self.shown.nodes[at].id.clone());
        was_there
    }

    fn subject(&self, _look: &Look<'_>) -> Subject {
        let Some(id) = &self.cursor else { return Subject::default() };
        let key = if id.is_service() { "service" } else { "peer" };
        Subject {
            service: Some(id.name.clone()).filter(|_| id.is_service()),
            trace_id: self.edge().and_then(Edge::exemplar).map(str::to_owned),
            term: Some((key.to_owned(), id.name.clone())),
            cell: id.name.clone(),
            ..Subject::default()
        }
    }

    fn facts(&self, look: &Look<'_>) -> Vec<String> {
        let (nodes, edges) = (self.shown.nodes.len(), self.shown.edges.len());
        let mut facts =
            vec![format!("{}, {}", format::many(nodes, "node"), format::many(edges, "edge"))];
        let hidden = self.whole.nodes.len() - nodes;
        if hidden > 0 {
            facts.push(format!("+{hidden} farther away"));
        }
        if !look.scope.filter.is_empty() {
            facts.push("of traces with such a span".to_owned());
        }
        facts
    }

    fn grid(&self, _look: &Look<'_>) -> Option<Grid> {
        let columns = ["from", "to", "per_second", "error_share", "p50_ms", "p99_ms", "before_ms"];
        let rows = self.shown.edges.iter().map(Edge::fields).collect();
        Some(Grid { columns: columns.map(str::to_owned).to_vec(), rows })
    }

    fn draw(&self, pane: usize, pen: &mut Pen<'_>, look: &Look<'_>) {
        match pane {
            MAP_PANE => self.draw_map(pen, look),
            NODE_PANE => self.draw_node(pen, look),
            EDGE_PANE => self.draw_edge(pen, look),
            _ => {
                let note = format!("by impact  {}", self.shown.edges.len());
                let mut pen = look.framed(pen, (LIST_PANE, EDGES), "Edges", &note);
                self.draw_list(&mut pen);
            }
        }
    }
}

/// The range that this one is compared with.
fn period_before(range: Fixed, compare: Compare) -> Option<Fixed> {
    const DAY_NS: i64 = 86_400_000_000_000;
    let (from_ns, to_ns) = range.both()?;
    let back_ns = match compare {
        Compare::None => return None,
        Compare::Previous => to_ns - from_ns,
        Compare::DayBefore => DAY_NS,
        Compare::WeekBefore => 7 * DAY_NS,
    };
    Some(Fixed { from_ns: Some(from_ns - back_ns), to_ns: Some(to_ns - back_ns) })
}

impl Map {
    fn draw_map(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let title = match &self.focus {
            Some(id) => {
                let (shown, all) = (self.shown.nodes.len(), self.whole.nodes.len());
                let steps = format::many(self.depth, "step");
                format!("Map near {}, {steps}: {shown} of {all}, f all", id.name)
            }
            None => "Map".to_owned(),
        };
        let note = format!("colour: {}", self.colour.title());
        let mut pen = look.framed(pen, (MAP_PANE, EDGES), &title, &note);
        let Some((mut pen, _)) = look.data::<Rows<EdgeRow>>(&mut pen, EDGES) else { return };
        if self.shown.nodes.is_empty() {
            return pane::nothing(&mut pen, look, "calls between services");
        }
        match self.shape {
            Shape::Graph => self.draw_graph(&mut pen),
            Shape::List => self.draw_list(&mut pen),
            Shape::Matrix => self.draw_matrix(&mut pen),
        }
    }

    fn draw_graph(&self, pen: &mut Pen<'_>) {
        let (width, height) = (pen.width(), pen.height().saturating_sub(1));
        let painted = Painted::of(&self.shown, self.colour, (width, height));
        let cursor = self.cursor_at();
        let drawing = Drawing {
            layout: &painted.layout,
            nodes: &painted.nodes,
            edges: &painted.edges,
            cursor,
            scroll: painted.scroll(cursor, (width, height)),
        };
        // In the middle, where there is more room than needed.
        let spare = height.saturating_sub(painted.layout.height) / 3;
        drawing.render(&mut pen.part(0, spare, width, height - spare));
        let legend = [
            piece("═", Role::Change(4)),
            piece(" largest change  ", Role::Dim),
            piece("─", Role::Text),
            piece(" call  ", Role::Dim),
            piece("┄", Role::Text),
            piece(" message  * seen by callers only  ext outside", Role::Dim),
        ];
        pen.pieces(1, height, width.saturating_sub(2), &legend);
    }

    fn draw_list(&self, pen: &mut Pen<'_>) {
        let len = self.shown.edges.len();
        let height = usize::from(pen.height().saturating_sub(1));
        let table = Table {
            columns: &edge_columns(),
            len,
            first: self.list.window(len, height).start,
            cursor: self.list.at(len),
            sort: Some(Sort { column: 7, descending: true }),
            rows: &|at| self.shown.edges.get(at).map(edge_row),
        };
        table.render(pen);
    }

    fn draw_matrix(&self, pen: &mut Pen<'_>) {
        let names = painted::names(&self.shown);
        let edge = |from: usize, to: usize| {
            let (from, to) = (&self.shown.nodes[from].id, &self.shown.nodes[to].id);
            joint(self.shown.edges.iter().find(|e| e.from == *from && e.to == *to)?, self.colour)
        };
        let cursor = (self.cursor_at().unwrap_or(0), self.callee);
        Matrix { names: &names, joint: &edge, cursor }.render(pen);
    }

    fn draw_node(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let node = self.cursor_at().map(|at| &self.shown.nodes[at]);
        let title = node.map_or("Node".to_owned(), |n| n.id.shown());
        let mut pen = look.framed(pen, (NODE_PANE, SERVICES), &title, "Enter open");
        if let Some(node) = node {
            painted::draw_node(&mut pen, node, &self.shown);
        }
    }

    fn draw_edge(&self, pen: &mut Pen<'_>, look: &Look<'_>) {
        let edge = self.edge();
        let title = edge.map_or("Edge".to_owned(), Edge::shown);
        let mut pen = look.framed(pen, (EDGE_PANE, EDGES), &title, "x exemplar");
        if let Some(edge) = edge {
            painted::draw_edge(&mut pen, edge);
        }
    }
}
