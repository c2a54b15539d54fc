//! The article's log line: one JSON object on the standard output for each event.

use std::io::Write;

use jiff::Timestamp;
use serde_json::{Map, Number, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Writes the lines of one instance.
#[derive(Debug)]
pub(super) struct JsonLines {
    service: &'static str,
}

impl JsonLines {
    pub(super) fn new(service: &'static str) -> JsonLines {
        JsonLines { service }
    }
}

impl<S: Subscriber> Layer<S> for JsonLines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut line = Line(Map::new());
        line.text("timestamp", &Timestamp::now().to_string());
        line.text("level", &event.metadata().level().to_string().to_lowercase());
        line.text("service", self.service);
        event.record(&mut line);
        let mut text = Value::Object(line.0).to_string();
        text.push('\n');
        // One write, so that lines of several threads do not mix. Nobody reads: nobody is told.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
}

struct Line(Map<String, Value>);

impl Line {
    fn text(&mut self, key: &str, text: &str) {
        self.0.insert(key.to_owned(), Value::String(text.to_owned()));
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.text(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let number = Number::from_f64(value).map_or(Value::Null, Value::Number);
        self.0.insert(field.name().to_owned(), number);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}
