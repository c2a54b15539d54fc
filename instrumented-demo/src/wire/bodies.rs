//! Bodies of the HTTP routes and events of the bus, as `schemas/*.json` describes them.

use serde::{Deserialize, Serialize};

/// An item of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Which.
    pub sku: String,
    /// How many.
    pub quantity: u32,
}

/// Asks for an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlaceOrder {
    /// Made up by the caller, so that asking twice makes one order; made up here if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// Who orders.
    pub customer_id: String,
    /// Where.
    #[serde(default = "default_region")]
    pub region: String,
    /// What.
    pub items: Vec<Item>,
}

fn default_region() -> String {
    "eu".to_owned()
}

/// An order as it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Its id.
    pub order_id: String,
    /// Whose it is.
    pub customer_id: String,
    /// `created`, `confirmed` or `cancelled`.
    pub status: String,
    /// What it costs.
    pub total_cents: i64,
    /// What was ordered.
    pub items: Vec<Item>,
}

/// An item of the stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stock {
    /// Which.
    pub sku: String,
    /// Its name.
    pub title: String,
    /// How many can be had.
    pub available: i64,
}

/// Items that are kept for an order that is about to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hold {
    /// For which order.
    pub order_id: String,
    /// What.
    pub items: Vec<Item>,
}

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Its id.
    pub user_id: String,
    /// Its name.
    pub name: String,
    /// Where it lives.
    pub region: String,
    /// Items in its cart.
    pub cart_items: i64,
}

/// Asks for a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Login {
    /// Who.
    pub user_id: String,
}

/// Asks for a token for a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenRequest {
    /// Who.
    pub client_id: String,
    /// What only the client knows.
    pub client_secret: String,
    /// What for.
    pub scope: String,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// To be sent as `authorization: Bearer …`.
    pub access_token: String,
    /// How long it holds.
    pub expires_in: u64,
}

/// What a token stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Who.
    pub user_id: String,
    /// What is allowed.
    pub scopes: Vec<String>,
}

/// Tax of a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tax {
    /// Per mille.
    pub rate_per_mille: i64,
}

/// What sending costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShippingRate {
    /// How much.
    pub amount_cents: i64,
}

/// Asks for a shipment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ShipOrder {
    /// Of which order.
    pub order_id: String,
    /// Where to.
    pub region: String,
    /// What.
    pub items: Vec<Item>,
}

/// A shipment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shipment {
    /// Its id.
    pub shipment_id: String,
    /// Of which order.
    pub order_id: String,
}

/// A payment as it is answered to a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// Of which order.
    pub order_id: String,
    /// `charged`, `refunded`, `declined` or `none`.
    pub status: String,
    /// How much.
    pub amount_cents: i64,
}

/// Where an instance can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// Which.
    pub id: String,
    /// `ip:port`.
    pub address: String,
}

/// What went wrong, as every service answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Of few values.
    pub error: String,
    /// For people.
    pub message: String,
}

/// An order was made. The event of the article, with its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCreated {
    /// Its id.
    pub order_id: String,
    /// Whose it is.
    pub customer_id: String,
    /// What was ordered.
    pub items: Vec<Item>,
    /// When, in milliseconds since 1970.
    pub timestamp: i64,
    /// What it costs.
    pub total_cents: i64,
}

/// An order came to its end: `OrderConfirmed`, `OrderCancelled`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderClosed {
    /// Its id.
    pub order_id: String,
    /// Whose it is.
    pub customer_id: String,
    /// Why, of few values.
    pub reason: String,
    /// When, in milliseconds since 1970.
    pub timestamp: i64,
}

/// What the stock says to an order: `StockReserved`, `StockRejected`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StockAnswer {
    /// To which order.
    pub order_id: String,
    /// Whose it is.
    pub customer_id: String,
    /// When, in milliseconds since 1970.
    pub timestamp: i64,
}

/// Asks to write to a customer: `NotifyCustomer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotifyCustomer {
    /// About which order.
    pub order_id: String,
    /// To whom.
    pub customer_id: String,
    /// Which letter.
    pub template: String,
    /// When, in milliseconds since 1970.
    pub timestamp: i64,
}
