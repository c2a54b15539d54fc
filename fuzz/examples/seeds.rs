//! Writes small valid requests of every kind to `corpus/`, as a beginning for the OTLP targets.
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
    for target in ["otlp_protobuf", "otlp_json"] {
        fs::create_dir_all(corpus.join(target))?;
    }
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
