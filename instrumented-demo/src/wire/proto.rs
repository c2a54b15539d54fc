//! The messages of `proto/*.proto`, written down by hand: a test compares both field by field.

use std::collections::HashMap;

use prost::Message as Prost;

/// A method of a service.
pub type Method = &'static str;

/// `shop.payment.v1`.
pub mod payment {
    use super::{Method, Prost};

    /// Charges an order.
    pub const CHARGE: Method = "shop.payment.v1.Payments/Charge";
    /// Gives the money back.
    pub const REFUND: Method = "shop.payment.v1.Payments/Refund";
    /// What is known of a payment.
    pub const FIND: Method = "shop.payment.v1.Payments/Find";

    /// Asks for a charge.
    #[derive(Clone, PartialEq, Prost)]
    pub struct ChargeRequest {
        /// The order.
        #[prost(string, tag = "1")]
        pub order_id: String,
        /// Who pays.
        #[prost(string, tag = "2")]
        pub customer_id: String,
        /// How much.
        #[prost(int64, tag = "3")]
        pub amount_cents: i64,
    }

    /// Asks for the money back.
    #[derive(Clone, PartialEq, Prost)]
    pub struct RefundRequest {
        /// The order.
        #[prost(string, tag = "1")]
        pub order_id: String,
    }

    /// Asks for what is known.
    #[derive(Clone, PartialEq, Prost)]
    pub struct FindRequest {
        /// The order.
        #[prost(string, tag = "1")]
        pub order_id: String,
    }

    /// What became of a payment.
    #[derive(Clone, PartialEq, Prost)]
    pub struct Receipt {
        /// The order.
        #[prost(string, tag = "1")]
        pub order_id: String,
        /// `charged`, `refunded`, `declined` or `none`.
        #[prost(string, tag = "2")]
        pub status: String,
        /// How much.
        #[prost(int64, tag = "3")]
        pub amount_cents: i64,
        /// What the provider calls it.
        #[prost(string, tag = "4")]
        pub reference: String,
    }
}

/// `shop.pricing.v1`.
pub mod pricing {
    use super::{Method, Prost};

    /// Prices a basket.
    pub const QUOTE: Method = "shop.pricing.v1.Pricing/Quote";

    /// An item and how many of it.
    #[derive(Clone, PartialEq, Prost)]
    pub struct Line {
        /// The item.
        #[prost(string, tag = "1")]
        pub sku: String,
        /// How many.
        #[prost(uint32, tag = "2")]
        pub quantity: u32,
    }

    /// Asks for prices.
    #[derive(Clone, PartialEq, Prost)]
    pub struct QuoteRequest {
        /// Who buys.
        #[prost(string, tag = "1")]
        pub customer_id: String,
        /// Where.
        #[prost(string, tag = "2")]
        pub region: String,
        /// What.
        #[prost(message, repeated, tag = "3")]
        pub lines: Vec<Line>,
    }

    /// What one of an item costs.
    #[derive(Clone, PartialEq, Prost)]
    pub struct PricedLine {
        /// The item.
        #[prost(string, tag = "1")]
        pub sku: String,
        /// What one costs.
        #[prost(int64, tag = "2")]
        pub unit_cents: i64,
    }

    /// Prices.
    #[derive(Clone, PartialEq, Prost)]
    pub struct QuoteReply {
        /// In the order of the request.
        #[prost(message, repeated, tag = "1")]
        pub lines: Vec<PricedLine>,
        /// All together.
        #[prost(int64, tag = "2")]
        pub total_cents: i64,
    }
}

/// `shop.bus.v1`.
pub mod bus {
    use super::{HashMap, Method, Prost};

    /// Appends messages.
    pub const PUBLISH: Method = "shop.bus.v1.Bus/Publish";
    /// Takes messages.
    pub const FETCH: Method = "shop.bus.v1.Bus/Fetch";
    /// Gives back what became of them.
    pub const SETTLE: Method = "shop.bus.v1.Bus/Settle";

