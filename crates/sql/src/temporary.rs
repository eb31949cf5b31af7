//! Temporary tables: the only thing that a client can write. They are in memory, bounded, and end with the session.
//!
//! BI tools make one when they connect, to see what the server can do.

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::{ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use datafusion::{
    catalog::MemTable,
    common::DataFusionError,
    execution::SessionState,
    sql::sqlparser::ast::{ColumnDef, ColumnOption, CreateTable, Ident, Insert, ObjectName, TableObject},
};
use streamreel_lake::plan;

use crate::{
    failure::{Failure, Outcome, code, undefined_table},
    statement::named,
};

/// Temporary tables of a session.
const MOST_TABLES: usize = 64;
/// Columns of one.
const MOST_COLUMNS: usize = 1600;
/// Bytes of all of a session's.
const MOST_BYTES: usize = 16 << 20;

#[derive(Debug, Clone)]
struct Table {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    bytes: usize,
}

/// A session's temporary tables.
#[derive(Debug, Default)]
pub(crate) struct Temporary {
    tables: BTreeMap<String, Table>,
    /// Changes whenever a table does.
    changes: u64,
}

impl Temporary {
    /// A number that changes whenever a table does.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// The tables as a statement reads them.
    pub(crate) fn providers(&self) -> Outcome<BTreeMap<String, Arc<MemTable>>> {
        let provider = |(name, table): (&String, &Table)| {
            let provider = MemTable::try_new(Arc::clone(&table.schema), vec![table.batches.clone()])?;
            Ok((name.clone(), Arc::new(provider)))
        };
        self.tables.iter().map(provider).collect()
    }

    /// Whether a table is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }

    /// Makes a table of columns; `false`: it is there already, and that is well.
    pub(crate) fn create(&mut self, create: &CreateTable, schema: SchemaRef) -> Outcome<bool> {
        let name = own_name(&create.name)?;
        if self.has(&name) {
            if create.if_not_exists {
                return Ok(false);
            }
            return Err(Failure::new(code::DUPLICATE_TABLE, format!("relation \"{name}\" already exists")));
        }
        if self.tables.len() >= MOST_TABLES {
            let what = format!("a session may have {MOST_TABLES} temporary tables");
            return Err(Failure::new(code::CONFIGURATION_LIMIT, what).hint("DROP TABLE removes one."));
        }
        if schema.fields().len() > MOST_COLUMNS {
            let what = format!("a table may have {MOST_COLUMNS} columns");
            return Err(Failure::new(code::TOO_MANY_COLUMNS, what));
        }
        self.tables.insert(name, Table { schema, batches: Vec::new(), bytes: 0 });
        self.changes += 1;
        Ok(true)
    }

    /// Adds rows.
    pub(crate) fn add(&mut self, name: &str, batches: Vec<RecordBatch>) -> Outcome {
        let held: usize = self.tables.values().map(|table| table.bytes).sum();
        let new: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        if held + new > MOST_BYTES {
            return Err(too_many_bytes());
        }
        let table = self.tables.get_mut(name).ok_or_else(|| undefined_table(name))?;
        table.batches.extend(batches);
        table.bytes += new;
        self.changes += 1;
        Ok(())
    }

    /// A table's columns.
    pub(crate) fn schema(&self, name: &str) -> Option<SchemaRef> {
        self.tables.get(name).map(|table| Arc::clone(&table.schema))
    }

    /// Removes tables.
    ///
    /// # Errors
    /// When one is no temporary table: then nothing is removed.
    pub(crate) fn drop(&mut self, names: &[ObjectName], if_exists: bool) -> Outcome {
        let mut found = Vec::new();
        for name in names {
            let own = match own_name(name) {
                Ok(own) => own,
                Err(_) => return Err(Failure::read_only("DROP TABLE")),
            };
            match self.has(&own) {
                true => found.push(own),
                false if if_exists => {}
                false => {
                    return Err(undefined_table(&own).hint("Only temporary tables of this session can be dropped."));
                }
            }
        }
        for name in found {
            self.tables.remove(&name);
            self.changes += 1;
        }
        Ok(())
    }

    /// Removes all.
    pub(crate) fn clear(&mut self) {
        self.tables.clear();
        self.changes += 1;
    }
}

/// Rows that are gathered for a table may be no more than this, in bytes.
pub(crate) fn check_bytes(batches: &[RecordBatch]) -> Outcome {
    let bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
    if bytes > MOST_BYTES { Err(too_many_bytes()) } else { Ok(()) }
}

fn too_many_bytes() -> Failure {
    let what = format!("temporary tables of a session may have {} MiB", MOST_BYTES >> 20);
    Failure::new(code::CONFIGURATION_LIMIT, what)
}

/// A temporary table's own name. It is in no schema but `pg_temp`.
fn own_name(name: &ObjectName) -> Outcome<String> {
    let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).map(named).collect();
    match parts.as_slice() {
        [name] => Ok(name.clone()),
        [schema, name] if schema == "pg_temp" => Ok(name.clone()),
        _ => Err(Failure::read_only("CREATE TABLE").hint("A temporary table has no schema: leave it out.")),
    }
}

