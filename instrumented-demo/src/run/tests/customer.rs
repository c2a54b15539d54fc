//! A customer who asks for everything once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use instrumented_demo::topology::PARTNER_KEY;

/// A customer of a gateway.
pub(crate) struct Customer {
    client: Client<HttpConnector, Full<Bytes>>,
    gateway: SocketAddr,
    user: String,
}

/// Status, headers and body of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
}

impl Customer {
    pub(crate) fn new(gateway: SocketAddr, user: &str) -> Customer {
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Customer { client, gateway, user: user.to_owned() }
    }

    /// Asks as this customer.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let user = self.user.clone();
        let headers = [("x-user-id", user.as_str()), ("baggage", "session.id=s1")];
        self.send(method, path, body, &headers).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let uri = format!("http://{}{path}", self.gateway);
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let response = self.client.request(request.body(Full::from(body)).unwrap()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status, headers, body }
    }

    /// Orders one of an item; the id is made up by the gateway.
    pub(crate) async fn order(&self, sku: &str) -> Answer {
        let items = json!([{ "sku": sku, "quantity": 2 }]);
        let body = json!({ "customerId": self.user, "items": items });
        self.ask(Method::POST, "/api/orders", Some(body)).await
    }

    /// Uses every route, and orders so often that each instance and shard is reached.
    pub(crate) async fn use_everything(gateway: SocketAddr) {
        for number in 1..=24 {
            let customer = Customer::new(gateway, &format!("u{number}"));
            let placed = customer.order(&format!("sku-{number}")).await;
            assert_eq!(placed.status, 201, "{}", placed.body);
            let id = placed.body["orderId"].as_str().unwrap().to_owned();
            let paid = customer.ask(Method::POST, &format!("/api/orders/{id}/payment"), None).await;
            assert_eq!(paid.status, 200, "{}", paid.body);
            let item = json!({ "sku": "sku-1", "quantity": 1 });
            let cart = format!("/api/users/u{number}/cart");
            let filled = customer.ask(Method::POST, &cart, Some(item)).await;
            assert_eq!(filled.status, 200, "{}", filled.body);
            for path in [
                format!("/api/orders/{id}"),
                format!("/api/orders?customerId=u{number}"),
                "/api/inventory".to_owned(),
                format!("/api/inventory/sku-{number}"),
                format!("/api/users/u{number}"),
            ] {
                let answer = customer.get(&path).await;
                assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            }
        }
        let customer = Customer::new(gateway, "u1");
        let login = json!({ "userId": "u1" });
        let login = customer.send(Method::POST, "/api/users/login", Some(login), &[]).await;
        assert_eq!(login.status, 200);
        let key = [("x-api-key", PARTNER_KEY)];
        let partner = customer.send(Method::GET, "/api/partners/stock", None, &key).await;
        assert_eq!(partner.status, 200);
    }
}
