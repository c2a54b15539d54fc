//! Random rows in random layouts under random predicates: every setting gives what a plain matcher
//! over the generated rows gives.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use schemas::attributes::{Owner, ValueType, promoted};
use schemas::json::{self, Typed};

use super::fixture::{Attributes, Row, Settings, Val, World, whole};

const KEYS: &[&str] = &[
    "http.route",
    "http.request.method",
    "http.response.status_code",
    "http.status_code",
    "url.path",
    "server.port",
    "db.system.name",
    "error.type",
    "custom",
    "custom.count",
    "with.dots.and\"quote",
    "$b64",
    "ключ",
    "",
    "http",
    "http.route.x",
    "tab\there",
    "nested",
];
const TEXTS: &[&str] = &["/a", "/b", "/cart/{id}", "500", "7", "true", "x\"y", "", "ü", "1.5"];

fn value(rng: &mut StdRng) -> Val {
    match rng.random_range(0..12) {
        0..=4 => Val::Text((*TEXTS.choose(rng).unwrap()).to_owned()),
        5..=7 => Val::Int(*[0, 7, 200, 500, i64::MIN, i64::MAX].choose(rng).unwrap()),
        8 => Val::Double(*[1.5, 7.0, -0.0, 1e300, f64::NAN, f64::INFINITY].choose(rng).unwrap()),
        9 => Val::Bool(rng.random()),
        10 => Val::Bytes(vec![0, 255]),
        _ => {
            [Val::Empty, Val::Nested("[1,\"a\",{\"k\":2}]"), Val::Nested("{\"http.route\":\"/a\"}")]
                .choose(rng)
                .unwrap()
                .clone()
        }
    }
}

fn row(rng: &mut StdRng, number: i64) -> Row {
    let mut attributes = Attributes::new();
    for key in KEYS {
        if rng.random_bool(0.35) {
            let typed = promoted(Owner::Record, key).filter(|_| rng.random_bool(0.8));
            let value = match typed.map(|p| p.value_type) {
                Some(ValueType::Int) => Val::Int(*[200, 404, 500].choose(rng).unwrap()),
                Some(_) => Val::Text((*TEXTS.choose(rng).unwrap()).to_owned()),
                None => value(rng),
            };
            attributes.insert((*key).to_owned(), value);
        }
    }
    Row { number, service: format!("s{}", rng.random_range(0..3)), attributes }
}

