//! What may stand at the cursor of a statement or of a filter line, from the text before it alone.
//!
//! Statements are half written when they are completed, so no parser reads them: a few tokens to the
//! left of the cursor decide.

#[cfg(test)]
mod tests;

use crate::attributes::Source;

/// A place to be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Characters before what is written of it.
    pub(crate) from: usize,
    /// What is written of it.
    pub(crate) prefix: String,
    pub(crate) wants: Wants,
}

/// What belongs there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    /// A table or a view with arguments.
    Table,
    /// A column, an attribute, a function or a word of SQL.
    Expression,
    /// A key of attributes, in quotes.
    Key(Source),
    /// A value, in quotes.
    Value(Operand),
    /// A key of a filter line.
    FilterKey,
    /// A value of a filter line, of this key.
    FilterValue(String),
    /// Nothing that could be known.
    Nothing,
}

/// What a value is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    Column(String),
    Attribute(Source, String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Symbol(char),
}

/// The place at the end of the beginning of a statement.
pub(crate) fn in_statement(before: &str) -> Place {
    let chars: Vec<char> = before.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let start = at;
        let c = chars[at];
        let run = |from: usize, keep: fn(char) -> bool| {
            from + chars[from..].iter().take_while(|c| keep(**c)).count()
        };
        match c {
            '\'' => match text(&chars, at + 1) {
                Some((text, end)) => {
                    tokens.push(Token::Text(text));
                    at = end;
                }
                None => {
                    let prefix = chars[at + 1..].iter().collect();
                    return Place { from: at + 1, prefix, wants: within_text(&tokens) };
                }
            },
            '-' if chars.get(at + 1) == Some(&'-') => {
                at = run(at, |c| c != '\n');
                if at == chars.len() {
                    return Place { from: at, prefix: String::new(), wants: Wants::Nothing };
                }
            }
            c if is_of_word(c) => {
                at = run(at, is_of_word);
                let word: String = chars[start..at].iter().collect();
                if at == chars.len() {
                    return Place { from: start, prefix: word, wants: at_word(&tokens) };
                }
                tokens.push(Token::Word(word));
            }
            c => {
                at += 1;
                if !c.is_whitespace() {
                    tokens.push(Token::Symbol(c));
                }
            }
        }
    }
    Place { from: chars.len(), prefix: String::new(), wants: at_word(&tokens) }
}

/// Known table names that follow FROM or JOIN, in the order of the text.
pub(crate) fn tables_of<'a>(
    statement: &str,
    known: impl Fn(&str) -> Option<&'a str>,
) -> Vec<&'a str> {
    let words: Vec<&str> =
        statement.split(|c: char| !is_of_word(c)).filter(|word| !word.is_empty()).collect();
    let follows = |pair: &[&str]| is_word(pair[0], &["from", "join"]).then(|| known(pair[1]));
    words.windows(2).filter_map(|pair| follows(pair).flatten()).collect()
}

/// A text from behind its quote, and where it ends; `None` when it does not.
fn text(chars: &[char], from: usize) -> Option<(String, usize)> {
    let mut found = String::new();
    let mut at = from;
    while let Some(&c) = chars.get(at) {
        at += 1;
        if c != '\'' {
            found.push(c);
        } else if chars.get(at) == Some(&'\'') {
            found.push('\'');
            at += 1;
        } else {
            return Some((found, at));
        }
    }
    None
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '$')
}

