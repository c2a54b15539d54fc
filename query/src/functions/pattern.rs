//! `log_pattern(body)`: the template of a log line, with what varies masked.
//!
//! Masking looks at one line alone, so equal lines have equal templates for ever and in every query,
//! and a template can stand in a condition. Learning templates from many lines (drain and its kin)
//! would mask more, and change its mind with the lines it has seen.
//!
//! | in the line | in the template |
//! |---|---|
//! | numbers, with or without a unit | `<n>`, `<n>ms` |
//! | hex of 8 digits and more, UUIDs, long mixes of letters and digits | `<id>` |
//! | dates and times of day | `<time>` |
//! | IPv4 addresses | `<ip>` |
//! | texts in quotes, but not the keys of JSON | `"<s>"` |
//! | values behind `=` that are no numbers | `<w>` |

use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

#[cfg(test)]
mod tests;

/// Bytes of a line that are looked at; stack traces do not make a template each.
const LINE_BYTES_MAX: usize = 512;
/// Digits of hex from which on they are an id.
const HEX_ID_MIN: usize = 8;
/// Letters and digits in any order from which on they are an id.
const MIXED_ID_MIN: usize = 16;

pub(super) fn scalar() -> Vec<Arc<ScalarUDF>> {
    let signature = Signature::uniform(1, vec![DataType::Utf8View], Volatility::Immutable);
    vec![Arc::new(ScalarUDF::from(LogPattern { signature }))]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LogPattern {
    signature: Signature,
}

impl ScalarUDFImpl for LogPattern {
    fn name(&self) -> &str {
        "log_pattern"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let lines = args.args[0].to_array(args.number_rows)?;
        let mut out = StringViewBuilder::with_capacity(lines.len()).with_deduplicate_strings();
        let mut template = String::new();
        for line in lines.as_string_view() {
            match line {
                None => out.append_null(),
                Some(line) => {
                    template.clear();
                    Masking { line: cut(line), at: 0, out: &mut template }.run();
                    if cut(line).len() < line.len() {
                        template.push('…');
                    }
                    out.append_value(&template);
                }
            }
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

/// The first line, as far as it is looked at.
fn cut(line: &str) -> &str {
    let first = line.trim_start().lines().next().unwrap_or_default();
    &first[..first.floor_char_boundary(LINE_BYTES_MAX)]
}

/// A line on its way to its template.
struct Masking<'a> {
    line: &'a str,
    at: usize,
    out: &'a mut String,
}

impl Masking<'_> {
    fn run(mut self) {
        while let Some(c) = self.rest().chars().next() {
            let begins = !self.line[..self.at].chars().next_back().is_some_and(is_of_word);
            let masked = begins && (self.quoted(c) || self.value() || self.time() || self.ip());
            if masked {
                continue;
            }
            if is_of_word(c) {
                self.word();
            } else {
                self.keep(c.len_utf8());
            }
        }
    }

    fn rest(&self) -> &str {
        &self.line[self.at..]
    }

    fn keep(&mut self, bytes: usize) {
        self.out.push_str(&self.line[self.at..self.at + bytes]);
        self.at += bytes;
    }

    fn mask(&mut self, bytes: usize, with: &str) {
        self.out.push_str(with);
        self.at += bytes;
    }

    /// A text in quotes that end; the key of a JSON object stays.
    fn quoted(&mut self, quote: char) -> bool {
        if !matches!(quote, '"' | '\'' | '`') {
            return false;
        }
        let Some(length) = closing(&self.rest()[1..], quote) else { return false };
        let is_key = self.rest()[length + 2..].starts_with(':');
        if is_key || length == 0 {
            self.keep(length + 2);
        } else {
            self.mask(length + 2, &format!("{quote}<s>{quote}"));
        }
        true
    }

    /// What stands behind `=`: a number, a time and an address as everywhere, all else as a word.
    fn value(&mut self) -> bool {
        let before = &self.line[..self.at];
        let is_named = before.strip_suffix('=').is_some_and(|b| b.ends_with(is_of_word));
        if !is_named {
            return false;
        }
        let ends = |c: char| c.is_whitespace() || ",;&)]}\"".contains(c);
        let rest = self.rest();
        let value = rest[..rest.find(ends).unwrap_or(rest.len())].trim_end_matches('.');
        let length = value.len();
        if length == 0 || is_number(value) || self.time_length() > 0 || self.ip_length() > 0 {
            return false;
        }
        let mask = if is_id(value) { "<id>" } else { "<w>" };
        self.mask(length, mask);
        true
    }

    fn time(&mut self) -> bool {
        let length = self.time_length();
        self.mask(length, if length > 0 { "<time>" } else { "" });
        length > 0
    }

    /// Bytes of a date, a time of day, or both; 0 for none.
    fn time_length(&self) -> usize {
        let rest = self.rest().as_bytes();
        let date = if shaped(rest, "0000-00-00") { 10 } else { 0 };
        let joint = usize::from(date > 0 && matches!(rest.get(10), Some(b'T' | b' ')));
        let clock = rest.get(date + joint..).unwrap_or_default();
        if !shaped(clock, "00:00:00") {
            return date;
        }
        let fraction = fraction(&clock[8..]);
        date + joint + 8 + fraction + zone(&clock[8 + fraction..])
    }

    fn ip(&mut self) -> bool {
        let length = self.ip_length();
        self.mask(length, if length > 0 { "<ip>" } else { "" });
        length > 0
    }

    /// Bytes of an IPv4 address; 0 for none.
    fn ip_length(&self) -> usize {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let address = rest[..end].trim_end_matches('.');
        let parts = || address.split('.');
        let is_ip = parts().count() == 4 && parts().all(|part| part.parse::<u8>().is_ok());
        if is_ip { address.len() } else { 0 }
    }

    /// A run of letters, digits, and what joins them.
    fn word(&mut self) {
        let rest = self.rest();
        let joins = |c: char| is_of_word(c) || c == '-' || c == '.';
        let length = rest.find(|c| !joins(c)).unwrap_or(rest.len());
        let word = rest[..length].trim_end_matches(['-', '.']).to_owned();
        if !word.bytes().any(|b| b.is_ascii_digit()) {
            self.keep(word.len());
        } else if is_id(&word) {
            self.mask(word.len(), "<id>");
        } else {
            for (i, part) in word.split('-').enumerate() {
                if i > 0 {
                    self.keep(1);
                }
                self.part(part);
            }
        }
    }

    /// A word between hyphens.
    fn part(&mut self, part: &str) {
        if is_id(part) {
            return self.mask(part.len(), "<id>");
        }
        let mut rest = part;
        while let Some(first) = rest.find(|c: char| c.is_ascii_digit()) {
            self.keep(first);
            rest = &rest[first..];
            let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let number = rest[..length].trim_end_matches('.').len();
            self.mask(number, "<n>");
            rest = &rest[number..];
        }
        self.keep(rest.len());
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Bytes before the quote that closes; a backslash takes the next character along.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => {
                let behind = text[at + 1..].chars().next();
                // `don't`: within a word it is an apostrophe.
                return (!behind.is_some_and(is_of_word)).then_some(at);
            }
            _ => {}
        }
    }
    None
}

/// Whether the text begins like the shape, in which `0` is any digit.
fn shaped(text: &[u8], shape: &str) -> bool {
    text.len() >= shape.len()
        && text.iter().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            other => *byte == other,
        })
}

