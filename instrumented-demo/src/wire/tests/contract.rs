//! The files that describe messages against the code that reads and writes them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::wire::bodies::*;

/// Fields of a message: number, name and type.
type Fields = Vec<(u32, String, String)>;

/// Messages of a `.proto` file.
fn messages_of_proto(text: &str) -> BTreeMap<String, Fields> {
    let mut messages = BTreeMap::new();
    let mut open: Option<(String, Fields)> = None;
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        if let Some(name) = line.strip_prefix("message ") {
            let name = name.trim_end_matches(['{', '}', ' ']).to_owned();
            if line.ends_with("{}") {
                messages.insert(name, Vec::new());
            } else {
                open = Some((name, Vec::new()));
            }
        } else if line == "}" {
            messages.extend(open.take());
        } else if let Some((_, fields)) = &mut open
            && let Some((kind, number)) = line.trim_end_matches(';').split_once(" = ")
        {
            let (kind, name) = kind.rsplit_once(' ').unwrap();
            fields.push((number.parse().unwrap(), name.to_owned(), kind.to_owned()));
        }
    }
    messages
}

/// Messages of a module of the code, in the words of a `.proto` file.
fn messages_of_code(text: &str, module: &str) -> BTreeMap<String, Fields> {
    let start = text.find(&format!("pub mod {module} {{")).unwrap();
    let body = &text[start..];
    let body = &body[..body.find("\n}").unwrap()];
    let mut messages = BTreeMap::new();
    let mut open = None;
    let mut annotation = String::new();
    for line in body.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("pub struct ") {
            let name = name.split([' ', '{']).next().unwrap().to_owned();
            messages.insert(name.clone(), Vec::new());
            open = (!line.ends_with("{}")).then_some(name);
        } else if let Some(inside) = line.strip_prefix("#[prost(") {
            annotation = inside.trim_end_matches(")]").to_owned();
        } else if let (Some(name), Some(field)) = (&open, line.strip_prefix("pub ")) {
            let Some((field, kind)) = field.trim_end_matches(',').split_once(": ") else {
                continue;
            };
            let (kinds, tag) = annotation.split_once("tag = ").unwrap();
            let number = tag.trim_matches('"').parse().unwrap();
            let fields: &mut Fields = messages.get_mut(name).unwrap();
            fields.push((number, field.to_owned(), kind_of(kinds, kind)));
        }
    }
    messages
}

fn kind_of(annotation: &str, kind: &str) -> String {
    let inner = kind.trim_start_matches("Vec<").trim_start_matches("Option<").trim_end_matches('>');
    let words: Vec<&str> = annotation.split(", ").map(str::trim).collect();
    match words.as_slice() {
        ["message", "repeated", ..] => format!("repeated {inner}"),
        ["message", "optional", ..] => inner.to_owned(),
        _ if annotation.starts_with("map") => "map<string, string>".to_owned(),
        [kind, ..] => (*kind).to_owned(),
        [] => String::new(),
    }
}

/// Methods of the services of a `.proto` file, as callers write them.
fn methods_of_proto(text: &str) -> Vec<String> {
    let after = |prefix: &str, line: &str| line.trim().strip_prefix(prefix).map(str::to_owned);
    let package = text.lines().find_map(|line| after("package ", line)).unwrap();
    let service = text.lines().find_map(|line| after("service ", line)).unwrap();
    let (package, service) = (package.trim_end_matches(';'), service.trim_end_matches(" {"));
    let methods = text.lines().filter_map(|line| after("rpc ", line));
    let name = |method: String| method.split('(').next().unwrap().to_owned();
    methods.map(|method| format!("{package}.{service}/{}", name(method))).collect()
}

#[test]
fn contract_messages_are_those_of_the_proto_files() {
    let code = include_str!("../proto.rs");
    let files = [
        ("payment", include_str!("../../../proto/payment.proto")),
        ("pricing", include_str!("../../../proto/pricing.proto")),
        ("bus", include_str!("../../../proto/bus.proto")),
    ];
    for (module, file) in files {
        let expected = messages_of_proto(file);
        assert!(expected.len() > 3, "{module}: {expected:?}");
        assert_eq!(messages_of_code(code, module), expected, "{module}");
        for method in methods_of_proto(file) {
            assert!(code.contains(&format!("\"{method}\"")), "{method} is not in the code");
        }
    }
}

