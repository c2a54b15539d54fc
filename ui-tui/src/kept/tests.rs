//! What is kept is bounded, holds nothing twice, and reads as it was written.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

fn bookmark(link: &str) -> Bookmark {
    Bookmark { name: "services > a".into(), link: link.into() }
}

#[test]
fn the_newest_is_last_and_nothing_stands_twice() {
    let mut kept = Kept::default();
    for text in ["a", "b", "a"] {
        kept.change(&Change::Filter(text.into()));
    }
    assert_eq!(kept.filters, ["b", "a"]);
    for n in 0..600 {
        kept.change(&Change::Statement(format!("SELECT {n}")));
        kept.change(&Change::Bookmark(bookmark(&format!("otlake:services?t={n}m"))));
    }
    assert_eq!((kept.statements.len(), kept.bookmarks.len()), (500, 26));
    kept.change(&Change::Forget("otlake:services?t=599m".into()));
    assert_eq!(kept.bookmarks.last().unwrap().link, "otlake:services?t=598m");
    kept.change(&Change::Filter("w".repeat(1 << 20)));
    assert_eq!(kept.filters.len(), 2);
}

#[test]
fn what_is_kept_reads_as_it_was_written() {
    let mut kept = Kept::default();
    kept.change(&Change::Statement("SELECT 'a\nb'\n\"c\"".into()));
    kept.change(&Change::Bookmark(bookmark("otlake:trace/ab?span=cd")));
    let text = toml::to_string(&kept).unwrap();
    assert_eq!(toml::from_str::<Kept>(&text).unwrap(), kept);
    assert_eq!(toml::from_str::<Kept>("other = 1").unwrap(), Kept::default());
}
