//! What happens in a run: customers come, and a fault may be played, by a scenario or by a timetable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

use super::Options;
use super::fleet::Fleet;
use crate::chaos::Clock;
use crate::faults::{Case, Phases, Played};
use crate::load::{self, Report};
use crate::topology::{ITEMS, USERS};
use crate::truth::Record;

/// What goes on.
#[derive(Debug)]
pub(super) struct Story {
    report: Arc<Mutex<Report>>,
    stop: CancellationToken,
    state: State,
}

#[derive(Debug)]
enum State {
    Goes(JoinHandle<anyhow::Result<Played>>),
    Over(Box<Result<anyhow::Result<Played>, JoinError>>),
}

impl Story {
    /// Begins, on the runtime of the stage.
    pub(super) fn begin(
        options: Options,
        gateway: SocketAddr,
        fleet: &Arc<Fleet>,
        stage: &Handle,
    ) -> Story {
        let case = case(&options);
        let report = case.report();
        let stop = CancellationToken::new();
        let (fleet, targets) = (fleet.clone(), fleet.targets());
        let (seen, stopped, truth) = (report.clone(), stop.clone(), options.truth);
        let play = async move {
            let truth: Option<PathBuf> = truth;
            case.play(gateway, &targets, &*fleet, truth.as_deref(), seen, stopped).await
        };
        Story { report, stop, state: State::Goes(stage.spawn(play)) }
    }

    /// What the customers saw so far.
    pub(super) fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until no more customers come; without a duration that is never.
    pub(super) async fn finished(&mut self) {
        if let State::Goes(playing) = &mut self.state {
            self.state = State::Over(Box::new(playing.await));
        }
    }

    /// Sends the customers home and takes back what was done.
    pub(super) async fn end(mut self) -> (Report, Option<Record>, Vec<String>) {
        self.stop.cancel();
        self.finished().await;
        let report = self.report();
        let State::Over(result) = self.state else { return (report, None, Vec::new()) };
        match *result {
            Ok(Ok(played)) => (report, played.record, played.outcome.failures),
            Ok(Err(error)) => (report, None, vec![format!("{error:#}")]),
            Err(error) => (report, None, vec![format!("the customers ended: {error}")]),
        }
    }
}

fn case(options: &Options) -> Case {
    Case {
        scenario: options.scenario,
        phases: options.duration.map_or_else(Phases::default, Phases::within),
        load: load::Options {
            seed: options.seed,
            rate_per_s: options.rate_per_s,
            traffic: options.traffic,
            duration: options.duration,
            users: USERS,
            items: ITEMS,
            change: None,
        },
        chaos: options.chaos.clone().map(|chaos| (chaos, Clock::from_now(options.clock_speed))),
    }
}