/// Says what is wrong with a value, by the part of JSON Schema that our files use.
fn complaints(schema: &Value, value: &Value, all: &Value, at: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.trim_start_matches("#/$defs/");
        return complaints(&all["$defs"][name], value, all, at);
    }
    let is_right = match schema["type"].as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is not understood"),
    };
    let mut found = Vec::new();
    if !is_right {
        found.push(format!("{at} is {value}, no {}", schema["type"]));
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        found.push(format!("{at} is {value}, none of {allowed:?}"));
    }
    for element in value.as_array().into_iter().flatten() {
        found.extend(complaints(&schema["items"], element, all, at));
    }
    for (key, element) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(key) {
            Some(schema) => found.extend(complaints(schema, element, all, key)),
            None => found.push(format!("{at} has {key}, which the file does not know")),
        }
    }
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(key).is_none() {
            found.push(format!("{at} lacks {key}"));
        }
    }
    found
}

/// A value of a type with all its fields, against the description of that type: it fits, has every
/// property there is, can be read back, and cannot be read without what is required.
fn check<T: Serialize + DeserializeOwned>(file: &str, name: &str, full: T) {
    let all: Value = serde_json::from_str(file).unwrap();
    let schema = &all["$defs"][name];
    let value = serde_json::to_value(&full).unwrap();
    assert_eq!(complaints(schema, &value, &all, name), Vec::<String>::new());
    let properties = schema["properties"].as_object().unwrap();
    for property in properties.keys() {
        assert!(value.get(property).is_some(), "{name} never has {property}");
    }
    assert!(serde_json::from_value::<T>(value.clone()).is_ok(), "{name} cannot be read back");
    let required = schema["required"].as_array().unwrap();
    for property in properties.keys() {
        let mut without = value.clone();
        without.as_object_mut().unwrap().remove(property);
        let is_read = serde_json::from_value::<T>(without).is_ok();
        assert_eq!(is_read, !required.contains(&json!(property)), "{name} without {property}");
    }
    let mut with_more = value;
    with_more["somethingElse"] = json!(1);
    let is_open = schema["additionalProperties"] != json!(false);
    let is_read = serde_json::from_value::<T>(with_more).is_ok();
    assert_eq!(is_read, is_open, "{name} with more");
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn items() -> Vec<Item> {
    vec![Item { sku: text("sku-1"), quantity: 2 }]
}

#[test]
fn contract_bodies_are_those_of_the_schema() {
    let file = include_str!("../../../schemas/http.json");
    let (order_id, region) = (text("o-1"), text("eu"));
    check(file, "Item", items().remove(0));
    check(
        file,
        "PlaceOrder",
        PlaceOrder {
            order_id: Some(order_id.clone()),
            customer_id: text("u1"),
            region: region.clone(),
            items: items(),
        },
    );
    check(
        file,
        "Order",
        Order {
            order_id: order_id.clone(),
            customer_id: text("u1"),
            status: text("created"),
            total_cents: 1,
            items: items(),
        },
    );
    check(file, "Stock", Stock { sku: text("sku-1"), title: text("Item 1"), available: 3 });
    check(file, "Hold", Hold { order_id: order_id.clone(), items: items() });
    let user = User { user_id: text("u1"), name: text("n"), region: region.clone(), cart_items: 0 };
    check(file, "User", user);
    check(file, "Login", Login { user_id: text("u1") });
    let request =
        TokenRequest { client_id: text("a"), client_secret: text("b"), scope: text("orders") };
    check(file, "TokenRequest", request);
    check(file, "Token", Token { access_token: text("t"), expires_in: 20 });
    check(file, "Session", Session { user_id: text("u1"), scopes: vec![text("orders:read")] });
    check(file, "Tax", Tax { rate_per_mille: 190 });
    check(file, "ShippingRate", ShippingRate { amount_cents: 490 });
    check(file, "ShipOrder", ShipOrder { order_id: order_id.clone(), region, items: items() });
    check(file, "Shipment", Shipment { shipment_id: text("sh-1"), order_id: order_id.clone() });
    check(file, "Payment", Payment { order_id, status: text("charged"), amount_cents: 1 });
    check(file, "Instance", Instance { id: text("a-1"), address: text("127.0.0.1:1") });
    check(file, "Problem", Problem { error: text("timeout"), message: text("no answer") });
}

#[test]
fn contract_events_are_those_of_the_schema() {
    let file = include_str!("../../../schemas/events.json");
    let (order_id, customer_id, timestamp) = (text("o-1"), text("u1"), 1_700_000_000_000);
    check(
        file,
        "OrderCreated",
        OrderCreated {
            order_id: order_id.clone(),
            customer_id: customer_id.clone(),
            items: items(),
            timestamp,
            total_cents: 1,
        },
    );
    check(
        file,
        "OrderClosed",
        OrderClosed {
            order_id: order_id.clone(),
            customer_id: customer_id.clone(),
            reason: text("paid"),
            timestamp,
        },
    );
    let answer =
        StockAnswer { order_id: order_id.clone(), customer_id: customer_id.clone(), timestamp };
    check(file, "StockAnswer", answer);
    let template = text("order-confirmed");
    check(file, "NotifyCustomer", NotifyCustomer { order_id, customer_id, template, timestamp });
}
