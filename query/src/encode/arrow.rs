//! An Arrow IPC stream. Its end marker is written only when all rows are, so a reader sees a cut.

use std::sync::Arc;

use api::sql::Field;
use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Schema, SchemaRef};

use crate::QueryError;

pub(super) struct Arrow {
    schema: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
}

impl std::fmt::Debug for Arrow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrow").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Arrow {
    pub(super) fn new(schema: &SchemaRef, fields: &[Field]) -> Result<Arrow, QueryError> {
        let renamed = schema.fields().iter().zip(fields);
        let renamed = renamed.map(|(field, unique)| field.as_ref().clone().with_name(&unique.name));
        let schema = Arc::new(Schema::new(renamed.collect::<Vec<_>>()));
        let writer = StreamWriter::try_new(Vec::new(), &schema).map_err(unwritable)?;
        Ok(Arrow { schema, writer })
    }

    pub(super) fn rows(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
    ) -> Result<(), QueryError> {
        let columns = batch.columns().to_vec();
        let named = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(unwritable)?;
        self.writer.write(&named).map_err(unwritable)?;
        out.append(self.writer.get_mut());
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), QueryError> {
        self.writer.finish().map_err(unwritable)?;
        out.append(self.writer.get_mut());
        Ok(())
    }
}

fn unwritable(error: ArrowError) -> QueryError {
    tracing::error!(%error, "answer cannot be written as an arrow stream");
    QueryError::internal("the answer cannot be written as an Arrow stream")
        .with_hint("ask for another format, and please report the statement")
}
