//! Each format on hand-made batches, byte by byte.
#![allow(clippy::unwrap_used)] // a failed test is meant to panic

use std::sync::Arc;

use api::sql::{SqlAnswer, Stats};
use arrow_array::builder::{
    FixedSizeBinaryBuilder, Int64Builder, ListBuilder, MapBuilder, StringBuilder,
    StringDictionaryBuilder,
};
use arrow_array::types::Int32Type;
use arrow_array::*;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::{Encoder, Format, Options, fields};
use crate::QueryError;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<Field> =
        columns.iter().map(|(n, a)| Field::new(*n, a.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, a)| a).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn encode(format: Format, options: Options, batches: &[RecordBatch]) -> Vec<u8> {
    let mut encoder = Encoder::new(format, &batches[0].schema(), options).unwrap();
    let mut out = Vec::new();
    encoder.start(&mut out);
    for batch in batches {
        encoder.rows(batch, &mut out).unwrap();
    }
    encoder.finish(&Stats { rows: 2, ..Stats::default() }, &mut out).unwrap();
    out
}

/// The NDJSON of a column `x` of one array, without the names.
fn check(array: impl Array + 'static, expected: &[&str]) {
    let rows = encode(Format::Ndjson, Options::default(), &[batch(vec![("x", Arc::new(array))])]);
    let rows = String::from_utf8(rows).unwrap();
    let found: Vec<&str> = rows
        .lines()
        .map(|l| l.strip_prefix("{\"x\":").unwrap().strip_suffix('}').unwrap())
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn json_of_every_type() {
    check(NullArray::new(1), &["null"]);
    check(BooleanArray::from(vec![Some(true), None]), &["true", "null"]);
    check(Int8Array::from(vec![-1]), &["-1"]);
    check(UInt64Array::from(vec![u64::MAX]), &["18446744073709551615"]);
    check(Int64Array::from(vec![Some(i64::MIN), None]), &["-9223372036854775808", "null"]);
    check(
        Float64Array::from(vec![1.5, 1e300, f64::NAN, f64::INFINITY, -0.0]),
        &["1.5", "1e300", "null", "null", "-0.0"],
    );
    check(Float32Array::from(vec![0.5]), &["0.5"]);
    check(
        StringViewArray::from(vec!["a\"\\\n\u{1b}\u{7f}\u{9b}\u{2028}é\u{1f600}"]),
        &["\"a\\\"\\\\\\n\\u001b\\u007f\\u009b\\u2028é\u{1f600}\""],
    );
    check(LargeStringArray::from(vec![""]), &["\"\""]);
    check(BinaryArray::from(vec![&b"\x00\xff"[..]]), &["\"00ff\""]);
    check(Date32Array::from(vec![0]), &["\"1970-01-01\""]);
    check(Decimal128Array::from(vec![1250]).with_precision_and_scale(10, 2).unwrap(), &["12.50"]);
    check(
        ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), None]),
            None,
            Some(vec![]),
        ]),
        &["[1,null]", "null", "[]"],
    );
    check(
        FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
            [Some(vec![Some(1), Some(2)]), Some(vec![Some(3), Some(4)])],
            2,
        )
        .slice(1, 1),
        &["[3,4]"],
    );
}

#[test]
fn json_of_nested_and_coded_types() {
    let mut ids = FixedSizeBinaryBuilder::new(8);
    ids.append_value([0, 1, 2, 3, 0xab, 0xcd, 0xef, 0xff]).unwrap();
    ids.append_null();
    check(ids.finish(), &["\"00010203abcdefff\"", "null"]);

    let mut words = StringDictionaryBuilder::<Int32Type>::new();
    words.append("a").unwrap();
    words.append_null();
    words.append("a").unwrap();
    check(words.finish(), &["\"a\"", "null", "\"a\""]);
    check(StringDictionaryBuilder::<Int32Type>::new().finish(), &[]);

    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("k\"");
    map.values().append_value(1);
    map.append(true).unwrap();
    map.append(false).unwrap();
    check(map.finish(), &["{\"k\\\"\":1}", "null"]);

    let inner: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let field = Arc::new(Field::new("n", DataType::Int64, true));
    check(StructArray::from(vec![(field, inner)]).slice(1, 1), &["{\"n\":2}"]);

    let mut lists = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
    lists.values().values().append_value("x");
    lists.values().append(true);
    lists.append(true);
    check(lists.finish(), &["[[\"x\"]]"]);
}

