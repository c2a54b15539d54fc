//! The text reads back as it was written.

use super::*;

#[test]
fn samples_read_back() {
    let mut text = String::new();
    family(
        &mut text,
        "a_total",
        "counter",
        "A.",
        &[("{x=\"1\"}", 2.0), ("{x=\"2\",y=\"z w\"}", 3.5)],
    );
    family(&mut text, "a_total_more", "gauge", "B.", &[("", 7.0)]);
    let samples = Samples::new(text);
    assert_eq!(samples.sum("a_total", ""), Some(5.5));
    assert_eq!(samples.sum("a_total", "x=\"2\""), Some(3.5));
    assert_eq!(samples.sum("a_total_more", ""), Some(7.0));
    assert_eq!(samples.sum("missing", ""), None);
    assert_eq!(samples.label("a_total", "x=\"2\"", "y"), Some("z w"));
}

#[test]
fn every_family_of_the_store_has_help_and_type() {
    let mut text = String::new();
    store(&mut text, &StoreStats::default());
    let count = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(count("# HELP"), count("# TYPE"));
    assert!(text.contains("otlake_live_rows{table=\"spans\"} 0\n"), "{text}");
}
