//! The prompt: history, completion, statements over several lines, Ctrl-C cancels the query.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::ValueEnum;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Editor, Helper, Highlighter, Hinter};
use schemas::{Table, attributes, semantic};

use super::{Shape, SqlArgs, answer};
use crate::config;
use crate::failure::{Exit, Failure};
use crate::output::{self, RowFormat, Screen};
use crate::source::Source;
use crate::statements;

#[cfg(test)]
mod tests;

const KEYWORDS: [&str; 37] = [
    "and", "as", "asc", "between", "by", "case", "cast", "count", "desc", "describe", "distinct",
    "else", "end", "exists", "explain", "filter", "from", "group", "having", "ilike", "in",
    "interval", "is", "join", "left", "like", "limit", "not", "null", "offset", "on", "or",
    "order", "select", "union", "where", "with",
];
const HELP: &str = "\
\\d            tables
\\d TABLE      columns of a table
\\f FORMAT     table, json, ndjson, csv or tsv
\\q            leave (Ctrl-D)
A statement ends with a semicolon. Tab completes, Ctrl-R searches the history, Ctrl-C cancels.
";

/// Reads and runs statements until the person leaves.
pub(super) async fn run(
    args: &SqlArgs,
    source: &Source,
    screen: Screen,
    format: RowFormat,
) -> Result<Exit, Failure> {
    let mut editor: Editor<Words, FileHistory> = Editor::new().map_err(unusable)?;
    editor.set_helper(Some(Words::collect(source).await));
    let history = config::data_dir_default().ok().map(|dir| dir.join("sql_history"));
    if let Some(path) = &history {
        // The first time there is none.
        let _ = editor.load_history(path);
    }
    let mut format = format;
    let ended = loop {
        match editor.readline("otlake> ") {
            Ok(text) => {
                // A line that cannot be remembered can still be run.
                let _ = editor.add_history_entry(text.trim());
                match step(args, source, screen, &mut format, text.trim()).await {
                    Ok(true) => {}
                    Ok(false) => break Ok(Exit::Good),
                    Err(failure) if failure.is_quiet() => break Ok(Exit::Good),
                    Err(failure) => {
                        failure.report();
                    }
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break Ok(Exit::Good),
            Err(error) => break Err(unusable(error)),
        }
    };
    save(&mut editor, history);
    ended
}

/// Runs what was typed; false ends the prompt.
async fn step(
    args: &SqlArgs,
    source: &Source,
    screen: Screen,
    format: &mut RowFormat,
    text: &str,
) -> Result<bool, Failure> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["\\q" | "exit" | "quit"] => return Ok(false),
        ["\\d"] => show(source, screen, "show tables".into()).await?,
        ["\\d", table] => show(source, screen, format!("describe {table}")).await?,
        ["\\f", name] => match RowFormat::from_str(name, true) {
            Ok(chosen) => *format = chosen,
            Err(_) => write!(io::stderr(), "{HELP}")?,
        },
        [word, ..] if word.starts_with('\\') => write!(io::stderr(), "{HELP}")?,
        _ => {
            let shape = Shape { screen, format: *format, header: args.header };
            for statement in statements::split(text) {
                let request = args.request(statement);
                tokio::select! {
                    done = answer(source, &request, shape) => { done?; }
                    _ = tokio::signal::ctrl_c() => return Err(Failure::failed("cancelled")),
                }
            }
        }
    }
    Ok(true)
}

async fn show(source: &Source, screen: Screen, sql: String) -> Result<(), Failure> {
    let answer = source.ask(sql).await?;
    Ok(output::write_table(&mut io::stdout(), screen, &answer.schema, &answer.rows)?)
}

fn unusable(error: ReadlineError) -> Failure {
    Failure::failed("the prompt cannot be used here").cause(error).hint("otlake sql 'select 1'")
}

fn save(editor: &mut Editor<Words, FileHistory>, history: Option<PathBuf>) {
    let Some(path) = history else { return };
    let made = path.parent().is_none_or(|dir| std::fs::create_dir_all(dir).is_ok());
    if made && let Err(error) = editor.save_history(&path) {
        tracing::warn!(%error, path = %path.display(), "history not saved");
    }
}

/// What completion offers: keywords, tables, columns; sorted.
#[derive(Helper, Highlighter, Hinter)]
struct Words {
    words: Vec<String>,
}

impl Words {
    /// The words of this version, and those of the server, which may be a newer one.
    async fn collect(source: &Source) -> Words {
        let mut words: Vec<String> = KEYWORDS.iter().map(|word| (*word).to_owned()).collect();
        for table in Table::ALL {
            words.push(table.name().to_owned());
            words.extend(table.columns().iter().map(|column| column.name.to_owned()));
        }
        words.extend(semantic::RECORD.iter().map(|column| column.name.to_owned()));
        words
            .extend(attributes::RECORD_KEYS.iter().map(|key| format!("attributes['{}']", key.key)));
        let names = "select table_name as word from information_schema.tables \
                     union select column_name from information_schema.columns";
        if let Ok(answer) = source.ask(names).await {
            words.extend(answer.rows.iter().map(|row| output::text(row, "word").to_owned()));
        }
        Words::new(words)
    }

    fn new(mut words: Vec<String>) -> Words {
        words.sort();
        words.dedup();
        Words { words }
    }

    /// The word that ends at `position` and what it may become.
    fn complete_at(&self, line: &str, position: usize) -> (usize, Vec<String>) {
        let typed = &line[..position];
        let is_word = |c: char| c.is_alphanumeric() || "_.['".contains(c);
        let start = typed.rfind(|c| !is_word(c)).map_or(0, |at| at + char_bytes(typed, at));
        let prefix = typed[start..].to_lowercase();
        if prefix.is_empty() {
            return (position, Vec::new());
        }
        let fits = self.words.iter().filter(|word| word.starts_with(&prefix));
        (start, fits.cloned().collect())
    }
}

fn char_bytes(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(0, char::len_utf8)
}

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.complete_at(line, position))
    }
}

impl Validator for Words {
    /// Enter continues the statement until its semicolon.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input().trim();
        let is_command = text.starts_with('\\') || matches!(text, "exit" | "quit");
        let done = is_command || statements::is_complete(text);
        Ok(if done { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}
