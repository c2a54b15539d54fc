//! The pages about SQL: every statement in them runs, against the shop that the page names, and
//! answers what stands below it. `UPDATE=1` rewrites the answers.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use api::client::Client;
use bytes::Bytes;
use testkit::shop::{Fault, ShopOptions};

use crate::shop::{Layout, ShopServer};
use crate::support::{Server, block_on};

/// Pages whose statements may find nothing: their examples hold ids and names of other data.
const GENERAL: [&str; 2] = ["sql/README.md", "sql/functions.md"];

#[test]
fn the_views_answer_as_written() {
    check_page("sql/views.md", None);
}

#[test]
fn questions_about_structure_answer_as_written() {
    check_page("sql/structure.md", None);
}

#[test]
fn statements_of_the_other_pages_run() {
    let shop = ShopServer::new(options(None), Layout::Live);
    GENERAL.into_iter().for_each(|page| check_page(page, Some(&shop)));
}

#[test]
fn the_tutorial_and_the_readme_answer_as_written() {
    let paths = [page_path("tutorial.md"), page_path("../README.md")];
    let pages = paths.each_ref().map(|path| std::fs::read_to_string(path).unwrap());
    let shop = ShopServer::new(options(fault_of(&pages[0])), Layout::Split);
    for (path, page) in paths.iter().zip(&pages) {
        assert_eq!(fault_of(page), fault_of(&pages[0]), "{}: another shop", path.display());
        // The README has commands for other data as well.
        let from = page.find("\n## Find the slow dependency").unwrap_or(0);
        let to = page[from + 1..].find("\n## What it promises").map_or(page.len(), |at| from + at);
        check_blocks(path, page, from..to, "sh", |commands| shell(&shop.server, commands));
    }
}

/// What the generator makes when it is told nothing but the fault.
fn options(fault: Option<Fault>) -> ShopOptions {
    ShopOptions { fault, ..ShopOptions::default() }
}

/// The fault that a page names in the command of the generator.
fn fault_of(page: &str) -> Option<Fault> {
    let (_, rest) = page.split_once("--fault ")?;
    let name = rest.split([' ', '`', '\n']).next()?;
    let fault = Fault::ALL.into_iter().find(|fault| fault.name() == name);
    Some(fault.unwrap_or_else(|| panic!("no fault is called {name}")))
}

fn page_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

fn check_page(name: &str, general: Option<&ShopServer>) {
    let path = page_path(name);
    let page = std::fs::read_to_string(&path).unwrap();
    let own = general.is_none().then(|| ShopServer::new(options(fault_of(&page)), Layout::Split));
    let shop = general.or(own.as_ref()).unwrap();
    check_blocks(&path, &page, 0..page.len(), "sql", |statement| {
        let answer = table(&shop.server, statement);
        assert!(general.is_some() || !answer.contains("(0 rows)"), "{name}: {statement}: no rows");
        answer
    });
}

/// Runs every block of a language in a part of the page, and compares the answer with the block
/// `text` behind it where there is one. Blocks that start `cargo` are what the test does itself.
fn check_blocks(
    path: &Path,
    page: &str,
    part: Range<usize>,
    language: &str,
    run: impl Fn(&str) -> String,
) {
    let mut written = page[..part.start].to_owned();
    let mut blocks = 0;
    let mut rest = &page[part.clone()];
    let (open, answer_open) = (format!("```{language}\n"), "```\n\n```text\n");
    while let Some((before, after)) = rest.split_once(&open) {
        let (block, _) = after.split_once("```\n").unwrap();
        let answer = if block.starts_with("cargo ") { String::new() } else { run(block) };
        blocks += 1;
        written.push_str(&format!("{before}{open}{block}"));
        rest = &after[block.len()..];
        if let Some(shown) = rest.strip_prefix(answer_open) {
            let end = shown.find("```\n").unwrap();
            written.push_str(&format!("{answer_open}{answer}"));
            rest = &shown[end..];
        }
    }
    written.push_str(rest);
    written.push_str(&page[part.end..]);
    assert!(blocks > 0, "{}: no block of {language}", path.display());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &written).unwrap();
        return;
    }
    for (number, (shown, answered)) in page.lines().zip(written.lines()).enumerate() {
        let place = format!("{}:{}; UPDATE=1 rewrites it", path.display(), number + 1);
        assert_eq!(shown, answered, "{place}");
    }
    assert_eq!(page.len(), written.len(), "{}: UPDATE=1 rewrites it", path.display());
}

/// The answer as a text table, without what depends on the time of the question.
fn table(server: &Server, statement: &str) -> String {
    let (status, text) = block_on(async {
        let client = Client::new(&server.url()).unwrap();
        let body = Bytes::from(statement.to_owned());
        let answer = client.post("/api/v1/sql?format=text", "text/plain", body).await.unwrap();
        (answer.status, String::from_utf8(answer.bytes().await.unwrap()).unwrap())
    });
    assert!(status == 200 && !text.contains("\nerror: "), "{statement}: {text}");
    lines_but_notes(&text, "note: ")
}

/// What commands print, as a terminal shows it.
fn shell(server: &Server, commands: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_otlake"));
    let folder = program.parent().unwrap().to_str().unwrap();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap());
    let commands = commands.replace("otlake sql ", "otlake sql --format table ");
    let output = Command::new("sh")
        .args(["-ec", &commands])
        .envs([("PATH", path), ("OTLAKE_URL", server.url())])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{commands}: {stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(!stdout.trim().is_empty(), "{commands}: it prints nothing");
    lines_but_notes(&stdout, "warning: ")
}

fn lines_but_notes(text: &str, note: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with(note));
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}