#[test]
fn times_are_utc_with_nine_digits() {
    check(
        TimestampNanosecondArray::from(vec![0, 1, -1, 1_709_164_800_123_456_789, i64::MAX]),
        &[
            "\"1970-01-01T00:00:00.000000000Z\"",
            "\"1970-01-01T00:00:00.000000001Z\"",
            "\"1969-12-31T23:59:59.999999999Z\"",
            "\"2024-02-29T00:00:00.123456789Z\"",
            "\"2262-04-11T23:47:16.854775807Z\"",
        ],
    );
    check(TimestampSecondArray::from(vec![951_782_400]), &["\"2000-02-29T00:00:00.000000000Z\""]);
    check(TimestampMillisecondArray::from(vec![-1]), &["\"1969-12-31T23:59:59.999000000Z\""]);
    check(
        TimestampMicrosecondArray::from(vec![1]).with_timezone("+02:00"),
        &["\"1970-01-01T00:00:00.000001000Z\""],
    );
}

#[test]
fn repeated_names_are_numbered() {
    let name = |names: &[&str]| {
        let all: Vec<Field> = names.iter().map(|n| Field::new(*n, DataType::Int64, true)).collect();
        fields(&Schema::new(all)).into_iter().map(|f| f.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(name(&["a", "b", "a", "a"]), "a b a_2 a_3");
    assert_eq!(name(&["a", "a", "a_2"]), "a a_3 a_2");
    assert_eq!(name(&["a_2", "a", "a"]), "a_2 a a_3");
}

#[test]
fn json_is_what_the_client_reads() {
    let x = batch(vec![
        ("n", Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef),
        ("n", Arc::new(StringArray::from(vec!["a", "b"]))),
    ]);
    let bytes = encode(Format::Json, Options::default(), &[x.clone(), x.slice(0, 1)]);
    let answer: SqlAnswer = serde_json::from_slice(&bytes).unwrap();
    let columns: Vec<String> =
        answer.schema.iter().map(|f| format!("{} {}", f.name, f.kind)).collect();
    assert_eq!(columns, ["n bigint", "n_2 text"]);
    assert_eq!(answer.rows.len(), 3);
    assert_eq!(answer.rows[1]["n_2"], "b");
    assert_eq!(answer.stats.rows, 2);
    let options = Options { int64_as_text: true, ..Options::default() };
    let bytes = encode(Format::Json, options, &[x]);
    let answer: SqlAnswer = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(answer.rows[0]["n"], "1");
}

#[test]
fn a_failure_after_the_first_byte_is_told_in_the_format() {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
    let rows = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(vec![1]))]);
    let error = QueryError::timeout("over 30 s\u{9b}");
    for (format, expected) in [
        (
            Format::Json,
            "{\"schema\":[{\"name\":\"x\",\"type\":\"bigint\"}],\"rows\":[\n{\"x\":1}\n],\"error\":{\"code\":\"timeout\",\"status\":504,\"detail\":\"over 30 s\\u009b\"}}\n",
        ),
        (
            Format::Ndjson,
            "{\"x\":1}\n{\"error\":{\"code\":\"timeout\",\"status\":504,\"detail\":\"over 30 s\\u009b\"}}\n",
        ),
        (Format::Csv, "x\r\n1\r\n"),
        (Format::Text, " x\n---\n 1\nerror: over 30 s<U+009B>\n"),
    ] {
        let mut encoder = Encoder::new(format, &schema, Options::default()).unwrap();
        let mut out = Vec::new();
        encoder.start(&mut out);
        encoder.rows(rows.as_ref().unwrap(), &mut out).unwrap();
        encoder.fail(&error, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn csv_guards_spreadsheets() {
    let texts = ["=1+1", "-x", "a,b", "a\"b", "", "plain", "\tx", "a\nb"];
    let rows = batch(vec![
        ("=n", Arc::new(StringArray::from(texts.to_vec())) as ArrayRef),
        (
            "v",
            Arc::new(Int64Array::from(vec![Some(-1), None, Some(3), None, None, None, None, None])),
        ),
    ]);
    let text = |options| {
        String::from_utf8(encode(Format::Csv, options, std::slice::from_ref(&rows))).unwrap()
    };
    assert_eq!(
        text(Options::default()),
        "\"'=n\",v\r\n\"'=1+1\",-1\r\n\"'-x\",\r\n\"a,b\",3\r\n\"a\"\"b\",\r\n\"\",\r\nplain,\r\n\"'\tx\",\r\n\"a\nb\",\r\n"
    );
    let raw = text(Options { csv_raw: true, ..Options::default() });
    assert!(raw.starts_with("=n,v\r\n=1+1,-1\r\n-x,\r\n"), "{raw}");
    let odd = batch(vec![("x", Arc::new(Float64Array::from(vec![f64::NAN, f64::NEG_INFINITY])))]);
    let odd = encode(Format::Csv, Options::default(), &[odd]);
    assert_eq!(odd, b"x\r\nNaN\r\n-Infinity\r\n");
}

#[test]
fn text_aligns_and_disarms() {
    let rows = batch(vec![
        ("name", Arc::new(StringArray::from(vec!["a\u{1b}[2J", "lang\u{202e}"])) as ArrayRef),
        ("n", Arc::new(Int64Array::from(vec![Some(1), Some(100)]))),
    ]);
    let text = String::from_utf8(encode(Format::Text, Options::default(), &[rows])).unwrap();
    assert_eq!(
        text,
        " name         | n\n--------------+-----\n a\u{241b}[2J        |   1\n lang<U+202E> | 100\n(2 rows)\n"
    );
}

#[test]
fn arrow_reads_back_and_lacks_its_end_when_cut() {
    let rows = batch(vec![
        ("x", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
        ("x", Arc::new(StringViewArray::from(vec!["a", "a long text that is not inlined"]))),
    ]);
    let bytes = encode(Format::Arrow, Options::default(), &[rows.clone(), rows.clone()]);
    let reader = arrow_ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
    assert_eq!(reader.schema().field(1).name(), "x_2");
    let read: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    assert_eq!((read.len(), read[1].num_rows()), (2, 2));
    assert_eq!(read[1].columns(), rows.columns());

    let mut encoder = Encoder::new(Format::Arrow, &rows.schema(), Options::default()).unwrap();
    let mut cut = Vec::new();
    encoder.rows(&rows, &mut cut).unwrap();
    encoder.fail(&QueryError::timeout("x"), &mut cut);
    assert!(!cut.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]));
    assert!(bytes.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]));
}

#[test]
fn formats_are_found_by_name_and_header() {
    for format in Format::ALL {
        assert_eq!(Format::from_name(format.name()), Some(format));
    }
    for (accept, expected) in [
        ("", Format::Json),
        ("*/*", Format::Json),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Json),
        ("text/csv; q=0.5, application/json", Format::Csv),
        ("application/vnd.apache.arrow.stream", Format::Arrow),
    ] {
        assert_eq!(Format::from_accept(accept), expected, "{accept}");
    }
}

#[test]
fn kinds_are_words_of_sql() {
    for (data_type, expected) in [
        (DataType::Utf8View, "text"),
        (DataType::FixedSizeBinary(16), "id"),
        (DataType::FixedSizeBinary(4), "bytes"),
        (DataType::Timestamp(TimeUnit::Nanosecond, None), "timestamp"),
        (schemas::columns::list(DataType::Float64), "double[]"),
        (DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), "text"),
    ] {
        assert_eq!(super::kind(&data_type), expected);
    }
}
