//! The checklist of the protocol, one row a rule: what a record becomes, or why it is left out.
//! Written as OTLP/JSON, since both encodings take one path and that text is readable.

use schemas::Signal;
use storage::Encoding;

use super::{TIME_NS, decode, rows};

/// `column=value` of the first row for the columns named in `expected`, or the reject's reason.
fn check(signal: Signal, record: &str, expected: &str) {
    let record = record.replace("TIME", &TIME_NS.to_string());
    let (resource, scope, list) = match signal {
        Signal::Traces => ("resourceSpans", "scopeSpans", "spans"),
        Signal::Logs => ("resourceLogs", "scopeLogs", "logRecords"),
        Signal::Metrics => ("resourceMetrics", "scopeMetrics", "metrics"),
    };
    let request = format!(r#"{{"{resource}":[{{"{scope}":[{{"{list}":[{record}]}}]}}]}}"#);
    let decoded = decode(signal, Encoding::Json, request.as_bytes()).unwrap();
    let rejected: Vec<_> =
        decoded.rejects.counts().map(|(reason, n)| format!("{} {n}", reason.name())).collect();
    let rows = rows(&decoded.batches);
    let actual = match rows.first() {
        None => rejected.join(", "),
        Some(row) => {
            assert!(rejected.is_empty(), "{record}: {rejected:?}");
            let cell = |name: &str| row.get(name).map_or("null", |text| text.as_str());
            let names = expected.split("; ").filter_map(|pair| pair.split_once('='));
            let cells: Vec<_> = names.map(|(name, _)| format!("{name}={}", cell(name))).collect();
            cells.join("; ")
        }
    };
    assert_eq!(actual, expected, "{record}\n{}", decoded.rejects.message());
}

const IDS: &str = r#""traceId":"0102030405060708090A0b0c0d0e0f10","spanId":"0102030405060708""#;

#[test]
fn spans() {
    let span = |fields: &str| {
        let comma = if fields.is_empty() { "" } else { "," };
        format!(r#"{{{IDS},"startTimeUnixNano":"TIME"{comma}{fields}}}"#)
    };
    for (fields, expected) in [
        (
            "",
            "trace_id=0102030405060708090a0b0c0d0e0f10; span_id=0102030405060708; kind=unspecified; status_code=unset; parent_span_id=null; service_name=unknown_service; resource=null; quality=0",
        ),
        (
            r#""kind":2,"status":{"code":2,"message":"m"}"#,
            "kind=server; status_code=error; status_message=m",
        ),
        (r#""kind":99,"status":{"code":7}"#, "kind=99; status_code=7"),
        (r#""kind":"3""#, "kind=client"),
        (r#""kind":"SPAN_KIND_SERVER""#, "json_enum_name 1"),
        (r#""kind":1.5"#, "json_type 1"),
        (r#""kind":true"#, "json_type 1"),
        (r#""name":7"#, "json_type 1"),
        (r#""attributes":5"#, "json_type 1"),
        (r#""parentSpanId":"""#, "parent_span_id=null; quality=0"),
        (r#""parentSpanId":"0000000000000000""#, "parent_span_id=null"),
        (r#""parentSpanId":"010203""#, "parent_span_id=null"),
        (
            r#""parentSpanId":null,"attributes":null,"events":null,"status":null"#,
            "parent_span_id=null",
        ),
        (r#""flags":"257""#, "flags=257"),
        (r#""flags":4294967295"#, "flags=4294967295"),
        (r#""flags":4294967296"#, "json_type 1"),
        (r#""droppedAttributesCount":"3""#, "dropped_attributes_count=3"),
        (r#""startTimeUnixNano":1.79e18"#, "start_time=2026-09-21T14:13:20"),
        (r#""startTimeUnixNano":"2026-09-21T14:13:20Z""#, "json_type 1"),
        (r#""startTimeUnixNano":0"#, "quality=4"),
        (r#""startTimeUnixNano":1"#, "quality=4"),
        (r#""startTimeUnixNano":9223372036854775807"#, "quality=4"),
        (r#""startTimeUnixNano":"9223372036854775808""#, "time_overflow 1"),
        (r#""endTimeUnixNano":"1790000000000000005""#, "duration_ns=5; end_before_start=null"),
        (r#""endTimeUnixNano":"1789999999999999995""#, "duration_ns=0; end_before_start=5"),
        (r#""traceId":"""#, "bad_trace_id 1"),
        (r#""traceId":"00000000000000000000000000000000""#, "bad_trace_id 1"),
        (r#""traceId":"01""#, "bad_trace_id 1"),
        (r#""traceId":"AQIDBAUGBwgJCgsMDQ4PEA==""#, "json_bad_id 1"),
        (r#""spanId":"AQIDBAUGBwg=""#, "json_bad_id 1"),
        (r#""spanId":"0102030405060708ff""#, "bad_span_id 1"),
        (r#""name":"a","name":"b""#, "name=b"),
        (r#""unknown":{"deep":[1,{"x":null}]},"trace_id":"zz""#, "kind=unspecified"),
        (r#""attributes":[{"key":"a","value":{"intValue":1.0}}]"#, r#"attributes_rest={"a":1}"#),
        (
            r#""attributes":[{"key":"a","value":{"intValue":"-9223372036854775808"}}]"#,
            r#"attributes_rest={"a":-9223372036854775808}"#,
        ),
        (
            r#""attributes":[{"key":"a","value":{"doubleValue":"NaN"}},{"key":"b","value":{"doubleValue":"1.5"}}]"#,
            r#"attributes_rest={"a":{"$f":"NaN"},"b":1.5}"#,
        ),
        (
            r#""attributes":[{"key":"a","value":{"doubleValue":null}},{"key":"b"},{"key":"c","value":{}},{"value":{"stringValue":"d"}}]"#,
            r#"attributes_rest={"":"d","a":{"$empty":true},"b":{"$empty":true},"c":{"$empty":true}}"#,
        ),
        (
            r#""attributes":[{"key":"a","value":{"arrayValue":{}}},{"key":"b","value":{"kvlistValue":{}}}]"#,
            r#"attributes_rest={"a":[],"b":{}}"#,
        ),
        (
            r#""attributes":[{"key":"a","value":{"bytesValue":"AP8="}},{"key":"b","value":{"bytesValue":"_-8"}}]"#,
            r#"attributes_rest={"a":{"$b64":"AP8="},"b":{"$b64":"/+8="}}"#,
        ),
        (
            r#""attributes":[{"key":"a","value":{"stringValue":"\ud83d\ude00\u00e9"}}]"#,
            r#"attributes_rest={"a":"😀é"}; quality=0"#,
        ),
        (r#""attributes":[{"key":"a","value":{"stringValue":"\ud83d"}}]"#, "quality=1"),
        (
            r#""attributes":[{"key":"a","value":{"intValue":1}},{"key":"a","value":{"intValue":2}}]"#,
            r#"attributes_rest={"a":2}; quality=32"#,
        ),
        (
            r#""attributes":[{"key":"http.route","value":{"stringValue":"/x"}},{"key":"server.port","value":{"stringValue":"80"}}]"#,
            r#"a.http.route=/x; a.server.port=null; attributes_rest={"server.port":"80"}"#,
        ),
        (r#""events":[{"name":"e","timeUnixNano":"9223372036854775808"}]"#, "time_overflow 1"),
        (
            r#""events":[{"name":"x"},{"name":"exception","attributes":[{"key":"exception.type","value":{"stringValue":"E"}},{"key":"exception.message","value":{"stringValue":"m"}}]},{"name":"exception"}]"#,
            "exception_type=E; exception_message=m",
        ),
        (
            r#""events":[{"attributes":[{"key":"a","value":{"intValue":1}}]},{}]"#,
            r#"events=[{time: 1970-01-01T00:00:00, name: , attributes: {"a":1}, dropped_attributes_count: 0}, {time: 1970-01-01T00:00:00, name: , attributes: , dropped_attributes_count: 0}]"#,
        ),
        (
            r#""links":[{"traceId":"00","flags":1}]"#,
            "links=[{trace_id: , span_id: , trace_state: , attributes: , dropped_attributes_count: 0, flags: 1}]",
        ),
    ] {
        check(Signal::Traces, &span(fields), expected);
    }
    check(Signal::Traces, "5", "json_type 1");
}

#[test]
fn logs() {
    for (record, expected) in [
        (
            r#"{"timeUnixNano":"TIME"}"#,
            "time=2026-09-21T14:13:20; time_missing=2; body=null; body_type=null; event_name=null",
        ),
        (
            r#"{"observedTimeUnixNano":"TIME"}"#,
            "time=2026-09-21T14:13:20; time_missing=1; observed_time=2026-09-21T14:13:20",
        ),
        (
            "{}",
            "time=2026-09-21T14:13:20.123456789; time_missing=3; ingested_at=2026-09-21T14:13:20.123; quality=0",
        ),
        (r#"{"body":{}}"#, r#"body={"$empty":true}; body_type=empty"#),
        (r#"{"body":null}"#, "body=null; body_type=null"),
        (r#"{"body":{"stringValue":""}}"#, "body=; body_type=string"),
        (
            r#"{"body":{"kvlistValue":{"values":[{"key":"$b64","value":{"intValue":1}}]}}}"#,
            r#"body={"$$b64":1}; body_type=map"#,
        ),
        (
            r#"{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708"}"#,
            "trace_id=0102030405060708090a0b0c0d0e0f10; span_id=0102030405060708",
        ),
        (r#"{"traceId":"01","spanId":"0102030405060708"}"#, "trace_id=null; span_id=null"),
        (r#"{"spanId":"0102030405060708"}"#, "trace_id=null; span_id=null"),
        (
            r#"{"severityNumber":"9","severityText":"Warn","eventName":"e"}"#,
            "severity_number=9; severity_text=Warn; event_name=e",
        ),
        (r#"{"severityNumber":"SEVERITY_NUMBER_INFO"}"#, "json_enum_name 1"),
        (r#"{"timeUnixNano":"9223372036854775808"}"#, "time_overflow 1"),
        (
            r#"{"attributes":[{"key":"exception.type","value":{"stringValue":"E"}}]}"#,
            "a.exception.type=E; attributes_rest=null",
        ),
    ] {
        check(Signal::Logs, record, expected);
    }
}

#[test]
fn metrics() {
    let gauge = |point: &str| format!(r#"{{"name":"m","gauge":{{"dataPoints":[{point}]}}}}"#);
    let histogram = |point: &str| {
        let head = r#"{"name":"m","histogram":{"aggregationTemporality":2,"dataPoints":["#;
        format!(r#"{head}{{"timeUnixNano":"TIME",{point}}}]}}}}"#)
    };
    let exponential = |point: &str| {
        let head =
            r#"{"name":"m","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":["#;
        format!(r#"{head}{{"timeUnixNano":"TIME",{point}}}]}}}}"#)
    };
    for (metric, expected) in [
        (r#"{"name":"m"}"#.to_owned(), "unknown_metric_kind 1"),
        (r#"{"name":"m","sum":{"dataPoints":[{},{}]}}"#.to_owned(), "bad_temporality 2"),
        (r#"{"name":5,"gauge":{"dataPoints":[{},{}]}}"#.to_owned(), "json_type 2"),
        (r#"{"name":"m","sum":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA","dataPoints":[{}]}}"#.to_owned(), "json_enum_name 1"),
        (gauge(r#"{"timeUnixNano":"TIME","asInt":"7"}"#), "kind=gauge; value_int=7; value_double=null; temporality=null; is_monotonic=null; start_time=null"),
        (gauge(r#"{"timeUnixNano":"TIME","asDouble":"NaN"}"#), "value_double=NaN"),
        (gauge(r#"{"timeUnixNano":"TIME","asDouble":0}"#), "value_double=0.0"),
        (gauge(r#"{"asInt":7}"#), "no_time 1"),
        (gauge(r#"{"timeUnixNano":"TIME"}"#), "no_value 1"),
        (gauge(r#"{"timeUnixNano":"TIME","flags":1,"asInt":7}"#), "value_int=null; value_double=null; flags=1"),
        (r#"{"name":"m","sum":{"isMonotonic":true,"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"TIME","asInt":1}]}}"#.to_owned(), "kind=sum; temporality=delta; is_monotonic=true"),
        (histogram(r#""count":"3""#), "kind=histogram; temporality=cumulative; count=3; sum=null; bounds=[]; bucket_counts=[]; scale=null"),
        (histogram(r#""bucketCounts":[1,"2"],"explicitBounds":["Infinity"],"sum":null"#), "bucket_counts=[1, 2]; bounds=[inf]"),
        (histogram(r#""bucketCounts":[3]"#), "bucket_counts=[3]; bounds=[]"),
        (histogram(r#""bucketCounts":null,"explicitBounds":[1]"#), "bucket_mismatch 1"),
        (histogram(r#""bucketCounts":[1,2],"explicitBounds":[]"#), "bucket_mismatch 1"),
        (histogram(r#""bucketCounts":[1,2,3],"explicitBounds":[2,2]"#), "bounds_order 1"),
        (histogram(r#""bucketCounts":[1,2],"explicitBounds":["NaN"]"#), "bounds_order 1"),
        (exponential(r#""scale":-2,"positive":{"offset":-3,"bucketCounts":["1",2]}"#), "kind=exponential_histogram; scale=-2; pos_offset=-3; pos_counts=[1, 2]; neg_counts=null; bounds=null"),
        (exponential(r#""scale":0,"positive":{"offset":1020,"bucketCounts":[1,1,1,1]}"#), "pos_offset=1020"),
        (exponential(r#""scale":0,"positive":{"offset":1020,"bucketCounts":[1,1,1,1,1]}"#), "exp_range 1"),
        (exponential(r#""scale":20,"negative":{"offset":2147483647,"bucketCounts":[1]}"#), "exp_range 1"),
        (r#"{"name":"m","summary":{"dataPoints":[{"timeUnixNano":"TIME","sum":"NaN","quantileValues":[{"quantile":0.5,"value":2}]}]}}"#.to_owned(), "kind=summary; sum=NaN; quantiles=[{quantile: 0.5, value: 2.0}]"),
        // Item 46: kept with the metric, whatever is in it.
        (r#"{"name":"m","metadata":[{"key":"prometheus.type","value":{"stringValue":"info"}},{"key":"b"}],"gauge":{"dataPoints":[{"timeUnixNano":"TIME","asInt":1}]}}"#.to_owned(), r#"metric_metadata={"b":{"$empty":true},"prometheus.type":"info"}; quality=0"#),
        // Item 80: the overflow series of an SDK is a series.
        (gauge(r#"{"timeUnixNano":"TIME","asInt":1,"attributes":[{"key":"otel.metric.overflow","value":{"boolValue":true}}]}"#), r#"value_int=1; attributes_rest={"otel.metric.overflow":true}; quality=0"#),
    ] {
        check(Signal::Metrics, &metric, expected);
    }
}

/// Item 46: entity references are kept with their resource and never fail it.
#[test]
fn entity_references() {
    for (refs, expected) in [
        (
            r#"[{"type":"service","idKeys":["service.name"],"schemaUrl":"u"}]"#,
            r#"[{"description_keys":[],"id_keys":["service.name"],"schema_url":"u","type":"service"}]"#,
        ),
        ("[{}]", r#"[{"description_keys":[],"id_keys":[],"schema_url":"","type":""}]"#),
        ("[]", "null"),
    ] {
        let request = format!(
            r#"{{"resourceLogs":[{{"resource":{{"entityRefs":{refs}}},"scopeLogs":[{{"logRecords":[{{}}]}}]}}]}}"#
        );
        let decoded = decode(Signal::Logs, Encoding::Json, request.as_bytes()).unwrap();
        let row = &rows(&decoded.batches)[0];
        assert_eq!(row.get("resource_entity_refs").map_or("null", |json| json), expected, "{refs}");
    }
}

#[test]
fn series_identity_leaves_out_the_description_and_nothing_else() {
    let id = |metric: &str, point: &str| {
        let request = format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{{metric},"sum":{{"aggregationTemporality":2,"dataPoints":[{{"timeUnixNano":"{TIME_NS}","asInt":1{point}}}]}}}}]}}]}}]}}"#
        );
        let decoded = decode(Signal::Metrics, Encoding::Json, request.as_bytes()).unwrap();
        rows(&decoded.batches)[0]["series_id"].clone()
    };
    let attribute = r#","attributes":[{"key":"http.route","value":{"stringValue":"/"}}]"#;
    let plain = id(r#""name":"m""#, "");
    assert_eq!(plain, id(r#""name":"m","description":"d""#, ""));
    assert_ne!(plain, id(r#""name":"m","unit":"s""#, ""));
    assert_ne!(plain, id(r#""name":"n""#, ""));
    assert_ne!(plain, id(r#""name":"m""#, attribute));
}

#[test]
fn envelopes() {
    let spans =
        format!(r#""scopeSpans":[{{"spans":[{{{IDS},"startTimeUnixNano":"{TIME_NS}"}}]}}]"#);
    for (request, expected) in [
        ("{}".to_owned(), "0 []"),
        ("".to_owned(), "0 []"),
        ("\u{feff}{}".to_owned(), "0 []"),
        (r#"{"resourceSpans":null}"#.to_owned(), "0 []"),
        (
            r#"{"resourceLogs":[]}"#.to_owned(),
            "0 [\"the request holds no field of this signal: resourceLogs is unknown, resourceSpans expected; nothing was stored\"]",
        ),
        (
            format!(r#"{{"resourceSpans":[{{{spans},"resource":{{"attributes":5}}}}]}}"#),
            "rejected 1",
        ),
        (format!(r#"{{"resourceSpans":[{{{spans},"schemaUrl":5}}]}}"#), "rejected 1"),
        (format!(r#"{{"resourceSpans":[{{{spans},{spans}}}]}}"#), "1 []"),
        (r#"{"resourceSpans":5}"#.to_owned(), "resourceSpans"),
        (
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":5}]}]}"#.to_owned(),
            "resourceSpans[0].scopeSpans[0].spans",
        ),
        (r#"{"resourceSpans":[{}"#.to_owned(), "resourceSpans[1]"),
        (r#"{"a":1,}"#.to_owned(), "$"),
        (r#"{} x"#.to_owned(), "$"),
        (r#"[]"#.to_owned(), "$"),
        (r#"{"a":01}"#.to_owned(), "$"),
    ] {
        let actual = match decode(Signal::Traces, Encoding::Json, request.as_bytes()) {
            Ok(decoded) if decoded.rejects.total() > 0 => {
                format!("rejected {}", decoded.rejects.total())
            }
            Ok(decoded) => format!("{} {:?}", decoded.accepted, decoded.warnings),
            Err(error) => error.field,
        };
        assert_eq!(actual, expected, "{request}");
    }
}

#[test]
fn references_into_a_string_table_are_told_of() {
    for attribute in [r#"{"keyStrindex":1}"#, r#"{"value":{"stringValueStrindex":1}}"#] {
        let request = format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{IDS},"attributes":[{attribute}]}}]}}]}}]}}"#
        );
        let decoded = decode(Signal::Traces, Encoding::Json, request.as_bytes()).unwrap();
        assert_eq!(rows(&decoded.batches)[0]["attributes_rest"], r#"{"":{"$empty":true}}"#);
        assert!(decoded.warnings[0].contains("string table"), "{:?}", decoded.warnings);
    }
}

#[test]
fn a_reject_names_the_field_of_the_record() {
    let request = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{IDS}}},{{"kind":"SPAN_KIND_SERVER"}}]}}]}}]}}"#
    );
    let decoded = decode(Signal::Traces, Encoding::Json, request.as_bytes()).unwrap();
    let (_, text) = &decoded.rejects.first()[0];
    assert_eq!(
        text,
        "resourceSpans[0].scopeSpans[0].spans[1].kind must be an integer in OTLP/JSON, got \
         \"SPAN_KIND_SERVER\""
    );
}
