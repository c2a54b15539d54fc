//! Where nodes stand and edges run. The layers and the order within them come from a [`Layering`]; places and
//! routes are ours, in whole cells: an edge turns only in the channels between layers, each source on its own
//! track, so that lines run together only when they begin or end at the same node.

use std::collections::HashMap;

use ascii_dag::graph::{Direction, Graph};
use ascii_dag::{LayoutConfig, NodeId};
use ratatui::layout::Rect;

/// Cells of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// Which way the layers follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// From left to right.
    #[default]
    Right,
    /// From top to bottom.
    Down,
}

/// Something that has a place in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A node.
    Node(usize),
    /// An edge that goes on to a later layer.
    Bend(usize),
}

/// Assigns nodes to layers.
pub trait Layering {
    /// The layers from first to last, each in its order. Every edge between different nodes leads
    /// from one layer to another and has a bend in each layer between them.
    fn layers(&self, nodes: usize, edges: &[(usize, usize)]) -> Vec<Vec<Slot>>;
}

/// Layers and crossings as `ascii-dag` finds them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sugiyama;

impl Sugiyama {
    /// The layers, to be used for nodes of several sizes.
    pub fn found(self, nodes: usize, edges: &[(usize, usize)]) -> Found {
        Found(self.layers(nodes, edges))
    }
}

/// Layers that were found before.
#[derive(Clone, Debug)]
pub struct Found(Vec<Vec<Slot>>);

impl Layering for Found {
    fn layers(&self, _nodes: usize, _edges: &[(usize, usize)]) -> Vec<Vec<Slot>> {
        self.0.clone()
    }
}

impl Layering for Sugiyama {
    fn layers(&self, nodes: usize, edges: &[(usize, usize)]) -> Vec<Vec<Slot>> {
        let mut graph = Graph::new();
        for node in 0..nodes {
            graph.add_node(node, "n");
        }
        let proper: Vec<usize> = (0..edges.len()).filter(|e| edges[*e].0 != edges[*e].1).collect();
        for edge in &proper {
            let (from, to) = edges[*edge];
            graph.add_edge(NodeId::from(from), NodeId::from(to), None);
        }
        let config = LayoutConfig {
            direction: Direction::TopDown,
            include_dummy_nodes: true,
            ..LayoutConfig::quality()
        };
        let found = graph.compute_layout_with_config(&config);
        let mut level_of = vec![0; nodes];
        let mut order_of = vec![0.0; nodes];
        let mut bends: HashMap<(usize, usize), f64> = HashMap::new();
        for node in found.nodes() {
            let order = node.center_x as f64;
            match node.edge_index {
                Some(edge) => {
                    bends.insert((edge, node.level), order);
                }
                None if node.id < nodes => {
                    level_of[node.id] = node.level;
                    order_of[node.id] = order;
                }
                None => {}
            }
        }
        ordered(&level_of, &order_of, edges, &proper, &bends)
    }
}

/// Sorts nodes and bends into layers.
fn ordered(
    level_of: &[usize],
    order_of: &[f64],
    edges: &[(usize, usize)],
    proper: &[usize],
    bends: &HashMap<(usize, usize), f64>,
) -> Vec<Vec<Slot>> {
    let levels = level_of.iter().max().map_or(0, |l| l + 1);
    let mut layers: Vec<Vec<(f64, Slot)>> = vec![Vec::new(); levels];
    for (node, level) in level_of.iter().enumerate() {
        layers[*level].push((order_of[node], Slot::Node(node)));
    }
    for (index, edge) in proper.iter().enumerate() {
        let (a, b) = edges[*edge];
        let (a, b) = if level_of[a] <= level_of[b] { (a, b) } else { (b, a) };
        let span = (level_of[b] - level_of[a]) as f64;
        let (first, last) = (level_of[a], level_of[b]);
        for (level, layer) in layers.iter_mut().enumerate().take(last).skip(first + 1) {
            let part = (level - first) as f64 / span;
            let between = order_of[a] + (order_of[b] - order_of[a]) * part;
            let order = bends.get(&(index, level)).copied().unwrap_or(between);
            layer.push((order, Slot::Bend(*edge)));
        }
    }
    for layer in &mut layers {
        layer.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    layers.into_iter().map(|l| l.into_iter().map(|(_, slot)| slot).collect()).collect()
}

/// Nodes in their places and edges on their ways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Columns in all.
    pub width: u16,
    /// Rows in all.
    pub height: u16,
    /// Where each node stands.
    pub places: Vec<Rect>,
    /// The turns of each edge, from the frame of its source to the cell in front of its target; none where
    /// there is no way.
    pub routes: Vec<Vec<(u16, u16)>>,
    /// The layer of each node.
    pub layer_of: Vec<usize>,
    flow: Flow,
}

