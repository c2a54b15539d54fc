//! Where the instances of a role can be reached: asked of the registry and kept for a while, or fixed
//! where there is none. Of several instances the less busy one of two is taken.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::topology::Role;

/// How long an answer of the registry holds.
const FRESH: Duration = Duration::from_secs(10);

/// Addresses that are known from the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses(HashMap<Role, Vec<SocketAddr>>);

impl Addresses {
    /// Adds one.
    pub fn add(&mut self, role: Role, address: SocketAddr) {
        self.0.entry(role).or_default().push(address);
    }

    /// Those of a role.
    pub fn of(&self, role: Role) -> &[SocketAddr] {
        self.0.get(&role).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Addresses that stand in for others, such as those of proxies, shared by all instances of a program:
/// by caller and real address.
#[derive(Clone, Debug, Default)]
pub struct Redirects(Arc<RwLock<HashMap<(Role, SocketAddr), SocketAddr>>>);

impl Redirects {
    /// From now on `caller` reaches `real` at `instead`.
    pub fn set(&self, caller: Role, real: SocketAddr, instead: SocketAddr) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert((caller, real), instead);
    }

    /// From now on `caller` reaches `real` where it is.
    pub fn clear(&self, caller: Role, real: SocketAddr) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&(caller, real));
    }

    /// All of them.
    pub fn all(&self) -> Vec<(Role, SocketAddr, SocketAddr)> {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        map.iter().map(|((caller, real), instead)| (*caller, *real, *instead)).collect()
    }

    fn apply(&self, caller: Role, real: SocketAddr) -> SocketAddr {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        map.get(&(caller, real)).copied().unwrap_or(real)
    }
}

/// An address in use.
#[derive(Debug)]
pub(super) struct Picked {
    pub(super) address: SocketAddr,
    busy: Arc<AtomicUsize>,
}

impl Drop for Picked {
    fn drop(&mut self) {
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What one instance knows about the others.
#[derive(Debug)]
pub(super) struct Discovery {
    caller: Role,
    fixed: Addresses,
    redirects: Redirects,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    known: HashMap<Role, Known>,
    busy: HashMap<SocketAddr, Arc<AtomicUsize>>,
    random: StdRng,
}

#[derive(Debug)]
struct Known {
    addresses: Vec<SocketAddr>,
    asked: Instant,
}

impl Discovery {
    pub(super) fn new(
        caller: Role,
        fixed: Addresses,
        redirects: Redirects,
        seed: u64,
    ) -> Discovery {
        let random = StdRng::seed_from_u64(seed);
        let state = State { known: HashMap::new(), busy: HashMap::new(), random };
        Discovery { caller, fixed, redirects, state: Mutex::new(state) }
    }

    /// Whether the registry has to be asked before a call. Of several callers one is told so.
    pub(super) fn should_ask(&self, role: Role, now: Instant) -> bool {
        if !self.fixed.of(role).is_empty() {
            return false;
        }
        let mut state = self.lock();
        match state.known.get_mut(&role) {
            Some(known) if now.duration_since(known.asked) < FRESH => false,
            Some(known) => {
                known.asked = now;
                true
            }
            None => true,
        }
    }

    /// Notes what the registry said. An empty answer changes nothing: old addresses are better.
    pub(super) fn learn(&self, role: Role, addresses: Vec<SocketAddr>, now: Instant) {
        if !addresses.is_empty() {
            self.lock().known.insert(role, Known { addresses, asked: now });
        }
    }

    /// Forgets, so that the registry is asked again: an address did not answer.
    pub(super) fn doubt(&self, role: Role) {
        if let Some(known) = self.lock().known.get_mut(&role)
            && let Some(long_ago) = known.asked.checked_sub(FRESH)
        {
            known.asked = long_ago;
        }
    }

    /// Takes the less busy of two random instances.
    pub(super) fn pick(&self, role: Role) -> Option<Picked> {
        let mut state = self.lock();
        let fixed = self.fixed.of(role);
        let known = state.known.get(&role).map(|known| known.addresses.clone());
        let candidates = if fixed.is_empty() { known? } else { fixed.to_vec() };
        let [first, second] = [(); 2].map(|()| state.random.random_range(0..candidates.len()));
        let busy = |index: usize, state: &mut State| {
            state.busy.entry(candidates[index]).or_default().clone()
        };
        let (one, other) = (busy(first, &mut state), busy(second, &mut state));
        let is_less = one.load(Ordering::Relaxed) <= other.load(Ordering::Relaxed);
        let (index, busy) = if is_less { (first, one) } else { (second, other) };
        busy.fetch_add(1, Ordering::Relaxed);
        Some(Picked { address: self.redirects.apply(self.caller, candidates[index]), busy })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
