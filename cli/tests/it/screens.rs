//! The typed questions and the commands over them, against a shop with known answers.

use api::client::{Client, ClientError};
use api::views::*;
use bytes::Bytes;
use prost::Message;
use tempfile::TempDir;
use testkit::shop::{ErrorOrigin, Fault, Request, Shop, ShopOptions, shop};

use crate::support::{Server, block_on};

mod commands;
mod endpoints;

/// A server that holds a shop.
struct Filled {
    server: Server,
    shop: Shop,
    options: ShopOptions,
    _dir: TempDir,
}

impl Filled {
    /// Six minutes of customers, the last two with a fault.
    fn with(fault: Fault) -> Filled {
        let options = ShopOptions {
            minutes: 6,
            requests_per_minute: 60,
            fault: Some(fault),
            ..ShopOptions::default()
        };
        let shop = shop(options);
        let dir = TempDir::new().unwrap();
        let server = Server::start(dir.path(), &["--query-timeout", "5m"]);
        block_on(async {
            let client = Client::new(&server.address("otlp_http")).unwrap();
            for request in &shop.requests {
                let (signal, body) = match request {
                    Request::Traces(request) => ("traces", request.encode_to_vec()),
                    Request::Logs(request) => ("logs", request.encode_to_vec()),
                    Request::Metrics(request) => ("metrics", request.encode_to_vec()),
                };
                let path = format!("/v1/{signal}");
                let answer = client.post(&path, "application/x-protobuf", Bytes::from(body)).await;
                assert_eq!(answer.unwrap().status, 200);
            }
        });
        Filled { server, shop, options, _dir: dir }
    }

    fn ask<Q: Question + std::fmt::Debug>(&self, question: Q) -> Q::Answer {
        let shows_sql = Options { sql: Some(true), ..Options::default() };
        self.try_ask(&question, &shows_sql).unwrap_or_else(|error| panic!("{question:?}: {error}"))
    }

    fn try_ask<Q: Question>(
        &self,
        question: &Q,
        options: &Options,
    ) -> Result<Q::Answer, ClientError> {
        block_on(async { Client::new(&self.server.url())?.view(question, options).await })
    }

    fn from(&self) -> Option<String> {
        Some(time(self.options.start_ns))
    }

    fn to(&self) -> Option<String> {
        Some(time(self.options.end_ns() + 60_000_000_000))
    }

    /// The root operation with most traces, as `service name`.
    fn busiest(&self) -> String {
        let (root, _) = self.shop.truth.roots.iter().max_by_key(|(_, sums)| sums.traces).unwrap();
        format!("{} {}", root.service, root.name)
    }
}

fn time(ns: u64) -> String {
    api::time::format(i64::try_from(ns).unwrap())
}
