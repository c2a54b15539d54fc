//! The shop keeps its word: what is sent is what its plans say, and the truth fits what is sent.
// A generated request that lacks what it must have should fail the test there.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;

use super::truth::{Category, Edge, ErrorOrigin, Truth};
use super::{Fault, MINUTE_NS, Request, Shop, ShopOptions, shop};

fn options(seed: u64, fault: Option<Fault>) -> ShopOptions {
    ShopOptions { seed, minutes: 3, requests_per_minute: 100, fault, ..ShopOptions::default() }
}

fn encoded(request: &Request) -> Vec<u8> {
    match request {
        Request::Traces(request) => request.encode_to_vec(),
        Request::Logs(request) => request.encode_to_vec(),
        Request::Metrics(request) => request.encode_to_vec(),
    }
}

fn bytes(options: ShopOptions) -> Vec<Vec<u8>> {
    shop(options).requests.iter().map(encoded).collect()
}

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|a| a.key == key)?.value.clone()?.value?;
    match value {
        Value::StringValue(text) => Some(text),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{key} is {other:?}"),
    }
}

/// A span with what its resource says.
struct Sent {
    span: Span,
    service: String,
    instance: String,
    version: String,
}

impl Sent {
    fn duration_ns(&self) -> u64 {
        self.span.end_time_unix_nano - self.span.start_time_unix_nano
    }

    fn is(&self, kind: SpanKind) -> bool {
        self.span.kind == kind as i32
    }

    fn get(&self, key: &str) -> Option<String> {
        attribute(&self.span.attributes, key)
    }
}

fn spans(shop: &Shop) -> Vec<Sent> {
    let mut sent = Vec::new();
    for request in &shop.requests {
        let Request::Traces(request) = request else { continue };
        for group in &request.resource_spans {
            let resource = &group.resource.as_ref().unwrap().attributes;
            for span in group.scope_spans.iter().flat_map(|scope| &scope.spans) {
                sent.push(Sent {
                    span: span.clone(),
                    service: attribute(resource, "service.name").unwrap(),
                    instance: attribute(resource, "service.instance.id").unwrap(),
                    version: attribute(resource, "service.version").unwrap(),
                });
            }
        }
    }
    sent
}

/// Children by the id of their parent.
fn children(sent: &[Sent]) -> HashMap<&[u8], Vec<&Sent>> {
    let mut children: HashMap<&[u8], Vec<&Sent>> = HashMap::new();
    for child in sent.iter().filter(|s| !s.span.parent_span_id.is_empty()) {
        children.entry(&child.span.parent_span_id).or_default().push(child);
    }
    children
}

/// Roots by the id of their trace.
fn roots(sent: &[Sent]) -> HashMap<&[u8], &Sent> {
    let is_root = |s: &&Sent| s.span.parent_span_id.is_empty();
    sent.iter().filter(is_root).map(|s| (&*s.span.trace_id, s)).collect()
}

fn all_faults() -> impl Iterator<Item = Option<Fault>> {
    Fault::ALL.into_iter().map(Some).chain([None])
}

#[test]
fn a_seed_makes_the_same_shop_again() {
    assert_eq!(bytes(options(7, None)), bytes(options(7, None)));
    assert_ne!(bytes(options(7, None)), bytes(options(8, None)));
}

#[test]
fn a_fault_leaves_the_time_before_it_alone() {
    let good = shop(options(7, None));
    for fault in Fault::ALL {
        let bad = shop(options(7, Some(fault)));
        let from_ns = options(7, Some(fault)).fault_from_ns();
        let before = |shop: &Shop| -> Vec<(Vec<u8>, String)> {
            let early = |s: &Sent| s.span.start_time_unix_nano < from_ns;
            let early = spans(shop).into_iter().filter(early);
            early.map(|s| (s.span.encode_to_vec(), s.instance)).collect()
        };
        assert!(before(&good) == before(&bad), "{fault:?}");
    }
}

