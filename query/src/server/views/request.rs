//! From a path and a query string to a question: names and values are checked by the endpoint's
//! table, times become absolute.

use api::time;
use api::views::{Endpoint, Kind, OPTIONS, Options, Parameter};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::QueryError;

/// The question and its options. Times are RFC 3339 afterwards, counted from `now_ns` where they
/// were relative; empty values count as absent.
pub(super) fn read<'a, Q: DeserializeOwned>(
    endpoint: &Endpoint,
    path: impl Iterator<Item = (&'a str, &'a str)>,
    query: &str,
    now_ns: i64,
) -> Result<(Q, Options), QueryError> {
    let mut own = Map::new();
    let mut options = Map::new();
    let path = path.map(|(name, value)| (name.to_owned(), value.to_owned()));
    for (name, text) in path.chain(pairs(query)?) {
        let parameter = known(endpoint, &name)?;
        if text.is_empty() {
            continue;
        }
        let value = value(parameter, &text, now_ns)?;
        let of = if OPTIONS.contains(parameter) { &mut options } else { &mut own };
        if of.insert(name, value).is_some() {
            return Err(QueryError::invalid(format!("{} is given twice", parameter.name)));
        }
    }
    Ok((read_back(own)?, read_back(options)?))
}

fn pairs(query: &str) -> Result<Vec<(String, String)>, QueryError> {
    let uri = format!("/?{query}").parse().map_err(|_| QueryError::invalid("bad query string"))?;
    axum::extract::Query::try_from_uri(&uri).map(|pairs| pairs.0).map_err(|error| {
        QueryError::invalid(format!("bad query string: {}", error.body_text()))
            .with_hint("write name=value&name=value, values percent-encoded")
    })
}

fn known(endpoint: &Endpoint, name: &str) -> Result<&'static Parameter, QueryError> {
    let all = || endpoint.parameters.iter().chain(OPTIONS);
    all().find(|parameter| parameter.name == name).ok_or_else(|| {
        let names: Vec<&str> = all().map(|parameter| parameter.name).collect();
        QueryError::unknown_parameter(format!("{} takes no {name}", endpoint.path))
            .did_you_mean(name, &names)
    })
}

fn value(parameter: &Parameter, text: &str, now_ns: i64) -> Result<Value, QueryError> {
    let refuse = |what: &str| {
        QueryError::invalid(format!("{}: `{text}` is {what}", parameter.name))
            .with_hint(parameter.doc.trim())
    };
    Ok(match parameter.kind {
        Kind::Text => text.into(),
        Kind::Time => {
            let ago = text.trim().strip_prefix('-').unwrap_or(text);
            let ns = time::parse(ago, now_ns)
                .map_err(|error| QueryError::invalid(format!("{}: {error}", parameter.name)))?;
            time::format(ns).into()
        }
        Kind::Integer => text.parse::<u64>().map_err(|_| refuse("no whole number"))?.into(),
        Kind::Number => {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            number.ok_or_else(|| refuse("no number"))?.into()
        }
        Kind::Flag => match text {
            "1" | "true" => true.into(),
            "0" | "false" => false.into(),
            _ => return Err(refuse("neither 1 nor 0")),
        },
    })
}

fn read_back<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, QueryError> {
    serde_json::from_value(Value::Object(members))
        .map_err(|error| QueryError::internal(format!("a parameter does not fit: {error}")))
}
