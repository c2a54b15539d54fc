//! The steps of an order: ask for its price, save it, charge it, send it; and the way back when a step
//! fails or the stock says no.

use std::collections::HashMap;

use opentelemetry::Context;

use super::super::{audit, now_ms, user};
use super::Orders;
use super::store::{Change, Shard};
use crate::db::DbError;
use crate::say;
use crate::topology::Role;
use crate::wire::bodies::{
    NotifyCustomer, Order, OrderClosed, OrderCreated, PlaceOrder, ShipOrder, ShippingRate,
    StockAnswer, Tax,
};
use crate::wire::bus::{self, Event};
use crate::wire::proto::payment::{self, ChargeRequest, Receipt, RefundRequest};
use crate::wire::proto::pricing::{self, Line, QuoteReply, QuoteRequest};
use crate::wire::{Ask, Fault};

/// The price of an item where no pricing-service runs.
const FLAT_CENTS: i64 = 1_990;

impl Orders {
    /// Makes an order, once.
    pub(super) async fn place(&self, id: String, request: PlaceOrder) -> Result<Order, Fault> {
        if let Some(known) = self.store.find_of(&request.customer_id, &id).await? {
            return Ok(known);
        }
        if self.instance.knobs.read().reads_user_db {
            self.read_user(&request.customer_id).await?;
        }
        let total_cents = self.total(&request).await?;
        let order = Order {
            order_id: id,
            customer_id: request.customer_id,
            status: "created".to_owned(),
            total_cents,
            items: request.items,
        };
        self.save(&order).await?;
        if let Err(fault) = self.charge_and_ship(&order, &request.region).await {
            self.cancel(&order.order_id, &order.customer_id, fault.error_type).await?;
            return Err(fault);
        }
        self.confirm(order).await
    }

    /// Looks into the database of another service, and notes there that it did.
    async fn read_user(&self, customer: &str) -> Result<(), DbError> {
        let open = || user::open_primary(&self.instance);
        let users = self.users.get_or_try_init(open).await?;
        let mut connection = users.connect().await?;
        let select = sqlx::query("SELECT name, region FROM users WHERE id = ?");
        let select = select.bind(customer.to_owned());
        connection.fetch_optional("SELECT users", select).await?;
        let mut transaction = connection.begin().await?;
        let update = sqlx::query("UPDATE users SET version = version WHERE id = ?");
        transaction.execute("UPDATE users", update.bind(customer.to_owned())).await?;
        transaction.commit().await
    }

    /// What the order costs, asked in three places side by side.
    async fn total(&self, request: &PlaceOrder) -> Result<i64, Fault> {
        let (price, tax, rate) = if self.instance.knobs.read().serial_fanout {
            (self.price(request).await, self.tax(request).await, self.rate(request).await)
        } else {
            tokio::join!(self.price(request), self.tax(request), self.rate(request))
        };
        let (price, tax, rate) = (price?, tax?, rate?);
        Ok(price + price * tax / 1_000 + rate)
    }

    async fn price(&self, request: &PlaceOrder) -> Result<i64, Fault> {
        let items = &request.items;
        if !self.instance.has(Role::Pricing) {
            return Ok(items.iter().map(|item| i64::from(item.quantity) * FLAT_CENTS).sum());
        }
        let line = |item: &crate::wire::bodies::Item| Line {
            sku: item.sku.clone(),
            quantity: item.quantity,
        };
        let lines: Vec<Line> = items.iter().map(line).collect();
        let baskets = match self.instance.knobs.read().call_per_item {
            true => lines.into_iter().map(|line| vec![line]).collect(),
            false => vec![lines],
        };
        let mut total_cents = 0;
        for lines in baskets {
            let (customer_id, region) = (request.customer_id.clone(), request.region.clone());
            let message = QuoteRequest { customer_id, region, lines };
            let call = self.instance.caller.rpc(Role::Pricing, pricing::QUOTE, message);
            let reply: QuoteReply = call.await?;
            total_cents += reply.total_cents;
        }
        Ok(total_cents)
    }

    async fn tax(&self, request: &PlaceOrder) -> Result<i64, Fault> {
        if !self.instance.has(Role::LegacyTax) {
            return Ok(0);
        }
        let path = format!("/tax/{}", request.customer_id);
        let ask = Ask::get(Role::LegacyTax, "/tax/{customer}", path);
        let tax: Tax = self.instance.caller.ask(ask).await?.json()?;
        Ok(tax.rate_per_mille)
    }

    async fn rate(&self, request: &PlaceOrder) -> Result<i64, Fault> {
        if !self.instance.has(Role::Shipping) {
            return Ok(0);
        }
        let path = format!("/rates/{}", request.region);
        let ask = Ask::get(Role::Shipping, "/rates/{region}", path);
        let rate: ShippingRate = self.instance.caller.ask(ask).await?.json()?;
        Ok(rate.amount_cents)
    }

    /// Saves an order and its event. Through the outbox both hold or neither; without it the event
    /// is published afterwards, if there is an afterwards.
    async fn save(&self, order: &Order) -> Result<(), Fault> {
        let (order_id, customer_id) = (order.order_id.clone(), order.customer_id.clone());
        let created = OrderCreated {
            order_id,
            customer_id,
            items: order.items.clone(),
            timestamp: now_ms(),
            total_cents: order.total_cents,
        };
        let event = Event::new("orders", "OrderCreated", &order.order_id, &created);
        let settings = self.instance.knobs.read();
        let posted = (!settings.no_outbox).then(|| event.clone());
        self.change(&order.customer_id, async |change| {
            change.insert(order).await?;
            change.append(&order.order_id, &["OrderCreated"]).await?;
            match posted {
                Some(event) => change.post(event, self.headers()).await,
                None => Ok(()),
            }
        })
        .await?;
        audit!(order.customer_id.as_str(), "place order", "done");
        if settings.no_outbox {
            if settings.crash_before_publish {
                self.instance.death.strike();
                // Nobody hears the answer of one who is dead.
                std::future::pending::<()>().await;
            }
            bus::publish(&self.instance, event).await?;
        }
        Ok(())
    }