#[test]
fn there_is_as_much_of_everything_as_asked_for() {
    for fault in all_faults() {
        let options = options(3, fault);
        let shop = shop(options);
        let (sent, truth) = (spans(&shop), &shop.truth);
        assert_eq!(sent.len() as u64, truth.spans);
        let ids: BTreeSet<_> = sent.iter().map(|s| &s.span.span_id).collect();
        assert_eq!(ids.len(), sent.len(), "ids differ");
        let errors = sent.iter().filter(|s| s.span.status.is_some()).count();
        assert_eq!(errors as u64, truth.error_spans);
        let entries = sent.iter().filter(|s| s.service == "gateway" && s.is(SpanKind::Server));
        assert_eq!(entries.count() as u64, options.requests());
        let by_customers = truth.traces.iter().filter(|t| t.root.service == "gateway");
        for minute in 0..u64::from(options.minutes) {
            let from_ns = options.start_ns + minute * MINUTE_NS;
            let minute_ns = from_ns..from_ns + MINUTE_NS;
            let in_minute = by_customers.clone().filter(|t| minute_ns.contains(&t.start_ns));
            let count = in_minute.count();
            assert_eq!(count, options.requests_per_minute as usize, "minute {minute}");
        }
    }
}

#[test]
fn parents_hold_the_children_that_they_wait_for() {
    for fault in all_faults() {
        let shop = shop(options(4, fault));
        let sent = spans(&shop);
        let by_id: HashMap<_, _> = sent.iter().map(|s| (&s.span.span_id, s)).collect();
        let roots = roots(&sent);
        let mut consumers_beyond_root = 0;
        for child in sent.iter().filter(|s| !s.span.parent_span_id.is_empty()) {
            let parent = by_id[&child.span.parent_span_id];
            assert_eq!(parent.span.trace_id, child.span.trace_id);
            let (from, to) = (parent.span.start_time_unix_nano, parent.span.end_time_unix_nano);
            if child.is(SpanKind::Consumer) {
                assert!(child.span.start_time_unix_nano > to);
                let root_end = roots[&*child.span.trace_id].span.end_time_unix_nano;
                consumers_beyond_root += usize::from(child.span.end_time_unix_nano > root_end);
            } else {
                assert!(child.span.start_time_unix_nano >= from, "{fault:?}");
                assert!(child.span.end_time_unix_nano <= to, "{fault:?}");
            }
        }
        assert!(consumers_beyond_root > 0);
    }
}

/// Of children that overlap, the first to start ends last, by more than the kernel's tolerance.
#[test]
fn what_runs_in_parallel_has_a_clear_winner() {
    for fault in all_faults() {
        let shop = shop(options(5, fault));
        let sent = spans(&shop);
        let by_id: HashMap<_, _> = sent.iter().map(|s| (&*s.span.span_id, s)).collect();
        let mut overlaps = 0;
        for (parent, mut children) in children(&sent) {
            children.retain(|c| !c.is(SpanKind::Consumer));
            children.sort_by_key(|c| c.span.start_time_unix_nano);
            let mut winner: Option<&Span> = None;
            for child in children {
                match winner {
                    Some(w) if child.span.start_time_unix_nano < w.end_time_unix_nano => {
                        let margin = w.end_time_unix_nano - child.span.end_time_unix_nano;
                        assert!(margin * 100 > by_id[parent].duration_ns(), "{fault:?} {margin}");
                        overlaps += 1;
                    }
                    _ => winner = Some(&child.span),
                }
            }
        }
        assert!(overlaps > 100);
    }
}

#[test]
fn the_sums_of_a_root_agree() {
    for fault in all_faults() {
        let shop = shop(options(6, fault));
        let sent = spans(&shop);
        let roots = roots(&sent);
        let mut operations: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
        for root in roots.values() {
            let sums =
                operations.entry((root.service.clone(), root.span.name.clone())).or_default();
            sums.0 += 1;
            sums.1 += root.duration_ns();
        }
        assert_eq!(operations.len(), 4);
        for (operation, truth) in &shop.truth.roots {
            let key = (operation.service.to_owned(), operation.name.to_owned());
            assert_eq!(operations[&key], (truth.traces, truth.duration_ns));
            assert_eq!(truth.path_ns_by_node.values().sum::<u64>(), truth.duration_ns);
            assert_eq!(truth.path_ns_by_category.values().sum::<u64>(), truth.duration_ns);
            assert_eq!(truth.mean_ns(), truth.duration_ns / truth.traces);
        }
        for trace in &shop.truth.traces {
            let root = roots[&trace.trace_id[..]];
            assert_eq!(root.duration_ns(), trace.duration_ns);
            assert_eq!(root.span.start_time_unix_nano, trace.start_ns);
            assert_eq!(root.span.name, trace.root.name);
            assert_eq!(root.span.status.is_some(), trace.is_error);
        }
    }
}

