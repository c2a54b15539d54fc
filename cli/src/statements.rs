//! Where one SQL statement ends and the next begins, for files and the prompt.

#[cfg(test)]
mod tests;

/// The statements of a text, without their semicolons; empty ones and comments alone are left out.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut from = 0;
    for end in ends(text) {
        found.push(&text[from..end]);
        from = end + 1;
    }
    found.push(&text[from..]);
    found.into_iter().map(str::trim).filter(|statement| !is_blank(statement)).collect()
}

/// Whether the text holds a statement that has come to its semicolon, or nothing to wait for.
pub(crate) fn is_complete(text: &str) -> bool {
    is_blank(text) || ends(text).last().is_some_and(|end| is_blank(&text[end + 1..]))
}

/// Positions of the semicolons that end statements.
fn ends(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut ends = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b';' {
            ends.push(at);
        }
        at += token_bytes(&bytes[at..]);
    }
    ends
}

fn is_blank(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let is_comment = bytes[at..].starts_with(b"--") || bytes[at..].starts_with(b"/*");
        if !is_comment && !bytes[at].is_ascii_whitespace() {
            return false;
        }
        at += token_bytes(&bytes[at..]);
    }
    true
}

/// Bytes of the quoted text or comment that starts here, else 1.
fn token_bytes(rest: &[u8]) -> usize {
    match rest {
        [b'\'', ..] => quoted(rest, b'\''),
        [b'"', ..] => quoted(rest, b'"'),
        [b'-', b'-', ..] => rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => {
            rest.windows(2).skip(2).position(|w| w == b"*/").map_or(rest.len(), |at| at + 4)
        }
        _ => 1,
    }
}

/// A doubled quote ends one quoted text and starts the next, which comes to the same.
fn quoted(rest: &[u8], quote: u8) -> usize {
    rest[1..].iter().position(|b| *b == quote).map_or(rest.len(), |at| at + 2)
}
