//! Texts as numbers: a service is compared and hashed millions of times, and named once.

use std::collections::HashMap;

/// A text of a [`Symbols`] table. The default is the absent text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(u32);

impl Symbol {
    /// No text.
    pub const NONE: Symbol = Symbol(0);

    /// Whether there is no text.
    pub fn is_none(self) -> bool {
        self == Symbol::NONE
    }

    /// The symbol, unless it is absent.
    pub fn some(self) -> Option<Symbol> {
        (!self.is_none()).then_some(self)
    }

    /// Place in the table, 0 for the absent text.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Texts and their symbols. It grows with the distinct texts only; the owner bounds it by
/// starting a new one when [`Symbols::bytes`] passes its limit.
#[derive(Debug)]
pub struct Symbols {
    texts: Vec<Box<str>>,
    known: HashMap<Box<str>, Symbol>,
    bytes: usize,
}

impl Default for Symbols {
    fn default() -> Symbols {
        Symbols { texts: vec!["".into()], known: HashMap::new(), bytes: 0 }
    }
}

impl Symbols {
    /// The symbol of a text; the empty text is the absent one.
    pub fn intern(&mut self, text: &str) -> Symbol {
        if text.is_empty() {
            return Symbol::NONE;
        }
        if let Some(&symbol) = self.known.get(text) {
            return symbol;
        }
        let symbol = Symbol(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.texts.push(text.into());
        self.known.insert(text.into(), symbol);
        self.bytes += 2 * text.len() + 64;
        symbol
    }

    /// The text of a symbol, empty for the absent one.
    pub fn text(&self, symbol: Symbol) -> &str {
        self.text_at(symbol.index())
    }

    /// The text at a place in the table.
    pub(crate) fn text_at(&self, index: usize) -> &str {
        self.texts.get(index).map_or("", |text| text)
    }

    /// How many symbols there are, the absent one included.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether nothing but the absent text is known.
    pub fn is_empty(&self) -> bool {
        self.texts.len() == 1
    }

    /// Memory held, estimated.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