/// `GET /api/items` runs one step after the other: there the path is every span's own time, and
/// that is its duration without its children's.
#[test]
fn where_steps_are_sequential_the_path_is_own_time() {
    for fault in [None, Some(Fault::NPlusOne), Some(Fault::SlowService)] {
        let shop = shop(options(9, fault));
        let sent = spans(&shop);
        let children = children(&sent);
        let of_items: BTreeSet<_> = sent
            .iter()
            .filter(|s| s.span.name == "GET /api/items")
            .map(|s| &s.span.trace_id)
            .collect();
        let mut nodes: BTreeMap<String, u64> = BTreeMap::new();
        let mut categories: BTreeMap<Category, u64> = BTreeMap::new();
        for s in sent.iter().filter(|s| of_items.contains(&s.span.trace_id)) {
            let below = children.get(&*s.span.span_id).map_or(&[][..], Vec::as_slice);
            let own = s.duration_ns() - below.iter().map(|c| c.duration_ns()).sum::<u64>();
            let database = s.get("db.namespace").map(|n| format!("sqlite:{n}"));
            let (category, node) = match database {
                Some(node) => (Category::Db, node),
                None if s.is(SpanKind::Client) => (Category::Gap, below[0].service.clone()),
                None => (Category::Own, s.service.clone()),
            };
            *nodes.entry(node).or_default() += own;
            *categories.entry(category).or_default() += own;
        }
        let mut roots = shop.truth.roots.iter();
        let truth = roots.find(|(o, _)| o.name == "GET /api/items").unwrap().1;
        let expected: BTreeMap<String, u64> =
            truth.path_ns_by_node.iter().map(|(node, ns)| ((*node).to_owned(), *ns)).collect();
        assert_eq!(nodes, expected);
        assert_eq!(categories, truth.path_ns_by_category);
    }
}

/// The sweep of the definition of the critical path, written down once more: every span's time on
/// the path of its trace, by the span's id.
fn sweep<'a>(
    s: &'a Sent,
    entered_ns: u64,
    tolerance_percent: u64,
    children: &HashMap<&[u8], Vec<&'a Sent>>,
    path: &mut HashMap<&'a [u8], u64>,
) {
    let mut now_ns = entered_ns;
    let tolerance_ns = s.duration_ns() * tolerance_percent / 100;
    let mut below = children.get(&*s.span.span_id).cloned().unwrap_or_default();
    below.retain(|c| !c.is(SpanKind::Consumer));
    below.sort_by_key(|c| (c.span.end_time_unix_nano, c.span.start_time_unix_nano));
    let mut own_ns = 0;
    for child in below.into_iter().rev() {
        let (from_ns, to_ns) = (child.span.start_time_unix_nano, child.span.end_time_unix_nano);
        if from_ns < now_ns && to_ns.min(entered_ns) <= now_ns + tolerance_ns {
            let end_ns = to_ns.min(now_ns);
            own_ns += now_ns - end_ns;
            sweep(child, end_ns, tolerance_percent, children, path);
            now_ns = from_ns;
        }
    }
    path.insert(&s.span.span_id, own_ns + now_ns - s.span.start_time_unix_nano);
}

/// Whom a span's own time is charged to, from the span alone.
fn charged_to(s: &Sent, children: &HashMap<&[u8], Vec<&Sent>>) -> String {
    let server = children.get(&*s.span.span_id).and_then(|c| c.first());
    match SpanKind::try_from(s.span.kind).unwrap() {
        SpanKind::Client => match (server, s.get("db.namespace")) {
            (Some(server), _) => server.service.clone(),
            (None, Some(namespace)) => format!("sqlite:{namespace}"),
            (None, None) => "psp.example.com:443".to_owned(),
        },
        SpanKind::Producer => "bus:orders".to_owned(),
        _ => s.service.clone(),
    }
}

