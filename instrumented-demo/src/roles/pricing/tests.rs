//! Prices are the same however they are asked for.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::faults::Knob;
use crate::roles::tests::alone;
use crate::topology::Role;
use crate::wire::proto::pricing::Line;

async fn prices(folder: &std::path::Path) -> Prices {
    let instance = alone(Role::Pricing, folder);
    let files = Files::one(folder, "prices", 2);
    let opened = Database::open(files, &instance.telemetry, &instance.knobs, &schema()).await;
    Prices { instance, database: opened.unwrap() }
}

fn request(skus: &[&str]) -> QuoteRequest {
    let line = |sku: &&str| Line { sku: (*sku).to_owned(), quantity: 2 };
    let lines = skus.iter().map(line).collect();
    QuoteRequest { customer_id: "u4".to_owned(), region: "us".to_owned(), lines }
}

#[tokio::test]
async fn integration_a_quote_does_not_depend_on_how_it_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let prices = prices(folder.path()).await;
    let asked = || request(&["sku-1", "sku-7", "sku-200"]);
    let plain = quote(prices.clone(), asked()).await.unwrap();
    let sum: i64 = plain.lines.iter().map(|line| 2 * line.unit_cents).sum();
    assert!((sum * 95 / 100..=sum).contains(&plain.total_cents), "{plain:?}");
    prices.instance.knobs.replace([Knob::NPlusOne].into_iter().collect());
    assert_eq!(quote(prices.clone(), asked()).await.unwrap(), plain);
    prices.set_index(true).await.unwrap();
    assert_eq!(quote(prices.clone(), asked()).await.unwrap(), plain);
    prices.set_index(false).await.unwrap();
    assert_eq!(quote(prices, asked()).await.unwrap(), plain);
}

#[tokio::test]
async fn integration_what_has_no_price_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let prices = prices(folder.path()).await;
    for (skus, expected) in [(vec![], 400), (vec!["sku-0"], 404), (vec!["sku-1"; 51], 400)] {
        let fault = quote(prices.clone(), request(&skus)).await.unwrap_err();
        assert_eq!(fault.status.as_u16(), expected);
    }
}
