//! The screens in the documents are those of the pictures that the tests compare.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Documents with screens, from the root of the repository.
const DOCUMENTS: [&str; 2] = ["README.md", "docs/explorer.md"];
/// What stands before the block of a screen: `<!-- screen services/80x24 -->`.
const MARK: &str = "<!-- screen ";

#[test]
fn screens_in_documents_are_the_pictures() {
    for document in DOCUMENTS {
        let path = root().join(document);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(MARK), "{document} shows no screen");
        let shown = with_screens(&text);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, shown).unwrap();
        } else {
            assert!(shown == text, "a screen of {document} has changed; UPDATE=1 rewrites it");
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text with each block behind a mark replaced by the picture it names.
fn with_screens(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        writeln!(out, "{line}").unwrap();
        let Some(name) = line.strip_prefix(MARK).and_then(|rest| rest.strip_suffix(" -->")) else {
            continue;
        };
        assert_eq!(lines.next(), Some("```text"), "no block behind {line}");
        for _ in lines.by_ref().take_while(|line| *line != "```") {}
        writeln!(out, "```text\n{}\n```", picture(name)).unwrap();
    }
    out
}

/// The glyphs of a picture, without the layer of styles.
fn picture(name: &str) -> String {
    let path = root().join("ui-tui/golden").join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
    let glyphs = text.split("\n--\n").next().unwrap_or_default();
    glyphs.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
