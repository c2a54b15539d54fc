//! What the kernel reads of a span, and how rows become its plain structs.

use analysis::{Kind, Link, Span, Status, Symbol, Symbols};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, StringViewType, TimestampNanosecondType};
use arrow_array::{
    Array, ArrayRef, FixedSizeBinaryArray, Int64Array, ListArray, RecordBatch, StringViewArray,
    TimestampNanosecondArray,
};
use arrow_schema::{Field, Schema};
use datafusion::common::{Result, exec_datafusion_err};
use schemas::attributes::ValueType;
use schemas::columns as c;

use crate::attributes::{Source, VirtualColumn};

/// Semantic columns that say who is on the other side and how it went.
const SEMANTIC: [(&str, ValueType); 12] = [
    ("db_system", ValueType::Text),
    ("db_namespace", ValueType::Text),
    ("messaging_system", ValueType::Text),
    ("messaging_destination", ValueType::Text),
    ("messaging_operation", ValueType::Text),
    ("server_address", ValueType::Text),
    ("peer_service", ValueType::Text),
    ("peer_address", ValueType::Text),
    ("error_type", ValueType::Text),
    ("rpc_status", ValueType::Text),
    ("db_summary", ValueType::Text),
    ("http_status_code", ValueType::Int),
];

/// Resource attributes that tell processes and clocks apart, in the order of their worth.
const INSTANCE: [&str; 2] = ["service.instance.id", "k8s.pod.name"];
const CLOCK: [&str; 3] = ["host.id", "host.name", "k8s.node.name"];

/// The fields that the kernel reads, whatever a statement asks for.
pub(super) fn fields() -> Vec<Field> {
    let spans = schemas::Table::Spans;
    let stored = STORED.iter().filter_map(|name| spans.column(name)).map(|column| column.field());
    let semantic = SEMANTIC.iter().map(|(name, kind)| Field::new(*name, kind.data_type(), true));
    let resource = INSTANCE.iter().chain(&CLOCK).map(|key| resource_field(key));
    let others = [
        Field::new(SERVER_PORT, ValueType::Int.data_type(), true),
        virtual_field(Source::Record, RESEND_COUNT, ValueType::Int),
    ];
    stored.chain(semantic).chain(resource).chain(others).collect()
}

const SERVER_PORT: &str = "server_port";
const RESEND_COUNT: &str = "http.request.resend_count";
const STORED: [&str; 11] = [
    c::TRACE_ID,
    c::SPAN_ID,
    c::PARENT_SPAN_ID,
    c::START_TIME,
    c::DURATION_NS,
    c::SERVICE_NAME,
    c::NAME,
    c::KIND,
    c::STATUS_CODE,
    c::LINKS,
    c::INGESTED_AT,
];

fn resource_field(key: &str) -> Field {
    virtual_field(Source::Resource, key, ValueType::Text)
}

fn virtual_field(source: Source, key: &str, value_type: ValueType) -> Field {
    let column = VirtualColumn { source, key: key.to_owned(), value_type };
    Field::new(column.name(), value_type.data_type(), true)
}

/// Where the columns of [`fields`] are in the input.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    stored: [usize; STORED.len()],
    semantic: [usize; SEMANTIC.len()],
    instance: [usize; INSTANCE.len()],
    clock: [usize; CLOCK.len()],
    server_port: usize,
    resend_count: usize,
}

impl Layout {
    /// # Errors
    /// When the schema lacks one of [`fields`].
    pub(super) fn new(schema: &Schema) -> Result<Layout> {
        let of =
            |name: &str| Ok::<usize, datafusion::common::DataFusionError>(schema.index_of(name)?);
        let resource = |key: &&str| of(resource_field(key).name());
        Ok(Layout {
            stored: indices(STORED.iter().map(|name| of(name)))?,
            semantic: indices(SEMANTIC.iter().map(|(name, _)| of(name)))?,
            instance: indices(INSTANCE.iter().map(resource))?,
            clock: indices(CLOCK.iter().map(resource))?,
            server_port: of(SERVER_PORT)?,
            resend_count: of(virtual_field(Source::Record, RESEND_COUNT, ValueType::Int).name())?,
        })
    }

    /// Index of the trace id.
    pub(super) fn trace_id(&self) -> usize {
        self.stored[0]
    }
}

fn indices<const N: usize>(found: impl Iterator<Item = Result<usize>>) -> Result<[usize; N]> {
    let found = found.collect::<Result<Vec<_>>>()?;
    found.try_into().map_err(|_| exec_datafusion_err!("a column of the kernel's input is missing"))
}

