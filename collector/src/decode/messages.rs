//! The OTLP messages as data: what the JSON reader and the merging of repeated messages go by.
//! The walkers of the hot path do not use these tables.

/// One message type.
#[derive(Debug)]
pub(crate) struct Message {
    /// What it means when a part of it is wrong.
    pub(crate) role: Role,
    pub(crate) fields: &'static [Member],
}

/// Which damage stays within a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The request itself.
    Root,
    /// ResourceX or ScopeX: bad facts in it cost all records below.
    Envelope,
    /// A metric: bad facts in it cost its points.
    Metric,
    /// Costs itself.
    Record,
    /// Costs the record, metric or envelope around it.
    Part,
}

/// One field of a message.
#[derive(Debug)]
pub(crate) struct Member {
    /// Name in OTLP/JSON.
    pub(crate) name: &'static str,
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    pub(crate) repeated: bool,
    /// Belongs to the message's one oneof.
    pub(crate) oneof: bool,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    String,
    Bytes,
    /// An id: bytes, in JSON hex of this many bytes.
    Id(usize),
    Bool,
    Enum,
    Sint32,
    Uint32,
    Uint64,
    Int64,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    Nested(&'static Message),
}

impl Message {
    pub(crate) fn member(&self, number: u32) -> Option<&'static Member> {
        self.fields.iter().find(|m| m.number == number)
    }
}

const fn one(name: &'static str, number: u32, kind: Kind) -> Member {
    Member { name, number, kind, repeated: false, oneof: false }
}
const fn many(name: &'static str, number: u32, kind: Kind) -> Member {
    Member { name, number, kind, repeated: true, oneof: false }
}
const fn either(name: &'static str, number: u32, kind: Kind) -> Member {
    Member { name, number, kind, repeated: false, oneof: true }
}

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident $role:ident { $($how:ident $field:literal $number:literal $kind:expr;)* })*) => {
        $($(#[$doc])* pub(crate) static $name: Message = {
            #[allow(unused_imports, reason = "most messages use some of the kinds")]
            use Kind::*;
            Message { role: Role::$role, fields: &[$($how($field, $number, $kind)),*] }
        };)*
    };
}

