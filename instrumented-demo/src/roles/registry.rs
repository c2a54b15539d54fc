//! Who runs where: instances say that they live, callers ask for those of a service.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use opentelemetry::KeyValue;

use super::{Instance, read};
use crate::say;
use crate::telemetry::names::metrics;
use crate::wire::{Fault, bodies, json};

/// An instance that has not been heard of for so long is gone.
const LIFE: Duration = Duration::from_secs(6);
/// Instances that are remembered.
const INSTANCES_MAX: usize = 1_000;
/// Where nobody listens.
const DEAD_ADDRESS: &str = "127.0.0.1:1";

#[derive(Clone)]
struct Registry {
    instance: Arc<Instance>,
    known: Arc<Mutex<HashMap<String, Vec<Known>>>>,
}

#[derive(Clone)]
struct Known {
    id: String,
    address: String,
    heard: Instant,
}

pub(super) fn router(instance: &Arc<Instance>) -> Router {
    let registry = Registry { instance: instance.clone(), known: Arc::default() };
    let counted = registry.clone();
    instance.telemetry.instruments().gauge(
        metrics::REGISTRY_INSTANCES,
        "{instance}",
        move |observe| {
            for (service, count) in counted.counts() {
                observe(count, vec![KeyValue::new("service", service)]);
            }
        },
    );
    // Heartbeats are no work of anybody's, so they are not traced.
    let beats = Router::new().route("/instances/{service}", post(register));
    let questions = Router::new().route("/instances/{service}", get(look_up));
    instance.traced(questions.with_state(registry.clone())).merge(beats.with_state(registry))
}

impl Registry {
    fn counts(&self) -> Vec<(String, i64)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = |known: &Vec<Known>| known.iter().filter(|k| k.heard.elapsed() < LIFE).count();
        known.iter().map(|(service, known)| (service.clone(), alive(known) as i64)).collect()
    }

    fn note(&self, service: &str, instance: bodies::Instance) -> Result<bool, Fault> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let count: usize = known.values().map(Vec::len).sum();
        let known = known.entry(service.to_owned()).or_default();
        let now = Instant::now();
        let is_new = known.iter().all(|known| known.id != instance.id);
        known.retain(|known| known.id != instance.id && known.heard.elapsed() < LIFE);
        if count >= INSTANCES_MAX {
            return Err(Fault::conflict("registry_full", "no room for more instances"));
        }
        known.push(Known { id: instance.id, address: instance.address, heard: now });
        Ok(is_new)
    }

    fn alive(&self, service: &str) -> Vec<bodies::Instance> {
        let dead = self.instance.knobs.read().dead_address_of.clone();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.get(service).map(Vec::as_slice).unwrap_or_default();
        let alive = known.iter().filter(|known| known.heard.elapsed() < LIFE);
        let mut alive: Vec<_> = alive
            .map(|known| bodies::Instance { id: known.id.clone(), address: known.address.clone() })
            .collect();
        if dead.as_deref() == Some(service) {
            alive.iter_mut().for_each(|instance| instance.address = DEAD_ADDRESS.to_owned());
        }
        alive
    }
}

async fn register(
    State(registry): State<Registry>,
    Path(service): Path<String>,
    body: Bytes,
) -> Result<Response, Fault> {
    let instance: bodies::Instance = read(&body)?;
    let id = instance.id.clone();
    if registry.note(&service, instance)? {
        say!(info, instance = id, "instance of {service} is known");
    }
    Ok(json(StatusCode::OK, &serde_json::json!({})))
}

async fn look_up(
    State(registry): State<Registry>,
    Path(service): Path<String>,
) -> Result<Response, Fault> {
    Ok(json(StatusCode::OK, &registry.alive(&service)))
}
