//! Maps: the shop, circles, crossings, and laws of routes over random graphs.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::safe_text::SafeText;
use crate::theme::Role;
use crate::widgets::map::layout::{Layering, Slot, Sugiyama};
use crate::widgets::map::lines::glyph;
use crate::widgets::map::matrix::{Matrix, tags};
use crate::widgets::map::{Edge, Flow, Layout, Map, Node, Step, Weight, export, scrolled_to, step};
use crate::widgets::piece;

/// Nodes and edges from `a>b` (call), `a=b` (on the path), `a~b` (message).
fn graph(text: &str, framed: bool) -> (Vec<String>, Vec<Node>, Vec<Edge>) {
    let mut names: Vec<String> = Vec::new();
    let mut edges = Vec::new();
    for word in text.split_whitespace() {
        let at = word.find(['>', '=', '~']).unwrap();
        let mut place = |name: &str| {
            names.iter().position(|n| n == name).unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            })
        };
        let (from, to) = (place(&word[..at]), place(&word[at + 1..]));
        let weight = match word.as_bytes()[at] {
            b'=' => Weight::Double,
            b'~' => Weight::Dashed,
            _ => Weight::Light,
        };
        edges.push(Edge { from, to, weight, role: Role::Text });
    }
    let on_path =
        |n: usize| edges.iter().any(|e| e.weight == Weight::Double && (e.from == n || e.to == n));
    let nodes = names
        .iter()
        .enumerate()
        .map(|(at, name)| Node {
            lines: vec![vec![piece(name, Role::Text)]],
            frame: framed.then_some(if on_path(at) { Weight::Double } else { Weight::Light }),
            role: Role::Text,
            calls_itself: edges.iter().any(|e| e.from == at && e.to == at),
        })
        .collect();
    (names, nodes, edges)
}

fn laid_out(nodes: &[Node], edges: &[Edge], flow: Flow) -> Layout {
    let sizes: Vec<_> = nodes.iter().map(Node::size).collect();
    let pairs: Vec<_> = edges.iter().map(|e| (e.from, e.to)).collect();
    Layout::new(&Sugiyama, &sizes, &pairs, flow, 0)
}

fn picture(text: &str, framed: bool, flow: Flow, theme: &Theme) -> String {
    let (_, nodes, edges) = graph(text, framed);
    let layout = laid_out(&nodes, &edges, flow);
    let map = Map { layout: &layout, nodes: &nodes, edges: &edges, cursor: None, scroll: (0, 0) };
    glyphs(&drawn(theme, (layout.width, layout.height), |pen| map.render(pen)))
}

const SHOP: &str = "gateway>cart gateway=checkout gateway>catalog gateway>search cart>redis \
    checkout=payment checkout>catalog checkout>inventory checkout~kafka catalog>postgres \
    inventory>postgres payment=acme payment>stripe payment>postgres kafka~accounting kafka~email";

#[test]
fn the_shop_with_frames() {
    check(
        &picture(SHOP, true, Flow::Right, &rich()),
        "
                                     ┌───────┐
                      ┌──────┐     ┌>│ redis │         ╔══════╗
                    ┌>│ cart ├─────┘ └───────┘      ╔═>║ acme ║
                    │ └──────┘       ╔═════════╗    ║  ╚══════╝
                    │ ┌────────┐   ╔>║ payment ╠════╣  ┌────────┐
        ╔═════════╗ ├>│ search │   ║ ╚═════════╝    ├─>│ stripe │
        ║ gateway ╠═╣ └────────┘   ║ ┌───────────┐  │  └────────┘
        ╚═════════╝ ║ ╔══════════╗ ╟>│ inventory ├─┐│  ┌──────────┐
                    ╠>║ checkout ╠═╣ └───────────┘ └┴┬>│ postgres │
                    │ ╚══════════╝ │ ┌─────────┐     │ └──────────┘
                    └──────────────┼>│ catalog ├─────┘ ┌────────────┐
                                   ┊ └─────────┘   ┌┄┄>│ accounting │
                                   ┊ ┌───────┐     ┊   └────────────┘
                                   └>│ kafka ├┄┄┄┄┄┤   ┌───────┐
                                     └───────┘     └┄┄>│ email │
                                                       └───────┘
        ",
    );
}

#[test]
fn the_shop_by_name_and_in_ascii() {
    check(
        &picture(SHOP, false, Flow::Right, &ascii()),
        "
                  +> cart ------> redis      +==> acme
         gateway =+> search    +> payment ===+--> stripe
                  +> checkout =+> inventory -++-> postgres
                  +------------+> catalog ----++> accounting
                               +> kafka -------+> email
        ",
    );
}