    /// A message.
    #[derive(Clone, PartialEq, Prost)]
    pub struct Message {
        /// Its id, of one message over all deliveries.
        #[prost(string, tag = "1")]
        pub id: String,
        /// Messages of one key keep their order.
        #[prost(string, tag = "2")]
        pub key: String,
        /// What it says happened.
        #[prost(string, tag = "3")]
        pub name: String,
        /// Trace context and baggage.
        #[prost(map = "string, string", tag = "4")]
        pub headers: HashMap<String, String>,
        /// JSON.
        #[prost(string, tag = "5")]
        pub payload: String,
    }

    /// Asks to store messages.
    #[derive(Clone, PartialEq, Prost)]
    pub struct PublishRequest {
        /// Where.
        #[prost(string, tag = "1")]
        pub topic: String,
        /// What.
        #[prost(message, repeated, tag = "2")]
        pub messages: Vec<Message>,
    }

    /// They are stored.
    #[derive(Clone, Copy, PartialEq, Prost)]
    pub struct PublishReply {
        /// How many.
        #[prost(uint32, tag = "1")]
        pub stored: u32,
    }

    /// Asks for messages.
    #[derive(Clone, PartialEq, Prost)]
    pub struct FetchRequest {
        /// From where.
        #[prost(string, tag = "1")]
        pub topic: String,
        /// For which group.
        #[prost(string, tag = "2")]
        pub group: String,
        /// Who of the group.
        #[prost(string, tag = "3")]
        pub member: String,
        /// How many at most.
        #[prost(uint32, tag = "4")]
        pub messages_max: u32,
        /// How long to wait for the first.
        #[prost(uint32, tag = "5")]
        pub wait_ms: u32,
    }

    /// A message on its way to a group.
    #[derive(Clone, PartialEq, Prost)]
    pub struct Delivery {
        /// The message.
        #[prost(message, optional, tag = "1")]
        pub message: Option<Message>,
        /// Its partition.
        #[prost(uint32, tag = "2")]
        pub partition: u32,
        /// Its place there.
        #[prost(int64, tag = "3")]
        pub offset: i64,
        /// Deliveries before.
        #[prost(uint32, tag = "4")]
        pub redeliveries: u32,
        /// When it was stored.
        #[prost(int64, tag = "5")]
        pub published_ns: i64,
    }

    /// Messages, or none.
    #[derive(Clone, PartialEq, Prost)]
    pub struct FetchReply {
        /// In their order.
        #[prost(message, repeated, tag = "1")]
        pub deliveries: Vec<Delivery>,
        /// Messages that the group has not settled.
        #[prost(uint64, tag = "2")]
        pub lag: u64,
        /// When the first of them was there to be fetched.
        #[prost(int64, tag = "3")]
        pub ready_ns: i64,
    }

    /// What became of a message.
    #[derive(Clone, Copy, PartialEq, Prost)]
    pub struct Settled {
        /// Its partition.
        #[prost(uint32, tag = "1")]
        pub partition: u32,
        /// Its place there.
        #[prost(int64, tag = "2")]
        pub offset: i64,
        /// Not handled: deliver it again.
        #[prost(bool, tag = "3")]
        pub again: bool,
    }

    /// Says what became of messages.
    #[derive(Clone, PartialEq, Prost)]
    pub struct SettleRequest {
        /// From where.
        #[prost(string, tag = "1")]
        pub topic: String,
        /// For which group.
        #[prost(string, tag = "2")]
        pub group: String,
        /// Who of the group.
        #[prost(string, tag = "3")]
        pub member: String,
        /// Which messages.
        #[prost(message, repeated, tag = "4")]
        pub settled: Vec<Settled>,
    }

    /// Noted.
    #[derive(Clone, Copy, PartialEq, Prost)]
    pub struct SettleReply {}
}
