//! What baskets cost: prices from the cache or the price table, and a discount that takes some
//! computing.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use sqlx::{AssertSqlSafe, Row};

use super::{Instance, cache};
use crate::db::{Database, DbError, Files};
use crate::topology::ITEMS;
use crate::wire::proto::pricing::{self as proto, PricedLine, QuoteReply, QuoteRequest};
use crate::wire::{Fault, grpc};

const CONNECTIONS_MAX: u32 = 10;
/// Lines of a basket.
const LINES_MAX: usize = 50;
/// Price lists there are; customers have one each. Together with items and regions they make the
/// table so large that reading all of it is felt.
const LISTS: u32 = 300;
const REGIONS: [&str; 3] = ["eu", "us", "ap"];
const PRICE_TTL: Duration = Duration::from_secs(5);
/// How often it is looked whether the index should be there.
const INDEX_EVERY: Duration = Duration::from_millis(500);
/// Rounds of the discount's arithmetic: about a tenth of a millisecond in a release build.
const DISCOUNT_ROUNDS: u32 = 50_000;

const CREATE_INDEX: &str =
    "CREATE INDEX IF NOT EXISTS prices_by_item ON prices (sku, region, list)";
const DROP_INDEX: &str = "DROP INDEX IF EXISTS prices_by_item";

#[derive(Clone)]
struct Prices {
    instance: Arc<Instance>,
    database: Database,
}

pub(super) async fn router(instance: &Arc<Instance>) -> anyhow::Result<Router> {
    let files = Files::one(&instance.folder, "prices", CONNECTIONS_MAX);
    let database = Database::open(files, &instance.telemetry, &instance.knobs, &schema()).await?;
    let prices = Prices { instance: instance.clone(), database };
    tokio::spawn(prices.clone().keep_index());
    Ok(grpc::method(Router::new(), &instance.served(), proto::QUOTE, &prices, quote))
}

/// The table and its rows, made by whoever comes first.
fn schema() -> String {
    format!(
        "BEGIN IMMEDIATE;
         CREATE TABLE IF NOT EXISTS prices (sku TEXT NOT NULL, region TEXT NOT NULL,
             list INTEGER NOT NULL, cents INTEGER NOT NULL);
         INSERT INTO prices
         WITH RECURSIVE
             item(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM item WHERE i < {ITEMS}),
             list(l) AS (SELECT 1 UNION ALL SELECT l + 1 FROM list WHERE l < {LISTS}),
             region(r) AS (VALUES ('eu'), ('us'), ('ap'))
         SELECT 'sku-' || i, r, l, 500 + (i * 37 + l * 11) % 9000 FROM list, item, region
         WHERE NOT EXISTS (SELECT 1 FROM prices);
         {CREATE_INDEX};
         COMMIT;"
    )
}

impl Prices {
    /// Drops the index while the knob says so, and makes it anew afterwards.
    async fn keep_index(self) {
        let mut is_dropped = false;
        loop {
            tokio::time::sleep(INDEX_EVERY).await;
            let should_be = self.instance.knobs.read().db_index_dropped;
            if should_be != is_dropped && self.set_index(should_be).await.is_ok() {
                is_dropped = should_be;
            }
        }
    }

    async fn set_index(&self, is_dropped: bool) -> Result<(), DbError> {
        let statement = if is_dropped { DROP_INDEX } else { CREATE_INDEX };
        let mut connection = self.database.connect().await?;
        connection.execute("INDEX prices", sqlx::query(statement)).await?;
        Ok(())
    }

    /// Prices of several items with one query.
    async fn of_all(
        &self,
        skus: &[String],
        (region, list): (&str, i64),
    ) -> Result<HashMap<String, i64>, DbError> {
        let marks = vec!["?"; skus.len()].join(", ");
        let text = format!(
            "SELECT sku, cents FROM prices WHERE region = ? AND list = ? AND sku IN ({marks})"
        );
        let mut query = sqlx::query(AssertSqlSafe(text)).bind(region.to_owned()).bind(list);
        for sku in skus {
            query = query.bind(sku.clone());
        }
        let rows = self.database.connect().await?.fetch_all("SELECT prices", query).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The same with a query for each.
    async fn of_each(
        &self,
        skus: &[String],
        place: (&str, i64),
    ) -> Result<HashMap<String, i64>, DbError> {
        let mut prices = HashMap::new();
        for sku in skus {
            prices.extend(self.of_all(std::slice::from_ref(sku), place).await?);
        }
        Ok(prices)
    }

    /// Prices from the cache, and from the table where it has none.
    async fn find(
        &self,
        skus: &[String],
        place: (&str, i64),
    ) -> Result<HashMap<String, i64>, DbError> {
        if self.instance.knobs.read().n_plus_one {
            return self.of_each(skus, place).await;
        }
        let (region, list) = place;
        let key = |sku: &str| format!("price:{sku}:{region}:{list}");
        let mut prices = HashMap::new();
        for sku in skus {
            let cached = cache::get(&self.instance, &key(sku)).await;
            if let Some(cents) = cached.and_then(|text| text.parse().ok()) {
                prices.insert(sku.clone(), cents);
            }
        }
        let missing: Vec<String> =
            skus.iter().filter(|sku| !prices.contains_key(*sku)).cloned().collect();
        if missing.is_empty() {
            return Ok(prices);
        }
        for (sku, cents) in self.of_all(&missing, place).await? {
            cache::set(&self.instance, &key(&sku), PRICE_TTL, &cents.to_string()).await;
            prices.insert(sku, cents);
        }
        Ok(prices)
    }
}

/// The price list of a customer. Most share one, so that the cache is of use.
fn list_of(customer: &str) -> i64 {
    let number: u32 = customer.trim_start_matches('u').parse().unwrap_or(0);
    if number.is_multiple_of(4) { i64::from(number % LISTS) + 1 } else { 1 }
}

/// Per mille off, from a sum over the basket that takes a while.
fn discount_per_mille(request: &QuoteRequest) -> i64 {
    let mut sum = request.lines.iter().fold(17_u64, |sum, line| {
        line.sku.bytes().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
    });
    for _ in 0..DISCOUNT_ROUNDS {
        sum ^= sum << 13;
        sum ^= sum >> 7;
        sum ^= sum << 17;
    }
    (sum % 50) as i64
}

async fn quote(prices: Prices, request: QuoteRequest) -> Result<QuoteReply, Fault> {
    if request.lines.is_empty() || request.lines.len() > LINES_MAX {
        return Err(Fault::bad_request("a basket has 1 to 50 lines"));
    }
    let region = request.region.as_str();
    let region = if REGIONS.contains(&region) { region } else { REGIONS[0] };
    let skus: Vec<String> = request.lines.iter().map(|line| line.sku.clone()).collect();
    let found = prices.find(&skus, (region, list_of(&request.customer_id))).await?;
    let mut reply = QuoteReply::default();
    for line in &request.lines {
        let unit_cents = *found
            .get(&line.sku)
            .ok_or_else(|| Fault::not_found(format!("{} has no price", line.sku)))?;
        reply.total_cents += unit_cents * i64::from(line.quantity);
        reply.lines.push(PricedLine { sku: line.sku.clone(), unit_cents });
    }
    reply.total_cents -= reply.total_cents * discount_per_mille(&request) / 1_000;
    Ok(reply)
}
