//! The life of one instance, on whatever thread it is given: telemetry of its own, a runtime of its
//! own, and an end that is told apart from a death.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};

use super::spec::Spec;
use crate::faults::Knobs;
use crate::identity::Papers;
use crate::roles::{Instance, Parts};
use crate::telemetry::{Identity, Telemetry, process_environment};
use crate::usage::Meter;
use crate::wire::{Caller, Redirects, Setup};

/// The variable in which a process finds the specification of its instance.
pub const SPEC_VARIABLE: &str = "INSTRUMENTED_DEMO_INSTANCE";
/// How often, and with which pause, an address is asked for that somebody still holds.
const BIND_TRIES: u32 = 50;
const BIND_PAUSE: Duration = Duration::from_millis(100);
const BACKLOG: u32 = 1_024;

/// How an instance is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// When nobody knows it any more, in good order.
    Leave,
    /// In good order: what it has to say is said.
    Stop,
    /// At once: what it had to say is lost.
    Kill,
}

/// What an instance gets from outside.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) knobs: Knobs,
    pub(super) redirects: Redirects,
    /// Where exporters run.
    pub(super) telemetry: Handle,
    /// Whether and how it ends; a sender that is dropped kills it.
    pub(super) end: watch::Receiver<Option<End>>,
    /// Told once it serves.
    pub(super) ready: oneshot::Sender<()>,
    /// Where it is looked up what it uses, if the system tells.
    pub(super) meter: Option<Meter>,
}

/// Lives until the end. Returns how it ended, and the telemetry that could not be sent.
pub(super) fn live(spec: &Spec, outside: Outside) -> anyhow::Result<(End, Vec<String>)> {
    let telemetry = Arc::new(telemetry(spec, &outside)?);
    let subscribed = tracing::subscriber::set_default(telemetry.subscriber());
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()
        .context("no runtime can be made")?;
    let ended = runtime.block_on(serve(spec, outside, &telemetry));
    // Everything that was under way is dropped here, and its spans end.
    runtime.shutdown_background();
    drop(subscribed);
    match &ended {
        Ok(End::Stop | End::Leave) => return Ok((End::Stop, telemetry.shutdown())),
        Ok(End::Kill) | Err(_) => telemetry.abandon(),
    }
    ended.map(|end| (end, Vec::new()))
}

fn telemetry(spec: &Spec, outside: &Outside) -> anyhow::Result<Telemetry> {
    let facts = spec.role.facts();
    let version = outside.knobs.read().version.clone();
    let identity = Identity {
        service: facts.name,
        instance: spec.id.clone(),
        version: version.unwrap_or_else(|| facts.version.to_owned()),
        host: spec.host.clone(),
        team: facts.team,
        domain: facts.domain,
    };
    if !spec.role.is_instrumented() {
        return Ok(Telemetry::silent(identity));
    }
    let settings = spec.telemetry.clone();
    let (knobs, runtime) = (&outside.knobs, &outside.telemetry);
    let telemetry = Telemetry::start(identity, settings, knobs, runtime, &process_environment)?;
    outside.meter.iter().for_each(|meter| telemetry.instruments().observe_usage(meter.clone()));
    Ok(telemetry)
}

async fn serve(spec: &Spec, outside: Outside, telemetry: &Arc<Telemetry>) -> anyhow::Result<End> {
    let listener = bind(spec.address).await?;
    let setup = Setup {
        caller: spec.role,
        telemetry: telemetry.clone(),
        knobs: outside.knobs.clone(),
        fixed: spec.fixed.clone(),
        redirects: outside.redirects,
        papers: spec.papers.as_ref().map(Papers::client).transpose()?,
        seed: spec.seed,
    };
    let instance = Arc::new(Instance::new(Parts {
        role: spec.role,
        id: spec.id.clone(),
        roles: spec.roles.clone(),
        telemetry: telemetry.clone(),
        caller: Caller::new(setup),
        folder: spec.folder.clone(),
        seed: spec.seed,
        papers: papers(spec, outside.knobs.clone())?,
        knobs: outside.knobs,
    }));
    let death = instance.death.clone();
    let leaving = instance.clone();
    let ready = move || {
        // Nobody waits any more: then nobody minds.
        let _ = outside.ready.send(());
    };
    tokio::select! {
        end = asked(outside.end, &leaving, spec.leave_time) => Ok(end),
        () = death.struck() => Ok(End::Kill),
        served = instance.serve(listener, ready) => {
            served.with_context(|| format!("{} does not serve", spec.id))?;
            Ok(End::Kill)
        }
    }
}

/// Waits until the instance is to end, and until nobody knows it any more where it leaves.
async fn asked(
    mut end: watch::Receiver<Option<End>>,
    instance: &Instance,
    leave_time: Duration,
) -> End {
    let how = end.wait_for(Option::is_some).await.map_or(Some(End::Kill), |how| *how);
    if how == Some(End::Leave) {
        instance.leave();
        let changed = end.wait_for(|how| *how != Some(End::Leave));
        return match tokio::time::timeout(leave_time, changed).await {
            Ok(how) => how.map_or(Some(End::Kill), |how| *how).unwrap_or(End::Kill),
            Err(_) => End::Stop,
        };
    }
    how.unwrap_or(End::Kill)
}

/// What a server shows to callers, and asks of them.
fn papers(spec: &Spec, knobs: Knobs) -> anyhow::Result<Option<Arc<ServerConfig>>> {
    let papers = spec.papers.as_ref().filter(|_| spec.role.shows_papers());
    Ok(papers.map(|papers| papers.server(knobs)).transpose()?)
}

/// Takes an address; one that was just given back may take a moment.
async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let mut tries = 0;
    loop {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
            Ok(listener) => return Ok(listener),
            Err(error) if tries >= BIND_TRIES => {
                return Err(error).with_context(|| format!("{address} is taken"));
            }
            Err(_) => tries += 1,
        }
        tokio::time::sleep(BIND_PAUSE).await;
    }
}
