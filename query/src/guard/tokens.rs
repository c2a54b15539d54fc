//! What is checked on the tokens: kinds that never run, and runs of operators whose tree would be
//! too deep to parse, walk and drop.

use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use super::refused;
use crate::QueryError;
use crate::limits::GuardLimits;

/// A token run bounds the depth, it is not the depth (`name = 'x' OR` is one level of the tree and
/// up to four counted tokens, clauses add up), so it may be this many times as long as the tree is
/// deep. The tree is measured exactly afterwards.
const RUN_PER_DEPTH: u64 = 4;
/// The same for words that may be set operators: `* EXCEPT (…)` is none.
const WORDS_PER_SET_OPERATION: u64 = 8;
/// `ARRAY<STRUCT<…` and `INTERVAL INTERVAL …` that a text may hold: the parser follows both without
/// a limit of its own.
const UNCOUNTED_MAX: u64 = 32;

pub(super) fn tokenize(sql: &str, dialect: &dyn Dialect) -> Result<Vec<TokenWithSpan>, QueryError> {
    Tokenizer::new(dialect, sql)
        .tokenize_with_location()
        .map_err(|e| QueryError::syntax(e.message).at(e.location.line, e.location.column))
}

/// Refuses what must not reach the parser.
pub(super) fn check(tokens: &[TokenWithSpan], limits: &GuardLimits) -> Result<(), QueryError> {
    let mut words = tokens.iter().filter_map(|t| keyword(&t.token));
    if let Some(first) = words.next().filter(|k| WRITES.contains(k)) {
        return Err(refused(&format!("{first:?}")));
    }
    check_size(tokens, limits)
}

/// Refuses what the parser or a walk over its tree would not survive.
fn check_size(tokens: &[TokenWithSpan], limits: &GuardLimits) -> Result<(), QueryError> {
    // DataFusion's parser follows EXPLAIN EXPLAIN … without a limit.
    if tokens.iter().filter(|t| keyword(&t.token) == Some(Keyword::EXPLAIN)).count() > 1 {
        return Err(QueryError::not_allowed("EXPLAIN stands more than once"));
    }
    let depth = limits.depth.saturating_mul(RUN_PER_DEPTH);
    let set_operations = limits.set_operations.saturating_mul(WORDS_PER_SET_OPERATION);
    for (name, used, most, hint) in [
        ("depth", longest_run(tokens), depth, super::size::DEPTH_HINT),
        ("set_operations", set_operators(tokens), set_operations, "use GROUP BY or IN (…)"),
        ("nesting", uncounted(tokens), UNCOUNTED_MAX, "cast to a flat type"),
    ] {
        if used > most {
            return Err(QueryError::too_large(name, used, most).with_hint(hint));
        }
    }
    Ok(())
}

/// Refuses a text that is no condition of its own, whatever stands around it: other brackets than it
/// opens, a second statement, a comment that would swallow what follows.
pub(super) fn check_condition(
    tokens: &[TokenWithSpan],
    limits: &GuardLimits,
) -> Result<(), QueryError> {
    let mut open = Vec::new();
    let mut is_empty = true;
    for token in tokens {
        let refuse = |why: &str| {
            let at = token.span.start;
            Err(QueryError::syntax(why).at(at.line, at.column))
        };
        is_empty &= matches!(token.token, Token::Whitespace(_) | Token::EOF);
        match &token.token {
            Token::LParen => open.push(Token::RParen),
            Token::LBracket => open.push(Token::RBracket),
            Token::LBrace => open.push(Token::RBrace),
            close @ (Token::RParen | Token::RBracket | Token::RBrace)
                if open.pop().as_ref() != Some(close) =>
            {
                return refuse(&format!("`{close}` closes nothing"));
            }
            Token::SemiColon => return refuse("a condition ends without a semicolon"),
            Token::Whitespace(
                Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_),
            ) => return refuse("a comment cannot stand in a condition"),
            _ => {}
        }
    }
    match open.last() {
        Some(close) => Err(QueryError::syntax(format!("`{close}` is missing at its end"))),
        None if is_empty => Err(QueryError::syntax("the condition is empty")),
        None => check_size(tokens, limits),
    }
}

