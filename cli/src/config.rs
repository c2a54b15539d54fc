//! The configuration file: the flags of all commands as TOML keys, below the environment in weight.
//!
//! A value of the file becomes the default of the flag of that name, so that clap applies flags over
//! environment over file over defaults, and one parser checks a value wherever it comes from.

use std::env;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use toml::Value;

use crate::failure::{Exit, Failure};

#[cfg(test)]
mod tests;

/// Arguments that make no sense in a file.
const NOT_IN_FILE: [&str; 3] = ["help", "version", "config"];

/// The command tree with the file's values as defaults. Without `path` the usual places are looked
/// at, and a missing file is fine.
pub(crate) fn apply(command: Command, path: Option<&Path>) -> Result<Command, Failure> {
    let Some(path) = path.map(Path::to_owned).or_else(usual_file) else { return Ok(command) };
    let text = std::fs::read_to_string(&path)
        .map_err(|error| wrong(&path, error).hint("name a readable file with --config"))?;
    apply_text(command, &text, &path)
}

/// The user's state directory for our data.
pub(crate) fn data_dir_default() -> Result<PathBuf, Failure> {
    let base = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    base.map(|dir| dir.join("otlake")).ok_or_else(|| {
        Failure::new(Exit::Config, "there is no directory for the data")
            .cause("neither XDG_STATE_HOME nor HOME is set")
            .hint("name one with --data DIR")
    })
}

fn absolute(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn usual_file() -> Option<PathBuf> {
    let base = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    let own = base.map(|dir| dir.join("otlake/config.toml"));
    own.into_iter().chain([PathBuf::from("/etc/otlake/otlake.toml")]).find(|path| path.is_file())
}

fn wrong(path: &Path, cause: impl ToString) -> Failure {
    Failure::new(Exit::Config, format!("the configuration file {} is wrong", path.display()))
        .cause(cause)
}

fn apply_text(mut command: Command, text: &str, path: &Path) -> Result<Command, Failure> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        wrong(path, error.to_string().trim().replace('\n', " "))
    })?;
    let known = arguments(&command);
    for (key, value) in table {
        let Some(arg) = known.iter().find(|arg| arg.get_id() == key.as_str()) else {
            return Err(unknown(path, &key, &known));
        };
        let values = words(&value).ok_or_else(|| {
            wrong(path, format!("`{key}` is a {}, not a plain value", value.type_str()))
        })?;
        check(arg, &values).map_err(|cause| wrong(path, format!("`{key}`: {cause}")))?;
        command = with_default(command, &key, &values);
    }
    Ok(command)
}

/// The flags a file may set: those of the program and of each command, each once.
fn arguments(command: &Command) -> Vec<Arg> {
    let all = command.get_subcommands().flat_map(Command::get_arguments);
    let mut found: Vec<Arg> = Vec::new();
    for arg in command.get_arguments().chain(all) {
        let settable = arg.get_env().is_some() && !NOT_IN_FILE.contains(&arg.get_id().as_str());
        if settable && !found.iter().any(|known| known.get_id() == arg.get_id()) {
            found.push(arg.clone());
        }
    }
    found
}

fn unknown(path: &Path, key: &str, known: &[Arg]) -> Failure {
    let near = known
        .iter()
        .map(|arg| (strsim::jaro_winkler(key, arg.get_id().as_str()), arg.get_id().as_str()))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let failure = wrong(path, format!("`{key}` is not a setting"));
    match near {
        Some((_, name)) => failure.hint(format!("did you mean `{name}`?")),
        None => failure.hint(
            "`otlake serve --help` lists the settings; a flag's name with `_` for `-` is its key",
        ),
    }
}

/// A value as the words that the flag would be given.
fn words(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Integer(number) => Some(vec![number.to_string()]),
        Value::Float(number) => Some(vec![number.to_string()]),
        Value::Boolean(yes) => Some(vec![yes.to_string()]),
        Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(words).collect();
            Some(items?.concat())
        }
        _ => None,
    }
}

/// Lets the flag's own parser judge the values, so that a mistake is reported with the file's name.
fn check(arg: &Arg, values: &[String]) -> Result<(), String> {
    let flag = arg.get_long().unwrap_or_default().to_owned();
    let words = values.iter().map(|value| format!("--{flag}={value}"));
    let alone = Command::new("otlake").no_binary_name(true).arg(arg.clone().global(false));
    match alone.try_get_matches_from(words) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            Err(line.trim_start_matches("error: ").to_owned())
        }
    }
}

fn with_default(command: Command, key: &str, values: &[String]) -> Command {
    let set = |command: Command| {
        let has = command.get_arguments().any(|arg| arg.get_id() == key);
        if !has {
            return command;
        }
        let values = values.to_vec();
        command.mut_arg(key, |arg| arg.default_values(values))
    };
    set(command).mut_subcommands(set)
}