fn fraction(text: &[u8]) -> usize {
    let digits = text.iter().skip(1).take_while(|b| b.is_ascii_digit()).count();
    if matches!(text.first(), Some(b'.' | b',')) && digits > 0 { digits + 1 } else { 0 }
}

fn zone(text: &[u8]) -> usize {
    match text.first() {
        Some(b'Z') => 1,
        Some(b'+' | b'-') if shaped(&text[1..], "00:00") => 6,
        Some(b'+' | b'-') if shaped(&text[1..], "0000") => 5,
        _ => 0,
    }
}

/// Digits, perhaps with a sign, a point and a short unit.
fn is_number(text: &str) -> bool {
    const UNIT_MAX: usize = 4;
    let text = text.strip_prefix('-').unwrap_or(text);
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    text.starts_with(|c: char| c.is_ascii_digit())
        && unit.len() <= UNIT_MAX
        && unit.chars().all(|c| c.is_alphabetic() || c == '%')
}

/// Hex long enough, a UUID, or a long mix of letters and digits.
fn is_id(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let hex = word.strip_prefix("0x").unwrap_or(word);
    let is_hex = hex.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
    let hex_digits = hex.bytes().filter(|b| *b != b'-').count();
    let is_long_hex = is_hex && hex_digits >= HEX_ID_MIN && letters > 0 && digits > 0;
    let is_mixed = word.len() >= MIXED_ID_MIN
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && letters > 0
        && digits * 6 >= word.len();
    is_long_hex || is_mixed
}
