//! Columns of a table that exists against those that a spec asks for.

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};
use deltalake::{
    kernel::{Action, Metadata, MetadataExt, new_metadata},
    protocol::DeltaOperation,
};

use crate::{
    commit::{Change, Guard},
    error::{Error, Result},
    spec::{Layer, TableSpec},
    table::{self, Placing, Table},
};

/// Adds the nullable columns that the table does not have; refuses every other difference. Columns that only
/// the table has stay: rows without them get `null`.
pub(crate) async fn fit(mut table: Table, spec: &TableSpec) -> Result<Table> {
    table::check_layout(&table)?;
    if table.placing.partition_by != spec.partition_by {
        let what = format!("partitioned by {:?}, not {:?}", table.placing.partition_by, spec.partition_by);
        return Err(changed(&table, what));
    }
    let wanted = stored(&table, &spec.schema)?;
    let mut fields: Vec<Arc<Field>> = table.schema.fields().iter().cloned().collect();
    for field in wanted.fields() {
        match table.schema.field_with_name(field.name()) {
            Ok(has) if has.data_type() == field.data_type() => {}
            Ok(has) => {
                let what = format!("{} is {}, not {}", field.name(), has.data_type(), field.data_type());
                return Err(changed(&table, what));
            }
            Err(_) if field.is_nullable() => fields.push(Arc::clone(field)),
            Err(_) => return Err(changed(&table, format!("{} is missing and has no null", field.name()))),
        }
    }
    let known = table.schema.fields().len();
    if fields.len() > known {
        let schema = Arc::new(Schema::new(fields.clone()));
        let action = Action::Metadata(metadata(&table, &schema, &table.placing)?);
        let added = Arc::new(Schema::new(fields.split_off(known)));
        let operation =
            DeltaOperation::AddColumn { fields: table::delta_schema(&table.id, &added)?.fields().cloned().collect() };
        // Rows come to bronze at any time. Elsewhere a build adds columns, and its rows follow on those that it has read.
        let guard = if table.id.layer == Layer::Bronze { Guard::Columns } else { Guard::Untouched };
        table.apply(Change::new("add columns to", operation, vec![action], guard)).await?;
    }
    Ok(table)
}

/// Metadata of the table with other columns or another layout; its identity stays.
pub(crate) fn metadata(table: &Table, schema: &SchemaRef, placing: &Placing) -> Result<Metadata> {
    let state = table.delta().snapshot().map_err(|e| table.error("read the metadata of", e))?;
    let old = state.metadata().clone();
    let fields = table::delta_schema(&table.id, schema)?;
    let renewed = new_metadata(&fields, placing.partition_by.clone(), table::properties(placing))
        .and_then(|new| new.with_table_id(old.id().to_owned()))
        .and_then(|new| new.with_name(table.id.to_string()));
    renewed.map_err(|e| table.error("change the columns of", e.into()))
}

/// A schema as it comes back from the table: string views become strings, time zones are named one way.
pub(crate) fn stored(table: &Table, schema: &SchemaRef) -> Result<SchemaRef> {
    let fields = table::delta_schema(&table.id, schema)?;
    table::arrow_schema(&fields).map_err(|e| Error::Rows { table: table.id.clone(), what: e.to_string() })
}

fn changed(table: &Table, what: String) -> Error {
    Error::SchemaChanged { table: table.id.clone(), path: table.place(), what }
}
