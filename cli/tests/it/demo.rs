//! The demo as people run it: the generator's answers are those of the views, and a live run shows
//! every service, every edge, logs with their traces and exemplars in their buckets.

mod answers;
mod live;

use std::path::Path;

use serde_json::{Map, Value};

use crate::support::stdout_of;

type Row = Map<String, Value>;

fn rows(data: &Path, sql: &str) -> Vec<Row> {
    let data = data.to_str().unwrap();
    let text = stdout_of(&["sql", "--data", data, "--format", "json", sql]);
    let answer: Value = serde_json::from_str(&text).unwrap();
    answer["rows"].as_array().unwrap().iter().map(|row| row.as_object().unwrap().clone()).collect()
}
