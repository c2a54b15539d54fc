//! Writes to customers: it reads a topic and hands mail to a server outside.

use std::sync::Arc;

use axum::Router;

use super::Instance;
use crate::say;
use crate::topology::Role;
use crate::wire::Fault;
use crate::wire::bodies::NotifyCustomer;
use crate::wire::bus::{self, Received};

pub(super) fn router(instance: &Arc<Instance>) -> Router {
    let (reader, state) = (instance.clone(), instance.clone());
    tokio::spawn(bus::consume(reader, "notifications", state, notify));
    Router::new()
}

async fn notify(instance: Arc<Instance>, received: Received) -> Result<(), Fault> {
    let notify: NotifyCustomer = received.body()?;
    let line = format!("MAIL {} {}", notify.customer_id, notify.template);
    instance.caller.line(Role::Smtp, "smtp MAIL", line).await?;
    let (user, order) = (notify.customer_id.as_str(), notify.order_id.as_str());
    say!(info, userId = user, orderId = order, "customer was told of {}", notify.template);
    Ok(())
}
