//! A pull reader of JSON text: tokens, keys and strings. Numbers stay text until their field is
//! known.

/// The beginning of a value; of a scalar that is not a string, all of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Token<'t> {
    ObjectBegin,
    ArrayBegin,
    /// The opening quote; the caller reads on with [`Reader::string`].
    String,
    Number(&'t str),
    Bool(bool),
    Null,
}

impl Token<'_> {
    /// For messages.
    pub(super) fn name(self) -> String {
        match self {
            Token::ObjectBegin => "an object".to_owned(),
            Token::ArrayBegin => "an array".to_owned(),
            Token::String => "a string".to_owned(),
            Token::Number(text) => text.chars().take(40).collect(),
            Token::Bool(value) => value.to_string(),
            Token::Null => "null".to_owned(),
        }
    }
}

/// Where the text is read.
#[derive(Debug)]
pub(super) struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

type Syntax = &'static str;

const BOM: &[u8] = b"\xEF\xBB\xBF";

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t [u8]) -> Reader<'t> {
        Reader { text, at: if text.starts_with(BOM) { BOM.len() } else { 0 } }
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Takes this byte if it is the next one.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn token(&mut self) -> Result<Token<'t>, Syntax> {
        let token = match self.peek().ok_or("the text ends too early")? {
            b'{' => Token::ObjectBegin,
            b'[' => Token::ArrayBegin,
            b'"' => Token::String,
            b'-' | b'0'..=b'9' => return self.number().map(Token::Number),
            b't' => return self.word("true").map(|()| Token::Bool(true)),
            b'f' => return self.word("false").map(|()| Token::Bool(false)),
            b'n' => return self.word("null").map(|()| Token::Null),
            _ => return Err("a value must stand here"),
        };
        self.at += 1;
        Ok(token)
    }

    fn word(&mut self, word: &str) -> Result<(), Syntax> {
        if !self.text[self.at..].starts_with(word.as_bytes()) {
            return Err("a value must stand here");
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<&'t str, Syntax> {
        let rest = &self.text[self.at..];
        let len = number_len(rest).ok_or("a number is not written as JSON wants it")?;
        self.at += len;
        std::str::from_utf8(&rest[..len]).map_err(|_| "a number is not written as JSON wants it")
    }

    /// Reads `"key":`, appending the key.
    pub(super) fn key(&mut self, key: &mut Vec<u8>) -> Result<(), Syntax> {
        if !self.take(b'"') {
            return Err("a key in quotes must stand here");
        }
        self.string(key)?;
        if self.take(b':') { Ok(()) } else { Err("`:` must stand here") }
    }

    /// Appends a string's characters up to its closing quote. Half a surrogate pair becomes a byte
    /// that is not UTF-8, so that it is repaired and counted like all broken text.
    pub(super) fn string(&mut self, out: &mut Vec<u8>) -> Result<(), Syntax> {
        loop {
            let rest = &self.text[self.at..];
            let len = memchr::memchr2(b'"', b'\\', rest).ok_or("a string has no end")?;
            let plain = &rest[..len];
            // Without a branch a byte, so that it runs on whole registers.
            if plain.iter().fold(false, |found, b| found | (*b < 0x20)) {
                return Err("a string holds a control character that is not escaped");
            }
            out.extend_from_slice(plain);
            self.at += len + 1;
            if rest[len] == b'"' {
                return Ok(());
            }
            self.escape(out)?;
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), Syntax> {
        let escape = *self.text.get(self.at).ok_or("a string has no end")?;
        self.at += 1;
        out.push(match escape {
            b'"' | b'\\' | b'/' => escape,
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode(out),
            _ => return Err("a string holds an unknown escape"),
        });
        Ok(())
    }

    fn unicode(&mut self, out: &mut Vec<u8>) -> Result<(), Syntax> {
        const BROKEN: u8 = 0xFF;
        let unit = self.hex4()?;
        let code = match unit {
            0xD800..=0xDBFF => self.low_surrogate().map(|low| {
                0x1_0000 + ((u32::from(unit) - 0xD800) << 10) + (u32::from(low) - 0xDC00)
            }),
            _ => Some(u32::from(unit)),
        };
        match code.and_then(char::from_u32) {
            Some(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => out.push(BROKEN),
        }
        Ok(())
    }

    /// Takes the second half of a surrogate pair, if it follows.
    fn low_surrogate(&mut self) -> Option<u16> {
        let before = self.at;
        if self.text[self.at..].starts_with(b"\\u") {
            self.at += 2;
            if let Ok(low @ 0xDC00..=0xDFFF) = self.hex4() {
                return Some(low);
            }
        }
        self.at = before;
        None
    }

    fn hex4(&mut self) -> Result<u16, Syntax> {
        const BAD: Syntax = "\\u needs four hex digits";
        let digits = self.text.get(self.at..self.at + 4).ok_or(BAD)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(BAD);
        }
        self.at += 4;
        let text = std::str::from_utf8(digits).map_err(|_| BAD)?;
        u16::from_str_radix(text, 16).map_err(|_| BAD)
    }
}

/// Length of the JSON number at the front.
fn number_len(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut len = usize::from(text.first() == Some(&b'-'));
    match digits(len) {
        0 => return None,
        n if n > 1 && text[len] == b'0' => return None,
        n => len += n,
    }
    if text.get(len) == Some(&b'.') {
        let n = digits(len + 1);
        len += 1 + n;
        if n == 0 {
            return None;
        }
    }
    if matches!(text.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(len + 1), Some(b'+' | b'-')));
        let n = digits(len + 1 + sign);
        len += 1 + sign + n;
        if n == 0 {
            return None;
        }
    }
    Some(len)
}
