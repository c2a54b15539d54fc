//! OTLP/JSON rewritten as OTLP protobuf, so that both encodings meet the same rules behind it.
//!
//! One pass over the text, driven by the tables of [`super::messages`], with an explicit stack.
//! What JSON alone can get wrong (types, enum names, ids that are not hex) is rejected here; all
//! that follows (limits, checks, merging into rows) is the walkers' business. Strings are not
//! checked for UTF-8 here: the bytes go through and the walkers repair them.

use schemas::Signal;

use super::DecodeError;
use super::messages::{self, Kind, Member, Message, Role};
use super::wire::{Field, Fields, begin_bytes, end_bytes};
use crate::rejects::{Reason, Rejects};

mod number;
mod reader;
mod scalar;

use reader::{Reader, Token};

/// Appends the request as protobuf to `out`. Returns a warning when the text holds nothing we know.
pub(super) fn transcode(
    signal: Signal,
    text: &[u8],
    out: &mut Vec<u8>,
    rejects: &mut Rejects,
) -> Result<Option<String>, DecodeError> {
    let root = match signal {
        Signal::Traces => &messages::TRACES,
        Signal::Logs => &messages::LOGS,
        Signal::Metrics => &messages::METRICS,
    };
    let mut reader = Reader::new(text);
    if reader.is_at_end() {
        return Ok(None);
    }
    let mut transcoder = Transcoder {
        reader,
        out,
        rejects,
        stack: Vec::new(),
        key: Vec::new(),
        scalar: Vec::new(),
        is_any_known: false,
        unknown: None,
    };
    transcoder.run(root)?;
    Ok(transcoder.warning(root))
}

/// More brackets within each other than this refuse the request. A list in a list takes four.
const NESTING_MAX: usize = 16_384;

struct Transcoder<'t, 'o> {
    reader: Reader<'t>,
    out: &'o mut Vec<u8>,
    rejects: &'o mut Rejects,
    stack: Vec<Frame>,
    /// The key at hand, and the text of the scalar at hand where it needs a copy.
    key: Vec<u8>,
    scalar: Vec<u8>,
    is_any_known: bool,
    /// The first key we do not know.
    unknown: Option<String>,
}

/// An object or array that is open.
enum Frame {
    Object {
        /// The member it is the value of; `None` for the request and for what is skipped.
        member: Option<&'static Member>,
        message: &'static Message,
        /// Where its field begins in the output: behind the bytes of whatever came before.
        begin: usize,
        /// Where its content begins.
        start: usize,
        /// One bit a member that was set.
        seen: u32,
        is_first: bool,
        /// Why it cannot be kept, with the sentence for the client.
        failed: Option<(Reason, String)>,
    },
    Array {
        /// `None` when it is skipped.
        member: Option<&'static Member>,
        index: usize,
        is_first: bool,
    },
}

