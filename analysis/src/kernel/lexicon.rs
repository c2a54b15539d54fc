//! What the kernel needs to know of a text, found out once for each: its hash, whether it names a
//! timeout, which gRPC status or messaging operation it is. And the names of the virtual nodes.

use std::collections::HashMap;

use crate::hash::{self, Mix};
use crate::symbols::{Symbol, Symbols};

/// What a text says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// Hash of the text.
    pub(super) hash: u64,
    /// As a gRPC status.
    pub(super) status: Rpc,
    /// As a messaging operation.
    pub(super) operation: Operation,
    /// As an `error.type`: of a caller that gave up waiting.
    pub(super) is_timeout: bool,
}

/// A gRPC status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Rpc {
    /// Not said.
    #[default]
    Absent,
    /// A number, named or not.
    Code(u32),
    /// A text that is no gRPC status.
    Foreign,
}

/// A messaging operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Operation {
    /// Absent or another one.
    #[default]
    Other,
    /// The message is made; another span may send it.
    Create,
    /// The message is handed over.
    Send,
    /// Messages are asked for.
    Receive,
    /// A message is worked on.
    Process,
    /// A message is acknowledged.
    Settle,
}

/// gRPC statuses by number.
const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Parts of an `error.type` that tell of a caller that gave up.
const TIMEOUTS: [&str; 7] =
    ["timeout", "timed out", "timed_out", "timedout", "deadline", "cancel", "aborterror"];

impl Word {
    fn new(text: &str) -> Word {
        Word {
            hash: hash::text(text),
            status: rpc(text),
            operation: operation(text),
            is_timeout: is_timeout(text),
        }
    }
}

fn rpc(text: &str) -> Rpc {
    if text.is_empty() {
        return Rpc::Absent;
    }
    let named = (0u32..).zip(STATUSES).find(|(_, name)| name.eq_ignore_ascii_case(text));
    let code = named.map(|(code, _)| code).or_else(|| text.parse().ok());
    code.map_or(Rpc::Foreign, Rpc::Code)
}

fn operation(text: &str) -> Operation {
    match text {
        "create" => Operation::Create,
        "send" | "publish" => Operation::Send,
        "receive" => Operation::Receive,
        "process" => Operation::Process,
        "settle" => Operation::Settle,
        _ => Operation::Other,
    }
}

fn is_timeout(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    TIMEOUTS.iter().any(|part| text.contains(part))
}

/// Words by symbol, and names of nodes by their parts.
#[derive(Debug)]
pub(super) struct Lexicon {
    words: Vec<Word>,
    names: HashMap<(u64, u64), Symbol, Mix>,
    /// Callers outside.
    pub(super) user: Symbol,
    /// A caller whose span never arrived.
    pub(super) unknown: Symbol,
    /// A callee of which nothing is said.
    external: Symbol,
    /// A topic of which nothing is said.
    topic: Symbol,
}

impl Lexicon {
    /// Adds the names of its own.
    pub(super) fn new(symbols: &mut Symbols) -> Lexicon {
        Lexicon {
            words: Vec::new(),
            names: HashMap::default(),
            user: symbols.intern("user"),
            unknown: symbols.intern("unknown"),
            external: symbols.intern("external"),
            topic: symbols.intern("topic"),
        }
    }

    /// Reads the texts that came since the last call.
    pub(super) fn read(&mut self, symbols: &Symbols) {
        let new = self.words.len()..symbols.len();
        self.words.extend(new.map(|at| Word::new(symbols.text_at(at))));
    }

    /// What the text says.
    pub(super) fn word(&self, symbol: Symbol) -> Word {
        self.words.get(symbol.index()).copied().unwrap_or_default()
    }

    /// `system:namespace@address:port`, without the parts that are missing.
    pub(super) fn database(
        &mut self,
        symbols: &mut Symbols,
        (system, namespace, address, port): (Symbol, Symbol, Symbol, u32),
    ) -> Symbol {
        let port = if address.is_none() { 0 } else { port };
        self.name(symbols, [system, namespace, address], port, |[system, namespace, address]| {
            let mut name = system.to_owned();
            if !namespace.is_empty() {
                name = format!("{name}:{namespace}");
            }
            if !address.is_empty() {
                name = format!("{name}@{}", place(address, port));
            }
            name
        })
    }

    /// `system:destination`, without the part that is missing.
    pub(super) fn topic(
        &mut self,
        symbols: &mut Symbols,
        system: Symbol,
        destination: Symbol,
    ) -> Symbol {
        match (system.some(), destination.some()) {
            (None, None) => self.topic,
            (Some(only), None) | (None, Some(only)) => only,
            (Some(_), Some(_)) => {
                self.name(symbols, [system, destination, Symbol::NONE], TOPIC, |[s, d, _]| {
                    format!("{s}:{d}")
                })
            }
        }
    }

    /// `address:port`, without a port that is missing; a name of its own for an absent address.
    pub(super) fn external(&mut self, symbols: &mut Symbols, address: Symbol, port: u32) -> Symbol {
        match (address.some(), port) {
            (None, _) => self.external,
            (Some(address), 0) => address,
            (Some(address), port) => {
                let parts = [Symbol::NONE, Symbol::NONE, address];
                self.name(symbols, parts, port, |[_, _, address]| place(address, port))
            }
        }
    }

    /// Looks the parts up before it builds the name.
    fn name(
        &mut self,
        symbols: &mut Symbols,
        parts: [Symbol; 3],
        number: u32,
        build: impl FnOnce([&str; 3]) -> String,
    ) -> Symbol {
        let [a, b, c] = parts.map(|part| part.index() as u64);
        let key = (a << 32 | b, c << 32 | u64::from(number));
        if let Some(name) = self.names.get(&key) {
            return *name;
        }
        let name = build(parts.map(|part| symbols.text(part)));
        let name = symbols.intern(&name);
        self.names.insert(key, name);
        name
    }
}

/// In the place of a port; a name with a port has an address as well.
const TOPIC: u32 = u32::MAX;

fn place(address: &str, port: u32) -> String {
    if port == 0 { address.to_owned() } else { format!("{address}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        for (text, expected) in [
            ("", Rpc::Absent),
            ("OK", Rpc::Code(0)),
            ("0", Rpc::Code(0)),
            ("DEADLINE_EXCEEDED", Rpc::Code(4)),
            ("deadline_exceeded", Rpc::Code(4)),
            ("14", Rpc::Code(14)),
            ("99", Rpc::Code(99)),
            ("-32601", Rpc::Foreign),
            ("broken", Rpc::Foreign),
        ] {
            assert_eq!(rpc(text), expected, "{text}");
        }
    }

    #[test]
    fn timeouts() {
        for (text, expected) in [
            ("timeout", true),
            ("java.net.SocketTimeoutException", true),
            ("context.deadlineExceededError", true),
            ("CANCELLED", true),
            ("OperationCanceledException", true),
            ("AbortError", true),
            ("refused", false),
            ("ABORTED", false),
            ("500", false),
            ("", false),
        ] {
            assert_eq!(is_timeout(text), expected, "{text}");
        }
    }
}
