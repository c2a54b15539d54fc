//! One text for all calls of a query: literals and lists become `?` (analytics 13).
//!
//! `SELECT * FROM t WHERE id IN (1, 2)` becomes `SELECT * FROM t WHERE id IN (?)`. It is no parser:
//! one pass over the characters that knows the literals, placeholders and comments of the common
//! dialects, and of JSON for document stores. In doubt it takes more away, since a value that stays
//! makes a group of its own and may be private. Names, `NULL` and `TRUE` outside lists stay.

/// The text with literals, placeholders and lists of them replaced by `?`, comments removed and
/// white space made single. Normalising twice changes nothing more.
pub fn normalize_query(text: &str) -> String {
    let mut scanner = Scanner::new(text);
    while let Some(next) = scanner.rest.chars().next() {
        scanner.token(next);
    }
    scanner.out
}

/// Prefixes of quoted literals: escaped, national, hexadecimal and bit strings.
const LITERAL_PREFIXES: [&str; 5] = ["E", "N", "X", "B", "U&"];

/// Words that are values when they stand in a list.
const LITERAL_WORDS: [&str; 5] = ["?", "NULL", "TRUE", "FALSE", "DEFAULT"];

struct Scanner<'a> {
    rest: &'a str,
    out: String,
    /// White space was read and is written before the next character, if there is one.
    has_space: bool,
    /// The text is JSON: double quotes hold values too.
    is_json: bool,
    /// Where in `out` the open brackets are.
    brackets: Vec<usize>,
}