messages! {
    TRACES Root { many "resourceSpans" 1 Nested(&RESOURCE_SPANS); }
    RESOURCE_SPANS Envelope {
        one "resource" 1 Nested(&RESOURCE); many "scopeSpans" 2 Nested(&SCOPE_SPANS); one "schemaUrl" 3 String;
    }
    SCOPE_SPANS Envelope {
        one "scope" 1 Nested(&SCOPE); many "spans" 2 Nested(&SPAN); one "schemaUrl" 3 String;
    }
    SPAN Record {
        one "traceId" 1 Id(16); one "spanId" 2 Id(8); one "traceState" 3 String; one "parentSpanId" 4 Id(8);
        one "name" 5 String; one "kind" 6 Enum; one "startTimeUnixNano" 7 Fixed64; one "endTimeUnixNano" 8 Fixed64;
        many "attributes" 9 Nested(&KEY_VALUE); one "droppedAttributesCount" 10 Uint32;
        many "events" 11 Nested(&EVENT); one "droppedEventsCount" 12 Uint32;
        many "links" 13 Nested(&LINK); one "droppedLinksCount" 14 Uint32;
        one "status" 15 Nested(&STATUS); one "flags" 16 Fixed32;
    }
    EVENT Part {
        one "timeUnixNano" 1 Fixed64; one "name" 2 String; many "attributes" 3 Nested(&KEY_VALUE);
        one "droppedAttributesCount" 4 Uint32;
    }
    LINK Part {
        one "traceId" 1 Id(16); one "spanId" 2 Id(8); one "traceState" 3 String;
        many "attributes" 4 Nested(&KEY_VALUE); one "droppedAttributesCount" 5 Uint32; one "flags" 6 Fixed32;
    }
    STATUS Part { one "message" 2 String; one "code" 3 Enum; }

    LOGS Root { many "resourceLogs" 1 Nested(&RESOURCE_LOGS); }
    RESOURCE_LOGS Envelope {
        one "resource" 1 Nested(&RESOURCE); many "scopeLogs" 2 Nested(&SCOPE_LOGS); one "schemaUrl" 3 String;
    }
    SCOPE_LOGS Envelope {
        one "scope" 1 Nested(&SCOPE); many "logRecords" 2 Nested(&LOG_RECORD); one "schemaUrl" 3 String;
    }
    LOG_RECORD Record {
        one "timeUnixNano" 1 Fixed64; one "severityNumber" 2 Enum; one "severityText" 3 String;
        one "body" 5 Nested(&ANY_VALUE); many "attributes" 6 Nested(&KEY_VALUE);
        one "droppedAttributesCount" 7 Uint32; one "flags" 8 Fixed32; one "traceId" 9 Id(16); one "spanId" 10 Id(8);
        one "observedTimeUnixNano" 11 Fixed64; one "eventName" 12 String;
    }

    METRICS Root { many "resourceMetrics" 1 Nested(&RESOURCE_METRICS); }
    RESOURCE_METRICS Envelope {
        one "resource" 1 Nested(&RESOURCE); many "scopeMetrics" 2 Nested(&SCOPE_METRICS); one "schemaUrl" 3 String;
    }
    SCOPE_METRICS Envelope {
        one "scope" 1 Nested(&SCOPE); many "metrics" 2 Nested(&METRIC); one "schemaUrl" 3 String;
    }
    METRIC Metric {
        one "name" 1 String; one "description" 2 String; one "unit" 3 String;
        either "gauge" 5 Nested(&GAUGE); either "sum" 7 Nested(&SUM); either "histogram" 9 Nested(&HISTOGRAM);
        either "exponentialHistogram" 10 Nested(&EXPONENTIAL); either "summary" 11 Nested(&SUMMARY);
        many "metadata" 12 Nested(&KEY_VALUE);
    }
    GAUGE Part { many "dataPoints" 1 Nested(&NUMBER_POINT); }
    SUM Part {
        many "dataPoints" 1 Nested(&NUMBER_POINT); one "aggregationTemporality" 2 Enum; one "isMonotonic" 3 Bool;
    }
    HISTOGRAM Part { many "dataPoints" 1 Nested(&HISTOGRAM_POINT); one "aggregationTemporality" 2 Enum; }
    EXPONENTIAL Part { many "dataPoints" 1 Nested(&EXPONENTIAL_POINT); one "aggregationTemporality" 2 Enum; }
    SUMMARY Part { many "dataPoints" 1 Nested(&SUMMARY_POINT); }
    NUMBER_POINT Record {
        one "startTimeUnixNano" 2 Fixed64; one "timeUnixNano" 3 Fixed64; either "asDouble" 4 Double;
        many "exemplars" 5 Nested(&EXEMPLAR); either "asInt" 6 Sfixed64; many "attributes" 7 Nested(&KEY_VALUE);
        one "flags" 8 Uint32;
    }
    HISTOGRAM_POINT Record {
        one "startTimeUnixNano" 2 Fixed64; one "timeUnixNano" 3 Fixed64; one "count" 4 Fixed64; one "sum" 5 Double;
        many "bucketCounts" 6 Fixed64; many "explicitBounds" 7 Double; many "exemplars" 8 Nested(&EXEMPLAR);
        many "attributes" 9 Nested(&KEY_VALUE); one "flags" 10 Uint32; one "min" 11 Double; one "max" 12 Double;
    }
    EXPONENTIAL_POINT Record {
        many "attributes" 1 Nested(&KEY_VALUE); one "startTimeUnixNano" 2 Fixed64; one "timeUnixNano" 3 Fixed64;
        one "count" 4 Fixed64; one "sum" 5 Double; one "scale" 6 Sint32; one "zeroCount" 7 Fixed64;
        one "positive" 8 Nested(&BUCKETS); one "negative" 9 Nested(&BUCKETS); one "flags" 10 Uint32;
        many "exemplars" 11 Nested(&EXEMPLAR); one "min" 12 Double; one "max" 13 Double;
        one "zeroThreshold" 14 Double;
    }
    BUCKETS Part { one "offset" 1 Sint32; many "bucketCounts" 2 Uint64; }
    SUMMARY_POINT Record {
        one "startTimeUnixNano" 2 Fixed64; one "timeUnixNano" 3 Fixed64; one "count" 4 Fixed64; one "sum" 5 Double;
        many "quantileValues" 6 Nested(&QUANTILE); many "attributes" 7 Nested(&KEY_VALUE); one "flags" 8 Uint32;
    }
    QUANTILE Part { one "quantile" 1 Double; one "value" 2 Double; }
    EXEMPLAR Part {
        one "timeUnixNano" 2 Fixed64; either "asDouble" 3 Double; one "spanId" 4 Id(8); one "traceId" 5 Id(16);
        either "asInt" 6 Sfixed64; many "filteredAttributes" 7 Nested(&KEY_VALUE);
    }

    RESOURCE Part {
        many "attributes" 1 Nested(&KEY_VALUE); one "droppedAttributesCount" 2 Uint32;
        many "entityRefs" 3 Nested(&ENTITY_REF);
    }
    ENTITY_REF Part {
        one "schemaUrl" 1 String; one "type" 2 String; many "idKeys" 3 String; many "descriptionKeys" 4 String;
    }
    SCOPE Part {
        one "name" 1 String; one "version" 2 String; many "attributes" 3 Nested(&KEY_VALUE);
        one "droppedAttributesCount" 4 Uint32;
    }
    KEY_VALUE Part { one "key" 1 String; one "value" 2 Nested(&ANY_VALUE); one "keyStrindex" 3 Int64; }
    ANY_VALUE Part {
        either "stringValue" 1 String; either "boolValue" 2 Bool; either "intValue" 3 Int64;
        either "doubleValue" 4 Double; either "arrayValue" 5 Nested(&ARRAY); either "kvlistValue" 6 Nested(&MAP);
        either "bytesValue" 7 Bytes; either "stringValueStrindex" 8 Int64;
    }
    ARRAY Part { many "values" 1 Nested(&ANY_VALUE); }
    MAP Part { many "values" 1 Nested(&KEY_VALUE); }
    /// Knows no field, so that everything in it is skipped.
    IGNORED Part {}
}
