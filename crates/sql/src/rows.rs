//! Rows of a result, as many at a time as a client takes.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Schema, SchemaRef};
use datafusion_postgres::{
    arrow_pg::datatypes::arrow_schema_to_pg_fields,
    pgwire::{
        api::{Type, portal::Format, results::FieldInfo},
        error::ErrorInfo,
        types::format::FormatOptions,
    },
};

use crate::{
    engine::Running,
    failure::{Failure, Outcome},
};

/// What datafusion-pg-catalog puts before the name of a column that a wildcard brings once more.
const TOLD_APART: &str = "__alias_";

/// A result that is being taken.
pub(crate) struct Rows {
    schema: SchemaRef,
    source: Option<Running>,
    /// Rows that were given by the source and not taken yet.
    rest: Option<RecordBatch>,
}

impl Rows {
    /// The rows of a query under way; its columns are cast to the types that were promised, if they differ.
    pub(crate) fn of(running: Running, schema: SchemaRef) -> Self {
        Self { schema, source: Some(running), rest: None }
    }

    /// Rows that are there.
    pub(crate) fn fixed(batch: RecordBatch) -> Self {
        Self { schema: batch.schema(), source: None, rest: Some(batch) }
    }

    /// Its columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Up to so many of the next rows; `None`: there are no more.
    pub(crate) async fn next(&mut self, at_most: usize) -> Outcome<Option<RecordBatch>> {
        while self.rest.as_ref().is_none_or(|rest| rest.num_rows() == 0) {
            let Some(source) = &mut self.source else { return Ok(None) };
            match source.next().await? {
                Some(batch) => self.rest = Some(conform(batch, &self.schema)?),
                None => {
                    self.source = None;
                    return Ok(None);
                }
            }
        }
        let Some(rest) = self.rest.take() else { return Ok(None) };
        let taken = at_most.min(rest.num_rows());
        let (now, later) = (rest.slice(0, taken), rest.slice(taken, rest.num_rows() - taken));
        self.rest = (later.num_rows() > 0).then_some(later);
        Ok(Some(now))
    }
}

fn conform(batch: RecordBatch, schema: &SchemaRef) -> Outcome<RecordBatch> {
    let same =
        |(mine, wanted): (&Arc<arrow_schema::Field>, &Arc<arrow_schema::Field>)| mine.data_type() == wanted.data_type();
    if batch.schema().fields().iter().zip(schema.fields()).all(same) {
        return Ok(batch);
    }
    let failed = |error: arrow_schema::ArrowError| Failure::from(datafusion::error::DataFusionError::from(error));
    let cast = |(column, field): (&ArrayRef, &Arc<arrow_schema::Field>)| {
        arrow_cast::cast(column, field.data_type()).map_err(failed)
    };
    let columns = batch.columns().iter().zip(schema.fields()).map(cast).collect::<Outcome<Vec<_>>>()?;
    let nullable: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(nullable)), columns, &rows).map_err(failed)
}

/// How the columns of a result are described and encoded. Names of columns are the given ones where there are.
pub(crate) fn fields(
    schema: &Schema,
    names: &[Option<String>],
    format: &Format,
    options: FormatOptions,
) -> Outcome<Arc<Vec<FieldInfo>>> {
    if let Format::Individual(each) = format
        && each.len() != schema.fields().len()
    {
        let what = format!("there are {} result formats but {} columns", each.len(), schema.fields().len());
        return Err(Failure::protocol(what));
    }
    let fields = arrow_schema_to_pg_fields(schema, format, Some(Arc::new(options)));
    let fields = fields.map_err(|error| {
        let info = ErrorInfo::from(error);
        Failure::unsupported(format!("a column of this type ({})", info.message))
    })?;
    let named = fields.into_iter().enumerate().map(|(index, field)| {
        let number = schema.field(index).data_type() == &DataType::Int32;
        let kind = match field.datatype() {
            // A column of nothing but NULL is text, as in PostgreSQL.
            &Type::UNKNOWN => &Type::TEXT,
            // The library calls a number of the catalog by what it numbers; in PostgreSQL's catalog all are oid.
            &Type::REGCLASS | &Type::REGTYPE | &Type::REGNAMESPACE | &Type::REGPROC | &Type::REGROLE if number => {
                &Type::OID
            }
            kind => kind,
        };
        let size = type_size(kind);
        let own = || field.name().strip_prefix(TOLD_APART).unwrap_or(field.name()).to_owned();
        let name = names.get(index).cloned().flatten().unwrap_or_else(own);
        let options = Arc::clone(field.format_options());
        FieldInfo::new(name, None, None, kind.clone(), field.format()).with_type_size(size).with_format_options(options)
    });
    Ok(Arc::new(named.collect()))
}

/// Bytes of a value, -1 when they vary.
fn type_size(kind: &Type) -> i16 {
    match *kind {
        Type::BOOL | Type::CHAR => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::FLOAT4 | Type::DATE | Type::OID => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIMESTAMP | Type::TIMESTAMPTZ | Type::TIME => 8,
        Type::INTERVAL => 16,
        _ => -1,
    }
}
