//! A trace that does not fit into the memory of a query: its rows are there, without what the kernel
//! says, and all other traces are as ever.

use std::collections::BTreeSet;

use super::fixture::{Attributes, OF_ONE_TRACE, Row, Settings, World};

fn rows(numbers: std::ops::Range<i64>) -> impl Iterator<Item = Row> {
    numbers.map(|number| Row { number, service: "s".to_owned(), attributes: Attributes::new() })
}

/// A trace of 3,000 rows in two batches and a file, and two of three rows, one of them scattered.
fn world() -> World {
    let none = BTreeSet::new();
    let of_large = |from, to| rows(OF_ONE_TRACE + from..OF_ONE_TRACE + to);
    let mut world = World::new();
    world.live(&rows(3..5).chain(of_large(0, 1_000)).collect::<Vec<_>>(), &none);
    world.live(&rows(5..9).chain(of_large(1_000, 2_000)).collect::<Vec<_>>(), &none);
    world.file(&of_large(2_000, 3_000).collect::<Vec<_>>(), &none, 500, 100);
    world
}

async fn check(memory_bytes: usize, known: &str) {
    let mut world = world();
    world.memory_bytes = memory_bytes;
    for (partitions, batch_rows) in [(1, 8_192), (2, 700), (3, 64)] {
        let settings = Settings { pushdown: true, partitions, batch_rows };
        let sql = "SELECT count(*), sum(duration_ns), count(self_ns) FROM spans";
        let sum: i64 = (3..9).chain(OF_ONE_TRACE..OF_ONE_TRACE + 3_000).sum();
        assert_eq!(world.rows(sql, settings).await, [format!("3006|{sum}|{known}")]);
    }
}

#[tokio::test]
async fn a_trace_beyond_memory_stops_no_query() {
    check(64 << 20, "3006").await;
    check(3 << 20, "6").await;
}
