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

/// Whether two short texts of one length are equal. Eight bytes at a time, the last eight first and
/// overlapping those before: cheaper than a call of memcmp, whose branches depend on the length.
#[inline(always)]
pub(crate) fn is_same(a: &[u8], b: &[u8]) -> bool {
    let (Some(a_end), Some(b_end)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) else {
        return a == b;
    };
    let (a_words, b_words) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    a_end == b_end && a_words.iter().zip(b_words).all(|(a, b)| a == b)
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

/// Appends any bytes as a JSON string, repaired where needed.
#[inline]
pub(crate) fn write_text(out: &mut Vec<u8>, bytes: &[u8], bits: &mut u32) {
    if is_plain(bytes) {
        write_plain(out, bytes);
    } else {
        json::write_string(out, &repair(bytes, bits));
    }
}

/// Appends a JSON string; the same bytes as [`json::write_string`].
pub(crate) fn write_json(out: &mut Vec<u8>, text: &str) {
    write_text(out, text.as_bytes(), &mut 0);
}

#[inline]
fn write_plain(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

/// Whether a text is ASCII that stands in JSON as it is. Eight bytes at a time; the last eight
/// overlap those before.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    let (words, _) = text.as_chunks::<8>();
    match text.last_chunk::<8>() {
        Some(last) => words.iter().chain([last]).all(|word| is_plain_word(*word)),
        None => text.iter().all(|&b| (0x20..0x80).contains(&b) && b != b'"' && b != b'\\'),
    }
}

#[inline]
fn is_plain_word(word: [u8; 8]) -> bool {
    const LOW: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let word = u64::from_le_bytes(word);
    // Where all bytes are ASCII, subtracting borrows from a byte's high bit only if some byte is
    // smaller than what is taken off.
    let control = word.wrapping_sub(LOW * 0x20);
    let quote = (word ^ (LOW * b'"' as u64)).wrapping_sub(LOW);
    let backslash = (word ^ (LOW * b'\\' as u64)).wrapping_sub(LOW);
    (word | control | quote | backslash) & HIGH == 0
}

/// The beginning of a name as it may stand in a message to the client.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const BYTES_MAX: usize = 64;
    let shown = cut(bytes, BYTES_MAX, &mut 0);
    let more = if shown.len() < bytes.len() { "…" } else { "" };
    format!("{:?}{more}", String::from_utf8_lossy(shown))
}
