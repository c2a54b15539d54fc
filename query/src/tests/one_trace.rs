//! A trace by its id reads the files that have it, whatever else the statement asks.

use std::collections::BTreeSet;

use datafusion::physical_plan::displayable;

use super::fixture::{Attributes, Row, Settings, World, trace_of};

const SETTINGS: Settings = Settings { pushdown: true, partitions: 2, batch_rows: 64 };

/// Twelve files of 33 traces each; the last three rows of each are of the next one's first trace.
fn world() -> World {
    let row = |number| Row { number, service: "s".to_owned(), attributes: Attributes::new() };
    let mut world = World::new();
    for file in 0..12 {
        let rows: Vec<Row> = (file * 96..file * 96 + 99).map(row).collect();
        world.file(&rows, &BTreeSet::new(), 50, 25);
    }
    world
}

fn id(number: i64) -> String {
    format!("{:032x}", trace_of(number))
}

async fn check(condition: &str, files: usize, expected: &[i64]) {
    let world = world();
    let sql = format!("SELECT duration_ns FROM spans WHERE {condition}");
    let (plan, _) = world.run(&sql, SETTINGS).await;
    let plan = displayable(plan.as_ref()).indent(true).to_string();
    // Derived columns look at the same files twice.
    let names = plan.split(['[', ']', ' ', ',']).filter(|word| word.ends_with(".parquet"));
    assert_eq!(names.collect::<BTreeSet<_>>().len(), files, "{sql}\n{plan}");
    let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(world.rows(&sql, SETTINGS).await, expected, "{sql}");
}

#[tokio::test]
async fn only_files_that_have_the_trace_are_read() {
    let (one, shared, absent) = (id(300), id(192), "0123456789abcdef0123456789abcdef");
    check(&format!("trace_id = '{one}'"), 1, &[300, 301, 302]).await;
    check(&format!("trace_id = '{shared}'"), 2, &[192, 192, 193, 193, 194, 194]).await;
    check(&format!("trace_id = '{absent}'"), 0, &[]).await;
    check(&format!("trace_id IN ('{one}', '{absent}')"), 1, &[300, 301, 302]).await;
    check(&format!("trace_id = '{one}' AND duration_ns > 301"), 1, &[302]).await;
    check(&format!("trace_id = '{one}' AND self_ns >= 0"), 1, &[300, 301, 302]).await;
    // Here rows without the id meet the condition as well.
    check(&format!("trace_id = '{one}' OR duration_ns = 5"), 12, &[5, 300, 301, 302]).await;
    check(&format!("trace_id <> '{one}' AND duration_ns = 5"), 12, &[5]).await;
}
