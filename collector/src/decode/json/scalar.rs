//! Scalars of OTLP/JSON: what each kind of field accepts, and its bytes in protobuf.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::super::DecodeError;
use super::super::messages::{Kind, Member};
use super::super::text::excerpt;
use super::super::wire::{begin_bytes, end_bytes, put_tag, put_varint};
use super::number::{double, integer};
use super::reader::Token;
use super::{Reason, Transcoder};

/// A scalar as it stands in the text, a string without its quotes and escapes.
#[derive(Clone, Copy)]
enum Scalar<'s> {
    Text(&'s [u8]),
    Number(&'s str),
    Bool(bool),
}

/// Why a scalar does not fit its field.
struct Unfit {
    reason: Reason,
    wanted: &'static str,
}

const fn unfit(wanted: &'static str) -> Unfit {
    Unfit { reason: Reason::JsonType, wanted }
}

impl<'t> Transcoder<'t, '_> {
    /// Reads the value of a scalar member.
    pub(super) fn scalar(&mut self, member: &'static Member) -> Result<(), DecodeError> {
        let token = self.token()?;
        if let (Kind::String, Token::String) = (member.kind, token) {
            let start = begin_bytes(self.out, member.number);
            self.reader.string(self.out).map_err(|text| self.refuse(text))?;
            end_bytes(self.out, start);
            self.count_element();
            return Ok(());
        }
        let mut text = std::mem::take(&mut self.scalar);
        text.clear();
        let scalar = match token {
            Token::Null if !member.repeated => {
                self.scalar = text;
                return Ok(());
            }
            Token::String => {
                self.reader.string(&mut text).map_err(|text| self.refuse(text))?;
                Scalar::Text(&text)
            }
            Token::Number(number) => Scalar::Number(number),
            Token::Bool(value) => Scalar::Bool(value),
            Token::Null | Token::ObjectBegin | Token::ArrayBegin => {
                self.scalar = text;
                let wanted = if member.repeated { "a value" } else { "a single value" };
                return self.mismatch(member, wanted, token);
            }
        };
        if let Err(unfit) = put(self.out, member, scalar) {
            let sentence = format!(
                "{} must be {} in OTLP/JSON, got {}",
                self.path(self.name(member)),
                unfit.wanted,
                scalar.show()
            );
            self.fail(unfit.reason, sentence)?;
        }
        self.scalar = text;
        self.count_element();
        Ok(())
    }
}

impl<'s> Scalar<'s> {
    fn show(self) -> String {
        match self {
            Scalar::Text(text) => excerpt(text),
            Scalar::Number(number) => number.chars().take(40).collect(),
            Scalar::Bool(value) => value.to_string(),
        }
    }

    /// The text of a number, quoted or not.
    fn number(self) -> Option<&'s str> {
        match self {
            Scalar::Text(text) => std::str::from_utf8(text).ok(),
            Scalar::Number(number) => Some(number),
            Scalar::Bool(_) => None,
        }
    }

    fn integer<T: TryFrom<i128>>(self, wanted: &'static str) -> Result<T, Unfit> {
        let value = self.number().and_then(integer).ok_or(unfit(wanted))?;
        T::try_from(value).map_err(|_| unfit(wanted))
    }
}

/// Appends the field.
fn put(out: &mut Vec<u8>, member: &Member, scalar: Scalar<'_>) -> Result<(), Unfit> {
    let number = member.number;
    match member.kind {
        Kind::String | Kind::Nested(_) => return Err(unfit("a string")),
        Kind::Bytes => put_bytes(out, number, &base64(scalar)?),
        Kind::Id(bytes) => put_bytes(out, number, &hex(scalar, bytes)?),
        Kind::Bool => {
            let Scalar::Bool(value) = scalar else { return Err(unfit("true or false")) };
            put_number(out, number, u64::from(value));
        }
        Kind::Enum => put_number(out, number, i64::from(enumeration(scalar)?) as u64),
        Kind::Sint32 => {
            let value: i32 = scalar.integer("an integer of 32 bits")?;
            put_number(out, number, u64::from((value << 1 ^ value >> 31) as u32));
        }
        Kind::Uint32 => put_number(out, number, u64::from(unsigned32(scalar)?)),
        Kind::Fixed32 => {
            let value = unsigned32(scalar)?;
            put_tag(out, number, 5);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Kind::Uint64 => put_number(out, number, unsigned64(scalar)?),
        Kind::Int64 => put_number(out, number, signed64(scalar)? as u64),
        Kind::Fixed64 => put_fixed64(out, number, unsigned64(scalar)?),
        Kind::Sfixed64 => put_fixed64(out, number, signed64(scalar)? as u64),
        Kind::Double => {
            let value = scalar.number().and_then(double).ok_or(unfit("a number"))?;
            put_fixed64(out, number, value.to_bits());
        }
    }
    Ok(())
}

fn unsigned32(scalar: Scalar<'_>) -> Result<u32, Unfit> {
    scalar.integer("an unsigned integer of 32 bits")
}

fn unsigned64(scalar: Scalar<'_>) -> Result<u64, Unfit> {
    scalar.integer("an unsigned integer of 64 bits, such as nanoseconds since 1970 for a time,")
}

fn signed64(scalar: Scalar<'_>) -> Result<i64, Unfit> {
    scalar.integer("an integer of 64 bits")
}

/// Enums are numbers. A name gets a reason of its own: it is the mistake of whole exporters.
fn enumeration(scalar: Scalar<'_>) -> Result<i32, Unfit> {
    match scalar {
        Scalar::Text(text) if text.iter().any(u8::is_ascii_uppercase) => {
            Err(Unfit { reason: Reason::JsonEnumName, wanted: "an integer" })
        }
        _ => scalar.integer("an integer"),
    }
}

/// An id in hex. The walkers judge its length; text that is not hex is told from base64 here.
fn hex(scalar: Scalar<'_>, bytes: usize) -> Result<Vec<u8>, Unfit> {
    let Scalar::Text(text) = scalar else {
        return Err(Unfit { reason: Reason::JsonBadId, wanted: "a string of hex digits" });
    };
    let digits: Option<Vec<u8>> =
        text.iter().map(|c| (*c as char).to_digit(16).map(|d| d as u8)).collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => {
            Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        _ => Err(Unfit { reason: Reason::JsonBadId, wanted: not_hex(text, bytes) }),
    }
}

fn not_hex(text: &[u8], bytes: usize) -> &'static str {
    let base64_len = bytes.div_ceil(3) * 4;
    match (bytes, text.len() == base64_len && text.ends_with(b"=")) {
        (16, true) => "32 hex digits (this looks like base64, which OTLP/JSON has for no id)",
        (_, true) => "16 hex digits (this looks like base64, which OTLP/JSON has for no id)",
        (16, false) => "32 hex digits",
        (_, false) => "16 hex digits",
    }
}

fn base64(scalar: Scalar<'_>) -> Result<Vec<u8>, Unfit> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    let Scalar::Text(text) = scalar else { return Err(unfit("base64 text")) };
    let engine = if text.iter().any(|b| matches!(b, b'-' | b'_')) { URL_SAFE } else { STANDARD };
    engine.decode(text).map_err(|_| unfit("base64 text"))
}

fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_tag(out, number, 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_tag(out, number, 0);
    put_varint(out, value);
}

fn put_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    put_tag(out, number, 1);
    out.extend_from_slice(&value.to_le_bytes());
}
