//! Charges cards at the provider outside, once for each order.

use std::sync::Arc;

use axum::Router;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Instance, audit, now_ms};
use crate::db::{Database, DbError, Files};
use crate::topology::Role;
use crate::wire::proto::payment::{
    self as proto, ChargeRequest, FindRequest, Receipt, RefundRequest,
};
use crate::wire::{Ask, Fault, facts, grpc};

const CONNECTIONS_MAX: u32 = 10;
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS payments (order_id TEXT PRIMARY KEY, customer_id TEXT NOT NULL,
        amount_cents INTEGER NOT NULL, status TEXT NOT NULL, reference TEXT NOT NULL,
        at_ms INTEGER NOT NULL) WITHOUT ROWID;";

#[derive(Clone)]
struct Payments {
    instance: Arc<Instance>,
    database: Database,
}

pub(super) async fn router(instance: &Arc<Instance>) -> anyhow::Result<Router> {
    let files = Files::one(&instance.folder, "payments", CONNECTIONS_MAX);
    let database = Database::open(files, &instance.telemetry, &instance.knobs, SCHEMA).await?;
    let payments = Payments { instance: instance.clone(), database };
    let served = instance.served();
    let router = grpc::method(Router::new(), &served, proto::CHARGE, &payments, charge);
    let router = grpc::method(router, &served, proto::REFUND, &payments, refund);
    Ok(grpc::method(router, &served, proto::FIND, &payments, find))
}

impl Payments {
    async fn known(&self, order_id: &str) -> Result<Option<Receipt>, DbError> {
        let query = sqlx::query(
            "SELECT order_id, status, amount_cents, reference FROM payments WHERE order_id = ?",
        );
        let mut connection = self.database.connect().await?;
        let query = query.bind(order_id.to_owned());
        let row = connection.fetch_optional("SELECT payments", query).await?;
        Ok(row.map(|row| receipt(&row)))
    }

    async fn save(&self, receipt: &Receipt, customer_id: &str) -> Result<(), DbError> {
        let query = sqlx::query(
            "INSERT INTO payments (order_id, customer_id, amount_cents, status, reference, at_ms)
             VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT (order_id) DO UPDATE SET status = excluded.status",
        );
        let query = query
            .bind(receipt.order_id.clone())
            .bind(customer_id.to_owned())
            .bind(receipt.amount_cents)
            .bind(receipt.status.clone())
            .bind(receipt.reference.clone())
            .bind(now_ms());
        self.database.connect().await?.execute("INSERT payments", query).await?;
        Ok(())
    }
}

fn receipt(row: &SqliteRow) -> Receipt {
    Receipt {
        order_id: row.get("order_id"),
        status: row.get("status"),
        amount_cents: row.get("amount_cents"),
        reference: row.get("reference"),
    }
}

async fn charge(payments: Payments, request: ChargeRequest) -> Result<Receipt, Fault> {
    facts().set_order(&request.order_id);
    facts().set_user(&request.customer_id);
    if let Some(known) = payments.known(&request.order_id).await?
        && known.status == "charged"
    {
        return Ok(known);
    }
    if payments.instance.has(Role::Psp) {
        // The provider knows an order by its id, so asking twice charges once.
        let body = serde_json::json!({
            "reference": request.order_id, "amountCents": request.amount_cents,
        });
        let ask = Ask::post(Role::Psp, "/charges", "/charges", &body).idempotent();
        payments.instance.caller.ask(ask).await?;
    }
    let reference = format!("ch-{}", request.order_id);
    let receipt = Receipt {
        order_id: request.order_id,
        status: "charged".to_owned(),
        amount_cents: request.amount_cents,
        reference,
    };
    payments.save(&receipt, &request.customer_id).await?;
    audit!(request.customer_id.as_str(), "charge card", "done");
    Ok(receipt)
}

async fn refund(payments: Payments, request: RefundRequest) -> Result<Receipt, Fault> {
    facts().set_order(&request.order_id);
    let Some(mut receipt) = payments.known(&request.order_id).await? else {
        return find(payments, FindRequest { order_id: request.order_id }).await;
    };
    if receipt.status == "charged" {
        receipt.status = "refunded".to_owned();
        payments.save(&receipt, "").await?;
        audit!("order-service", "refund order", "done");
    }
    Ok(receipt)
}

async fn find(payments: Payments, request: FindRequest) -> Result<Receipt, Fault> {
    facts().set_order(&request.order_id);
    let known = payments.known(&request.order_id).await?;
    let none = || Receipt {
        order_id: request.order_id.clone(),
        status: "none".to_owned(),
        ..Receipt::default()
    };
    Ok(known.unwrap_or_else(none))
}
