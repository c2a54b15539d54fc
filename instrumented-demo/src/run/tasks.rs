//! Instances as threads of this program.

use std::thread::JoinHandle;

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::instance::{self, End, Outside};
use super::spec::Spec;
use crate::faults::Knobs;
use crate::wire::Redirects;

/// An instance on its thread.
#[derive(Debug)]
pub(super) struct Thread {
    end: oneshot::Sender<End>,
    thread: JoinHandle<()>,
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
    let (end, end_asked) = oneshot::channel();
    let outside = Outside { knobs, redirects, telemetry, end: end_asked, ready };
    let thread = std::thread::Builder::new()
        .name(spec.id.clone())
        .spawn(move || ended(instance::live(&spec, outside)))
        .context("no thread can be started")?;
    Ok(Thread { end, thread })
}

impl Thread {
    /// Asks it to end; it says so itself when it has.
    pub(super) fn end(self, how: End) -> JoinHandle<()> {
        // It may have ended by itself.
        let _ = self.end.send(how);
        self.thread
    }
}