/// Rows as the kernel's structs. Buffers are kept from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    /// A span a row.
    pub(super) spans: Vec<Span>,
    /// The links of all spans.
    pub(super) links: Vec<Link>,
    /// Arrival of each row, nanoseconds.
    pub(super) ingested_ns: Vec<i64>,
    /// Trace of each row.
    pub(super) trace_ids: Vec<u128>,
}

impl Decoded {
    /// Replaces the content by the rows of a batch.
    ///
    /// # Errors
    /// When a column has another type than [`fields`] says.
    pub(super) fn read(
        &mut self,
        rows: &RecordBatch,
        layout: &Layout,
        symbols: &mut Symbols,
    ) -> Result<()> {
        let column =
            |index: usize| Ok::<&ArrayRef, datafusion::common::DataFusionError>(rows.column(index));
        self.spans.clear();
        self.spans.resize(rows.num_rows(), Span::default());
        self.links.clear();
        let [
            trace_id,
            span_id,
            parent,
            start,
            duration,
            service,
            name,
            kind,
            status,
            links,
            ingested,
        ] = layout.stored;
        self.trace_ids.clear();
        self.trace_ids.extend(ids::<16>(column(trace_id)?)?.map(u128::from_be_bytes));
        self.ingested_ns.clear();
        self.ingested_ns.extend_from_slice(times(column(ingested)?)?.values());
        let spans = &mut self.spans;
        for (span, id) in spans.iter_mut().zip(ids::<8>(column(span_id)?)?) {
            span.span_id = u64::from_be_bytes(id);
        }
        for (span, id) in spans.iter_mut().zip(ids::<8>(column(parent)?)?) {
            span.parent_id = u64::from_be_bytes(id);
        }
        for (span, ns) in spans.iter_mut().zip(times(column(start)?)?.values()) {
            span.start_ns = *ns;
        }
        ints(column(duration)?, spans, |span, ns| span.duration_ns = ns)?;
        let mut text = |index: usize, set: fn(&mut Span, Symbol)| {
            texts(rows.column(index), spans, symbols, set)
        };
        text(service, |span, symbol| span.service = symbol)?;
        text(name, |span, symbol| span.name = symbol)?;
        for index in layout.instance {
            text(index, |span, symbol| first(&mut span.instance, symbol))?;
        }
        for index in layout.clock {
            text(index, |span, symbol| first(&mut span.clock, symbol))?;
        }
        for (index, set) in layout.semantic.into_iter().zip(SET) {
            text(index, set)?;
        }
        let http_status = layout.semantic[SEMANTIC.len() - 1];
        ints(column(http_status)?, spans, |span, code| span.target.http_status = small(code))?;
        ints(column(layout.server_port)?, spans, |span, p| span.target.server_port = small(p))?;
        ints(column(layout.resend_count)?, spans, |span, n| span.target.resend_count = small(n))?;
        enums(column(kind)?, spans, |span, text| span.kind = kind_of(text))?;
        enums(column(status)?, spans, |span, text| span.status = status_of(text))?;
        for span in spans.iter_mut().filter(|span| span.clock.is_none()) {
            span.clock = span.instance;
        }
        read_links(column(links)?, spans, &mut self.links)
    }
}

/// What the text columns of [`SEMANTIC`] set; its last entry is a number.
const SET: [fn(&mut Span, Symbol); SEMANTIC.len() - 1] = [
    |s, symbol| s.target.db_system = symbol,
    |s, symbol| s.target.db_namespace = symbol,
    |s, symbol| s.target.messaging_system = symbol,
    |s, symbol| s.target.messaging_destination = symbol,
    |s, symbol| s.target.messaging_operation = symbol,
    |s, symbol| s.target.server_address = symbol,
    |s, symbol| s.target.peer_service = symbol,
    |s, symbol| s.target.peer_address = symbol,
    |s, symbol| s.target.error_type = symbol,
    |s, symbol| s.target.rpc_status = symbol,
    |s, symbol| s.target.statement = symbol,
];

fn first(place: &mut Symbol, symbol: Symbol) {
    if place.is_none() {
        *place = symbol;
    }
}