/// The columns that a statement asks for, of the types that the engine casts to under these names.
pub(crate) async fn columns(state: SessionState, create: Box<CreateTable>) -> Outcome<SchemaRef> {
    let cast = |column: &ColumnDef| {
        let name = Ident::with_quote('"', named(&column.name));
        format!("CAST(NULL AS {}) AS {name}", column.data_type)
    };
    if create.columns.is_empty() {
        return Err(Failure::unsupported("a table without columns"));
    }
    let casts: Vec<_> = create.columns.iter().map(cast).collect();
    let typed = plan::logical(&state, &format!("SELECT {}", casts.join(", "))).await?;
    let not_null = |column: &ColumnDef| column.options.iter().any(|of| matches!(of.option, ColumnOption::NotNull));
    let fields = typed.schema().fields().iter().zip(&create.columns);
    let fields = fields.map(|(field, column)| Field::new(field.name(), field.data_type().clone(), !not_null(column)));
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// The table that rows are put into, and for each of its columns which of the query's goes there.
pub(crate) fn target(temporary: &Temporary, insert: &Insert) -> Outcome<(String, SchemaRef, Vec<Option<usize>>)> {
    let TableObject::TableName(name) = &insert.table else { return Err(Failure::read_only("INSERT")) };
    let name = own_name(name).map_err(|_| Failure::read_only("INSERT"))?;
    let schema = temporary.schema(&name).ok_or_else(|| Failure::read_only("INSERT"))?;
    if insert.columns.is_empty() {
        let order = (0..schema.fields().len()).map(Some).collect();
        return Ok((name, schema, order));
    }
    let mut order = vec![None; schema.fields().len()];
    for (from, column) in insert.columns.iter().enumerate() {
        let column = column.0.last().and_then(|part| part.as_ident()).map(named).unwrap_or_default();
        let missing = || {
            let what = format!("column \"{column}\" of relation \"{name}\" does not exist");
            Failure::new(code::UNDEFINED_COLUMN, what)
        };
        order[schema.index_of(&column).map_err(|_| missing())?] = Some(from);
    }
    Ok((name, schema, order))
}

/// Rows of a query as rows of a table.
pub(crate) fn arrange(batch: &RecordBatch, schema: &SchemaRef, order: &[Option<usize>]) -> Outcome<RecordBatch> {
    let wanted = order.iter().flatten().count();
    if batch.num_columns() > wanted || order.iter().flatten().any(|from| *from >= batch.num_columns()) {
        let what = format!("INSERT has {} expressions but {wanted} target columns", batch.num_columns());
        return Err(Failure::new(code::SYNTAX, what));
    }
    let failed = |error: ArrowError| Failure::from(DataFusionError::from(error));
    let column = |(field, from): (&Arc<Field>, &Option<usize>)| -> Outcome<ArrayRef> {
        match from {
            Some(from) => arrow_cast::cast(batch.column(*from), field.data_type()).map_err(failed),
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        }
    };
    let columns = schema.fields().iter().zip(order).map(column).collect::<Outcome<Vec<_>>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|error| Failure::new("23502", format!("a row does not fit the table: {error}")))
}

/// Schema of a table made by a query: every column may be null.
pub(crate) fn schema_of_query(schema: &Schema, create: &CreateTable) -> Outcome<SchemaRef> {
    let renamed = create.columns.iter().map(|column| named(&column.name));
    let names: Vec<_> =
        renamed.chain(schema.fields().iter().skip(create.columns.len()).map(|f| f.name().clone())).collect();
    if names.len() != schema.fields().len() {
        return Err(Failure::new(code::SYNTAX, "too many column names were specified"));
    }
    let field = |(name, field): (String, &Arc<Field>)| {
        let data_type = match field.data_type() {
            DataType::Null => DataType::Utf8,
            known => known.clone(),
        };
        Field::new(name, data_type, true)
    };
    Ok(Arc::new(Schema::new(names.into_iter().zip(schema.fields()).map(field).collect::<Vec<_>>())))
}