/// Cells of a channel beside those of its tracks: a piece of line, an arrow.
const CHANNEL_MIN: i32 = 3;

/// A slot with its place along the layer.
#[derive(Clone, Copy, Debug)]
struct Placed {
    slot: Slot,
    /// Cells along the layer.
    length: i32,
    /// First cell along the layer.
    at: i32,
}

impl Placed {
    fn middle(&self) -> i32 {
        self.at + (self.length - 1) / 2
    }
}

impl Layout {
    /// Lays out nodes of these sizes.
    pub fn new(
        layering: &dyn Layering,
        sizes: &[Size],
        edges: &[(usize, usize)],
        flow: Flow,
        gap: u16,
    ) -> Self {
        if sizes.is_empty() {
            return Self::default();
        }
        let layers = layering.layers(sizes.len(), edges);
        Draft::new(&layers, sizes, edges, flow, i32::from(gap)).finished()
    }

    /// The middle of a place along its layer.
    pub fn cross_middle(&self, place: Rect) -> u16 {
        match self.flow {
            Flow::Right => place.y + place.height.saturating_sub(1) / 2,
            Flow::Down => place.x + place.width.saturating_sub(1) / 2,
        }
    }

    /// The node at a cell.
    pub fn node_at(&self, x: u16, y: u16) -> Option<usize> {
        self.places.iter().position(|p| p.contains((x, y).into()))
    }
}

/// A layout in the making: `main` runs from layer to layer, `cross` along a layer.
struct Draft<'a> {
    sizes: &'a [Size],
    edges: &'a [(usize, usize)],
    flow: Flow,
    layers: Vec<Vec<Placed>>,
    /// Layer and place of each node, and of each bend by edge and layer.
    nodes: Vec<(usize, usize)>,
    bends: HashMap<(usize, usize), usize>,
}

impl<'a> Draft<'a> {
    fn new(
        layers: &[Vec<Slot>],
        sizes: &'a [Size],
        edges: &'a [(usize, usize)],
        flow: Flow,
        gap: i32,
    ) -> Self {
        let length = |slot: &Slot| match (slot, flow) {
            (Slot::Bend(_), _) => 1,
            (Slot::Node(n), Flow::Right) => i32::from(sizes[*n].height),
            (Slot::Node(n), Flow::Down) => i32::from(sizes[*n].width),
        };
        let mut draft = Self {
            sizes,
            edges,
            flow,
            layers: Vec::with_capacity(layers.len()),
            nodes: vec![(0, 0); sizes.len()],
            bends: HashMap::new(),
        };
        for (level, layer) in layers.iter().enumerate() {
            let mut at = 0;
            let mut placed = Vec::with_capacity(layer.len());
            for (index, slot) in layer.iter().enumerate() {
                match slot {
                    Slot::Node(node) => draft.nodes[*node] = (level, index),
                    Slot::Bend(edge) => {
                        draft.bends.insert((*edge, level), index);
                    }
                }
                placed.push(Placed { slot: *slot, length: length(slot), at });
                at += length(slot) + gap;
            }
            draft.layers.push(placed);
        }
        draft.straighten(gap);
        draft
    }

    /// The slots an edge runs through, by layer, from the lower to the higher.
    fn chain(&self, edge: usize) -> Vec<(usize, usize)> {
        let (a, b) = self.edges[edge];
        let (mut low, mut high) = (self.nodes[a], self.nodes[b]);
        if low.0 > high.0 {
            std::mem::swap(&mut low, &mut high);
        }
        if low.0 == high.0 {
            return Vec::new();
        }
        let between =
            (low.0 + 1..high.0).filter_map(|level| Some((level, *self.bends.get(&(edge, level))?)));
        std::iter::once(low).chain(between).chain([high]).collect()
    }

    /// An edge that closes a circle leads from a later layer to an earlier one.
    fn is_back(&self, edge: usize) -> bool {
        let (a, b) = self.edges[edge];
        self.nodes[a].0 > self.nodes[b].0
    }

    /// Moves slots along their layers so that lines become straight, in the given order.
    fn straighten(&mut self, gap: i32) {
        const ROUNDS: usize = 4;
        let mut links: HashMap<(usize, usize), Vec<(usize, usize)>> = HashMap::new();
        for edge in 0..self.edges.len() {
            for ends in self.chain(edge).windows(2) {
                links.entry(ends[0]).or_default().push(ends[1]);
                links.entry(ends[1]).or_default().push(ends[0]);
            }
        }
        let last = self.layers.len();
        for round in 0..ROUNDS {
            let forward: Vec<usize> = (0..last).collect();
            let both = round + 1 == ROUNDS;
            let order = if round % 2 == 0 { forward } else { forward.into_iter().rev().collect() };
            for level in order {
                let side = |other: usize| {
                    both || if round % 2 == 0 { other < level } else { other > level }
                };
                self.place_layer(level, gap, &links, side);
            }
        }
        let lowest = self.layers.iter().flatten().map(|p| p.at).min().unwrap_or(0);
        self.layers.iter_mut().flatten().for_each(|p| p.at -= lowest);
    }