fn small(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

fn kind_of(text: &str) -> Kind {
    match text {
        "server" => Kind::Server,
        "client" => Kind::Client,
        "internal" => Kind::Internal,
        "producer" => Kind::Producer,
        "consumer" => Kind::Consumer,
        _ => Kind::Unspecified,
    }
}

fn status_of(text: &str) -> Status {
    match text {
        "error" => Status::Error,
        "ok" => Status::Ok,
        _ => Status::Unset,
    }
}

/// Ids of a column, zero for null.
fn ids<const N: usize>(array: &ArrayRef) -> Result<impl Iterator<Item = [u8; N]>> {
    let array: &FixedSizeBinaryArray =
        array.as_fixed_size_binary_opt().ok_or_else(|| wrong("an id", array))?;
    let id = |bytes: Option<&[u8]>| bytes.and_then(|b| b.try_into().ok()).unwrap_or([0; N]);
    Ok(array.iter().map(id))
}

fn times(array: &ArrayRef) -> Result<&TimestampNanosecondArray> {
    array.as_primitive_opt::<TimestampNanosecondType>().ok_or_else(|| wrong("a time", array))
}

fn ints(array: &ArrayRef, spans: &mut [Span], set: impl Fn(&mut Span, i64)) -> Result<()> {
    let array: &Int64Array =
        array.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong("an integer", array))?;
    if array.null_count() == array.len() {
        return Ok(());
    }
    for (span, value) in spans.iter_mut().zip(array) {
        if let Some(value) = value {
            set(span, value);
        }
    }
    Ok(())
}

fn strings(array: &ArrayRef) -> Result<&StringViewArray> {
    array.as_byte_view_opt::<StringViewType>().ok_or_else(|| wrong("text", array))
}

fn enums(array: &ArrayRef, spans: &mut [Span], set: impl Fn(&mut Span, &str)) -> Result<()> {
    for (span, text) in spans.iter_mut().zip(strings(array)?) {
        set(span, text.unwrap_or(""));
    }
    Ok(())
}

/// Slots of the cache from views to symbols; a column of a batch has few distinct texts.
const VIEW_SLOTS: usize = 256;

/// Interns a column. Equal views are equal texts, so that most rows cost no look at their bytes.
fn texts(
    array: &ArrayRef,
    spans: &mut [Span],
    symbols: &mut Symbols,
    set: fn(&mut Span, Symbol),
) -> Result<()> {
    let array = strings(array)?;
    if array.null_count() == array.len() {
        return Ok(());
    }
    let mut cache = [(0_u128, Symbol::NONE); VIEW_SLOTS];
    for (row, (span, &view)) in spans.iter_mut().zip(array.views().iter()).enumerate() {
        if view == 0 || array.is_null(row) {
            continue;
        }
        let slot = &mut cache[slot(view)];
        if slot.0 != view {
            *slot = (view, symbols.intern(array.value(row)));
        }
        set(span, slot.1);
    }
    Ok(())
}

fn slot(view: u128) -> usize {
    let folded = (view as u64) ^ ((view >> 64) as u64).rotate_left(32);
    (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as usize
}

fn read_links(array: &ArrayRef, spans: &mut [Span], links: &mut Vec<Link>) -> Result<()> {
    let array: &ListArray = array.as_list_opt().ok_or_else(|| wrong("a list of links", array))?;
    if array.null_count() == array.len() {
        return Ok(());
    }
    let values = array.values().as_struct_opt().ok_or_else(|| wrong("links", array))?;
    let field = |name: &str| values.column_by_name(name).ok_or_else(|| wrong("links", array));
    let trace_ids: Vec<u128> = ids::<16>(field(c::TRACE_ID)?)?.map(u128::from_be_bytes).collect();
    let span_ids: Vec<u64> = ids::<8>(field(c::SPAN_ID)?)?.map(u64::from_be_bytes).collect();
    let offsets = array.value_offsets();
    for (row, span) in spans.iter_mut().enumerate().filter(|(row, _)| array.is_valid(*row)) {
        let range = offsets[row] as usize..offsets[row + 1] as usize;
        span.links_from = u32::try_from(links.len()).unwrap_or(u32::MAX);
        span.links_len = u32::try_from(range.len()).unwrap_or(u32::MAX);
        let pairs = trace_ids[range.clone()].iter().zip(&span_ids[range]);
        links.extend(pairs.map(|(&trace_id, &span_id)| Link { trace_id, span_id }));
    }
    Ok(())
}

fn wrong(expected: &str, array: &dyn Array) -> datafusion::common::DataFusionError {
    exec_datafusion_err!("the trace kernel needs {expected}, and found {}", array.data_type())
}