fn is_word(word: &str, any: &[&str]) -> bool {
    any.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// What the text that is open at the cursor is.
fn within_text(tokens: &[Token]) -> Wants {
    if let [.., Token::Word(column), Token::Symbol('[')] = tokens {
        return Source::of_column(last_part(column)).map_or(Wants::Nothing, Wants::Key);
    }
    operand(before_operator(tokens)).map_or(Wants::Nothing, Wants::Value)
}

/// The tokens before a comparison, of which the open text is the right side or a value of the list.
fn before_operator(tokens: &[Token]) -> &[Token] {
    let mut rest = tokens;
    while let [head @ .., Token::Text(_), Token::Symbol(',')] = rest {
        rest = head;
    }
    if let [head @ .., Token::Word(word), Token::Symbol('(')] = rest
        && is_word(word, &["in"])
    {
        rest = head;
    } else if let [head @ .., Token::Word(word)] = rest
        && is_word(word, &["like", "ilike"])
    {
        rest = head;
    } else {
        let ends = rest.len();
        while let [head @ .., Token::Symbol('=' | '<' | '>' | '!' | '~')] = rest {
            rest = head;
        }
        if rest.len() == ends {
            return &[];
        }
    }
    match rest {
        [head @ .., Token::Word(word)] if is_word(word, &["not"]) => head,
        other => other,
    }
}

fn operand(tokens: &[Token]) -> Option<Operand> {
    let tokens = match tokens {
        [head @ .., Token::Symbol(':'), Token::Symbol(':'), Token::Word(_)] => head,
        other => other,
    };
    match tokens {
        [.., Token::Word(column), Token::Symbol('['), Token::Text(key), Token::Symbol(']')] => {
            Some(Operand::Attribute(Source::of_column(last_part(column))?, key.clone()))
        }
        [.., Token::Word(column)] => Some(Operand::Column(last_part(column).to_owned())),
        _ => None,
    }
}

fn last_part(word: &str) -> &str {
    word.rsplit('.').next().unwrap_or(word)
}

/// What a word at the cursor is, by what stands before it.
fn at_word(tokens: &[Token]) -> Wants {
    let words = || {
        tokens.iter().rev().filter_map(|token| match token {
            Token::Word(word) => Some(word.as_str()),
            _ => None,
        })
    };
    const CLAUSES: [&str; 10] =
        ["select", "from", "join", "on", "where", "group", "order", "having", "limit", "by"];
    let clause = words().find(|word| is_word(word, &CLAUSES));
    match tokens.last() {
        Some(Token::Word(word)) if is_word(word, &["from", "join"]) => Wants::Table,
        Some(Token::Symbol(',')) if clause.is_some_and(|word| is_word(word, &["from"])) => {
            Wants::Table
        }
        _ => Wants::Expression,
    }
}

/// The place at the end of the beginning of a filter line.
pub(crate) fn in_line(before: &str) -> Place {
    let chars: Vec<char> = before.chars().collect();
    let (start, in_quotes) = line_part(&chars);
    let part: Vec<char> = chars[start..].to_vec();
    if in_quotes && part.first() == Some(&'"') {
        return Place { from: start, prefix: String::new(), wants: Wants::Nothing };
    }
    let is_op = |c: &char| "=!~<>".contains(*c);
    let Some(op) = part.iter().position(is_op) else {
        let negated = usize::from(part.first() == Some(&'-'));
        let listed = list_key(&chars[..start]);
        let prefix: String = part[negated..].iter().collect();
        return match listed {
            Some(key) => Place { from: start, prefix, wants: Wants::FilterValue(key) },
            None => Place { from: start + negated, prefix, wants: Wants::FilterKey },
        };
    };
    let key: String = part[..op].iter().collect::<String>().trim_start_matches('-').to_owned();
    let mut value = op + part[op..].iter().take_while(|c| is_op(c)).count();
    value += usize::from(matches!(part.get(value), Some('"' | '\'')));
    let prefix = part[value..].iter().collect();
    Place { from: start + value, prefix, wants: Wants::FilterValue(key) }
}

/// Where the part at the end begins, and whether a quote is open in it.
fn line_part(chars: &[char]) -> (usize, bool) {
    let mut start = 0;
    let mut quote = None;
    for (at, c) in chars.iter().enumerate() {
        match quote {
            Some(open) if *c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'') => quote = Some(*c),
            None if c.is_whitespace() || "(),".contains(*c) => start = at + 1,
            None => {}
        }
    }
    (start, quote.is_some())
}

/// The key of the list that is open before a value: `key in (a, `.
fn list_key(before: &[char]) -> Option<String> {
    let text: String = before.iter().collect();
    let (head, list) = text.rsplit_once('(')?;
    if list.contains(')') {
        return None;
    }
    let mut words = head.split_whitespace().rev();
    let is_list = words.next().is_some_and(|word| word.eq_ignore_ascii_case("in"));
    words.next().filter(|_| is_list).map(|key| key.trim_start_matches(['-', '(']).to_owned())
}
