//! The client side of the bus: publishing with a producer span, and consuming with a span for each
//! message that is linked to the one it came from.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use moka::sync::Cache;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanKind, TraceContextExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::proto::bus::{
    self as proto, Delivery, FetchReply, FetchRequest, Message, PublishReply, PublishRequest,
    SettleReply, SettleRequest, Settled,
};
use super::{Fault, WireError};
use crate::resilience::Deadline;
use crate::roles::Instance;
use crate::say;
use crate::telemetry::Work;
use crate::telemetry::names::{self, own};
use crate::topology::{BUS_SYSTEM, Role};

/// Messages that are fetched at once.
const BATCH_MAX: u32 = 16;
/// How long the bus holds a question for messages open.
const WAIT_MS: u32 = 1_000;
/// Pause after the bus could not be reached.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Ids of handled messages that are remembered, to know a second delivery.
const REMEMBERED: u64 = 20_000;
/// How long handling a message may take.
const PROCESS_TIME: Duration = Duration::from_secs(10);

/// An event that is about to be published.
#[derive(Clone, Debug)]
pub struct Event {
    /// Where to.
    pub topic: &'static str,
    /// What happened, such as `OrderCreated`.
    pub name: String,
    /// Events of one key keep their order.
    pub key: String,
    /// JSON.
    pub payload: String,
}

impl Event {
    /// An event with this body.
    pub fn new<T: Serialize>(topic: &'static str, name: &str, key: &str, body: &T) -> Event {
        let payload = serde_json::to_string(body).unwrap_or_default();
        Event { topic, name: name.to_owned(), key: key.to_owned(), payload }
    }
}

/// Publishes an event below the current work; it is stored when this returns.
pub async fn publish(instance: &Instance, event: Event) -> Result<(), Fault> {
    let telemetry = &instance.telemetry;
    let id = Uuid::new_v4().simple().to_string();
    let work = telemetry
        .span(SpanKind::Producer, format!("send {}", event.topic))
        .with(names::MESSAGING_SYSTEM, BUS_SYSTEM)
        .with(names::MESSAGING_DESTINATION, event.topic)
        .with(names::MESSAGING_OPERATION_TYPE, "send")
        .with(names::MESSAGING_OPERATION_NAME, "send")
        .with(names::MESSAGING_ID, id.clone())
        .start();
    let mut headers = HashMap::new();
    telemetry.inject(work.context(), &mut headers);
    let Event { topic, name, key, payload } = event;
    let message = Message { id, key, name, headers, payload };
    let request = PublishRequest { topic: topic.to_owned(), messages: vec![message] };
    let call = instance.caller.rpc::<_, PublishReply>(Role::EventBus, proto::PUBLISH, request);
    let result = work.run(call).await;
    match &result {
        Ok(_) => instance.telemetry.instruments().sent.add(
            1,
            &[
                telemetry.attribute(names::MESSAGING_SYSTEM, BUS_SYSTEM),
                telemetry.attribute(names::MESSAGING_DESTINATION, topic),
            ],
        ),
        Err(fault) => work.fail(fault.error_type, fault.message.clone()),
    }
    work.end();
    result.map(|_| ())
}

/// A message that came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// What happened.
    pub name: String,
    payload: String,
}

impl Received {
    /// Its body.
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_str(&self.payload)
            .map_err(|error| Fault::bad_request(format!("the message cannot be read: {error}")))
    }
}

/// Reads a topic for the group of this role, for ever: each message is handled, again and again until
/// that succeeds.
pub async fn consume<S, F>(
    instance: Arc<Instance>,
    topic: &'static str,
    state: S,
    handler: fn(S, Received) -> F,
) where
    S: Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), Fault>> + Send + 'static,
{
    let handled = Cache::new(REMEMBERED);
    let consumer = Consumer { group: instance.role.name(), instance, topic, handled };
    let mut poison = None;
    loop {
        match consumer.fetch().await {
            Ok(reply) => {
                consumer.note_receipt(&reply);
                for delivery in reply.deliveries {
                    consumer.handle(delivery, &state, handler, &mut poison).await;
                }
            }
            Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
        }
    }
}

struct Consumer {
    instance: Arc<Instance>,
    topic: &'static str,
    group: &'static str,
    handled: Cache<String, ()>,
}

impl Consumer {
    async fn fetch(&self) -> Result<FetchReply, WireError> {
        let request = FetchRequest {
            topic: self.topic.to_owned(),
            group: self.group.to_owned(),
            member: self.instance.id.clone(),
            messages_max: BATCH_MAX,
            wait_ms: WAIT_MS,
        };
        self.instance.caller.rpc_quietly(Role::EventBus, proto::FETCH, request).await
    }

    async fn settle(&self, delivery: &Delivery, again: bool) {
        let settled = Settled { partition: delivery.partition, offset: delivery.offset, again };
        let request = SettleRequest {
            topic: self.topic.to_owned(),
            group: self.group.to_owned(),
            member: self.instance.id.clone(),
            settled: vec![settled],
        };
        let caller = &self.instance.caller;
        let sent = caller.rpc_quietly::<_, SettleReply>(Role::EventBus, proto::SETTLE, request);
        // Not settled: it is delivered again, and known as handled.
        let _ = sent.await;
    }