    fn place_layer(
        &mut self,
        level: usize,
        gap: i32,
        links: &HashMap<(usize, usize), Vec<(usize, usize)>>,
        side: impl Fn(usize) -> bool,
    ) {
        let mut before = 0;
        let mut wanted = Vec::with_capacity(self.layers[level].len());
        for (index, placed) in self.layers[level].iter().enumerate() {
            let near = links.get(&(level, index)).into_iter().flatten().filter(|l| side(l.0));
            // Lines that only pass pull more: a turn on an empty layer helps nobody.
            let (mut sum, mut weight) = (0.0, 0.0);
            for (other, at) in near {
                let other = &self.layers[*other][*at];
                let is_bend = matches!((placed.slot, other.slot), (Slot::Bend(_), Slot::Bend(_)));
                let pull = if is_bend { 8.0 } else { 1.0 };
                sum += pull * f64::from(other.middle());
                weight += pull;
            }
            let middle = f64::from((placed.length - 1) / 2);
            let target = if weight > 0.0 { sum / weight - middle } else { f64::from(placed.at) };
            // In these terms the order means: never falling.
            wanted.push((target - f64::from(before), weight.max(0.01)));
            before += placed.length + gap;
        }
        let mut offset = 0;
        for (placed, at) in self.layers[level].iter_mut().zip(never_falling(&wanted)) {
            placed.at = at.round() as i32 + offset;
            offset += placed.length + gap;
        }
    }

    fn finished(self) -> Layout {
        let channels: Vec<Channel> =
            (0..self.layers.len()).map(|level| self.channel(level)).collect();
        let mut starts = Vec::with_capacity(self.layers.len());
        let mut main = 0;
        for (level, channel) in channels.iter().enumerate() {
            starts.push(main);
            main += self.depth_of(level) + channel.width;
        }
        let cross = self.layers.iter().flatten().map(|p| p.at + p.length).max().unwrap_or(0);
        let main = main - channels.last().map_or(0, |c| c.width);
        let mut layout = Layout { flow: self.flow, ..Layout::default() };
        (layout.width, layout.height) = self.turned(main, cross);
        for (node, (level, index)) in self.nodes.iter().enumerate() {
            let placed = &self.layers[*level][*index];
            let (x, y) = self.turned(starts[*level], placed.at);
            let Size { width, height } = self.sizes[node];
            layout.places.push(Rect { x, y, width, height });
            layout.layer_of.push(*level);
        }
        layout.routes =
            (0..self.edges.len()).map(|edge| self.route(edge, &starts, &channels)).collect();
        layout
    }

    /// From main and cross to columns and rows.
    fn turned(&self, main: i32, cross: i32) -> (u16, u16) {
        let cell = |v: i32| u16::try_from(v.max(0)).unwrap_or(u16::MAX);
        match self.flow {
            Flow::Right => (cell(main), cell(cross)),
            Flow::Down => (cell(cross), cell(main)),
        }
    }

    /// Cells of a slot from layer to layer.
    fn depth(&self, slot: Slot) -> i32 {
        match (slot, self.flow) {
            (Slot::Bend(_), _) => 1,
            (Slot::Node(n), Flow::Right) => i32::from(self.sizes[n].width),
            (Slot::Node(n), Flow::Down) => i32::from(self.sizes[n].height),
        }
    }

    /// Cells of a layer from layer to layer.
    fn depth_of(&self, level: usize) -> i32 {
        self.layers[level].iter().map(|p| self.depth(p.slot)).max().unwrap_or(1)
    }

    /// The tracks behind a layer.
    fn channel(&self, level: usize) -> Channel {
        let mut nets: Vec<Net> = Vec::new();
        for edge in 0..self.edges.len() {
            let chain = self.chain(edge);
            let Some(ends) = chain.windows(2).find(|ends| ends[0].0 == level) else { continue };
            let from = self.layers[level][ends[0].1].middle();
            let to = self.layers[level + 1][ends[1].1].middle();
            let is_back = self.is_back(edge);
            match nets.iter_mut().find(|n| (n.from, n.is_back) == (from, is_back)) {
                Some(net) => net.to.push(to),
                None => nets.push(Net { from, to: vec![to], is_back }),
            }
        }
        Channel::of(nets)
    }