    async fn charge_and_ship(&self, order: &Order, region: &str) -> Result<(), Fault> {
        let charge = ChargeRequest {
            order_id: order.order_id.clone(),
            customer_id: order.customer_id.clone(),
            amount_cents: order.total_cents,
        };
        let caller = &self.instance.caller;
        let _: Receipt = caller.rpc(Role::Payment, payment::CHARGE, charge).await?;
        if self.instance.has(Role::Shipping) {
            let ship = ShipOrder {
                order_id: order.order_id.clone(),
                region: region.to_owned(),
                items: order.items.clone(),
            };
            let ask = Ask::post(Role::Shipping, "/shipments", "/shipments", &ship).idempotent();
            caller.ask(ask).await?;
        }
        Ok(())
    }

    /// The good end. It may be too late: the stock may have said no meanwhile.
    async fn confirm(&self, mut order: Order) -> Result<Order, Fault> {
        let (id, customer) = (order.order_id.as_str(), order.customer_id.as_str());
        let confirmed = self.closing(id, customer, "OrderConfirmed", "paid");
        let notify = self.letter(id, customer, "order-confirmed");
        let is_confirmed = self
            .change(customer, async |change| {
                if !change.advance(id, "created", "confirmed").await? {
                    return Ok(false);
                }
                change.append(id, &["OrderCharged", "OrderShipped", "OrderConfirmed"]).await?;
                change.post(confirmed, self.headers()).await?;
                change.post(notify, self.headers()).await?;
                Ok(true)
            })
            .await?;
        if !is_confirmed {
            self.refund(id).await?;
            return Err(Fault::conflict("order_cancelled", "the items are out of stock"));
        }
        say!(info, userId = customer, orderId = id, "order confirmed");
        order.status = "confirmed".to_owned();
        self.remember(&order).await;
        Ok(order)
    }

    /// The way back: nothing stays charged, kept or promised.
    async fn cancel(&self, id: &str, customer: &str, reason: &'static str) -> Result<(), Fault> {
        let cancelled = self.closing(id, customer, "OrderCancelled", reason);
        let notify = self.letter(id, customer, "order-cancelled");
        let was_open = self
            .change(customer, async |change| {
                let was_open = change.advance(id, "created", "cancelled").await?
                    || change.advance(id, "confirmed", "cancelled").await?;
                if was_open {
                    change.append(id, &["OrderCancelled"]).await?;
                    change.post(cancelled, self.headers()).await?;
                    change.post(notify, self.headers()).await?;
                }
                Ok(was_open)
            })
            .await?;
        if was_open {
            say!(warn, userId = customer, orderId = id, reason, "order cancelled");
            audit!(customer, "cancel order", "done");
            // It may never have been charged; asking costs nothing. Who cannot be asked now is
            // asked by hand: the event says so.
            if let Err(fault) = self.refund(id).await {
                say!(error, userId = customer, orderId = id, "refund failed: {}", fault.message);
            }
        }
        Ok(())
    }

    async fn refund(&self, id: &str) -> Result<(), Fault> {
        let message = RefundRequest { order_id: id.to_owned() };
        let caller = &self.instance.caller;
        let _: Receipt = caller.rpc(Role::Payment, payment::REFUND, message).await?;
        Ok(())
    }

    /// The stock's answer is an event of the order; a no cancels it.
    pub(super) async fn hear_stock(&self, name: &str, answer: &StockAnswer) -> Result<(), Fault> {
        let (id, customer) = (answer.order_id.as_str(), answer.customer_id.as_str());
        self.change(customer, async |change| change.append(id, &[name]).await).await?;
        if name == "StockRejected" {
            self.cancel(id, customer, "out_of_stock").await?;
        }
        Ok(())
    }

    /// Changes an order in its shard, all or nothing, and tells the relay.
    async fn change<T>(
        &self,
        customer: &str,
        act: impl AsyncFnOnce(&mut Change<'_>) -> Result<T, DbError>,
    ) -> Result<T, DbError> {
        let shard = Shard::of(customer);
        let mut connection = self.store.connect(shard).await?;
        let transaction = connection.begin().await?;
        let mut change = Change { transaction, shard, writer: &self.instance.id };
        let result = act(&mut change).await?;
        change.transaction.commit().await?;
        self.posted.notify_one();
        Ok(result)
    }

    /// The current context as it goes into the outbox.
    fn headers(&self) -> String {
        let mut headers: HashMap<String, String> = HashMap::new();
        self.instance.telemetry.inject(&Context::current(), &mut headers);
        serde_json::to_string(&headers).unwrap_or_default()
    }

    fn closing(&self, id: &str, customer: &str, name: &str, reason: &str) -> Event {
        let closed = OrderClosed {
            order_id: id.to_owned(),
            customer_id: customer.to_owned(),
            reason: reason.to_owned(),
            timestamp: now_ms(),
        };
        Event::new("orders", name, id, &closed)
    }

    fn letter(&self, id: &str, customer: &str, template: &str) -> Event {
        let notify = NotifyCustomer {
            order_id: id.to_owned(),
            customer_id: customer.to_owned(),
            template: template.to_owned(),
            timestamp: now_ms(),
        };
        Event::new("notifications", "NotifyCustomer", id, &notify)
    }
}
