//! Just enough JSON to see a line's signal; the decoder checks the rest.

use schemas::Signal;

/// A line without byte order mark, blanks and line end around it.
pub(super) fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii()
}

/// The signal that the first known key of the object names.
pub(super) fn signal(object: &[u8]) -> Option<Signal> {
    let mut rest = object.strip_prefix(b"{")?.trim_ascii_start();
    loop {
        let key_end = string_end(rest)?;
        if let Some(signal) = signal_of_key(&rest[..key_end]) {
            return Some(signal);
        }
        rest = rest[key_end..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        rest = rest[value_end(rest)?..].trim_ascii_start().strip_prefix(b",")?.trim_ascii_start();
    }
}

fn signal_of_key(quoted: &[u8]) -> Option<Signal> {
    match quoted {
        br#""resourceSpans""# => Some(Signal::Traces),
        br#""resourceLogs""# => Some(Signal::Logs),
        br#""resourceMetrics""# => Some(Signal::Metrics),
        _ => None,
    }
}

/// End of the string that starts at byte 0.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut end = text.starts_with(b"\"").then_some(1)?;
    loop {
        match text.get(end)? {
            b'"' => return Some(end + 1),
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
}

/// End of the value that starts at byte 0 of a well-formed text.
fn value_end(text: &[u8]) -> Option<usize> {
    let (mut depth, mut end) = (0_usize, 0);
    loop {
        match text.get(end)? {
            b'"' => end += string_end(&text[end..])?,
            b',' | b'}' | b']' if depth == 0 => return Some(end),
            b'{' | b'[' => {
                depth += 1;
                end += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                end += 1;
            }
            _ => end += 1,
        }
    }
}