impl<'a> Scanner<'a> {
    fn new(rest: &'a str) -> Scanner<'a> {
        let out = String::with_capacity(rest.len().min(4_096));
        Scanner { rest, out, has_space: false, is_json: false, brackets: Vec::new() }
    }

    /// Reads one token, which starts with `next`.
    fn token(&mut self, next: char) {
        match next {
            c if c.is_whitespace() => self.space(c.len_utf8()),
            '-' if self.rest.starts_with("--") => self.space(self.find("\n", 2)),
            '/' if self.rest.starts_with("/*") => self.space(self.find("*/", 2)),
            '\'' => self.literal(quoted(self.rest).0),
            '"' if self.is_json => self.json_text(),
            '"' | '`' => self.name(),
            '$' => self.dollar(),
            '?' => self.literal(1 + digits(&self.rest[1..])),
            ':' if self.is_named_placeholder() => self.literal(1 + word(&self.rest[1..])),
            '%' if self.rest.starts_with("%s") && word(&self.rest[1..]) == 1 => self.literal(2),
            c if c.is_ascii_digit() => self.literal(number(self.rest)),
            '.' | '-' | '+' if self.starts_number() => self.literal(1 + number(&self.rest[1..])),
            c if is_word(c) => self.word(),
            '(' | '[' => {
                self.is_json |= self.out.is_empty() && opens_json(next);
                self.copy(1);
                self.brackets.push(self.out.len() - 1);
            }
            ')' | ']' => self.close(),
            c => {
                self.is_json |= self.out.is_empty() && opens_json(c);
                self.copy(c.len_utf8());
            }
        }
    }

    fn space(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
        self.has_space = !self.out.is_empty();
    }

    /// Writes what comes next as it is.
    fn copy(&mut self, bytes: usize) {
        let (text, rest) = self.rest.split_at(bytes);
        self.write(text);
        self.rest = rest;
    }

    /// Writes a `?` for what comes next.
    fn literal(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
        self.write("?");
    }

    fn write(&mut self, text: &str) {
        if std::mem::take(&mut self.has_space) {
            self.out.push(' ');
        }
        self.out.push_str(text);
    }

    /// The character before the next one, as the reader of the output will see it.
    fn previous(&self) -> char {
        if self.has_space { ' ' } else { self.out.chars().next_back().unwrap_or(' ') }
    }

    /// Bytes up to the end of `pattern`, looked for from `from`; all if it is not there.
    fn find(&self, pattern: &str, from: usize) -> usize {
        self.rest[from..].find(pattern).map_or(self.rest.len(), |at| from + at + pattern.len())
    }

    /// A quoted name stays, unless its end is missing.
    fn name(&mut self) {
        let (bytes, is_closed) = quoted(self.rest);
        if is_closed { self.copy(bytes) } else { self.literal(bytes) }
    }

    /// A text of JSON stays if it is a key.
    fn json_text(&mut self) {
        let (bytes, is_closed) = quoted(self.rest);
        let is_key = self.rest[bytes..].trim_start().starts_with(':');
        if is_key && is_closed { self.copy(bytes) } else { self.literal(bytes) }
    }

    /// `$1`, or `$tag$ … $tag$`, or a mere dollar.
    fn dollar(&mut self) {
        let after = &self.rest[1..];
        let tag = after.find(|c| !is_word(c)).unwrap_or(after.len());
        if after[tag..].starts_with('$') && !after.starts_with(|c: char| c.is_ascii_digit()) {
            let mark = &self.rest[..tag + 2];
            self.literal(self.find(mark, mark.len()));
        } else if digits(after) > 0 {
            self.literal(1 + digits(after));
        } else {
            self.copy(1);
        }
    }

    /// `:name`, and neither a cast (`::`) nor a slice nor a pair of JSON.
    fn is_named_placeholder(&self) -> bool {
        let is_value_before =
            |c: char| is_word(c) || matches!(c, ':' | '?' | ']' | ')' | '"' | '`');
        !self.is_json && word(&self.rest[1..]) > 0 && !is_value_before(self.previous())
    }

    /// Whether a sign or point belongs to the number behind it.
    fn starts_number(&self) -> bool {
        let mut after = self.rest[1..].chars();
        let starts = match after.next() {
            Some('.') => !self.rest.starts_with('.') && after.next().is_some_and(is_digit),
            next => next.is_some_and(is_digit),
        };
        let before = self.previous();
        starts && (before == ' ' || "=<>(,*/%+-[:".contains(before))
    }

    /// A name or keyword; or the prefix of a literal.
    fn word(&mut self) {
        let bytes = word(self.rest);
        let (text, after) = self.rest.split_at(bytes);
        let prefix = if after.starts_with("&'") { &self.rest[..bytes + 1] } else { text };
        let is_prefix = LITERAL_PREFIXES.iter().any(|known| known.eq_ignore_ascii_case(prefix));
        match self.rest[prefix.len()..].starts_with('\'') && is_prefix {
            true => self.literal(prefix.len() + quoted(&self.rest[prefix.len()..]).0),
            false => self.copy(bytes),
        }
    }

    /// A closing bracket: a list of values becomes one, and so does a list of such lists.
    fn close(&mut self) {
        let Some(open) = self.brackets.pop() else { return self.copy(1) };
        if is_list(&self.out[open + 1..]) {
            self.out.truncate(open + 1);
            self.out.push('?');
            self.has_space = false;
        }
        self.copy(1);
        if matches!(&self.out[open..], "(?)" | "[?]")
            && let Some(before) = self.out[..open].trim_end().strip_suffix(',')
            && before.trim_end().ends_with(&self.out[open..])
        {
            self.out.truncate(before.trim_end().len());
        }
    }
}

fn opens_json(c: char) -> bool {
    matches!(c, '{' | '[')
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Bytes of the digits in front.
fn digits(text: &str) -> usize {
    text.find(|c| !is_digit(c)).unwrap_or(text.len())
}

/// Bytes of the word in front; after its first character a word may have dollars.
fn word(text: &str) -> usize {
    if !text.starts_with(is_word) {
        return 0;
    }
    text.find(|c| !is_word(c) && c != '$').unwrap_or(text.len())
}

/// Bytes of the number in front, exponent and base included: `1.5e-3`, `0xFF`, `1_000`.
fn number(text: &str) -> usize {
    let mut before = '0';
    let is_part = |c: char| {
        let is_sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E');
        let is_part = is_word(c) || c == '.' || (is_sign && !text.starts_with("0x"));
        before = c;
        is_part
    };
    text.char_indices()
        .zip(text.chars().map(is_part))
        .find(|(_, is)| !is)
        .map_or(text.len(), |f| f.0.0)
}

/// Bytes of the quoted text in front, and whether it has an end; all if not. A doubled quote and one
/// behind a backslash do not end it.
fn quoted(text: &str) -> (usize, bool) {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == bytes[0] && bytes.get(at + 1) == Some(&byte) => at += 2,
            byte if byte == bytes[0] => return (at + 1, true),
            _ => at += 1,
        }
    }
    (bytes.len(), false)
}

/// Whether the text between two brackets is nothing but values and commas. It stops at the first
/// thing that is not, so that brackets in brackets take no more than their length.
fn is_list(mut text: &str) -> bool {
    loop {
        text = text.trim_start();
        let is_next = |word: &&&str| {
            text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        let Some(value) = LITERAL_WORDS.iter().find(is_next) else { return false };
        text = text[value.len()..].trim_start();
        match text.strip_prefix(',') {
            Some(rest) => text = rest,
            None => return text.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests;
