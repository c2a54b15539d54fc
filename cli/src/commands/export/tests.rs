//! Parts are disjoint and complete; questions have the shape that the writer reads.

use super::*;

#[test]
fn halves_are_disjoint_and_complete() {
    assert_eq!(halves((0, 10)), Some(((0, 5), (6, 10))));
    assert_eq!(halves((0, 2)), Some(((0, 1), (2, 2))));
    assert_eq!(halves((7, 8)), Some(((7, 7), (8, 8))));
    assert_eq!(halves((-8, -7)), Some(((-8, -8), (-7, -7))));
    assert_eq!(halves((7, 7)), None);
    let (earlier, later) = halves((i64::MIN, i64::MAX)).unwrap_or_default();
    assert_eq!((earlier.0, later.1), (i64::MIN, i64::MAX));
    assert_eq!(earlier.1 + 1, later.0);
}

#[test]
fn questions_ask_for_merged_attributes() {
    let sql = question(Table::Spans, (0, 1));
    assert!(sql.contains("\"attributes\"") && !sql.contains("attributes_rest"), "{sql}");
    assert!(sql.ends_with("where start_time >= TIMESTAMP '1970-01-01T00:00:00.000000000' and start_time <= TIMESTAMP '1970-01-01T00:00:00.000000001'"), "{sql}");
    let sql = question(Table::MetricExemplars, (0, 1));
    assert!(!sql.contains("\"attributes\"") && sql.contains("point_time >="), "{sql}");
}
