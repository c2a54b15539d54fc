//! Instances as threads of this program.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use super::instance::{self, End, Outside};
use super::spec::Spec;
use crate::faults::Knobs;
use crate::usage::Meter;
use crate::wire::Redirects;

/// An instance on its thread.
#[derive(Debug)]
pub(super) struct Thread {
    end: watch::Sender<Option<End>>,
    thread: JoinHandle<()>,
    /// Set by the thread when it has begun.
    meter: Arc<OnceLock<Option<Meter>>>,
}

/// How an instance came to its end.
pub(super) type Ending = anyhow::Result<(End, Vec<String>)>;

/// Starts an instance. `ended` hears when it is over.
pub(super) fn start(
    spec: Spec,
    knobs: Knobs,
    redirects: Redirects,
    telemetry: Handle,
    (ready, ended): (oneshot::Sender<()>, impl FnOnce(Ending) + Send + 'static),
) -> anyhow::Result<Thread> {
    let (end, end_asked) = watch::channel(None);
    let id = spec.id.clone();
    let meter: Arc<OnceLock<Option<Meter>>> = Arc::default();
    let own = meter.clone();
    let begin = move || {
        let meter = own.get_or_init(Meter::of_this_thread).clone();
        let outside = Outside { knobs, redirects, telemetry, end: end_asked, ready, meter };
        ended(instance::live(&spec, outside));
    };
    let builder = std::thread::Builder::new().name(id);
    let thread = builder.spawn(begin).context("no thread can be started")?;
    Ok(Thread { end, thread, meter })
}

impl Thread {
    /// Asks it to end; it says so itself when it has.
    pub(super) fn end(self, how: End) -> JoinHandle<()> {
        self.end.send_replace(Some(how));
        self.thread
    }

    /// Asks it to leave.
    pub(super) fn leave(&self) {
        self.end.send_replace(Some(End::Leave));
    }

    /// What it uses; nothing before it has begun.
    pub(super) fn meter(&self) -> Option<Meter> {
        self.meter.get().cloned().flatten()
    }
}
