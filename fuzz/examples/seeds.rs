//! Writes small inputs to `corpus/` to begin with: requests of every kind, frames of a log.
//!
//! Run from `fuzz/`: `cargo run --example seeds`.

use std::path::Path;
use std::{fs, io};

use fuzz::request::Request;
use prost::Message;
use schemas::Signal;
use testkit::otlp::{Generator, Options};

const SEEDS: u64 = 60;

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for target in ["otlp_protobuf", "otlp_json", "wal_reader"] {
        fs::create_dir_all(corpus.join(target))?;
    }
    let frames = [frame(1, b"one"), frame(2, b"another"), frame(3, &[b'x'; 30])].concat();
    fs::write(corpus.join("wal_reader/frames"), frames)?;
    for seed in 0..SEEDS {
        let options = Options { resources: 2, records: 2, attributes: 4, ..Options::wild() };
        let mut generator = Generator::new(seed, options);
        for (number, signal) in (0_u8..).zip(Signal::ALL) {
            let body = match signal {
                Signal::Traces => generator.traces().encode_to_vec(),
                Signal::Metrics => generator.metrics().encode_to_vec(),
                Signal::Logs => generator.logs().encode_to_vec(),
            };
            let json = Request::read(signal, &body).map(|request| request.json());
            // The byte's remainder by 3 is the signal, its highest bit says protobuf.
            let protobuf = 0x81 + number;
            for (target, first, body) in [
                ("otlp_protobuf", number, &body),
                ("otlp_json", protobuf, &body),
                ("otlp_json", number, &json.unwrap_or_default()),
            ] {
                let path = corpus.join(target).join(format!("{}-{seed}-{first}", signal.name()));
                fs::write(path, [&[first], body.as_slice()].concat())?;
            }
        }
    }
    Ok(())
}

/// A frame of `docs/format/wal.md`; the target itself puts in a checksum that holds.
fn frame(seq: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = [&b"OTWF"[..], &[1, 0, 0, 0], &(payload.len() as u32).to_le_bytes()].concat();
    frame.extend([0; 4]);
    frame.extend(seq.to_le_bytes());
    frame.extend([0; 8]);
    frame.extend([1, 1, 0, 0]);
    frame.resize(64, 0);
    frame.extend_from_slice(payload);
    frame.resize(frame.len().next_multiple_of(8), 0);
    frame
}