/// First words of statements that change something or hold state. The list serves the message: what
/// it lacks is refused after parsing.
const WRITES: &[Keyword] = &[
    Keyword::ALTER,
    Keyword::ANALYZE,
    Keyword::ATTACH,
    Keyword::BEGIN,
    Keyword::CALL,
    Keyword::COMMIT,
    Keyword::COPY,
    Keyword::CREATE,
    Keyword::DEALLOCATE,
    Keyword::DELETE,
    Keyword::DETACH,
    Keyword::DROP,
    Keyword::EXECUTE,
    Keyword::GRANT,
    Keyword::INSERT,
    Keyword::INSTALL,
    Keyword::KILL,
    Keyword::LOAD,
    Keyword::LOCK,
    Keyword::MERGE,
    Keyword::MSCK,
    Keyword::PRAGMA,
    Keyword::PREPARE,
    Keyword::RELEASE,
    Keyword::REPLACE,
    Keyword::RESET,
    Keyword::REVOKE,
    Keyword::ROLLBACK,
    Keyword::SAVEPOINT,
    Keyword::SET,
    Keyword::START,
    Keyword::TRUNCATE,
    Keyword::UNLOAD,
    Keyword::UPDATE,
    Keyword::USE,
    Keyword::VACUUM,
];

fn keyword(token: &Token) -> Option<Keyword> {
    match token {
        Token::Word(word) => Some(word.keyword),
        _ => None,
    }
}

/// Upper bound of the depth of any expression: the operators (and keywords, which may be operators)
/// since the last comma, summed over the open parentheses. Clauses do not start anew, since most
/// keywords may also stand as names: `where + where + …`.
fn longest_run(tokens: &[TokenWithSpan]) -> u64 {
    // Operators of the innermost open parenthesis; `sum` holds those of all open ones.
    let (mut here, mut sum, mut longest) = (0_u64, 0_u64, 0_u64);
    let mut outer: Vec<(u64, Opener)> = Vec::new();
    for token in tokens.iter().map(|t| &t.token) {
        if matches!(token, Token::Comma | Token::SemiColon) {
            sum -= here;
            here = 0;
        } else if closes(token).is_some_and(|o| outer.last().is_some_and(|(_, open)| *open == o)) {
            sum -= here;
            here = outer.pop().map_or(0, |(count, _)| count);
        } else if counts(token) {
            here += 1;
            sum += 1;
            if let Some(opener) = opens(token) {
                outer.push((std::mem::take(&mut here), opener));
            }
        }
        longest = longest.max(sum);
    }
    longest
}

#[derive(PartialEq)]
enum Opener {
    Bracket,
    Case,
}

fn opens(token: &Token) -> Option<Opener> {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => Some(Opener::Bracket),
        Token::Word(word) if word.keyword == Keyword::CASE => Some(Opener::Case),
        _ => None,
    }
}

/// What the token closes. A bare `end` may be a column, so it counts only where CASE is open.
fn closes(token: &Token) -> Option<Opener> {
    match token {
        Token::RParen | Token::RBracket | Token::RBrace => Some(Opener::Bracket),
        Token::Word(word) if word.keyword == Keyword::END => Some(Opener::Case),
        _ => None,
    }
}

/// Everything but names, literals and dots may be an operator.
fn counts(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword != Keyword::NoKeyword,
        Token::Number(..) | Token::SingleQuotedString(_) | Token::Period => false,
        Token::Whitespace(_) | Token::Placeholder(_) | Token::EOF => false,
        _ => true,
    }
}

fn set_operators(tokens: &[TokenWithSpan]) -> u64 {
    use Keyword::{EXCEPT, INTERSECT, MINUS, UNION};
    let is_set_operator = |k: Keyword| matches!(k, UNION | EXCEPT | INTERSECT | MINUS);
    tokens.iter().filter(|t| keyword(&t.token).is_some_and(is_set_operator)).count() as u64
}

/// Pairs of tokens through which the parser recurses without counting: nested types, and INTERVAL
/// before INTERVAL.
fn uncounted(tokens: &[TokenWithSpan]) -> u64 {
    use Keyword::{ARRAY, INTERVAL, MAP, STRUCT, TABLE};
    let words = tokens.iter().map(|t| &t.token).filter(|t| !matches!(t, Token::Whitespace(_)));
    let pairs = words.clone().zip(words.skip(1));
    let recurses = |(first, second): &(&Token, &Token)| match keyword(first) {
        Some(ARRAY | STRUCT | MAP | TABLE) => **second == Token::Lt,
        Some(INTERVAL) => keyword(second) == Some(INTERVAL),
        _ => false,
    };
    pairs.filter(recurses).count() as u64
}