#[test]
fn the_path_is_the_one_of_the_definition() {
    for (fault, tolerance_percent) in all_faults().flat_map(|f| [(f, 0), (f, 1)]) {
        let shop = shop(options(17, fault));
        let sent = spans(&shop);
        let (children, roots) = (children(&sent), roots(&sent));
        let mut found: BTreeMap<(String, String), u64> = BTreeMap::new();
        let mut path = HashMap::new();
        for root in roots.values() {
            sweep(root, root.span.end_time_unix_nano, tolerance_percent, &children, &mut path);
        }
        for s in &sent {
            // Spans that are off the path, and such as have no time of their own on it.
            let Some(ns) = path.get(&*s.span.span_id).filter(|ns| **ns > 0) else { continue };
            let root = roots[&*s.span.trace_id].span.name.clone();
            *found.entry((root, charged_to(s, &children))).or_default() += ns;
        }
        let mut expected = BTreeMap::new();
        for (root, truth) in &shop.truth.roots {
            for (node, ns) in &truth.path_ns_by_node {
                expected.insert((root.name.to_owned(), (*node).to_owned()), *ns);
            }
        }
        assert_eq!(found, expected, "{fault:?}, tolerance {tolerance_percent} %");
    }
}

#[test]
fn errors_begin_where_no_child_failed() {
    for fault in [None, Some(Fault::ErrorsAt), Some(Fault::RetryStorm)] {
        let shop = shop(ShopOptions { minutes: 9, ..options(18, fault) });
        let sent = spans(&shop);
        let children = children(&sent);
        let by_id: HashMap<_, _> = sent.iter().map(|s| (&s.span.span_id, s)).collect();
        let (mut found, mut absorbed) = (BTreeMap::new(), BTreeMap::new());
        for s in &sent {
            let below = children.get(&*s.span.span_id).map_or(&[][..], Vec::as_slice);
            let is_child_failed = below.iter().any(|c| c.span.status.is_some());
            match (s.span.status.is_some(), is_child_failed) {
                (true, false) => {
                    let mut is_fatal = true;
                    let mut above = by_id.get(&s.span.parent_span_id);
                    while let Some(parent) = above {
                        is_fatal &= parent.span.status.is_some();
                        above = by_id.get(&parent.span.parent_span_id);
                    }
                    let peer = s.is(SpanKind::Client).then(|| charged_to(s, &children));
                    let error: &mut (u64, u64) =
                        found.entry((s.service.clone(), peer)).or_default();
                    error.0 += 1;
                    error.1 += u64::from(is_fatal);
                }
                (false, true) => *absorbed.entry(&*s.service).or_default() += 1,
                _ => {}
            }
        }
        let expected = shop.truth.errors.iter().map(|(origin, error)| {
            let place = match origin {
                ErrorOrigin::Service(service) => ((*service).to_owned(), None),
                ErrorOrigin::Peer(Edge { from, to }) => {
                    ((*from).to_owned(), Some((*to).to_owned()))
                }
            };
            (place, (error.count, error.fatal))
        });
        assert_eq!(found, expected.collect(), "{fault:?}");
        assert_eq!(absorbed, shop.truth.absorbed, "{fault:?}");
    }
}

/// The edges once more, from the spans alone.
fn edges(sent: &[Sent]) -> BTreeMap<(String, String), [u64; 4]> {
    let children = children(sent);
    let by_id: HashMap<_, _> = sent.iter().map(|s| (&s.span.span_id, s)).collect();
    let mut edges: BTreeMap<(String, String), [u64; 4]> = BTreeMap::new();
    for s in sent {
        let topic = || Some(format!("bus:{}", s.get("messaging.destination.name")?));
        let server = children.get(&*s.span.span_id).and_then(|c| c.first());
        let address = || Some(format!("{}:{}", s.get("server.address")?, s.get("server.port")?));
        let peer = match SpanKind::try_from(s.span.kind).unwrap() {
            SpanKind::Client => server
                .map(|server| server.service.clone())
                .or_else(|| s.get("db.namespace").map(|n| format!("sqlite:{n}")))
                .or_else(address),
            SpanKind::Producer => topic(),
            _ => None,
        };
        let own = s.service.clone();
        let (edge, sums) = match (peer, SpanKind::try_from(s.span.kind).unwrap()) {
            (Some(peer), SpanKind::Producer) => ((own, peer), [1, s.duration_ns(), 0, 0]),
            (Some(peer), _) => {
                let server_ns = server.map_or(0, |server| server.duration_ns());
                let gap_ns = server.map_or(0, |_| s.duration_ns() - server_ns);
                ((own, peer), [1, s.duration_ns(), server_ns, gap_ns])
            }
            (None, SpanKind::Consumer) => {
                let producer = by_id[&s.span.links[0].span_id];
                let lag = s.span.start_time_unix_nano - producer.span.end_time_unix_nano;
                ((topic().unwrap(), own), [1, 0, s.duration_ns(), lag])
            }
            (None, SpanKind::Server) if s.span.parent_span_id.is_empty() => {
                (("user".to_owned(), own), [1, 0, s.duration_ns(), 0])
            }
            _ => continue,
        };
        let total = edges.entry(edge).or_default();
        total.iter_mut().zip(sums).for_each(|(total, value)| *total += value);
    }
    edges
}

