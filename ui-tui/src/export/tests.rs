//! Files say what the screen says, and run nothing.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

fn grid() -> Grid {
    let text = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
    Grid {
        columns: text(&["name", "value"]),
        rows: vec![text(&["=cmd()", "-1.5"]), text(&["a,\"b\"", "2"])],
    }
}

#[test]
fn formulas_become_text() {
    assert_eq!(csv(&grid()), "name,value\r\n'=cmd(),-1.5\r\n\"a,\"\"b\"\"\",2\r\n");
}

#[test]
fn json_has_an_object_a_row() {
    let rows: serde_json::Value = serde_json::from_str(&json(&grid())).unwrap();
    assert_eq!(rows[0]["name"], "=cmd()");
    assert_eq!(rows[1]["value"], "2");
}
