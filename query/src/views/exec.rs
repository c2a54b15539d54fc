//! The plan node of a view: takes all rows of its statement and gives the rows of the view.

use std::fmt;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::StreamExt;

use super::Finish;

/// Collects its input, within the memory of the query, and applies the view's formula.
#[derive(Clone)]
pub(super) struct ViewExec {
    name: &'static str,
    input: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    finish: Option<Finish>,
    properties: Arc<PlanProperties>,
}

impl ViewExec {
    pub(super) fn new(
        name: &'static str,
        input: Arc<dyn ExecutionPlan>,
        schema: SchemaRef,
        finish: Option<Finish>,
    ) -> ViewExec {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        ));
        ViewExec { name, input, schema, finish, properties }
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
        vec![Distribution::SinglePartition]
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
        Ok(Arc::new(ViewExec::new(self.name, input, schema, self.finish.clone())))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let reservation = MemoryConsumer::new(self.name).register(context.memory_pool());
        let mut input = self.input.execute(partition, context)?;
        let view = self.clone();
        let rows = async move {
            let mut batches = Vec::new();
            while let Some(batch) = input.next().await.transpose()? {
                reservation.try_grow(batch.get_array_memory_size())?;
                batches.push(batch);
            }
            view.rows(&batches)
        };
        let stream = futures::stream::once(rows);
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream)))
    }
}

impl ViewExec {
    /// One batch, so that the order of the view's rows stays through what lies above.
    fn rows(&self, batches: &[RecordBatch]) -> Result<RecordBatch> {
        let columns = match &self.finish {
            Some(finish) => finish(batches)?,
            None => {
                let all = arrow_select::concat::concat_batches(&self.input.schema(), batches)?;
                all.columns().to_vec()
            }
        };
        let rows = columns.first().map_or(0, |column| column.len());
        let cast = |(column, field): (&ArrayRef, &arrow_schema::FieldRef)| {
            Ok(arrow_cast::cast(column, field.data_type())?)
        };
        let columns =
            columns.iter().zip(self.schema.fields()).map(cast).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}
