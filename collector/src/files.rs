//! OTLP files: JSON lines and length-delimited protobuf, read and written one record at a time.
//!
//! A record is one `TracesData`, `LogsData` or `MetricsData`, which are the export requests under
//! other names. JSON lines is what the Collector's file exporter writes by default; a line's signal
//! is seen from its top-level key. In protobuf files a length stands before each message: a varint,
//! as we and protobuf's own libraries write it, or four big-endian bytes, as the file exporter
//! does; the signal must be told. One record is in memory at a time, at most 64 MiB of it.

mod json;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, BufRead, Read, Write};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use schemas::Signal;
use storage::Encoding;

use crate::export;

/// Bytes of one record that are read at most, the same as of a request.
pub const RECORD_BYTES_MAX: usize = 64 << 20;

/// One request body out of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Which kind of request it is.
    pub signal: Signal,
    /// How the body is encoded.
    pub encoding: Encoding,
    /// The body, not yet decoded: it may be malformed.
    pub body: Bytes,
    /// Where it began.
    pub at: Position,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    JsonLines,
    /// Protobuf messages of one signal, each behind its length.
    Protobuf(Signal),
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// A line, counted from 1.
    Line(u64),
    /// A byte, counted from 0.
    Byte(u64),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Position::Line(line) => write!(f, "line {line}"),
            Position::Byte(byte) => write!(f, "byte {byte}"),
        }
    }
}

/// Why a record could not be read. Behind a bad line the next ones follow; all else ends the file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file itself fails.
    #[error("{at}: reading failed: {source}")]
    Read {
        /// Where the record began.
        at: Position,
        /// What the system says.
        source: io::Error,
    },
    /// A record is larger than a request may be.
    #[error("{at}: the record has more than {bytes_max} bytes; split it into smaller ones")]
    TooLarge {
        /// Where the record began.
        at: Position,
        /// The limit.
        bytes_max: usize,
    },
    /// A line is no OTLP.
    #[error(
        "{at}: neither resourceSpans nor resourceLogs nor resourceMetrics at the top of the line; \
         is the file OTLP JSON with one object a line?"
    )]
    UnknownSignal {
        /// The line.
        at: Position,
    },
    /// The file ends in the middle of a record: its writer was stopped.
    #[error("{at}: the file ends inside this record; the records before it are complete")]
    Truncated {
        /// Where the record began.
        at: Position,
    },
    /// What should be a length is none.
    #[error("{at}: no record length here; is the file length-delimited protobuf?")]
    BadLength {
        /// Where the length should be.
        at: Position,
    },
}

/// Reads the records of a file, in order.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    format: Format,
    /// Lines or bytes read so far.
    position: u64,
    length_form: Option<LengthForm>,
    record_bytes_max: usize,
    is_over: bool,
}

/// How a protobuf file writes the length before a message.
#[derive(Clone, Copy, Debug)]
enum LengthForm {
    Varint,
    BigEndian32,
}

impl<R: BufRead> Reader<R> {
    /// A reader from the start of a file.
    pub fn new(input: R, format: Format) -> Reader<R> {
        Reader {
            input,
            format,
            position: 0,
            length_form: None,
            record_bytes_max: RECORD_BYTES_MAX,
            is_over: false,
        }
    }

    fn json_line(&mut self) -> Result<Option<Record>, FileError> {
        loop {
            let at = Position::Line(self.position + 1);
            let Some(line) = self.line(at)? else { return Ok(None) };
            let body = json::trimmed(&line);
            if body.is_empty() {
                continue;
            }
            let signal = json::signal(body).ok_or(FileError::UnknownSignal { at })?;
            let body = Bytes::copy_from_slice(body);
            return Ok(Some(Record { signal, encoding: Encoding::Json, body, at }));
        }
    }

    /// The next line; of one that is too large nothing is kept.
    fn line(&mut self, at: Position) -> Result<Option<Vec<u8>>, FileError> {
        let mut line = Vec::new();
        let bytes_max = self.record_bytes_max;
        let read = self.input.by_ref().take(bytes_max as u64 + 1).read_until(b'\n', &mut line);
        read.map_err(|source| self.failed(at, source))?;
        if line.is_empty() {
            return Ok(None);
        }
        self.position += 1;
        let is_whole = line.pop_if(|byte| *byte == b'\n').is_some();
        if line.len() > bytes_max {
            if !is_whole {
                self.input.skip_until(b'\n').map_err(|source| self.failed(at, source))?;
            }
            return Err(FileError::TooLarge { at, bytes_max });
        }
        Ok(Some(line))
    }

