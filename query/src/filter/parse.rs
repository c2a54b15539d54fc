//! The text of a filter line as a tree, every part with its place.

use super::Wrong;

/// Brackets and negations inside each other.
const DEPTH_MAX: usize = 20;
/// Comparisons and words of one line.
const ATOMS_MAX: usize = 100;
/// Values of one list.
const VALUES_MAX: usize = 200;

/// A part of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Atom(Atom),
}

/// The smallest part: one comparison, word or call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Atom {
    /// Characters before it.
    pub(super) at: usize,
    /// Its length in characters.
    pub(super) length: usize,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    Compare {
        key: Name,
        op: Op,
        value: Value,
    },
    In {
        key: Name,
        values: Vec<Value>,
    },
    Has(Name),
    /// Spans that have a relation to a span that meets the filter.
    Related {
        relation: Relation,
        inner: Box<Node>,
    },
    /// Contained text.
    Text(String),
    /// An expression of SQL.
    Sql(Name),
}

/// A key, or a text of SQL, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) at: usize,
    pub(super) text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) at: usize,
    pub(super) text: String,
    /// It stood in quotes: a text, whatever it looks like.
    pub(super) is_quoted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Match,
    NoMatch,
    Gt,
    Ge,
    Lt,
    Le,
}

impl Op {
    /// Longer ones first, so that `>=` is not read as `>`.
    const ALL: [(&'static str, Op); 8] = [
        ("!=", Op::Ne),
        ("!~", Op::NoMatch),
        (">=", Op::Ge),
        ("<=", Op::Le),
        ("=", Op::Eq),
        ("~", Op::Match),
        (">", Op::Gt),
        ("<", Op::Lt),
    ];

    /// As SQL writes it; the matches are functions there.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Op::Eq | Op::Match => "=",
            Op::Ne | Op::NoMatch => "<>",
            Op::Gt => ">",
            Op::Ge => ">=",
            Op::Lt => "<",
            Op::Le => "<=",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Child,
    Parent,
    Descendant,
    Ancestor,
}

impl Relation {
    fn of(word: &str) -> Option<Relation> {
        Some(match word {
            "child" => Relation::Child,
            "parent" => Relation::Parent,
            "desc" => Relation::Descendant,
            "anc" => Relation::Ancestor,
            _ => return None,
        })
    }
}

/// Reads a line; `None` when nothing stands in it.
pub(super) fn parse(line: &str) -> Result<Option<Node>, Wrong> {
    let mut parser = Parser { chars: line.chars().collect(), at: 0, depth: 0, atoms: 0 };
    parser.spaces();
    if parser.at == parser.chars.len() {
        return Ok(None);
    }
    let tree = parser.any()?;
    match parser.peek() {
        None => Ok(Some(tree)),
        Some(found) => Err(Wrong::new(parser.at, format!("`{found}` closes nothing"))),
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
    atoms: usize,
}

impl Parser {
    /// `and { "or" and }`
    fn any(&mut self) -> Result<Node, Wrong> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Wrong::new(self.at, "brackets lie too deep inside each other"));
        }
        let mut parts = vec![self.all()?];
        while self.keyword("or") {
            parts.push(self.all()?);
        }
        self.depth -= 1;
        Ok(joined(parts, Node::Or))
    }

    /// `not { ["and"] not }`
    fn all(&mut self) -> Result<Node, Wrong> {
        let mut parts = vec![self.not()?];
        loop {
            let and = self.keyword("and");
            let ends = matches!(self.peek(), None | Some(')')) || self.is_keyword("or");
            if ends && !and {
                return Ok(joined(parts, Node::And));
            }
            parts.push(self.not()?);
        }
    }

    fn not(&mut self) -> Result<Node, Wrong> {
        let mut negations = 0;
        while self.keyword("not") || self.minus() {
            negations += 1;
        }
        let atom = self.atom()?;
        Ok(if negations % 2 == 1 { Node::Not(Box::new(atom)) } else { atom })
    }

    fn atom(&mut self) -> Result<Node, Wrong> {
        self.atoms += 1;
        if self.atoms > ATOMS_MAX {
            return Err(Wrong::new(self.at, format!("there are more than {ATOMS_MAX} parts")));
        }
        let at = self.at;
        let what = match self.peek() {
            None => return Err(Wrong::new(at, "something is missing at the end")),
            Some('(') => return self.bracketed(),
            Some('"') => What::Text(self.quoted('"')?),
            Some(_) => self.named()?,
        };
        let length = self.at - at;
        self.spaces();
        Ok(Node::Atom(Atom { at, length, what }))
    }

    fn bracketed(&mut self) -> Result<Node, Wrong> {
        self.expect('(')?;
        self.spaces();
        let inner = self.any()?;
        self.expect(')')?;
        self.spaces();
        Ok(inner)
    }

    /// A comparison, a call or a word.
    fn named(&mut self) -> Result<What, Wrong> {
        let at = self.at;
        let text = self.run(|c| c.is_whitespace() || "()\",=!~<>".contains(c));
        if text.is_empty() {
            return Err(match self.chars.get(at) {
                Some(found) => Wrong::new(at, format!("`{found}` needs a key before it")),
                None => Wrong::new(at, "something is missing at the end"),
            });
        }
        if self.chars.get(self.at) == Some(&'(') {
            return self.call(Name { at, text });
        }
        let behind = self.at;
        self.spaces();
        if let Some(op) = self.op() {
            self.spaces();
            let value = self.value()?;
            return Ok(What::Compare { key: Name { at, text }, op, value });
        }
        if self.is_keyword("in") && self.opens_behind(2) {
            return Ok(What::In { key: Name { at, text }, values: self.list()? });
        }
        self.at = behind;
        Ok(What::Text(text))
    }

    fn call(&mut self, name: Name) -> Result<What, Wrong> {
        if let Some(relation) = Relation::of(&name.text) {
            let inner = Box::new(self.inner()?);
            return Ok(What::Related { relation, inner });
        }
        self.expect('(')?;
        match name.text.as_str() {
            "has" => {
                self.spaces();
                let at = self.at;
                let text = self.run(|c| c.is_whitespace() || c == ')');
                self.spaces();
                self.expect(')')?;
                if text.is_empty() {
                    Err(Wrong::new(at, "a key is missing"))
                } else {
                    Ok(What::Has(Name { at, text }))
                }
            }
            "sql" => self.sql().map(What::Sql),
            other => Err(Wrong::new(
                name.at,
                format!("no function {other}(): there are has, child, parent, desc, anc and sql"),
            )),
        }
    }

    /// A filter in brackets, without the spaces behind.
    fn inner(&mut self) -> Result<Node, Wrong> {
        self.expect('(')?;
        self.spaces();
        let inner = self.any()?;
        self.expect(')')?;
        Ok(inner)
    }

    /// Everything up to the bracket that closes; texts may hold brackets.
    fn sql(&mut self) -> Result<Name, Wrong> {
        let at = self.at;
        let mut open = 1;
        let mut in_text = false;
        while let Some(&c) = self.chars.get(self.at) {
            match c {
                '\'' => in_text = !in_text,
                '(' if !in_text => open += 1,
                ')' if !in_text => open -= 1,
                _ => {}
            }
            if open == 0 {
                let text: String = self.chars[at..self.at].iter().collect();
                self.at += 1;
                return Ok(Name { at, text });
            }
            self.at += 1;
        }
        Err(Wrong::new(self.at, "`)` is missing at the end"))
    }

    fn list(&mut self) -> Result<Vec<Value>, Wrong> {
        self.at += "in".len();
        self.spaces();
        self.expect('(')?;
        let mut values = Vec::new();
        loop {
            self.spaces();
            if values.len() == VALUES_MAX {
                return Err(Wrong::new(
                    self.at,
                    format!("there are more than {VALUES_MAX} values"),
                ));
            }
            values.push(self.value()?);
            self.spaces();
            match self.chars.get(self.at) {
                Some(',') => self.at += 1,
                _ => {
                    self.expect(')')?;
                    return Ok(values);
                }
            }
        }
    }

    fn value(&mut self) -> Result<Value, Wrong> {
        let at = self.at;
        match self.chars.get(at) {
            Some(quote @ ('"' | '\'')) => {
                let text = self.quoted(*quote)?;
                Ok(Value { at, text, is_quoted: true })
            }
            _ => {
                let text = self.run(|c| c.is_whitespace() || "(),\"".contains(c));
                match text.is_empty() {
                    true => Err(Wrong::new(at, "a value is missing; an empty one is \"\"")),
                    false => Ok(Value { at, text, is_quoted: false }),
                }
            }
        }
    }

    /// A text in quotes; `\` before a character takes it as it is.
    fn quoted(&mut self, quote: char) -> Result<String, Wrong> {
        let at = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(&c) = self.chars.get(self.at) {
            self.at += 1;
            match c {
                // Other backslashes belong to a regular expression.
                '\\' if self.chars.get(self.at) == Some(&quote) => {
                    text.push(quote);
                    self.at += 1;
                }
                c if c == quote => return Ok(text),
                c => text.push(c),
            }
        }
        Err(Wrong::new(at, format!("the {quote} is not closed")))
    }

    fn op(&mut self) -> Option<Op> {
        let rest = &self.chars[self.at..];
        let starts = |text: &str| rest.iter().take(text.len()).copied().eq(text.chars());
        let (text, op) = Op::ALL.iter().find(|(text, _)| starts(text))?;
        self.at += text.len();
        Some(*op)
    }

    /// A `-` that negates what stands right behind it.
    fn minus(&mut self) -> bool {
        let next = self.chars.get(self.at + 1);
        let negates = self.peek() == Some('-') && next.is_some_and(|c| !c.is_whitespace());
        self.at += usize::from(negates);
        negates
    }

    /// Takes a word of the grammar where it stands alone.
    fn keyword(&mut self, word: &str) -> bool {
        let found = self.is_keyword(word);
        if found {
            self.at += word.len();
            self.spaces();
        }
        found
    }

    fn is_keyword(&self, word: &str) -> bool {
        let rest = &self.chars[self.at..];
        let matches = rest.len() >= word.len()
            && rest.iter().zip(word.chars()).all(|(c, w)| c.to_ascii_lowercase() == w);
        // `or=1` compares a key of that name.
        let alone = |c: &char| c.is_whitespace() || *c == '(' || *c == ')';
        matches && rest.get(word.len()).is_none_or(alone)
    }

    /// Whether a bracket opens behind so many characters and spaces.
    fn opens_behind(&self, skip: usize) -> bool {
        let rest = self.chars.get(self.at + skip..).unwrap_or_default();
        rest.iter().find(|c| !c.is_whitespace()) == Some(&'(')
    }

    fn run(&mut self, ends: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.chars.get(self.at).is_some_and(|c| !ends(*c)) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn spaces(&mut self) {
        self.run(|c| !c.is_whitespace());
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn expect(&mut self, wanted: char) -> Result<(), Wrong> {
        match self.peek() {
            Some(found) if found == wanted => {
                self.at += 1;
                Ok(())
            }
            _ => Err(Wrong::new(self.at, format!("`{wanted}` is missing"))),
        }
    }
}

/// One part stands for itself.
fn joined(mut parts: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Node {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (Some(last), false) => {
            parts.push(last);
            join(parts)
        }
        (None, _) => join(parts),
    }
}
