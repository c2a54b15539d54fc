//! Sizes and lengths, read and written.

use super::*;

#[test]
fn sizes_are_read() {
    for (text, expected) in [
        ("4096", Some(4096)),
        ("50GiB", Some(50 << 30)),
        ("1.5 KiB", Some(1536)),
        ("1GB", Some(1_000_000_000)),
        ("512mib", Some(512 << 20)),
        ("GiB", None),
        ("1 parsec", None),
        ("-1", None),
        ("", None),
    ] {
        assert_eq!(parse_bytes(text).ok(), expected, "{text}");
    }
}

#[test]
fn sizes_and_lengths_are_shown() {
    assert_eq!(show_bytes(999), "999 B");
    assert_eq!(show_bytes(3 << 29), "1.5 GiB");
    assert_eq!(show_ns(999), "999 ns");
    assert_eq!(show_ns(1_530_000), "1.53 ms");
    assert_eq!(show_ns(90_000_000_000), "90.00 s");
    assert_eq!(show_ago(0, 3_000_000_000), "3 s ago");
    assert_eq!(show_ago(0, 600_000_000_000), "10 m ago");
    assert_eq!(show_ago(5, 0), "0 s ago");
}
