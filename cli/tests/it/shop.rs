//! A server that holds a generated shop, in files and in memory, and what is true of it.

use prost::Message;
use serde_json::{Map, Value};
use tempfile::TempDir;
use testkit::shop::{Fault, Request, ShopOptions, Truth, shop};

use crate::support::Server;

/// Nothing becomes a file unless the server is stopped.
const FLAGS: [&str; 6] = ["--retain", "0", "--flush-age", "1h", "--retry-window", "0"];
/// Export requests that are sent as one.
const TOGETHER: usize = 50;

pub(crate) type Row = Map<String, Value>;

/// How a shop lies in the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// All in memory.
    Live,
    /// One flush.
    File,
    /// The first half of the time in files, the other in memory.
    FileAndLive,
    /// Requests in turn: two flushes and memory, so that nearly every trace is in all three.
    Split,
    /// As [`Layout::Split`], and the last third of the requests is sent twice.
    SplitAndRepeated,
    /// As [`Layout::Split`], the later requests first.
    Backwards,
}

impl Layout {
    pub(crate) const ALL: [Layout; 6] = [
        Layout::Live,
        Layout::File,
        Layout::FileAndLive,
        Layout::Split,
        Layout::SplitAndRepeated,
        Layout::Backwards,
    ];

    /// The requests of each life of the server; the last life goes on.
    fn lives(self, requests: Vec<Request>) -> Vec<Vec<Request>> {
        let half = requests.len() / 2;
        let mut lives = match self {
            Layout::Live => vec![requests],
            Layout::File => vec![requests, vec![]],
            Layout::FileAndLive => {
                let (first, last) = requests.split_at(half);
                vec![first.to_vec(), last.to_vec()]
            }
            Layout::Split | Layout::SplitAndRepeated | Layout::Backwards => {
                let third = |nth| requests.iter().skip(nth).step_by(3).cloned().collect();
                (0..3).map(third).collect()
            }
        };
        match self {
            Layout::SplitAndRepeated => {
                let last = lives[2].clone();
                lives[0].extend(last);
            }
            Layout::Backwards => lives.iter_mut().for_each(|life| life.reverse()),
            _ => {}
        }
        lives
    }
}

/// A server with a shop in it.
pub(crate) struct ShopServer {
    pub(crate) server: Server,
    pub(crate) truth: Truth,
    pub(crate) options: ShopOptions,
    _dir: TempDir,
}

impl ShopServer {
    /// Sends what the shop sends; answers come when all of it is stored.
    pub(crate) fn new(options: ShopOptions, layout: Layout) -> ShopServer {
        let dir = TempDir::new().unwrap();
        let made = shop(options);
        let mut lives = layout.lives(made.requests).into_iter();
        let mut server = Server::start(dir.path(), &FLAGS);
        send(&server, &lives.next().unwrap());
        for life in lives {
            assert!(server.stop().success());
            server = Server::start(dir.path(), &FLAGS);
            server.recovered();
            send(&server, &life);
        }
        ShopServer { server, truth: made.truth, options, _dir: dir }
    }

    /// A few minutes with a fault in their last third, in files and in memory.
    pub(crate) fn with(fault: Option<Fault>) -> ShopServer {
        let options = ShopOptions {
            minutes: 6,
            requests_per_minute: 200,
            hosts: 3,
            fault,
            ..ShopOptions::default()
        };
        ShopServer::new(options, Layout::FileAndLive)
    }

    pub(crate) fn sql(&self, sql: &str) -> Vec<Row> {
        self.server.sql(sql)
    }
}

/// Requests of one signal follow each other in their order. Encoded messages that are put one behind
/// the other are one message with the lists of all.
fn send(server: &Server, requests: &[Request]) {
    let encoded = |request: &Request| match request {
        Request::Traces(request) => ("traces", request.encode_to_vec()),
        Request::Logs(request) => ("logs", request.encode_to_vec()),
        Request::Metrics(request) => ("metrics", request.encode_to_vec()),
    };
    let encoded: Vec<_> = requests.iter().map(encoded).collect();
    for signal in ["traces", "logs", "metrics"] {
        let of_signal = encoded.iter().filter(|(of, _)| *of == signal);
        let bodies: Vec<&[u8]> = of_signal.map(|(_, body)| body.as_slice()).collect();
        for together in bodies.chunks(TOGETHER) {
            server.accept_encoded(signal, together.concat());
        }
    }
}

/// The text of a column, empty for null.
pub(crate) fn text(row: &Row, column: &str) -> String {
    match row.get(column) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) => String::new(),
        other => panic!("{column} is {other:?} in {row:?}"),
    }
}

/// The integer of a column, 0 for null. A sum that came as a double must be whole.
pub(crate) fn int(row: &Row, column: &str) -> i64 {
    match row.get(column) {
        Some(Value::Null) => 0,
        Some(Value::Number(number)) if number.is_i64() => number.as_i64().unwrap(),
        Some(Value::Number(number)) => {
            let double = number.as_f64().unwrap();
            assert!(double.fract() == 0.0 && double.abs() < 2_f64.powi(53), "{column} is {double}");
            double as i64
        }
        other => panic!("{column} is {other:?} in {row:?}"),
    }
}

/// The number of a column.
pub(crate) fn number(row: &Row, column: &str) -> f64 {
    row.get(column).and_then(Value::as_f64).unwrap_or_else(|| panic!("{column} in {row:?}"))
}

/// The truth of a column.
pub(crate) fn bool(row: &Row, column: &str) -> bool {
    row.get(column).and_then(Value::as_bool).unwrap_or_else(|| panic!("{column} in {row:?}"))
}

/// A time as the argument of a view.
pub(crate) fn time(ns: u64) -> String {
    format!("'{}'", api::time::format(i64::try_from(ns).unwrap()))
}

/// An id as SQL shows it.
pub(crate) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
