//! `information_schema`: the standard's view of schemas, tables and columns.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use datafusion::{catalog::TableProvider, common::Result};
use datafusion_postgres::{arrow_pg::datatypes::into_pg_type, pgwire::api::Type};

use crate::{
    catalog::{SCHEMAS, one_batch},
    listing::OWNER,
    snapshot::{CATALOG, Snapshot},
};

/// Its tables, sorted. The last five are empty: there are no constraints, routines or views.
pub(crate) const TABLES: [&str; 8] = [
    "columns",
    "key_column_usage",
    "referential_constraints",
    "routines",
    "schemata",
    "table_constraints",
    "tables",
    "views",
];

/// A table of it.
pub(crate) fn table(snapshot: &Snapshot, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
    let batch = match name {
        "columns" => columns(snapshot)?,
        "key_column_usage" => empty(&[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "column_name",
            "ordinal_position",
        ])?,
        "referential_constraints" => empty(&[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "unique_constraint_catalog",
            "unique_constraint_schema",
            "unique_constraint_name",
            "match_option",
            "update_rule",
            "delete_rule",
        ])?,
        "routines" => empty(&[
            "specific_catalog",
            "specific_schema",
            "specific_name",
            "routine_catalog",
            "routine_schema",
            "routine_name",
            "routine_type",
            "data_type",
            "routine_definition",
        ])?,
        "schemata" => schemata()?,
        "table_constraints" => empty(&[
            "constraint_catalog",
            "constraint_schema",
            "constraint_name",
            "table_catalog",
            "table_schema",
            "table_name",
            "constraint_type",
        ])?,
        "tables" => tables(snapshot)?,
        "views" => empty(&["table_catalog", "table_schema", "table_name", "view_definition", "is_updatable"])?,
        _ => return Ok(None),
    };
    one_batch(batch).map(Some)
}

fn text<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<StringArray>())
}

/// The same text in every row.
fn same(value: &str, rows: usize) -> ArrayRef {
    text(std::iter::repeat_n(Some(value), rows))
}

fn none(rows: usize) -> ArrayRef {
    text(std::iter::repeat_n(None, rows))
}

fn empty(columns: &[&str]) -> Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter_with_nullable(columns.iter().map(|name| (*name, none(0), true)))?)
}

fn schemata() -> Result<RecordBatch> {
    let rows = SCHEMAS.len();
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("catalog_name", same(CATALOG, rows), true),
        ("schema_name", text(SCHEMAS.map(Some)), true),
        ("schema_owner", same(OWNER, rows), true),
        ("default_character_set_catalog", none(rows), true),
        ("default_character_set_schema", none(rows), true),
        ("default_character_set_name", none(rows), true),
        ("sql_path", none(rows), true),
    ])?)
}

fn tables(snapshot: &Snapshot) -> Result<RecordBatch> {
    let found: Vec<(&str, &str)> = snapshot.all().map(|(layer, name, _)| (layer, name)).collect();
    let rows = found.len();
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("table_catalog", same(CATALOG, rows), true),
        ("table_schema", text(found.iter().map(|(layer, _)| Some(*layer))), true),
        ("table_name", text(found.iter().map(|(_, name)| Some(*name))), true),
        ("table_type", same("BASE TABLE", rows), true),
        ("self_referencing_column_name", none(rows), true),
        ("reference_generation", none(rows), true),
        ("user_defined_type_catalog", none(rows), true),
        ("user_defined_type_schema", none(rows), true),
        ("user_defined_type_name", none(rows), true),
        ("is_insertable_into", same("NO", rows), true),
        ("is_typed", same("NO", rows), true),
        ("commit_action", none(rows), true),
    ])?)
}

/// One column of a table, as the standard describes it.
struct Described {
    schema: String,
    table: String,
    name: String,
    position: i32,
    nullable: bool,
    kind: Kind,
}

/// Name of a type in the standard and in PostgreSQL; digits and their base; digits after the point; digits of a second.
struct Kind {
    standard: &'static str,
    postgres: &'static str,
    precision: Option<i32>,
    base: Option<i32>,
    scale: Option<i32>,
    seconds: Option<i32>,
}

fn columns(snapshot: &Snapshot) -> Result<RecordBatch> {
    let mut found = Vec::new();
    for (layer, table, schema) in snapshot.all() {
        for (field, position) in schema.fields().iter().zip(1..) {
            found.push(Described {
                schema: layer.to_owned(),
                table: table.to_owned(),
                name: field.name().clone(),
                position,
                nullable: field.is_nullable(),
                kind: kind(field.data_type()),
            });
        }
    }
    let rows = found.len();
    let words = |get: fn(&Described) -> &str| text(found.iter().map(|column| Some(get(column))));
    let numbers =
        |get: fn(&Described) -> Option<i32>| -> ArrayRef { Arc::new(found.iter().map(get).collect::<Int32Array>()) };
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("table_catalog", same(CATALOG, rows), true),
        ("table_schema", words(|column| &column.schema), true),
        ("table_name", words(|column| &column.table), true),
        ("column_name", words(|column| &column.name), true),
        ("ordinal_position", numbers(|column| Some(column.position)), true),
        ("column_default", none(rows), true),
        ("is_nullable", words(|column| if column.nullable { "YES" } else { "NO" }), true),
        ("data_type", words(|column| column.kind.standard), true),
        ("character_maximum_length", numbers(|_| None), true),
        ("character_octet_length", numbers(|_| None), true),
        ("numeric_precision", numbers(|column| column.kind.precision), true),
        ("numeric_precision_radix", numbers(|column| column.kind.base), true),
        ("numeric_scale", numbers(|column| column.kind.scale), true),
        ("datetime_precision", numbers(|column| column.kind.seconds), true),
        ("udt_catalog", same(CATALOG, rows), true),
        ("udt_schema", same("pg_catalog", rows), true),
        ("udt_name", words(|column| column.kind.postgres), true),
        ("is_identity", same("NO", rows), true),
        ("is_generated", same("NEVER", rows), true),
        ("is_updatable", same("NO", rows), true),
    ])?)
}

fn kind(data_type: &DataType) -> Kind {
    let plain =
        |standard, postgres| Kind { standard, postgres, precision: None, base: None, scale: None, seconds: None };
    let whole = |standard, postgres, bits| Kind {
        precision: Some(bits),
        base: Some(2),
        scale: Some(0),
        ..plain(standard, postgres)
    };
    let double = |standard, postgres, bits| Kind { precision: Some(bits), base: Some(2), ..plain(standard, postgres) };
    let time = |standard, postgres| Kind { seconds: Some(6), ..plain(standard, postgres) };
    match into_pg_type(data_type).unwrap_or(Type::TEXT) {
        Type::BOOL => plain("boolean", "bool"),
        Type::INT2 => whole("smallint", "int2", 16),
        Type::INT4 => whole("integer", "int4", 32),
        Type::INT8 => whole("bigint", "int8", 64),
        Type::FLOAT4 => double("real", "float4", 24),
        Type::FLOAT8 => double("double precision", "float8", 53),
        Type::NUMERIC => Kind { base: Some(10), ..plain("numeric", "numeric") },
        Type::DATE => Kind { seconds: Some(0), ..plain("date", "date") },
        Type::TIMESTAMP => time("timestamp without time zone", "timestamp"),
        Type::TIMESTAMPTZ => time("timestamp with time zone", "timestamptz"),
        Type::TIME => time("time without time zone", "time"),
        Type::BYTEA => plain("bytea", "bytea"),
        Type::TEXT_ARRAY => plain("ARRAY", "_text"),
        _ => plain("text", "text"),
    }
}