    fn route(&self, edge: usize, starts: &[i32], channels: &[Channel]) -> Vec<(u16, u16)> {
        let (chain, is_back) = (self.chain(edge), self.is_back(edge));
        let mut points: Vec<(i32, i32)> = Vec::new();
        for ends in chain.windows(2) {
            let (level, from) = (ends[0].0, &self.layers[ends[0].0][ends[0].1]);
            let to = &self.layers[level + 1][ends[1].1];
            // From the last cell of the slot, which is the frame of a node.
            let begin = starts[level] + self.depth(from.slot) - 1;
            let channel = starts[level] + self.depth_of(level);
            points.push((begin, from.middle()));
            if from.middle() != to.middle() {
                let track = channel + 1 + channels[level].track_of(from.middle(), is_back);
                points.push((track, from.middle()));
                points.push((track, to.middle()));
            }
            points.push((starts[level + 1], to.middle()));
        }
        if let Some(last) = points.last_mut() {
            // The target's side: an edge ends in front of the frame.
            last.0 -= i32::from(!is_back);
        }
        if is_back {
            points.reverse();
            // It leaves at the left of its source and ends behind its target.
            if let Some(last) = points.last_mut() {
                last.0 += 1;
            }
        }
        points.dedup();
        points.into_iter().map(|(main, cross)| self.turned(main, cross)).collect()
    }
}

/// The lines that leave one slot, or lead back to it.
#[derive(Clone, Debug)]
struct Net {
    from: i32,
    is_back: bool,
    to: Vec<i32>,
}

impl Net {
    fn is_straight(&self) -> bool {
        self.to.iter().all(|to| *to == self.from)
    }

    fn span(&self) -> (i32, i32) {
        let all = || self.to.iter().copied().chain([self.from]);
        (all().min().unwrap_or(0), all().max().unwrap_or(0))
    }

    fn overlaps(&self, other: &Net) -> bool {
        let ((a, b), (c, d)) = (self.span(), other.span());
        a <= d && c <= b
    }
}

/// The room between two layers.
#[derive(Clone, Debug, Default)]
struct Channel {
    width: i32,
    tracks: HashMap<(i32, bool), i32>,
}

impl Channel {
    /// Gives each net that turns a track. A net that begins in the row in which another one ends must turn
    /// before that one arrives; where rows go round in a circle, one of them gives way.
    fn of(nets: Vec<Net>) -> Self {
        let mut turning: Vec<Net> = nets.into_iter().filter(|n| !n.is_straight()).collect();
        // Going down, the lowest turns first, and going up the highest: fewer crossings.
        turning.sort_by_key(|n| {
            let mean = n.to.iter().sum::<i32>() / n.to.len().max(1) as i32;
            if mean > n.from { (0, -n.from) } else { (1, n.from) }
        });
        let after = |net: &Net| -> Vec<usize> {
            (0..turning.len())
                .filter(|o| turning[*o].from != net.from && net.to.contains(&turning[*o].from))
                .collect()
        };
        let mut track: Vec<Option<i32>> = vec![None; turning.len()];
        for start in 0..turning.len() {
            // Depth first over those that must turn before; the second look places.
            let mut stack = vec![(start, false)];
            let mut entered = vec![false; turning.len()];
            while let Some((at, ready)) = stack.pop() {
                if track[at].is_some() {
                    continue;
                }
                if !ready && !std::mem::replace(&mut entered[at], true) {
                    stack.push((at, true));
                    stack.extend(after(&turning[at]).into_iter().map(|before| (before, false)));
                } else if ready {
                    let least = after(&turning[at]).iter().filter_map(|b| track[*b]).max();
                    let taken = |t: i32| {
                        (0..turning.len())
                            .any(|o| track[o] == Some(t) && turning[o].overlaps(&turning[at]))
                    };
                    track[at] = (least.map_or(0, |l| l + 1)..).find(|t| !taken(*t));
                }
            }
        }
        let highest = track.iter().flatten().max().map_or(0, |t| t + 1);
        let key = |n: &Net| (n.from, n.is_back);
        let tracks = turning.iter().zip(track).map(|(n, t)| (key(n), t.unwrap_or(0))).collect();
        Self { width: CHANNEL_MIN.max(highest + 2), tracks }
    }

    fn track_of(&self, from: i32, is_back: bool) -> i32 {
        self.tracks.get(&(from, is_back)).copied().unwrap_or(0)
    }
}

/// The values nearest to the wanted ones, by weighted squares, that never fall.
fn never_falling(wanted: &[(f64, f64)]) -> Vec<f64> {
    // Blocks of equal value: value, weight, length.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(wanted.len());
    for (value, weight) in wanted {
        blocks.push((*value, *weight, 1));
        while let [.., a, b] = blocks[..] {
            if a.0 <= b.0 {
                break;
            }
            blocks.pop();
            blocks.pop();
            let weight = a.1 + b.1;
            blocks.push(((a.0 * a.1 + b.0 * b.1) / weight, weight, a.2 + b.2));
        }
    }
    blocks.into_iter().flat_map(|(value, _, length)| std::iter::repeat_n(value, length)).collect()
}