impl<'t> Transcoder<'t, '_> {
    fn run(&mut self, root: &'static Message) -> Result<(), DecodeError> {
        match self.token()? {
            Token::ObjectBegin => self.open_object(None, root, 0, 0)?,
            _ => return Err(self.refuse("the request must be a JSON object")),
        }
        while let Some(top) = self.stack.last_mut() {
            match top {
                Frame::Object { is_first, message, .. } => {
                    let (message, is_first) = (*message, std::mem::replace(is_first, false));
                    self.next_member(message, is_first)?;
                }
                Frame::Array { is_first, member, .. } => {
                    let (member, is_first) = (*member, std::mem::replace(is_first, false));
                    self.next_element(member, is_first)?;
                }
            }
        }
        if self.reader.is_at_end() {
            return Ok(());
        }
        Err(self.refuse("there is more text behind the end of the JSON object"))
    }

    fn next_member(
        &mut self,
        message: &'static Message,
        is_first: bool,
    ) -> Result<(), DecodeError> {
        if self.reader.take(b'}') {
            self.close_object();
            return Ok(());
        }
        if !is_first && !self.reader.take(b',') {
            return Err(self.refuse("`,` or `}` must stand here"));
        }
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        let read = self.reader.key(&mut key);
        self.key = key;
        read.map_err(|text| self.refuse(text))?;
        let at = message.fields.iter().position(|m| m.name.as_bytes() == self.key.as_slice());
        let Some((at, member)) = at.map(|at| (at, &message.fields[at])) else {
            if !std::ptr::eq(message, &messages::IGNORED) && self.unknown.is_none() {
                let key = String::from_utf8_lossy(&self.key).into_owned();
                self.unknown = Some(self.path(Some(&key)));
            }
            return self.skip();
        };
        self.is_any_known = true;
        if let Some(Frame::Object { seen, start, .. }) = self.stack.last_mut() {
            if *seen & 1 << at != 0 {
                remove(self.out, *start, member.number);
            }
            *seen |= 1 << at;
        }
        self.value(member)
    }

    /// The value of a member: one of it, or a list where it is repeated.
    fn value(&mut self, member: &'static Member) -> Result<(), DecodeError> {
        if !member.repeated {
            return self.single(member);
        }
        match self.token()? {
            Token::Null => Ok(()),
            Token::ArrayBegin => {
                self.push(Frame::Array { member: Some(member), index: 0, is_first: true })
            }
            token => self.mismatch(member, "an array", token),
        }
    }

    fn next_element(
        &mut self,
        member: Option<&'static Member>,
        is_first: bool,
    ) -> Result<(), DecodeError> {
        if self.reader.take(b']') {
            self.stack.pop();
            return Ok(());
        }
        if !is_first && !self.reader.take(b',') {
            return Err(self.refuse("`,` or `]` must stand here"));
        }
        match member {
            Some(member) => self.single(member)?,
            None => self.skip()?,
        }
        Ok(())
    }

    fn single(&mut self, member: &'static Member) -> Result<(), DecodeError> {
        let Kind::Nested(message) = member.kind else { return self.scalar(member) };
        match self.token()? {
            Token::ObjectBegin => {
                let begin = self.out.len();
                let start = begin_bytes(self.out, member.number);
                self.open_object(Some(member), message, begin, start)
            }
            Token::Null => {
                // Unset; but an element of a list is there, with nothing set in it.
                if member.repeated {
                    let start = begin_bytes(self.out, member.number);
                    end_bytes(self.out, start);
                    self.count_element();
                }
                Ok(())
            }
            token => self.mismatch(member, "an object", token),
        }
    }

    fn open_object(
        &mut self,
        member: Option<&'static Member>,
        message: &'static Message,
        begin: usize,
        start: usize,
    ) -> Result<(), DecodeError> {
        let failed = None;
        self.push(Frame::Object { member, message, begin, start, seen: 0, is_first: true, failed })
    }

    fn push(&mut self, frame: Frame) -> Result<(), DecodeError> {
        if self.stack.len() >= NESTING_MAX {
            return Err(self.refuse("more than 16384 brackets are open"));
        }
        self.stack.push(frame);
        Ok(())
    }

    fn close_object(&mut self) {
        let Some(Frame::Object { member, message, begin, start, failed, .. }) = self.stack.pop()
        else {
            return;
        };
        if member.is_some() {
            end_bytes(self.out, start);
        }
        if let Some((reason, text)) = failed {
            let count = records(message, &self.out[start..]);
            self.out.truncate(begin);
            // A metric that cannot be read counts, whether or not points were seen in it.
            let count = if message.role == Role::Metric { count.max(1) } else { count };
            self.rejects.add(reason, count, || text);
        }
        self.count_element();
    }

    /// An element of the array on top is complete.
    fn count_element(&mut self) {
        if let Some(Frame::Array { index, .. }) = self.stack.last_mut() {
            *index += 1;
        }
    }

    /// Skips one value of any type, in correct JSON.
    fn skip(&mut self) -> Result<(), DecodeError> {
        let token = self.token()?;
        self.skip_from(token)
    }

    fn skip_from(&mut self, token: Token<'t>) -> Result<(), DecodeError> {
        match token {
            Token::ObjectBegin => {
                let at = self.out.len();
                self.open_object(None, &messages::IGNORED, at, at)
            }
            Token::ArrayBegin => self.push(Frame::Array { member: None, index: 0, is_first: true }),
            Token::String => {
                self.scalar.clear();
                self.reader.string(&mut self.scalar).map_err(|text| self.refuse(text))
            }
            _ => Ok(()),
        }
    }

    /// A value of the wrong type: costs the record, the envelope or the request around it.
    fn mismatch(
        &mut self,
        member: &'static Member,
        wanted: &str,
        token: Token<'t>,
    ) -> Result<(), DecodeError> {
        let path = self.path(self.name(member));
        let text = format!("{path} must be {wanted}, got {}", token.name());
        let is_list_of = |role| matches!(member.kind, Kind::Nested(m) if m.role == role);
        let is_element = matches!(self.stack.last(), Some(Frame::Array { .. }));
        if is_element && is_list_of(Role::Record) {
            self.rejects.add(Reason::JsonType, 1, || text);
            self.count_element();
            return self.skip_from(token);
        }
        let is_container = [Role::Record, Role::Metric, Role::Envelope].into_iter().any(is_list_of);
        if is_container && !self.fails_within(Role::Metric) {
            return Err(DecodeError { field: path, message: text });
        }
        self.fail(Reason::JsonType, text)?;
        self.skip_from(token)
    }

    /// A member's name, where the path does not end in its array's index anyway.
    fn name(&self, member: &'static Member) -> Option<&'static str> {
        match self.stack.last() {
            Some(Frame::Array { .. }) => None,
            _ => Some(member.name),
        }
    }

    fn fails_within(&self, role: Role) -> bool {
        self.stack
            .iter()
            .any(|frame| matches!(frame, Frame::Object { message, .. } if message.role == role))
    }

    /// Marks the nearest record, metric or envelope as one that cannot be kept.
    fn fail(&mut self, why: Reason, text: String) -> Result<(), DecodeError> {
        for frame in self.stack.iter_mut().rev() {
            match frame {
                Frame::Object { message, failed, .. } if message.role != Role::Part => {
                    if message.role == Role::Root {
                        break;
                    }
                    failed.get_or_insert((why, text));
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(DecodeError { field: self.path(None), message: text })
    }

    fn token(&mut self) -> Result<Token<'t>, DecodeError> {
        self.reader.token().map_err(|text| self.refuse(text))
    }

    /// The request's syntax is broken.
    fn refuse(&self, text: &str) -> DecodeError {
        let byte = self.reader.offset();
        let message = format!("the request is no valid JSON at byte {byte}: {text}");
        DecodeError { field: self.path(None), message }
    }

    /// The path of what is being read: `resourceSpans[0].scopeSpans[0].spans[3].kind`.
    fn path(&self, last: Option<&str>) -> String {
        let mut path = String::new();
        let name = |path: &mut String, name: &str| {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name);
        };
        // A deep path names its beginning; that is where a person looks first.
        for frame in self.stack.iter().take(PATH_FRAMES_MAX) {
            match frame {
                Frame::Array { member, index, .. } => {
                    name(&mut path, member.map_or("…", |m| m.name));
                    path.push_str(&format!("[{index}]"));
                }
                Frame::Object { member: Some(member), .. } if !member.repeated => {
                    name(&mut path, member.name);
                }
                Frame::Object { .. } => {}
            }
        }
        if let Some(last) = last {
            name(&mut path, last);
        }
        if path.is_empty() { "$".to_owned() } else { path }
    }

    fn warning(&mut self, root: &Message) -> Option<String> {
        let unknown = self.unknown.take().filter(|_| !self.is_any_known)?;
        let known = root.fields.first().map_or("", |m| m.name);
        Some(format!(
            "the request holds no field of this signal: {unknown} is unknown, {known} expected; \
             nothing was stored"
        ))
    }
}

const PATH_FRAMES_MAX: usize = 24;

/// Removes the fields of that number from the message that begins at `start`: of keys that occur
/// twice in an object the last one counts.
#[cold]
fn remove(out: &mut Vec<u8>, start: usize, number: u32) {
    let message = out.split_off(start);
    let mut fields = Fields::new(&message);
    let mut before = fields.rest();
    while let Ok(Some((found, _))) = fields.next() {
        if found != number {
            out.extend_from_slice(&before[..before.len() - fields.rest().len()]);
        }
        before = fields.rest();
    }
}

/// How many records a message holds; a record is one.
fn records(message: &Message, bytes: &[u8]) -> u32 {
    if message.role == Role::Record {
        return 1;
    }
    let mut count = 0;
    let mut fields = Fields::new(bytes);
    while let Ok(Some((number, field))) = fields.next() {
        let member = message.member(number);
        if let (Some(Kind::Nested(inner)), Field::Bytes(payload)) = (member.map(|m| m.kind), field)
            && holds_records(inner)
        {
            count += records(inner, payload);
        }
    }
    count
}

/// Attribute values nest without end and hold no records: not to be walked.
fn holds_records(message: &Message) -> bool {
    message.role != Role::Part
        || [&messages::GAUGE, &messages::SUM, &messages::HISTOGRAM]
            .into_iter()
            .chain([&messages::EXPONENTIAL, &messages::SUMMARY])
            .any(|data| std::ptr::eq(message, data))
}
