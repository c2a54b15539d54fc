//! What the kernel must know beyond one trace: how far clocks are apart, and which service answers
//! at which address. It is learned from all traces of the statement, or from a sample of them where
//! they are many, before the first one is run.

use std::sync::Arc;

use analysis::kernel::{HostPair, Options, Shift};
use analysis::{Kernel, SkewMode, Symbols, Window, WindowBuilder};
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use arrow_select::interleave::interleave_record_batch;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt;
use tokio::task::JoinSet;

use super::driver::compact;
use super::group::runs;
use super::input::{Decoded, Layout};
use super::sample::{Sample, SampleFilter};
use super::split::trace_ids;

/// Where to learn from.
#[derive(Clone, Debug)]
pub(super) struct Lesson {
    /// Rows with the kernel's columns.
    pub(super) input: Arc<dyn ExecutionPlan>,
    /// What the input's files leave out.
    pub(super) sample: SampleFilter,
}

/// What was learned, in texts: each kernel has symbols of its own.
#[derive(Debug, Default)]
pub(super) struct Learned {
    shifts: Vec<(String, String, i64, Shift)>,
    services: Vec<(String, u32, String)>,
    own: Vec<(String, String)>,
}

impl Learned {
    /// Reads the lesson to its end.
    pub(super) async fn from(
        lesson: &Lesson,
        sample: &Sample,
        context: &Arc<TaskContext>,
    ) -> Result<Learned> {
        lesson.sample.narrow(sample)?;
        let layout = Layout::new(&lesson.input.schema())?;
        let memory = MemoryConsumer::new("TraceExec window").register(context.memory_pool());
        let mut tasks = JoinSet::new();
        for partition in 0..lesson.input.properties().partitioning.partition_count() {
            let input = lesson.input.execute(partition, Arc::clone(context))?;
            tasks.spawn(read(input, layout.trace_id(), sample.clone()));
        }
        let mut batches = Vec::new();
        while let Some(done) = tasks.join_next().await {
            let read = done.map_err(|e| exec_datafusion_err!("learning from traces: {e}"))??;
            let bytes = read.iter().map(RecordBatch::get_array_memory_size).sum();
            memory.try_grow(bytes)?;
            batches.extend(read);
        }
        learn(&batches, &layout)
    }

    /// The tables in symbols of a kernel.
    pub(super) fn window(&self, symbols: &mut Symbols) -> Window {
        let mut window = Window::default();
        for (caller, callee, minute, shift) in &self.shifts {
            let (caller, callee) = (symbols.intern(caller), symbols.intern(callee));
            window.set_shift(HostPair { caller, callee, minute: *minute }, *shift);
        }
        for (address, port, service) in &self.services {
            let (address, service) = (symbols.intern(address), symbols.intern(service));
            window.set_service_at(address, *port, service);
        }
        for (service, address) in &self.own {
            let (service, address) = (symbols.intern(service), symbols.intern(address));
            window.set_own_address(service, address);
        }
        window
    }
}

/// Rows of the sample in one partition; live rows were not left out.
async fn read(
    mut input: SendableRecordBatchStream,
    trace_id: usize,
    sample: Sample,
) -> Result<Vec<RecordBatch>> {
    let mut chosen = Vec::new();
    while let Some(batch) = input.next().await.transpose()? {
        let ids = trace_ids(&batch, trace_id)?;
        let mask: BooleanArray = ids.map(|id| Some(sample.contains(id))).collect();
        // A batch from a file holds on to whole pages of text.
        chosen.push(compact(&filter_record_batch(&batch, &mask)?)?);
    }
    Ok(chosen)
}

fn learn(batches: &[RecordBatch], layout: &Layout) -> Result<Learned> {
    let mut rows: Vec<(u128, usize, usize)> = Vec::new();
    for (place, batch) in batches.iter().enumerate() {
        let ids = trace_ids(batch, layout.trace_id())?;
        rows.extend(ids.enumerate().map(|(row, id)| (id, place, row)));
    }
    rows.sort_unstable();
    let places: Vec<(usize, usize)> = rows.iter().map(|row| (row.1, row.2)).collect();
    if places.is_empty() {
        return Ok(Learned::default());
    }
    let whole = interleave_record_batch(&batches.iter().collect::<Vec<_>>(), &places)?;
    let mut kernel = Kernel::new(Options { skew: SkewMode::Off, ..Options::default() });
    let mut decoded = Decoded::default();
    decoded.read(&whole, layout, kernel.symbols_mut())?;
    let mut builder = WindowBuilder::new();
    for run in runs(&decoded.trace_ids) {
        kernel.observe(decoded.trace_ids[run.start], &decoded.spans[run], &mut builder);
    }
    Ok(in_texts(&builder.finish(), kernel.symbols()))
}

fn in_texts(window: &Window, symbols: &Symbols) -> Learned {
    let text = |symbol| symbols.text(symbol).to_owned();
    Learned {
        shifts: window
            .shifts()
            .map(|(pair, shift)| (text(pair.caller), text(pair.callee), pair.minute, shift))
            .collect(),
        services: window.addresses().map(|(a, port, s)| (text(a), port, text(s))).collect(),
        own: window.own_addresses().map(|(s, address)| (text(s), text(address))).collect(),
    }
}
