//! The text of the editor as tokens: where statements end, what is coloured how, and the binds
//! `:from`, `:to` and `:filter`. Quoted text and comments are never touched.

use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};

use crate::theme::Role;

/// Characters that are looked at; a text beyond is neither coloured nor split.
const CHARS_MAX: usize = 200_000;

fn tokens(text: &str) -> Vec<TokenWithSpan> {
    let mut tokens = Vec::new();
    if text.len() <= CHARS_MAX {
        let dialect = GenericDialect {};
        // What was read before an error, such as a quote that is not closed, counts.
        let _ = Tokenizer::new(&dialect, text).tokenize_with_location_into_buf(&mut tokens);
    }
    tokens
}

/// Byte of a place that the tokenizer counts in lines and characters from 1.
fn byte_at(text: &str, at: Location) -> usize {
    let line = usize::try_from(at.line).unwrap_or(1).saturating_sub(1);
    let column = usize::try_from(at.column).unwrap_or(1).saturating_sub(1);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = &text[start.min(text.len())..];
    start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
}

/// The statement in which a byte of the text lies, without its semicolon.
pub(crate) fn around(text: &str, byte: usize) -> &str {
    let ends = tokens(text).into_iter().filter(|t| t.token == Token::SemiColon);
    let ends: Vec<usize> = ends.map(|t| byte_at(text, t.span.start)).collect();
    let mut from = 0;
    for end in ends {
        // Behind the last semicolon of a line one still means that statement.
        if byte <= end + 1 && !text[from..end].trim().is_empty() {
            return text[from..end].trim();
        }
        if !text[end + 1..].trim().is_empty() {
            from = end + 1;
        } else {
            return text[from..end].trim();
        }
    }
    text[from..].trim()
}

/// The text with literals in place of `:from`, `:to` and `:filter`.
pub(crate) fn bound(text: &str, from: &str, to: &str, filter: &str) -> String {
    let tokens = tokens(text);
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for pair in 0..tokens.len() {
        let Some((name, start, end)) = bind(&tokens, pair) else { continue };
        let value = match name.as_str() {
            "from" => from,
            "to" => to,
            "filter" => filter,
            _ => continue,
        };
        let (start, end) = (byte_at(text, start), byte_at(text, end));
        out.push_str(&text[done..start]);
        out.push_str(value);
        done = end;
    }
    out.push_str(&text[done..]);
    out
}

/// The name of a bind that begins at a token, and where it stands.
fn bind(tokens: &[TokenWithSpan], at: usize) -> Option<(String, Location, Location)> {
    let token = &tokens[at];
    match (&token.token, tokens.get(at + 1)) {
        (Token::Placeholder(name), _) => {
            let name = name.strip_prefix(':')?.to_lowercase();
            Some((name, token.span.start, token.span.end))
        }
        (Token::Colon, Some(next)) if next.span.start == token.span.end => match &next.token {
            Token::Word(word) => Some((word.value.to_lowercase(), token.span.start, next.span.end)),
            _ => None,
        },
        _ => None,
    }
}

/// Line, first and last character from 0, and how they are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colour {
    pub(crate) line: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) role: Role,
}

/// The coloured pieces of a text; a token over several lines colours each.
pub(crate) fn colours(text: &str) -> Vec<Colour> {
    let mut colours = Vec::new();
    for token in tokens(text) {
        let Some(role) = role(&token.token) else { continue };
        let (start, end) = (token.span.start, token.span.end);
        for line in start.line..=end.line {
            let from = if line == start.line { start.column - 1 } else { 0 };
            let to = if line == end.line { end.column - 1 } else { u64::from(u16::MAX) };
            colours.push(Colour {
                line: usize::try_from(line - 1).unwrap_or(0),
                from: usize::try_from(from).unwrap_or(0),
                to: usize::try_from(to).unwrap_or(0),
                role,
            });
        }
    }
    colours
}

fn role(token: &Token) -> Option<Role> {
    Some(match token {
        Token::Word(word) if word.quote_style.is_none() && word.keyword != Keyword::NoKeyword => {
            Role::Accent
        }
        Token::Number(..) => Role::Series(2),
        Token::SingleQuotedString(_) | Token::DollarQuotedString(_) => Role::Series(1),
        Token::Whitespace(
            Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_),
        ) => Role::Dim,
        Token::Placeholder(_) => Role::Event,
        _ => return None,
    })
}

/// The statement with a line for each of its clauses.
pub(crate) fn laid_out(text: &str) -> String {
    const CLAUSES: [&str; 10] =
        ["FROM", "WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "UNION", "LEFT", "JOIN", "CROSS"];
    let mut out = String::new();
    let mut depth = 0i32;
    let mut after_left = false;
    for token in tokens(text) {
        let word = token.token.to_string();
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if let Token::Whitespace(space) = &token.token
            && !matches!(
                space,
                Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)
            )
        {
            if !out.is_empty() && !out.ends_with([' ', '\n']) {
                out.push(' ');
            }
            continue;
        }
        let upper = word.to_uppercase();
        let begins =
            depth == 0 && CLAUSES.contains(&upper.as_str()) && !(upper == "JOIN" && after_left);
        if begins && !out.is_empty() {
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
        if matches!(token.token, Token::Word(_)) {
            after_left = upper == "LEFT" || upper == "CROSS";
        }
        out.push_str(word.trim_end_matches('\n'));
        if matches!(token.token, Token::Whitespace(_)) {
            out.push('\n');
        }
    }
    out.trim().to_owned()
}
