//! An instance alone, for the tests of roles.

use std::path::Path;
use std::sync::Arc;

use super::{Instance, Parts};
use crate::faults::Knobs;
use crate::telemetry::{Identity, Telemetry};
use crate::topology::Role;
use crate::wire::{Addresses, Caller, Redirects, Setup};

/// An instance that has nobody beside it and says nothing.
pub(super) fn alone(role: Role, folder: &Path) -> Arc<Instance> {
    let facts = role.facts();
    let identity = Identity {
        service: facts.name,
        instance: format!("{}-1", facts.name),
        version: facts.version.to_owned(),
        host: "host-a".to_owned(),
        team: facts.team,
        domain: facts.domain,
    };
    let telemetry = Arc::new(Telemetry::silent(identity));
    let knobs = Knobs::new();
    let caller = Caller::new(Setup {
        caller: role,
        telemetry: telemetry.clone(),
        knobs: knobs.clone(),
        fixed: Addresses::default(),
        redirects: Redirects::default(),
        papers: None,
        seed: 1,
    });
    Arc::new(Instance::new(Parts {
        role,
        id: format!("{}-1", facts.name),
        roles: vec![role],
        telemetry,
        caller,
        knobs,
        folder: folder.to_owned(),
        seed: 1,
        papers: None,
    }))
}
