//! Files hold every request behind its length, and the answers beside them.
// A file that cannot be read should fail the test there.
#![allow(clippy::unwrap_used)]

use std::fs;

use prost::encoding::decode_varint;
use tempfile::TempDir;

use super::*;
use crate::scenarios::Scenario;
use crate::sim::tests::{Kept, small};
use crate::sim::{Options, Preset, generate};

#[test]
fn integration_files_are_read_back_as_the_requests() {
    let dir = TempDir::new().unwrap();
    let scenario = Scenario::by_id(4);
    let options = Options { scenario, ..small(Preset::Shop, 200) };
    let mut files = Files::create(&dir.path().join("new")).unwrap();
    let summary = generate(&options, &mut files).unwrap();
    files.finish(&summary).unwrap();

    let (kept, _) = Kept::of(&options);
    for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
        let bytes = fs::read(dir.path().join("new").join(Files::name(signal))).unwrap();
        let mut rest = bytes.as_slice();
        for (_, request) in kept.requests.iter().filter(|(of, _)| *of == signal) {
            let len = decode_varint(&mut rest).unwrap() as usize;
            assert_eq!(&rest[..len], request);
            rest = &rest[len..];
        }
        assert!(rest.is_empty(), "{signal:?}");
    }
    let answers = fs::read_to_string(dir.path().join("new/answers.json")).unwrap();
    let answers: serde_json::Value = serde_json::from_str(&answers).unwrap();
    assert_eq!(answers["spans"], summary.answers.spans);
    assert_eq!(answers["culprit"]["kind"], "edge");
    let truth = fs::read(dir.path().join("new").join(truth::FILE_NAME)).unwrap();
    assert_eq!(truth::read(truth.as_slice()).unwrap(), [summary.record.unwrap()]);
}