#[test]
fn the_map_is_the_one_of_the_spans() {
    for fault in all_faults() {
        let shop = shop(options(10, fault));
        let expected: BTreeMap<(String, String), [u64; 4]> = shop
            .truth
            .edges
            .iter()
            .map(|(Edge { from, to }, e)| {
                let sums = [e.calls, e.client_ns, e.server_ns, e.gap_ns];
                (((*from).to_owned(), (*to).to_owned()), sums)
            })
            .collect();
        assert_eq!(edges(&spans(&shop)), expected);
        assert_eq!(expected.len(), 19, "{:?}", expected.keys());
    }
}

fn edge(truth: &Truth, from: &'static str, to: &'static str) -> super::EdgeTruth {
    truth.edges[&Edge { from, to }]
}

fn mean(sum: u64, count: u64) -> f64 {
    sum as f64 / count as f64
}

/// Mean time of the spans that a test picks in the window of the fault.
fn mean_in_window(shop: &Shop, picks: impl Fn(&Sent) -> bool) -> f64 {
    let from_ns = options(0, None).fault_from_ns();
    let sent = spans(shop);
    let picked: Vec<u64> = sent
        .iter()
        .filter(|s| s.span.start_time_unix_nano >= from_ns && picks(s))
        .map(Sent::duration_ns)
        .collect();
    mean(picked.iter().sum(), picked.len() as u64)
}

/// A figure of the shop that a fault raises, and by which factor at least.
type Measure = fn(&Shop) -> f64;

#[test]
fn every_fault_does_what_it_says() {
    let cases: [(Fault, f64, Measure); 7] = [
        (Fault::SlowDependency, 2.0, |s| {
            let e = edge(&s.truth, "payment", "sqlite:payment");
            mean(e.client_ns, e.calls)
        }),
        (Fault::SlowNetwork, 5.0, |s| {
            let e = edge(&s.truth, "order", "payment");
            mean(e.gap_ns, e.calls)
        }),
        (Fault::SlowService, 2.5, |s| {
            let is_quote = |s: &Sent| s.service == "pricing" && s.span.name.contains("Quote");
            mean_in_window(s, |s| is_quote(s) && s.is(SpanKind::Server))
        }),
        (Fault::ErrorsAt, 4.0, |s| {
            let origin = ErrorOrigin::Service("payment");
            1.0 + s.truth.errors.get(&origin).map_or(0, |e| e.fatal) as f64
        }),
        (Fault::RetryStorm, 10.0, |s| 1.0 + edge(&s.truth, "order", "payment").retries as f64),
        (Fault::NPlusOne, 2.0, |s| edge(&s.truth, "inventory", "sqlite:inventory").calls as f64),
        (Fault::BadInstance, 5.0, |s| {
            mean_in_window(s, |s| s.instance == "user-2" && s.is(SpanKind::Server))
        }),
    ];
    for (fault, factor, measure) in cases {
        let good = measure(&shop(options(11, None)));
        let bad_shop = shop(options(11, Some(fault)));
        let bad = measure(&bad_shop);
        assert!(bad > factor * good, "{fault:?}: {good} to {bad}");
        let culprit = bad_shop.truth.culprit.as_ref().unwrap();
        assert!(culprit.affected_traces > 5, "{fault:?}: {culprit:?}");
        let affected = bad_shop.truth.traces.iter().filter(|t| t.is_affected);
        assert!(affected.clone().all(|t| culprit.window_ns.contains(&t.start_ns)));
        assert_eq!(affected.count() as u64, culprit.affected_traces);
    }
}

#[test]
fn only_the_new_version_and_the_bad_instance_are_slow() {
    let slow = shop(options(12, Some(Fault::SlowService)));
    let quote = |version| {
        mean_in_window(&slow, |s| s.version == version && s.span.name == "apply discounts")
    };
    assert!(quote("1.4.1") > 3.0 * quote("1.4.0"));
    let bad = shop(options(12, Some(Fault::BadInstance)));
    let user = |id| mean_in_window(&bad, |s| s.instance == id && s.is(SpanKind::Server));
    assert!(user("user-2") > 5.0 * user("user-1").max(user("user-3")));
}

