//! Who runs where: one specification for each instance, which is all that it needs to know.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::Options;
use crate::identity::{Authority, Papers};
use crate::telemetry;
use crate::topology::{INSTANCES_MAX, Role};
use crate::wire::Addresses;

/// Hosts that instances claim to run on.
const HOSTS: [&str; 3] = ["host-a", "host-b", "host-c"];

/// Where instances listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// The first instance of a role at the article's port if that is free, others anywhere.
    #[default]
    Article,
    /// Anywhere.
    Free,
}

/// All that an instance needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Spec {
    pub(super) role: Role,
    /// `service.instance.id`.
    pub(super) id: String,
    pub(super) host: String,
    pub(super) address: SocketAddr,
    /// Whether it runs only when more of its role are needed; its address is then found at its start.
    pub(super) is_spare: bool,
    /// How long it still serves when it leaves.
    pub(super) leave_time: Duration,
    /// Addresses that are not asked of the registry.
    pub(super) fixed: Addresses,
    pub(super) roles: Vec<Role>,
    pub(super) folder: PathBuf,
    pub(super) seed: u64,
    pub(super) telemetry: telemetry::Settings,
    /// What it shows to others and asks of them, if papers are asked for at all.
    pub(super) papers: Option<Papers>,
}

/// Where one of the spares is until it starts.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The specifications of a run, in the order in which instances start; spares come last.
pub(super) fn lay_out(options: &Options, folder: &Path) -> anyhow::Result<Vec<Spec>> {
    let roles = options.shop.roles();
    let mut ports = Taken { ports: options.ports, held: Vec::new() };
    let mut placed = Vec::new();
    for &role in &roles {
        for number in 1..=role.facts().instances {
            placed.push((role, number, ports.take(role, number)?));
        }
    }
    let fixed = fixed(&roles, &placed);
    placed.extend(spares(options, &roles));
    let papers = papers(options, &roles)?;
    let spec = |(at, &(role, number, address)): (usize, &(Role, usize, SocketAddr))| Spec {
        role,
        id: format!("{}-{number}", role.name()),
        host: HOSTS[at % HOSTS.len()].to_owned(),
        address,
        is_spare: address == NOWHERE,
        leave_time: options.scaling.map(|scaling| scaling.leave_time).unwrap_or_default(),
        fixed: fixed.clone(),
        roles: roles.clone(),
        folder: folder.to_owned(),
        seed: options.seed.wrapping_add(at as u64),
        telemetry: options.telemetry.clone(),
        papers: papers.get(&role).cloned(),
    };
    Ok(placed.iter().enumerate().map(spec).collect())
}

/// The further instances of the scaled roles. Only a registry tells callers of them.
fn spares(options: &Options, roles: &[Role]) -> Vec<(Role, usize, SocketAddr)> {
    if options.scaling.is_none() || !roles.contains(&Role::Registry) {
        return Vec::new();
    }
    let of_role = |role: &Role| {
        let role = *role;
        (role.facts().instances + 1..=INSTANCES_MAX).map(move |number| (role, number, NOWHERE))
    };
    roles.iter().filter(|role| role.is_scaled()).flat_map(of_role).collect()
}

/// An address on a free port.
pub(super) fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind(NOWHERE)?.local_addr()
}

/// Papers for each role, from an authority that exists only here.
fn papers(options: &Options, roles: &[Role]) -> anyhow::Result<HashMap<Role, Papers>> {
    if !options.needs_papers() {
        return Ok(HashMap::new());
    }
    let authority = Authority::new()?;
    roles.iter().map(|role| Ok((*role, authority.papers(role.name())?))).collect()
}

/// Without a registry all addresses are fixed; with one, its own and those of systems outside.
fn fixed(roles: &[Role], placed: &[(Role, usize, SocketAddr)]) -> Addresses {
    let has_registry = roles.contains(&Role::Registry);
    let mut fixed = Addresses::default();
    for &(role, _, address) in placed {
        if !has_registry || role == Role::Registry || !role.is_instrumented() {
            fixed.add(role, address);
        }
    }
    fixed
}

/// Finds ports, and holds them until all are found, so that no two are the same.
struct Taken {
    ports: Ports,
    held: Vec<TcpListener>,
}

impl Taken {
    fn take(&mut self, role: Role, number: usize) -> anyhow::Result<SocketAddr> {
        let wanted = role.facts().port;
        let is_wanted = self.ports == Ports::Article && number == 1;
        if is_wanted && let Ok(address) = self.bind(wanted) {
            return Ok(address);
        }
        self.bind(0).context("no port is free")
    }

    fn bind(&mut self, port: u16) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        self.held.push(listener);
        Ok(address)
    }
}