    /// A span for the messages that came with one answer, from the moment they were there.
    fn note_receipt(&self, reply: &FetchReply) {
        let Some(ready) = u64::try_from(reply.ready_ns).ok().filter(|ns| *ns > 0) else { return };
        if reply.deliveries.is_empty() {
            return;
        }
        let telemetry = &self.instance.telemetry;
        let messages = reply.deliveries.iter().filter_map(|delivery| delivery.message.as_ref());
        let producers = messages.map(|message| self.producer(message)).map(|(_, span)| span);
        telemetry
            .span(SpanKind::Client, format!("receive {}", self.topic))
            .below(Context::new())
            .since(SystemTime::UNIX_EPOCH + Duration::from_nanos(ready))
            .linked_to(producers)
            .with(names::MESSAGING_SYSTEM, BUS_SYSTEM)
            .with(names::MESSAGING_DESTINATION, self.topic)
            .with(names::MESSAGING_OPERATION_TYPE, "receive")
            .with(names::MESSAGING_OPERATION_NAME, "receive")
            .with(names::MESSAGING_GROUP, self.group)
            .with(names::MESSAGING_BATCH, reply.deliveries.len() as i64)
            .with_own(own::TIMEOUT_MS, i64::from(WAIT_MS))
            .start()
            .end();
    }

    fn producer(&self, message: &Message) -> (Context, SpanContext) {
        let context = self.instance.telemetry.extract(&message.headers);
        let span = context.span().span_context().clone();
        (context, span)
    }

    async fn handle<S, F>(
        &self,
        delivery: Delivery,
        state: &S,
        handler: fn(S, Received) -> F,
        poison: &mut Option<String>,
    ) where
        S: Clone + Send + Sync + 'static,
        F: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        let Some(message) = delivery.message.clone() else { return };
        let mut work = self.start(&delivery, &message);
        let received = Received { name: message.name, payload: message.payload };
        let result = work.run(self.process(&message.id, received, state, handler, poison)).await;
        let telemetry = &self.instance.telemetry;
        let mut attributes = vec![
            telemetry.attribute(names::MESSAGING_SYSTEM, BUS_SYSTEM),
            telemetry.attribute(names::MESSAGING_DESTINATION, self.topic),
            telemetry.attribute(names::MESSAGING_GROUP, self.group),
        ];
        telemetry.instruments().consumed.add(1, &attributes);
        if let Err(fault) = &result {
            work.fail(fault.error_type, fault.message.clone());
            attributes.push(telemetry.attribute(names::ERROR_TYPE, fault.error_type));
            let _inside = work.context().clone().attach();
            say!(error, topic = self.topic, "message was not handled: {}", fault.message);
        }
        let seconds = work.seconds();
        telemetry.instruments().process.record_in(work.context(), seconds, &attributes);
        work.end();
        self.settle(&delivery, result.is_err()).await;
    }

    fn start(&self, delivery: &Delivery, message: &Message) -> Work {
        let telemetry = &self.instance.telemetry;
        let (context, producer) = self.producer(message);
        let plan = telemetry
            .span(SpanKind::Consumer, format!("process {}", self.topic))
            .below(context)
            .linked_to([producer])
            .with(names::MESSAGING_SYSTEM, BUS_SYSTEM)
            .with(names::MESSAGING_DESTINATION, self.topic)
            .with(names::MESSAGING_OPERATION_TYPE, "process")
            .with(names::MESSAGING_OPERATION_NAME, "process")
            .with(names::MESSAGING_GROUP, self.group)
            .with(names::MESSAGING_ID, message.id.clone())
            .with(names::MESSAGING_PARTITION, delivery.partition.to_string())
            .with_own(own::REDELIVERIES, i64::from(delivery.redeliveries));
        let plan = if telemetry.consumers_are_children() { plan } else { plan.as_root() };
        let mut work = plan.start();
        work.carry(Deadline::within(Instant::now(), PROCESS_TIME));
        work
    }

    async fn process<S, F>(
        &self,
        id: &str,
        received: Received,
        state: &S,
        handler: fn(S, Received) -> F,
        poison: &mut Option<String>,
    ) -> Result<(), Fault>
    where
        S: Clone + Send + Sync + 'static,
        F: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        self.apply_knobs(id, poison).await?;
        if self.handled.contains_key(id) {
            let telemetry = &self.instance.telemetry;
            let topic = telemetry.attribute(names::MESSAGING_DESTINATION, self.topic);
            telemetry.instruments().duplicates.add(1, &[topic]);
            return Ok(());
        }
        handler(state.clone(), received).await?;
        self.handled.insert(id.to_owned(), ());
        Ok(())
    }

    async fn apply_knobs(&self, id: &str, poison: &mut Option<String>) -> Result<(), Fault> {
        let settings = self.instance.knobs.read();
        if let Some(ms) = settings.consumer_delay_ms {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        self.instance.note_message();
        if !settings.poison {
            *poison = None;
            return Ok(());
        }
        if poison.get_or_insert_with(|| id.to_owned()) == id {
            return Err(Fault::bad_request("the address of the customer is malformed"));
        }
        Ok(())
    }
}