#[test]
fn from_top_to_bottom() {
    check(
        &picture("web>api web>cdn api>db api>cache", true, Flow::Down, &rich()),
        "
              ┌─────┐
              │ web │
              └──┬──┘
                 │
              ┌──┴───┐
              v      v
           ┌─────┐┌─────┐
           │ api ││ cdn │
           └──┬──┘└─────┘
              │
          ┌───┴───┐
          v       v
        ┌────┐┌───────┐
        │ db ││ cache │
        └────┘└───────┘
        ",
    );
}

#[test]
fn circles_and_calls_to_oneself() {
    check(
        &picture("a>b b>c c>a c>c", true, Flow::Right, &rich()),
        "
                 ┌───┐
        ┌───┐  ┌>│ b ├─┐  ┌───┐
        │ a ├<┬┘ └───┘ └┬>┤ c@│
        └───┘ └─────────┘ └───┘
        ",
    );
}

#[test]
fn unrelated_lines_cross_without_joining() {
    check(
        &picture("a>x a>z b=y c>x c>z", true, Flow::Right, &rich()),
        "
        ┌───┐    ┌───┐
        │ a ├─┬┬>│ x │
        └───┘ ││ └───┘
        ┌───┐ ││ ┌───┐
        │ c ├─┴┴>│ z │
        └───┘    └───┘
        ╔═══╗    ╔═══╗
        ║ b ╠═══>║ y ║
        ╚═══╝    ╚═══╝
        ",
    );
}

#[test]
fn sides_make_glyphs() {
    use Weight::{Dashed, Double, Heavy, Light, None};
    for (sides, expected) in [
        ([None, Light, None, Light], '─'),
        ([None, Dashed, None, Dashed], '┄'),
        ([Light, None, Light, None], '│'),
        ([Double, None, None, None], '║'),
        ([None, Light, Light, None], '┌'),
        ([Light, Light, Light, None], '├'),
        ([Light, Double, Light, None], '╞'),
        ([Double, Light, Double, None], '╟'),
        ([Double, Double, Double, Double], '╬'),
        ([Heavy, Heavy, None, None], '┗'),
        ([Light, Heavy, Light, Heavy], '┿'),
        ([None; 4], ' '),
    ] {
        assert_eq!(glyph(sides), expected, "{sides:?}");
    }
}

#[test]
fn a_map_is_walked_along_its_edges() {
    let (names, nodes, edges) = graph(SHOP, true);
    let layout = laid_out(&nodes, &edges, Flow::Right);
    let at = |name: &str| names.iter().position(|n| n == name).unwrap();
    let go = |from: &str, way: Step| {
        step(&layout, &edges, at(from), way).map_or("-", |n| names[n].as_str())
    };
    assert_eq!(go("checkout", Step::Back), "gateway");
    assert_eq!(go("cart", Step::On), "redis");
    assert_eq!(go("gateway", Step::Back), "-");
    assert_eq!(go("redis", Step::On), "-");
    let down = go("cart", Step::Behind);
    assert_eq!(go(down, Step::Before), "cart");
    let place = layout.places[at("redis")];
    assert_eq!(layout.node_at(place.x, place.y), Some(at("redis")));
}

#[test]
fn scrolling_shows_a_whole_place() {
    let place = Rect::new(50, 20, 10, 3);
    assert_eq!(scrolled_to(place, (0, 0), (40, 10)), (20, 13));
    assert_eq!(scrolled_to(place, (45, 18), (40, 10)), (45, 18));
    assert_eq!(scrolled_to(place, (90, 90), (40, 10)), (50, 20));
    assert_eq!(scrolled_to(place, (0, 0), (4, 1)), (50, 20));
}