#[test]
fn instances_are_spread_over_the_hosts() {
    for hosts in [1, 3] {
        let shop = shop(ShopOptions { hosts, ..options(19, None) });
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for request in &shop.requests {
            let Request::Traces(request) = request else { continue };
            let resource = &request.resource_spans[0].resource.as_ref().unwrap().attributes;
            let host = attribute(resource, "host.name").unwrap();
            let instance = attribute(resource, "service.instance.id").unwrap();
            found.entry(host).or_default().insert(instance);
        }
        assert_eq!(found.len(), hosts as usize);
        let instances: usize = found.values().map(BTreeSet::len).sum();
        assert_eq!(instances, 17, "{found:?}");
    }
}

#[test]
fn a_shop_without_customers_is_empty() {
    for (minutes, requests_per_minute) in [(0, 100), (2, 0)] {
        let empty = shop(ShopOptions { minutes, requests_per_minute, ..options(20, None) });
        assert_eq!(empty, Shop { requests: vec![], truth: Truth::default() });
    }
}

#[test]
fn ordinary_days_have_errors_too() {
    let day = ShopOptions { minutes: 20, ..options(13, None) };
    let truth = shop(day).truth;
    let locked = ErrorOrigin::Peer(Edge { from: "order", to: "sqlite:orders" });
    let provider = ErrorOrigin::Peer(Edge { from: "payment", to: "psp.example.com:443" });
    assert!(truth.errors[&locked].fatal > 0, "{:?}", truth.errors);
    assert!(truth.errors[&provider].count > 0, "{:?}", truth.errors);
    assert!(truth.absorbed["order"] > 0);
    assert_eq!(truth.culprit, None);
}

#[test]
fn nothing_that_is_sent_tells_the_answer() {
    for fault in Fault::ALL {
        let text =
            String::from_utf8_lossy(&bytes(options(14, Some(fault))).concat()).to_lowercase();
        for word in ["fault", "inject", "culprit", "storm", "n+1", fault.name()] {
            assert!(!text.contains(word), "{fault:?}: {word}");
        }
    }
}

#[test]
fn logs_belong_to_spans_and_share_their_correlation() {
    let shop = shop(options(15, Some(Fault::ErrorsAt)));
    let sent = spans(&shop);
    let by_id: HashMap<_, _> = sent.iter().map(|s| (&s.span.span_id, s)).collect();
    let (mut records, mut errors) = (0, 0);
    for request in &shop.requests {
        let Request::Logs(request) = request else { continue };
        let scopes = request.resource_logs.iter().flat_map(|group| &group.scope_logs);
        for log in scopes.flat_map(|scope| &scope.log_records) {
            let span = by_id[&log.span_id];
            assert_eq!(span.span.trace_id, log.trace_id);
            let key = "correlation.id";
            assert_eq!(span.get(key), attribute(&log.attributes, key));
            records += 1;
            errors += usize::from(log.severity_text == "ERROR");
        }
    }
    assert!(records > 300 && errors > 3, "{records} records, {errors} errors");
}

#[test]
fn histograms_count_the_servers_spans() {
    let options = options(16, None);
    let shop = shop(options);
    let sent = spans(&shop);
    let by_id: HashMap<_, _> = sent.iter().map(|s| (&s.span.span_id, s)).collect();
    let (mut last, mut exemplars) = (0, 0);
    for request in &shop.requests {
        let Request::Metrics(request) = request else { continue };
        let scopes = request.resource_metrics.iter().flat_map(|group| &group.scope_metrics);
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{metric:?}") };
            for point in &histogram.data_points {
                assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
                last += if point.time_unix_nano == options.end_ns() { point.count } else { 0 };
                for exemplar in &point.exemplars {
                    let span = &by_id[&exemplar.span_id].span;
                    assert_eq!(span.end_time_unix_nano, exemplar.time_unix_nano);
                    assert!(exemplar.time_unix_nano <= point.time_unix_nano);
                    exemplars += 1;
                }
            }
        }
    }
    let ended = |s: &&Sent| s.span.end_time_unix_nano <= options.end_ns();
    let is_http = |s: &&Sent| s.is(SpanKind::Server) && s.get("http.route").is_some();
    assert_eq!(last, sent.iter().filter(is_http).filter(ended).count() as u64);
    assert!(exemplars > 100);
}
