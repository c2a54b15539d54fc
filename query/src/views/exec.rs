//! The plan node of a view: takes all rows of its statement and gives the rows of the view.

use std::fmt;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{FieldRef, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::StreamExt;

use super::{Fold, NewFold};

/// Collects its input, within the memory of the query, and applies the view's formula.
#[derive(Clone)]
pub(super) struct ViewExec {
    name: &'static str,
    input: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    fold: Option<NewFold>,
    /// The order of the statement, which a formula relies on.
    order: Option<LexOrdering>,
    properties: Arc<PlanProperties>,
}

impl ViewExec {
    pub(super) fn new(
        name: &'static str,
        input: Arc<dyn ExecutionPlan>,
        schema: SchemaRef,
        fold: Option<NewFold>,
    ) -> ViewExec {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        ));
        let order = input.properties().output_ordering().cloned();
        ViewExec { name, input, schema, fold, order, properties }
    }
}

impl fmt::Debug for ViewExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ViewExec({})", self.name)
    }
}

impl DisplayAs for ViewExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ViewExec: {}", self.name)
    }
}

impl ExecutionPlan for ViewExec {
    fn name(&self) -> &str {
        "ViewExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![if self.has_parts() {
            Distribution::UnspecifiedDistribution
        } else {
            Distribution::SinglePartition
        }]
    }

    /// The parts of a union are read one after the other as they are.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![!self.has_parts()]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![self.order.clone().map(OrderingRequirements::from)]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] =
            <[_; 1]>::try_from(children).or_else(|_| internal_err!("a ViewExec has one input"))?;
        let schema = Arc::clone(&self.schema);
        let mut view = ViewExec::new(self.name, input, schema, self.fold.clone());
        view.order = self.order.clone();
        Ok(Arc::new(view))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let reservation = MemoryConsumer::new(self.name).register(context.memory_pool());
        let inputs = match self.has_parts() {
            true => 0..self.input.properties().partitioning.partition_count(),
            false => partition..partition + 1,
        };
        let view = self.clone();
        let rows = async move {
            let mut fold: Box<dyn Fold> = match &view.fold {
                Some(new) => new(),
                None => Box::new(Rows { schema: view.input.schema(), ..Rows::default() }),
            };
            for partition in inputs {
                let mut input = view.input.execute(partition, Arc::clone(&context))?;
                while let Some(batch) = input.next().await.transpose()? {
                    fold.add(&batch)?;
                    reservation.try_resize(fold.bytes())?;
                }
            }
            view.answer(fold.finish()?)
        };
        let stream = futures::stream::once(rows);
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream)))
    }
}

impl ViewExec {
    /// Whether the statement is a union of statements. At once they would need the memory of all:
    /// each runs the kernel.
    fn has_parts(&self) -> bool {
        self.fold.is_some() && self.input.is::<UnionExec>()
    }

    /// One batch, so that the order of the view's rows stays through what lies above.
    fn answer(&self, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
        let rows = columns.first().map_or(0, |column| column.len());
        let cast = |(column, field): (&ArrayRef, &FieldRef)| {
            Ok(arrow_cast::cast(column, field.data_type())?)
        };
        let columns =
            columns.iter().zip(self.schema.fields()).map(cast).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

/// The rows as they are.
#[derive(Debug)]
struct Rows {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl Default for Rows {
    fn default() -> Rows {
        Rows { schema: Arc::new(Schema::empty()), batches: Vec::new(), bytes: 0 }
    }
}

impl Fold for Rows {
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.bytes += batch.get_array_memory_size();
        self.batches.push(batch.clone());
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Vec<ArrayRef>> {
        Ok(concat_batches(&self.schema, &self.batches)?.columns().to_vec())
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}