#[test]
fn a_matrix() {
    let names: Vec<SafeText> =
        ["gateway", "checkout", "payment", "postgres"].map(SafeText::new).to_vec();
    let draw = |pen: &mut Pen<'_>| {
        Matrix {
            names: &names,
            joint: &|a, b| (a + 1 == b).then_some(('▓', Role::Error)),
            cursor: (1, 2),
        }
        .render(pen);
    };
    check(
        &glyphs(&drawn(&rich(), (30, 5), draw)),
        "
                 ga ch pa po
         gateway -  ▓  ·  ·
        checkout ·  -  ▓  ·
         payment ·  ·  -  ▓
        postgres ·  ·  ·  -
        ",
    );
    let told = |names: &[&str]| {
        let names: Vec<SafeText> = names.iter().map(SafeText::new).collect();
        tags(&names).iter().map(SafeText::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(told(&["gateway", "payment", "postgres"]), "ga pa po");
    assert_eq!(told(&["sqlite:orders", "sqlite:user", "sqlite:pay"]), "sq sl si");
    assert_eq!(told(&["aa", "ab", "aa", "", "a"]), "aa ab aa ?? a");
    at_any_size(draw);
}

#[test]
fn maps_leave_as_text() {
    let names = ["gate\"way".to_owned(), "pay]ment\n".to_owned()];
    let line = |is_dashed, is_thick| export::Line {
        from: 0,
        to: 1,
        words: "198/s".into(),
        is_dashed,
        is_thick,
    };
    assert_eq!(
        export::mermaid(&names, &[line(false, true), line(true, false)]),
        "flowchart LR\n  n0[\"gate#quot;way\"]\n  n1[\"pay]ment↵\"]\n  n0 ==>|\"198/s\"| n1\n  \
         n0 -.->|\"198/s\"| n1\n"
    );
    assert_eq!(
        export::dot(&names, &[line(false, false)]),
        "digraph map {\n  rankdir=LR;\n  node [shape=box];\n  n0 [label=\"gate\\\"way\"];\n  \
         n1 [label=\"pay]ment↵\"];\n  n0 -> n1 [label=\"198/s\"];\n}\n"
    );
}

#[test]
fn maps_draw_at_any_size_and_scroll() {
    let (_, nodes, edges) =
        graph(&format!("{SHOP} x>{}", HOSTILE.replace(char::is_whitespace, "")), true);
    let layout = laid_out(&nodes, &edges, Flow::Right);
    for scroll in [(0, 0), (7, 3), (500, 500)] {
        at_any_size(|pen| {
            let cursor = Some(1);
            Map { layout: &layout, nodes: &nodes, edges: &edges, cursor, scroll }.render(pen);
        });
    }
    assert_eq!(Layout::new(&Sugiyama, &[], &[], Flow::Right, 0), Layout::default());
}

/// The cells of a route with the axis it takes through them.
fn cells(route: &[(u16, u16)]) -> BTreeSet<(u16, u16, bool)> {
    let mut cells = BTreeSet::new();
    for ends in route.windows(2) {
        let ((a, b), (c, d)) = (ends[0], ends[1]);
        assert!(a == c || b == d, "a slanted line: {ends:?}");
        for x in a.min(c)..=a.max(c) {
            for y in b.min(d)..=b.max(d) {
                cells.insert((x, y, b == d));
            }
        }
    }
    cells
}

fn any_graph() -> impl Strategy<Value = (usize, Vec<(usize, usize)>)> {
    (1usize..14).prop_flat_map(|n| {
        let edges = prop::collection::btree_set((0..n, 0..n), 0..24);
        (Just(n), edges.prop_map(|e| e.into_iter().collect()))
    })
}

proptest! {
    #[test]
    fn routes_are_level_or_upright_and_keep_out_of_nodes((n, pairs) in any_graph(), down: bool) {
        let text = |at: usize| format!("node{at}");
        let nodes: Vec<Node> = (0..n)
            .map(|at| Node {
                lines: vec![vec![piece(text(at), Role::Text)]; 1 + at % 3],
                frame: Some(Weight::Light),
                role: Role::Text,
                calls_itself: false,
            })
            .collect();
        let edges: Vec<Edge> = pairs
            .iter()
            .map(|(from, to)| Edge { from: *from, to: *to, weight: Weight::Light, role: Role::Text })
            .collect();
        let flow = if down { Flow::Down } else { Flow::Right };
        let layout = laid_out(&nodes, &edges, flow);
        for (a, place) in layout.places.iter().enumerate() {
            prop_assert!(place.right() <= layout.width && place.bottom() <= layout.height);
            for other in &layout.places[a + 1..] {
                prop_assert!(!place.intersects(*other), "{place:?} {other:?}");
            }
        }
        let routes: Vec<_> = layout.routes.iter().map(|r| cells(r)).collect();
        for (edge, cells) in edges.iter().zip(&routes) {
            prop_assert_eq!(cells.is_empty(), edge.from == edge.to);
            for (x, y, _) in cells {
                let node = layout.node_at(*x, *y);
                prop_assert!(node.is_none_or(|n| n == edge.from), "through a node: {edge:?}");
            }
        }
    }

    #[test]
    fn layers_hold_each_node_once_and_each_bend((n, edges) in any_graph()) {
        let layers = Sugiyama.layers(n, &edges);
        let mut level = BTreeMap::new();
        for (at, layer) in layers.iter().enumerate() {
            for slot in layer {
                if let Slot::Node(node) = slot {
                    prop_assert!(level.insert(*node, at).is_none());
                }
            }
        }
        prop_assert_eq!(level.len(), n);
        for (index, (a, b)) in edges.iter().enumerate().filter(|(_, (a, b))| a != b) {
            prop_assert!(level[a] != level[b], "an edge within a layer");
            let bends = layers.iter().flatten().filter(|s| **s == Slot::Bend(index)).count();
            prop_assert_eq!(bends, level[a].abs_diff(level[b]) - 1);
        }
    }
}
