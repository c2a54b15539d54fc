//! Instances as processes of their own: started from the same executable, told what to do through
//! their standard input, and gone when that is closed.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use tokio::sync::{oneshot, watch};

use super::instance::{self, End, Outside, SPEC_VARIABLE};
use super::spec::Spec;
use super::tasks::Ending;
use crate::faults::{Knobs, Settings};
use crate::topology::Role;
use crate::usage::Meter;
use crate::wire::Redirects;

/// What a child says on its standard output when it serves; other lines are log lines.
const READY: &str = "\u{1}ready";

/// How to start an instance: this program with these arguments calls [`instance_main`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// What a parent tells a child, one line each.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// These are the knobs from now on.
    Settings(Box<Settings>),
    /// From now on an address is reached elsewhere, or where it is.
    Redirect { caller: Role, real: SocketAddr, instead: Option<SocketAddr> },
    /// Be forgotten, then end in good order.
    Leave,
    /// End in good order.
    Stop,
}

/// An instance in its process. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Process {
    child: Arc<Mutex<Child>>,
    orders: Option<ChildStdin>,
    watcher: Option<thread::JoinHandle<()>>,
}

/// Starts an instance. `ended` hears when it is over.
pub(super) fn start(
    program: &Program,
    spec: &Spec,
    (ready, ended): (oneshot::Sender<()>, impl FnOnce(Ending) + Send + 'static),
) -> anyhow::Result<Process> {
    let mut child = Command::new(&program.path)
        .args(&program.arguments)
        .env(SPEC_VARIABLE, serde_json::to_string(spec)?)
        // Many small processes: an arena for each thread would be most of their memory.
        .env("MALLOC_ARENA_MAX", "2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("{} cannot be started", program.path.display()))?;
    let orders = child.stdin.take();
    let output = child.stdout.take().context("the child has no standard output")?;
    let child = Arc::new(Mutex::new(child));
    let watched = child.clone();
    let watcher = thread::Builder::new().name(format!("watch {}", spec.id)).spawn(move || {
        listen(output, ready);
        ended(wait(&watched));
    })?;
    Ok(Process { child, orders, watcher: Some(watcher) })
}

/// Hands log lines on until the child closes its output, which is when it ends.
fn listen(output: std::process::ChildStdout, ready: oneshot::Sender<()>) {
    let mut ready = Some(ready);
    for line in std::io::BufReader::new(output).lines().map_while(Result::ok) {
        if line == READY {
            // Nobody waits any more: then nobody minds.
            let _ = ready.take().map(|ready| ready.send(()));
        } else {
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }
}

fn wait(child: &Mutex<Child>) -> Ending {
    // The output is closed, so this does not keep the lock from who wants to kill for long.
    let status = child.lock().unwrap_or_else(PoisonError::into_inner).wait()?;
    match status.code() {
        Some(0) => Ok((End::Stop, Vec::new())),
        Some(code) => bail!("the process ended with code {code}"),
        None => Ok((End::Kill, Vec::new())),
    }
}

impl Process {
    pub(super) fn pid(&self) -> u32 {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).id()
    }

    fn order(&mut self, order: &Order) -> anyhow::Result<()> {
        let orders = self.orders.as_mut().context("the process is ending")?;
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        orders.write_all(line.as_bytes()).context("the process does not listen")
    }

    pub(super) fn set(&mut self, settings: &Settings) -> anyhow::Result<()> {
        self.order(&Order::Settings(Box::new(settings.clone())))
    }

    pub(super) fn redirect(
        &mut self,
        caller: Role,
        real: SocketAddr,
        instead: Option<SocketAddr>,
    ) -> anyhow::Result<()> {
        self.order(&Order::Redirect { caller, real, instead })
    }

    /// Asks it to end; it says so itself when it has.
    pub(super) fn end(mut self, how: End) -> Option<thread::JoinHandle<()>> {
        if how == End::Kill || self.order(&Order::Stop).is_err() {
            self.kill();
        }
        self.watcher.take()
    }

    /// Asks it to leave.
    pub(super) fn leave(&mut self) -> anyhow::Result<()> {
        self.order(&Order::Leave)
    }

    fn kill(&self) {
        // Already dead is dead enough.
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.watcher.is_some() {
            self.kill();
        }
    }
}

/// What the executable does when it is started as an instance. Returns when the instance has ended.
pub fn instance_main() -> anyhow::Result<()> {
    let spec = std::env::var(SPEC_VARIABLE).with_context(|| {
        format!("{SPEC_VARIABLE} is not set; this command is for the demo itself")
    })?;
    let spec: Spec = serde_json::from_str(&spec).context("the specification cannot be read")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("telemetry")
        .enable_all()
        .build()?;
    let (knobs, redirects) = (Knobs::new(), Redirects::default());
    let (end, end_asked) = watch::channel(None);
    let (ready, is_ready) = oneshot::channel();
    let obeyed = (knobs.clone(), redirects.clone());
    thread::Builder::new().name("orders".to_owned()).spawn(move || obey(obeyed, end))?;
    runtime.spawn(async move {
        if is_ready.await.is_ok() {
            let _ = writeln!(std::io::stdout(), "{READY}");
        }
    });
    let telemetry = runtime.handle().clone();
    let meter = Some(Meter::of_process(std::process::id()));
    let outside = Outside { knobs, redirects, telemetry, end: end_asked, ready, meter };
    let (_, losses) = instance::live(&spec, outside)?;
    losses.iter().for_each(|loss| eprintln!("{}: {loss}", spec.id));
    Ok(())
}

/// Reads orders until the parent is gone.
fn obey((knobs, redirects): (Knobs, Redirects), end: watch::Sender<Option<End>>) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(Order::Settings(settings)) => knobs.replace(*settings),
            Ok(Order::Redirect { caller, real, instead: Some(instead) }) => {
                redirects.set(caller, real, instead);
            }
            Ok(Order::Redirect { caller, real, instead: None }) => redirects.clear(caller, real),
            Ok(Order::Leave) => drop(end.send_replace(Some(End::Leave))),
            Ok(Order::Stop) => {
                end.send_replace(Some(End::Stop));
                return;
            }
            Err(error) => eprintln!("an order was not understood: {error}"),
        }
    }
    // The parent is gone, and with it who would read what is left to say.
    end.send_replace(Some(End::Kill));
}