#[derive(Clone, Debug)]
enum Pred {
    Compare(Access, &'static str, Literal),
    In(Access, Vec<Literal>, bool),
    Like(Access, &'static str),
    IsNull(Access, bool),
    Service(&'static str),
    Not(Box<Pred>),
    And(Box<Pred>, Box<Pred>),
    Or(Box<Pred>, Box<Pred>),
}

#[derive(Clone, Debug)]
struct Access {
    key: &'static str,
    cast: Option<ValueType>,
}

#[derive(Clone, Debug)]
enum Literal {
    Text(&'static str),
    Int(i64),
    Double(f64),
    Bool(bool),
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Literal {
    fn sql(&self) -> String {
        match self {
            Literal::Text(t) => quoted(t),
            Literal::Int(i) => i.to_string(),
            Literal::Double(d) => format!("{d:?}"),
            Literal::Bool(b) => b.to_string(),
        }
    }

    fn order(&self, value: &Typed<'_>) -> Ordering {
        match (value, self) {
            (Typed::Text(a), Literal::Text(b)) => a.as_ref().cmp(b),
            (Typed::Int(a), Literal::Int(b)) => a.cmp(b),
            (Typed::Double(a), Literal::Double(b)) => a.total_cmp(b),
            (Typed::Bool(a), Literal::Bool(b)) => a.cmp(b),
            other => panic!("{other:?} are not comparable"),
        }
    }
}

impl Access {
    fn random(rng: &mut StdRng) -> Access {
        let cast = [
            None,
            Some(ValueType::Text),
            Some(ValueType::Int),
            Some(ValueType::Double),
            Some(ValueType::Bool),
        ];
        Access { key: KEYS.choose(rng).unwrap(), cast: *cast.choose(rng).unwrap() }
    }

    fn value_type(&self) -> ValueType {
        self.cast.unwrap_or_else(|| {
            promoted(Owner::Record, self.key).map_or(ValueType::Text, |p| p.value_type)
        })
    }

    fn sql(&self) -> String {
        let access = format!("attributes[{}]", quoted(self.key));
        match self.cast {
            None => access,
            Some(ValueType::Text) => format!("{access}::text"),
            Some(ValueType::Int) => format!("{access}::bigint"),
            Some(ValueType::Double) => format!("{access}::double"),
            Some(ValueType::Bool) => format!("{access}::boolean"),
        }
    }

    fn literal(&self, rng: &mut StdRng) -> Literal {
        match self.value_type() {
            ValueType::Text => Literal::Text(TEXTS.choose(rng).unwrap()),
            ValueType::Int => Literal::Int(*[0, 7, 200, 500].choose(rng).unwrap()),
            ValueType::Double => Literal::Double(*[1.5, 7.0, 500.0].choose(rng).unwrap()),
            ValueType::Bool => Literal::Bool(rng.random()),
        }
    }

    /// Calls `f` with the converted value of a row.
    fn with<T>(&self, row: &Row, f: impl FnOnce(Option<Typed<'_>>) -> T) -> T {
        let text = row.attributes.get(self.key).map(Val::canonical);
        f(text.as_deref().and_then(json::value).and_then(|v| json::convert(v, self.value_type())))
    }
}

impl Pred {
    fn random(rng: &mut StdRng, depth: u32) -> Pred {
        if depth > 0 && rng.random_bool(0.5) {
            let (a, b) =
                (Box::new(Pred::random(rng, depth - 1)), Box::new(Pred::random(rng, depth - 1)));
            return match rng.random_range(0..3) {
                0 => Pred::Not(a),
                1 => Pred::And(a, b),
                _ => Pred::Or(a, b),
            };
        }
        let access = Access::random(rng);
        match rng.random_range(0..10) {
            0..=4 => {
                let op = ["=", "<>", "<", "<=", ">", ">="].choose(rng).unwrap();
                let literal = access.literal(rng);
                Pred::Compare(access, op, literal)
            }
            5 => Pred::In(
                access.clone(),
                (0..3).map(|_| access.literal(rng)).collect(),
                rng.random(),
            ),
            6 => Pred::Like(
                Access { cast: Some(ValueType::Text), ..access },
                ["/%", "%a%", "5_0", "%\"%"].choose(rng).unwrap(),
            ),
            7 => Pred::Service(["s0", "s1"].choose(rng).unwrap()),
            _ => Pred::IsNull(access, rng.random()),
        }
    }

    fn sql(&self) -> String {
        let not = |negated: &bool| if *negated { "NOT " } else { "" };
        match self {
            Pred::Compare(a, op, l) => format!("{} {op} {}", a.sql(), l.sql()),
            Pred::In(a, list, negated) => {
                let list: Vec<_> = list.iter().map(Literal::sql).collect();
                format!("{} {}IN ({})", a.sql(), not(negated), list.join(","))
            }
            Pred::Like(a, pattern) => format!("{} LIKE {}", a.sql(), quoted(pattern)),
            Pred::IsNull(a, negated) => format!("{} IS {}NULL", a.sql(), not(negated)),
            Pred::Service(s) => format!("service_name = '{s}'"),
            Pred::Not(a) => format!("NOT ({})", a.sql()),
            Pred::And(a, b) => format!("({}) AND ({})", a.sql(), b.sql()),
            Pred::Or(a, b) => format!("({}) OR ({})", a.sql(), b.sql()),
        }
    }

    /// SQL's three values: `None` is unknown.
    fn holds(&self, row: &Row) -> Option<bool> {
        match self {
            Pred::Compare(a, op, l) => a.with(row, |v| {
                let order = l.order(&v?);
                Some(match *op {
                    "=" => order.is_eq(),
                    "<>" => order.is_ne(),
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    _ => order.is_ge(),
                })
            }),
            Pred::In(a, list, negated) => a.with(row, |v| {
                let v = v?;
                Some(list.iter().any(|l| l.order(&v).is_eq()) != *negated)
            }),
            Pred::Like(a, pattern) => a.with(row, |v| match v? {
                Typed::Text(text) => Some(like(&text, pattern)),
                other => panic!("{other:?}"),
            }),
            Pred::IsNull(a, negated) => Some(a.with(row, |v| v.is_none()) != *negated),
            Pred::Service(s) => Some(row.service == *s),
            Pred::Not(a) => a.holds(row).map(|h| !h),
            Pred::And(a, b) => match (a.holds(row), b.holds(row)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Pred::Or(a, b) => match (a.holds(row), b.holds(row)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        }
    }
}

fn like(text: &str, pattern: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, rest) => rest.is_none(),
        (Some('%'), _) => {
            let tail = &pattern[1..];
            (0..=text.len()).filter(|i| text.is_char_boundary(*i)).any(|i| like(&text[i..], tail))
        }
        (Some('_'), Some(t)) => like(&text[t.len_utf8()..], &pattern[1..]),
        (Some(p), Some(t)) if p == t => like(&text[t.len_utf8()..], &pattern[p.len_utf8()..]),
        _ => false,
    }
}

const SETTINGS: [Settings; 4] = [
    Settings { pushdown: true, partitions: 1, batch_rows: 8192 },
    Settings { pushdown: false, partitions: 1, batch_rows: 8192 },
    Settings { pushdown: true, partitions: 4, batch_rows: 7 },
    Settings { pushdown: false, partitions: 4, batch_rows: 7 },
];

fn world(rng: &mut StdRng) -> (World, Vec<Row>) {
    let mut world = World::new();
    let mut all = Vec::new();
    for part in 0..5 {
        let count = rng.random_range(1..40);
        let rows: Vec<Row> = (0..count).map(|i| row(rng, all.len() as i64 + i)).collect();
        let promote: BTreeSet<&str> =
            KEYS.iter().copied().filter(|_| rng.random_bool(0.6)).collect();
        if part < 4 {
            world.file(&rows, &promote, rng.random_range(3..40), rng.random_range(1..9));
        } else {
            world.live(&rows, &promote);
        }
        all.extend(rows);
    }
    (world, all)
}

#[tokio::test]
async fn every_layout_and_setting_gives_the_same_rows() {
    let seed =
        std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random::<u64>);
    println!("SEED={seed}");
    let rng = &mut StdRng::seed_from_u64(seed);
    for _ in 0..3 {
        let (world, rows) = world(rng);
        for _ in 0..5 {
            check(&world, &rows, &Pred::random(rng, 2), seed).await;
        }
    }
}

async fn check(world: &World, rows: &[Row], pred: &Pred, seed: u64) {
    let hits: Vec<&Row> = rows.iter().filter(|r| pred.holds(r) == Some(true)).collect();
    let mut numbers: Vec<i64> = hits.iter().map(|r| r.number).collect();
    numbers.sort_unstable();
    let text = |numbers: &mut dyn Iterator<Item = i64>| {
        let mut shown: Vec<String> = numbers.map(|n| n.to_string()).collect();
        shown.sort();
        shown
    };
    let all = text(&mut numbers.iter().copied());
    let top = text(&mut numbers.iter().rev().take(5).copied());
    let mut attributes: Vec<String> =
        hits.iter().map(|r| whole(&r.attributes).unwrap_or_else(|| "NULL".into())).collect();
    attributes.sort();
    let w = pred.sql();
    let aliased = w.replace("attributes[", "t.attributes[");
    let queries = [
        (format!("SELECT duration_ns FROM spans WHERE {w}"), all.clone()),
        (format!("SELECT count(*) FROM spans WHERE {w}"), vec![numbers.len().to_string()]),
        (format!("SELECT duration_ns FROM spans WHERE {w} ORDER BY duration_ns DESC LIMIT 5"), top),
        (format!("SELECT t.duration_ns FROM (SELECT * FROM spans) t WHERE {aliased}"), all.clone()),
        (
            format!(
                "WITH t AS (SELECT duration_ns, service_name, attributes FROM spans ORDER BY duration_ns LIMIT 100000) SELECT duration_ns FROM t WHERE {w}"
            ),
            all.clone(),
        ),
        (
            format!(
                "SELECT t.duration_ns FROM spans t JOIN spans u ON t.span_id = u.span_id WHERE {}",
                aliased.replace("service_name", "t.service_name")
            ),
            all.clone(),
        ),
        (format!("SELECT max(duration_ns) FROM spans WHERE {w} GROUP BY duration_ns"), all),
        (format!("SELECT attributes FROM spans WHERE {w}"), attributes),
    ];
    for (sql, expected) in queries {
        for settings in SETTINGS {
            let actual = world.rows(&sql, settings).await;
            assert_eq!(actual, expected, "SEED={seed} {settings:?}\n{sql}");
        }
    }
}

#[tokio::test]
async fn a_select_of_an_access_gives_the_converted_value() {
    let rng = &mut StdRng::seed_from_u64(7);
    let (world, rows) = world(rng);
    for key in KEYS {
        let access = Access { key, cast: Some(ValueType::Text) };
        let mut expected: Vec<String> = rows
            .iter()
            .map(|r| {
                access.with(r, |v| match v {
                    Some(Typed::Text(t)) => t.into_owned(),
                    _ => "NULL".into(),
                })
            })
            .collect();
        expected.sort();
        for settings in SETTINGS {
            let sql = format!("SELECT {} FROM spans", access.sql());
            assert_eq!(world.rows(&sql, settings).await, expected, "{sql} {settings:?}");
        }
    }
}
