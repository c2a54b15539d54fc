//! Text from the wire: repaired where it is no UTF-8, cut where it is too long, quoted as JSON.

use std::borrow::Cow;

use schemas::columns::quality;
use schemas::json;

/// Any bytes as text. Broken sequences become U+FFFD and set the quality bit.
#[inline]
pub(crate) fn repair<'a>(bytes: &'a [u8], bits: &mut u32) -> Cow<'a, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            *bits |= quality::TEXT_REPAIRED;
            String::from_utf8_lossy(bytes)
        }
    }
}

/// At most `bytes_max` bytes, ending on a character boundary; sets the quality bit when it cuts.
#[inline]
pub(crate) fn cut<'a>(bytes: &'a [u8], bytes_max: usize, bits: &mut u32) -> &'a [u8] {
    if bytes.len() <= bytes_max {
        return bytes;
    }
    *bits |= quality::VALUE_TRUNCATED;
    let mut end = bytes_max;
    // No character is longer than four bytes; more continuation bytes are broken text anyway.
    while end > 0 && bytes_max - end < 3 && bytes[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    &bytes[..end]
}

/// Appends a JSON string; the same bytes as [`json::write_string`], which it leaves the rare texts
/// with escapes to.
#[inline]
pub(crate) fn write_json(out: &mut Vec<u8>, text: &str) {
    if text.bytes().fold(false, |found, b| found | (b < 0x20) | (b == b'"') | (b == b'\\')) {
        return json::write_string(out, text);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// The beginning of a name as it may stand in a message to the client.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const BYTES_MAX: usize = 64;
    let shown = cut(bytes, BYTES_MAX, &mut 0);
    let more = if shown.len() < bytes.len() { "…" } else { "" };
    format!("{:?}{more}", String::from_utf8_lossy(shown))
}