    fn message(&mut self, signal: Signal) -> Result<Option<Record>, FileError> {
        let at = Position::Byte(self.position);
        let Some(length) = self.length(at)? else { return Ok(None) };
        let bytes_max = self.record_bytes_max;
        if length > bytes_max as u64 {
            return Err(FileError::TooLarge { at, bytes_max });
        }
        // Grows with what is really there, not with what a damaged length claims.
        let mut body = Vec::new();
        let read = self.input.by_ref().take(length).read_to_end(&mut body);
        read.map_err(|source| self.failed(at, source))?;
        if (body.len() as u64) < length {
            return Err(FileError::Truncated { at });
        }
        self.position += length;
        let encoding = Encoding::Protobuf;
        Ok(Some(Record { signal, encoding, body: body.into(), at }))
    }

    /// The length of the next message, `None` at the end of the file.
    fn length(&mut self, at: Position) -> Result<Option<u64>, FileError> {
        let Some(first) = self.byte(at)? else { return Ok(None) };
        // Nobody writes empty messages, so a file that begins with 0 has fixed lengths.
        let form = *self.length_form.get_or_insert(match first {
            0 => LengthForm::BigEndian32,
            _ => LengthForm::Varint,
        });
        match form {
            LengthForm::Varint => self.varint(at, first),
            LengthForm::BigEndian32 => self.big_endian(at, first),
        }
        .map(Some)
    }

    fn varint(&mut self, at: Position, first: u8) -> Result<u64, FileError> {
        // Four more bytes hold any 32-bit length.
        let mut length = u64::from(first & 0x7f);
        let mut byte = first;
        for shift in [7, 14, 21, 28] {
            if byte & 0x80 == 0 {
                break;
            }
            byte = self.byte(at)?.ok_or(FileError::Truncated { at })?;
            length |= u64::from(byte & 0x7f) << shift;
        }
        if byte & 0x80 == 0 { Ok(length) } else { Err(FileError::BadLength { at }) }
    }

    fn big_endian(&mut self, at: Position, first: u8) -> Result<u64, FileError> {
        let mut length = u64::from(first);
        for _ in 0..3 {
            let byte = self.byte(at)?.ok_or(FileError::Truncated { at })?;
            length = length << 8 | u64::from(byte);
        }
        Ok(length)
    }

    fn byte(&mut self, at: Position) -> Result<Option<u8>, FileError> {
        let byte = self.input.by_ref().bytes().next().transpose();
        let byte = byte.map_err(|source| self.failed(at, source))?;
        self.position += u64::from(byte.is_some());
        Ok(byte)
    }

    fn failed(&mut self, at: Position, source: io::Error) -> FileError {
        self.is_over = true;
        FileError::Read { at, source }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Record, FileError>;

    fn next(&mut self) -> Option<Result<Record, FileError>> {
        if self.is_over {
            return None;
        }
        match self.format {
            Format::JsonLines => self.json_line().transpose(),
            Format::Protobuf(signal) => {
                let record = self.message(signal).transpose();
                // Behind a bad length no next record can be found.
                self.is_over |= !matches!(record, Some(Ok(_)));
                record
            }
        }
    }
}

/// Writes requests to a file, one record each.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    encoding: Encoding,
    record: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// A writer of JSON lines or of length-delimited protobuf (of which one file must hold one
    /// signal).
    pub fn new(output: W, encoding: Encoding) -> Writer<W> {
        Writer { output, encoding, record: Vec::new() }
    }

    /// Appends spans.
    pub fn traces(&mut self, request: &ExportTraceServiceRequest) -> io::Result<()> {
        self.write(request, request.resource_spans.is_empty(), export::json::traces)
    }

    /// Appends log records.
    pub fn logs(&mut self, request: &ExportLogsServiceRequest) -> io::Result<()> {
        self.write(request, request.resource_logs.is_empty(), export::json::logs)
    }

    /// Appends metrics.
    pub fn metrics(&mut self, request: &ExportMetricsServiceRequest) -> io::Result<()> {
        self.write(request, request.resource_metrics.is_empty(), export::json::metrics)
    }

    /// Flushes and gives the output back.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.flush()?;
        Ok(self.output)
    }

    fn write<M: Message>(
        &mut self,
        request: &M,
        is_empty: bool,
        json: fn(&mut Vec<u8>, &M),
    ) -> io::Result<()> {
        if is_empty {
            return Ok(());
        }
        self.record.clear();
        match self.encoding {
            Encoding::Protobuf => {
                request.encode_length_delimited(&mut self.record).map_err(io::Error::other)?;
            }
            Encoding::Json => {
                json(&mut self.record, request);
                self.record.push(b'\n');
            }
        }
        self.output.write_all(&self.record)
    }
}
