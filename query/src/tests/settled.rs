//! When a trace counts as complete: its rows say when they arrived, the clock says when they were
//! asked about.

use std::collections::BTreeSet;

use super::fixture::{Attributes, Row, Settings, World};

#[tokio::test]
async fn a_trace_is_complete_when_nothing_arrived_for_long() {
    let row = |number| Row { number, service: "s".to_owned(), attributes: Attributes::new() };
    // Rows of the fixture arrived in 2023; three numbers are a trace, of roots alone.
    let (file, live): (Vec<Row>, Vec<Row>) = ((3..6).map(row).collect(), (5..9).map(row).collect());
    let mut world = World::new();
    world.file(&file, &BTreeSet::new(), 8, 8);
    world.live(&live, &BTreeSet::new());
    let settings = Settings { pushdown: true, partitions: 2, batch_rows: 2 };
    let sql = "SELECT trace_complete, count(*), count(*) FILTER (WHERE is_duplicate) FROM spans GROUP BY 1";
    assert_eq!(world.rows(sql, settings).await, ["true|7|1"]);
}
