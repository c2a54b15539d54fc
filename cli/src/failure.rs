//! Why a command did not do its work: three lines for a person, one exit code for a script.

use std::io::{self, Write};
use std::process::ExitCode;

use api::client::ClientError;
use api::sql::Problem;
use collector::CollectorError;
use query::QueryError;
use storage::StorageError;

use crate::output::safe;

#[cfg(test)]
mod tests;

/// The exit codes, all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Did what it was asked.
    Good = 0,
    /// Tried and failed.
    Failed = 1,
    /// The command line makes no sense; clap uses the same number.
    Usage = 2,
    /// Ran well and found nothing, where `--exit-code` asks for the difference.
    Nothing = 3,
    /// No server answers.
    Unreachable = 69,
    /// The configuration file is wrong.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// What failed, why, and what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    cause: Option<String>,
    hint: Option<String>,
    exit: Exit,
    /// The reader of our output went away: nothing to say, nothing went wrong.
    quiet: bool,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Failure {
        Failure { what: what.into(), cause: None, hint: None, exit, quiet: false }
    }

    /// A plain failure with exit code 1.
    pub(crate) fn failed(what: impl Into<String>) -> Failure {
        Failure::new(Exit::Failed, what)
    }

    pub(crate) fn cause(mut self, cause: impl ToString) -> Failure {
        self.cause = Some(cause.to_string());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Writes the lines to stderr and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if self.quiet {
            return Exit::Good.into();
        }
        // A closed stderr leaves nobody to tell.
        let _ = io::stderr().write_all(self.lines().as_bytes());
        self.exit.into()
    }

    /// The three lines, sanitised: names in them may come from telemetry.
    pub(crate) fn lines(&self) -> String {
        let mut text = format!("error: {}\n", safe(&self.what));
        for (label, line) in [("cause", &self.cause), ("try", &self.hint)] {
            if let Some(line) = line {
                text.push_str(&format!("{label}: {}\n", safe(line)));
            }
        }
        text
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        let quiet = error.kind() == io::ErrorKind::BrokenPipe;
        Failure { quiet, ..Failure::failed("reading or writing failed").cause(error) }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        match error {
            ClientError::Unreachable { url, cause } => {
                Failure::new(Exit::Unreachable, format!("no server answers at {url}"))
                    .cause(cause)
                    .hint("start one with `otlake serve`, name another with --url, or read a directory with --data DIR")
            }
            ClientError::Refused(problem) => problem.into(),
            ClientError::Garbled(text) => Failure::failed(text),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        let position = match (problem.line, problem.column) {
            (Some(line), Some(column)) => format!(" at line {line}, column {column}"),
            (Some(line), None) => format!(" at line {line}"),
            _ => String::new(),
        };
        let failure = Failure::failed(problem.message).cause(format!("{}{position}", problem.code));
        match problem.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Failure {
        error.0.into()
    }
}

impl From<CollectorError> for Failure {
    fn from(error: CollectorError) -> Failure {
        match error {
            CollectorError::Bind { addr, flag, cause, advice } => {
                Failure::failed(format!("cannot listen on {addr} ({flag})"))
                    .cause(cause)
                    .hint(advice)
            }
            other => Failure::failed("OTLP cannot be received").cause(other),
        }
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Failure {
        let failure = Failure::failed("the data directory cannot be used").cause(&error);
        match error {
            StorageError::Locked { .. } => failure
                .hint("stop that process, or give this one its own directory with --data DIR"),
            StorageError::NewerFormat(_) => {
                failure.hint("use the newer otlake that wrote it; nothing was changed")
            }
            StorageError::Unavailable { .. } | StorageError::ShuttingDown => {
                failure.hint("try again in a few seconds")
            }
            StorageError::Io(_) => failure
                .hint("check that the directory exists, is yours and has space: `otlake doctor`"),
        }
    }
}
