//! What a request carries beside its body: the context of the work around it, the time that is left,
//! and the few facts that its log line names.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};

use crate::resilience::Deadline;

/// How long work without a caller's deadline may take.
const OWN_TIME: Duration = Duration::from_secs(10);

/// HTTP headers as a place for a context. gRPC metadata are headers too.
#[derive(Debug)]
pub struct Headers<'a>(pub &'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        let pair = (HeaderName::try_from(key), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = pair {
            self.0.insert(name, value);
        }
    }
}

/// HTTP headers that came in.
#[derive(Debug)]
pub(super) struct Received<'a>(pub(super) &'a HeaderMap);

impl Extractor for Received<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// When the caller of the current work stops waiting.
pub fn deadline() -> Deadline {
    let carried = Context::map_current(|context| context.get::<Deadline>().copied());
    carried.unwrap_or_else(|| Deadline::within(Instant::now(), OWN_TIME))
}

/// Who and what a request is about, as its handler found out; its log line has it.
#[derive(Clone, Debug, Default)]
pub struct Facts(Arc<Mutex<Known>>);

#[derive(Clone, Debug, Default)]
struct Known {
    user_id: Option<String>,
    order_id: Option<String>,
}

impl Facts {
    /// It is this customer's.
    pub fn set_user(&self, id: &str) {
        if let Ok(mut known) = self.0.lock() {
            known.user_id = Some(id.to_owned());
        }
    }

    /// It is about this order.
    pub fn set_order(&self, id: &str) {
        if let Ok(mut known) = self.0.lock() {
            known.order_id = Some(id.to_owned());
        }
    }

    /// The customer and the order.
    pub fn known(&self) -> (Option<String>, Option<String>) {
        self.0
            .lock()
            .map(|known| (known.user_id.clone(), known.order_id.clone()))
            .unwrap_or_default()
    }
}

/// The facts of the current request.
pub fn facts() -> Facts {
    Context::map_current(|context| context.get::<Facts>().cloned()).unwrap_or_default()
}

/// The deadline of a request that came in.
pub(super) fn received_deadline(headers: &HeaderMap) -> Deadline {
    let header = headers.get(crate::resilience::TIME_LEFT_HEADER);
    let header = header.and_then(|value| value.to_str().ok());
    Deadline::received(Instant::now(), header, OWN_TIME)
}
