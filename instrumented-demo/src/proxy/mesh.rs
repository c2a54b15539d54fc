//! All proxies of a system: one for each caller and each address of a callee, made when first
//! asked for.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::SocketAddr;

use tokio::sync::Mutex;

use super::{Conditions, Counts, Proxy};

/// The proxies between services, by the names of both ends. A look-up of an address passes
/// through [`Mesh::address`], so a caller never learns the callee's own.
#[derive(Debug)]
pub struct Mesh {
    seed: u64,
    edges: Mutex<HashMap<Ends, Edge>>,
}

/// Caller and callee.
type Ends = (String, String);

#[derive(Debug, Default)]
struct Edge {
    conditions: Conditions,
    /// By the callee's own address. A callee has few: one per instance, and a new one per restart.
    proxies: HashMap<SocketAddr, Proxy>,
}

impl Mesh {
    /// No proxy yet. The seed decides the delays and resets of all.
    pub fn new(seed: u64) -> Mesh {
        Mesh { seed, edges: Mutex::default() }
    }

    /// The address under which this caller reaches this instance of the callee.
    pub async fn address(
        &self,
        caller: &str,
        callee: &str,
        own: SocketAddr,
    ) -> io::Result<SocketAddr> {
        let mut edges = self.edges.lock().await;
        let edge = edges.entry(ends(caller, callee)).or_default();
        if let Some(proxy) = edge.proxies.get(&own) {
            return Ok(proxy.address());
        }
        let proxy = Proxy::start(own, self.seed_of(caller, callee, edge.proxies.len())).await?;
        proxy.set(edge.conditions);
        let address = proxy.address();
        edge.proxies.insert(own, proxy);
        Ok(address)
    }

    /// Changes the way from a caller to all instances of a callee, also those still to come.
    pub async fn set(&self, caller: &str, callee: &str, conditions: Conditions) {
        let mut edges = self.edges.lock().await;
        let edge = edges.entry(ends(caller, callee)).or_default();
        edge.conditions = conditions;
        edge.proxies.values().for_each(|proxy| proxy.set(conditions));
    }

    /// Forgets the way to an instance that is gone.
    pub async fn forget(&self, own: SocketAddr) {
        let mut edges = self.edges.lock().await;
        edges.values_mut().for_each(|edge| drop(edge.proxies.remove(&own)));
    }

    /// What the proxies of an edge have done so far, together.
    pub async fn counts(&self, caller: &str, callee: &str) -> Counts {
        let edges = self.edges.lock().await;
        let proxies = edges.get(&ends(caller, callee)).into_iter().flat_map(|e| e.proxies.values());
        let none = Counts { connections: 0, resets: 0, refused: 0 };
        proxies.map(Proxy::counts).fold(none, |sum, one| Counts {
            connections: sum.connections + one.connections,
            resets: sum.resets + one.resets,
            refused: sum.refused + one.refused,
        })
    }

    fn seed_of(&self, caller: &str, callee: &str, instance: usize) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, caller, callee, instance).hash(&mut hasher);
        hasher.finish()
    }
}

fn ends(caller: &str, callee: &str) -> Ends {
    (caller.to_owned(), callee.to_owned())
}
