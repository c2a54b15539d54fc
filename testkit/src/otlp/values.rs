//! Values, texts, keys and numbers of every kind, common ones and corner cases.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use rand::Rng;

use super::Generator;

/// Keys that have broken something somewhere: the tags of canonical JSON, dots, quotes, controls,
/// the empty key, keys that are columns of their own.
const KEYS: &[&str] = &[
    "",
    "$",
    "$$",
    "$b64",
    "$$b64",
    "$empty",
    "$f",
    "a",
    "a.b",
    "a.b.c",
    "quote\"key",
    "back\\slash",
    "line\nbreak",
    "\u{1}",
    "ключ",
    "🔑",
    "key with spaces",
    "http.method",
    "http.request.method",
    "http.response.status_code",
    "http.status_code",
    "http.route",
    "server.port",
    "error.type",
    "rpc.grpc.status_code",
    "exception.type",
    "gen_ai.request.model",
    "service.name",
    "service.version",
    "host.name",
    "deployment.environment.name",
    "otel.metric.overflow",
];

const TEXTS: &[&str] = &[
    "",
    "a",
    "twelve bytes",
    "thirteen byte",
    "GET",
    "500",
    "-1",
    "1.5",
    "true",
    "null",
    "NaN",
    "{\"a\":1}",
    "\"quoted\" and \\escaped\\",
    "two\nlines\r\n\tand a tab",
    "\u{0}\u{1}\u{1f}\u{7f}",
    "\u{2028}\u{2029}\u{feff}",
    "Grüße, мир, 世界, 🌍",
    "a text that is long enough not to be stored inline, whatever the representation",
];

const INTS: &[i64] = &[0, 1, -1, 200, 404, 500, i64::MIN, i64::MAX, (1 << 53) + 1];

const DOUBLES: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    -1.5,
    0.1,
    1e16,
    1e300,
    1.5e-7,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::EPSILON,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

/// Levels of lists and maps. Above 64, the standard's default limit, collectors may cut.
const DEPTH_MAX: usize = 4;

impl Generator {
    pub(super) fn wild_attributes(&mut self) -> Vec<KeyValue> {
        let count = self.options.attributes;
        self.key_values(count, DEPTH_MAX)
    }

    fn key_values(&mut self, count: usize, depth: usize) -> Vec<KeyValue> {
        self.many(count, |g| KeyValue {
            key: g.wild_key(),
            value: match g.rng.random_range(0..40) {
                0 | 1 => None,
                2 => Some(g.deep_value()),
                _ => Some(g.wild_value(depth)),
            },
            key_strindex: 0,
        })
    }

    pub(super) fn wild_any(&mut self) -> AnyValue {
        self.wild_value(DEPTH_MAX)
    }

    fn wild_value(&mut self, depth: usize) -> AnyValue {
        // The two kinds that nest come last, so that they can be left out.
        let kinds = if depth == 0 { 6 } else { 8 };
        let value = match self.rng.random_range(0..kinds) {
            0 => None,
            1 => Some(Value::StringValue(self.wild_text())),
            2 => Some(Value::BoolValue(self.rng.random())),
            3 => Some(Value::IntValue(self.wild_int())),
            4 => Some(Value::DoubleValue(self.wild_double())),
            5 => Some(Value::BytesValue(self.wild_bytes())),
            6 => {
                let values = self.many(3, |g| g.wild_value(depth - 1));
                Some(Value::ArrayValue(ArrayValue { values }))
            }
            _ => {
                let values = self.key_values(3, depth - 1);
                Some(Value::KvlistValue(KeyValueList { values }))
            }
        };
        AnyValue { value }
    }

    /// A value below many lists, within the depth that the message crate can read.
    fn deep_value(&mut self) -> AnyValue {
        let levels = self.rng.random_range(1..=20);
        (0..levels).fold(self.wild_value(0), |inner, _| {
            let values = vec![inner];
            AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) }
        })
    }

    pub(super) fn wild_key(&mut self) -> String {
        if self.chance(0.1) {
            return format!("key.{}", self.rng.random_range(0..100));
        }
        self.pick(KEYS).to_owned()
    }

    pub(super) fn wild_text(&mut self) -> String {
        if self.chance(0.1) {
            return (0..self.rng.random_range(0..40)).map(|_| self.rng.random::<char>()).collect();
        }
        self.pick(TEXTS).to_owned()
    }

    fn wild_bytes(&mut self) -> Vec<u8> {
        (0..self.rng.random_range(0..20)).map(|_| self.rng.random()).collect()
    }

    pub(super) fn wild_int(&mut self) -> i64 {
        if self.chance(0.3) { self.rng.random() } else { self.pick(INTS) }
    }

    pub(super) fn wild_double(&mut self) -> f64 {
        // Any bit pattern, subnormal numbers and odd NaNs too.
        if self.chance(0.3) { f64::from_bits(self.rng.random()) } else { self.pick(DOUBLES) }
    }

    /// A double of a field without presence: the message crate takes -0.0 there for unset.
    pub(super) fn wild_plain_double(&mut self) -> f64 {
        self.wild_double() + 0.0
    }

    pub(super) fn wild_optional_double(&mut self) -> Option<f64> {
        if self.chance(0.5) { Some(self.wild_double()) } else { None }
    }

    /// Mostly 0, as dropped counts are.
    pub(super) fn wild_count(&mut self) -> u32 {
        self.pick(&[0, 0, 0, 1, 7, u32::MAX])
    }

    pub(super) fn wild_long_count(&mut self) -> u64 {
        if self.chance(0.3) {
            self.rng.random()
        } else {
            self.pick(&[0, 1, 1000, 1 << 53, (1 << 63) + 1, u64::MAX])
        }
    }

    /// A number of an enum, also one that no version has defined.
    pub(super) fn wild_enum(&mut self, known: i32) -> i32 {
        if self.chance(0.1) {
            self.pick(&[known + 1, 77, -1, i32::MAX, i32::MIN])
        } else {
            self.rng.random_range(0..=known)
        }
    }

    /// Any time that fits a signed 64-bit number, mostly around now.
    pub(super) fn wild_time(&mut self) -> u64 {
        if self.chance(0.1) {
            return self.pick(&[0, 1, 999, (1 << 63) - 1]);
        }
        self.options.now_ns - self.rng.random_range(0..60_000_000_000)
    }

    /// A time that is not 0.
    pub(super) fn point_time(&mut self) -> u64 {
        self.points += 1;
        self.options.now_ns + self.points
    }

    pub(super) fn trace_id(&mut self) -> Vec<u8> {
        let id: [u8; 16] = self.rng.random();
        id.to_vec()
    }

    pub(super) fn span_id(&mut self) -> Vec<u8> {
        let id: [u8; 8] = self.rng.random();
        id.to_vec()
    }

    /// An id that may be missing, all zero or of a wrong length: it then counts as none.
    pub(super) fn doubtful_id(&mut self, bytes: usize) -> Vec<u8> {
        match self.rng.random_range(0..10) {
            0 | 1 => Vec::new(),
            2 => vec![0; bytes],
            3 => vec![7; bytes - 1],
            _ => (0..bytes).map(|_| self.rng.random()).collect(),
        }
    }
}
