//! Call paths with ordinals, as a tree of numbered nodes.

use std::collections::{BTreeMap, HashMap};

use super::DiffSpan;

/// A path is written with so many of its last steps; all paths of a deep chain would else take the
/// square of its depth.
pub const PATH_STEPS_MAX: usize = 64;

/// Number of a node.
pub(crate) type NodeId = u32;

/// The nodes of some traces: each a parent, a step and an ordinal among its equal siblings.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    steps: Vec<Box<str>>,
    step_ids: HashMap<Box<str>, u32>,
    nodes: Vec<Node>,
    node_ids: HashMap<Node, NodeId>,
}

/// One step from another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Node {
    parent: Option<NodeId>,
    step: u32,
    /// From 1.
    ordinal: u32,
}

impl Nodes {
    /// The node of each span of a trace; no two spans of a trace share one. Equal siblings are
    /// counted by start, then by span id. A span that is its own ancestor counts as a root.
    pub(crate) fn of_trace(&mut self, spans: &[DiffSpan<'_>]) -> Vec<NodeId> {
        let mut found: Vec<Option<NodeId>> = vec![None; spans.len()];
        let mut ordinals = HashMap::<(Option<NodeId>, u32), u32>::new();
        for index in parents_first(spans) {
            let span = &spans[index];
            let parent = span.parent.and_then(|parent| *found.get(parent as usize)?);
            let step = self.step(span.step);
            let ordinal = ordinals.entry((parent, step)).or_default();
            *ordinal += 1;
            found[index] = Some(self.node(Node { parent, step, ordinal: *ordinal }));
        }
        found.into_iter().flatten().collect()
    }

    /// The path as text, `gateway/order/pricing#2`; the ordinal 1 is not written.
    pub(crate) fn path(&self, node: NodeId) -> String {
        let up = std::iter::successors(Some(node), |node| self.nodes[*node as usize].parent);
        let mut steps: Vec<String> = up
            .take(PATH_STEPS_MAX + 1)
            .enumerate()
            .map(|(up, node)| if up < PATH_STEPS_MAX { self.label(node) } else { "…".into() })
            .collect();
        steps.reverse();
        steps.join("/")
    }

    /// All nodes, each with its depth: parents before children, siblings by the given order, then
    /// by step and ordinal. It depends on the traces alone, and not on the numbers of the nodes.
    pub(crate) fn walk<K: Ord>(&self, order: impl Fn(NodeId) -> K) -> Vec<(NodeId, u32)> {
        let mut children = BTreeMap::<Option<NodeId>, Vec<NodeId>>::new();
        for (id, node) in self.nodes.iter().enumerate() {
            children.entry(node.parent).or_default().push(id as NodeId);
        }
        for siblings in children.values_mut() {
            // Last first, since the stack hands out the last.
            siblings.sort_by(|a, b| {
                let (node_a, node_b) = (self.nodes[*a as usize], self.nodes[*b as usize]);
                let step = |node: Node| &self.steps[node.step as usize];
                order(*b)
                    .cmp(&order(*a))
                    .then_with(|| step(node_b).cmp(step(node_a)))
                    .then_with(|| node_b.ordinal.cmp(&node_a.ordinal))
            });
        }
        let below = |parent: Option<NodeId>, depth: u32| {
            let siblings = children.get(&parent).into_iter().flatten();
            siblings.map(move |node| (*node, depth))
        };
        let mut stack: Vec<(NodeId, u32)> = below(None, 0).collect();
        let mut walked = Vec::with_capacity(self.nodes.len());
        while let Some((node, depth)) = stack.pop() {
            walked.push((node, depth));
            stack.extend(below(Some(node), depth + 1));
        }
        walked
    }

    fn label(&self, node: NodeId) -> String {
        let Node { step, ordinal, .. } = self.nodes[node as usize];
        match ordinal {
            1 => self.steps[step as usize].to_string(),
            more => format!("{}#{more}", self.steps[step as usize]),
        }
    }

    fn step(&mut self, text: &str) -> u32 {
        if let Some(&step) = self.step_ids.get(text) {
            return step;
        }
        let step = self.steps.len() as u32;
        self.steps.push(text.into());
        self.step_ids.insert(text.into(), step);
        step
    }

    fn node(&mut self, node: Node) -> NodeId {
        *self.node_ids.entry(node).or_insert_with(|| {
            self.nodes.push(node);
            (self.nodes.len() - 1) as NodeId
        })
    }
}

/// Spans so that parents come before children and siblings by start. Members of a cycle, which no
/// root reaches, come last in the order of their starts.
fn parents_first(spans: &[DiffSpan<'_>]) -> Vec<usize> {
    let place = |span: &DiffSpan<'_>| (span.start_ns, span.span_id);
    let content = |span: &DiffSpan<'_>| (span.self_ns, span.critical_ns);
    let mut by_start: Vec<usize> = (0..spans.len()).collect();
    // Latest first, since the stack hands out the last.
    by_start.sort_by(|&a, &b| {
        let (a, b) = (&spans[b], &spans[a]);
        place(a).cmp(&place(b)).then_with(|| a.step.cmp(b.step)).then(content(a).cmp(&content(b)))
    });
    let mut children = vec![Vec::new(); spans.len()];
    let mut stack = Vec::new();
    for &index in &by_start {
        match spans[index].parent {
            Some(parent) if (parent as usize) < spans.len() => {
                children[parent as usize].push(index);
            }
            _ => stack.push(index),
        }
    }
    let (mut order, mut is_done) = (Vec::with_capacity(spans.len()), vec![false; spans.len()]);
    let mut left = by_start.into_iter().rev();
    loop {
        while let Some(index) = stack.pop() {
            if !std::mem::replace(&mut is_done[index], true) {
                order.push(index);
                stack.extend(children[index].iter().filter(|child| !is_done[**child]));
            }
        }
        match left.find(|index| !is_done[*index]) {
            Some(index) => stack.push(index),
            None => return order,
        }
    }
}
