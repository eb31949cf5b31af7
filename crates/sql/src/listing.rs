//! `pg_catalog`: what PostgreSQL's clients ask about tables, columns and types.
//!
//! The tables are those of datafusion-pg-catalog, over a listing that is the same for all sessions: so an object keeps its
//! number (oid) as long as the server runs, whatever build a session reads. Temporary tables are not in it.

use std::sync::{Arc, Weak};

use arrow_schema::{DataType, SchemaRef};
use async_trait::async_trait;
use datafusion::{
    catalog::{SchemaProvider, TableProvider},
    common::{Column, DataFusionError, Result, ScalarValue},
    datasource::{TableType, ViewTable, provider_as_source},
    logical_expr::{Expr, LogicalPlanBuilder, lit},
};
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::{
    PG_CATALOG_TABLES, PgCatalogSchemaProvider, PgCatalogStaticTables,
    catalog_info::CatalogInfo,
    context::{PgCatalogContextProvider, Role},
};

use crate::{
    catalog::SCHEMAS,
    information,
    snapshot::{CATALOG, Snapshots},
};

/// The role that owns everything, as clients see it.
pub(crate) const OWNER: &str = "streamreel";
/// Its number; PostgreSQL's first role has the same.
const OWNER_NUMBER: i32 = 10;

/// The tables of `pg_catalog`.
#[derive(Debug)]
pub(crate) struct System {
    provider: PgCatalogSchemaProvider<Listing, Roles>,
}

impl System {
    /// Over the newest tables that a server has opened.
    pub(crate) fn new(snapshots: &Arc<Snapshots>) -> Result<Self> {
        let tables = Arc::new(PgCatalogStaticTables::try_new()?);
        let nothing = Listing { snapshots: Weak::new(), system: None };
        let schemas = Arc::new(PgCatalogSchemaProvider::try_new(nothing, Arc::clone(&tables), Roles)?);
        let listing = Listing { snapshots: Arc::downgrade(snapshots), system: Some(schemas) };
        Ok(Self { provider: PgCatalogSchemaProvider::try_new(listing, tables, Roles)? })
    }

    /// Names of the tables.
    pub(crate) fn names() -> Vec<String> {
        PG_CATALOG_TABLES.iter().map(ToString::to_string).collect()
    }

    /// A table.
    pub(crate) async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(table) = self.provider.table(name).await? else { return Ok(None) };
        let corrected = corrections(name);
        if corrected.is_empty() { Ok(Some(table)) } else { with_columns(name, table, corrected).map(Some) }
    }
}

/// Columns of the library's tables that it lacks, or that say something else than is so here.
fn corrections(table: &str) -> Vec<(&'static str, ScalarValue)> {
    let texts = || ScalarValue::new_null_list(DataType::Utf8, true, 1);
    let numbers = || ScalarValue::new_null_list(DataType::Int32, true, 1);
    let owner = || ScalarValue::Int32(Some(OWNER_NUMBER));
    match table {
        "pg_class" => vec![("relowner", owner()), ("relacl", texts()), ("reloptions", texts())],
        "pg_constraint" => vec![("conkey", numbers()), ("confkey", numbers())],
        "pg_index" => ["indkey", "indoption", "indclass", "indcollation"].map(|name| (name, numbers())).to_vec(),
        "pg_attribute" => vec![("attacl", texts()), ("attoptions", texts()), ("attfdwoptions", texts())],
        "pg_namespace" => vec![("nspowner", owner()), ("nspacl", texts())],
        "pg_database" => vec![("datdba", owner()), ("datacl", texts())],
        "pg_roles" => vec![("oid", owner()), ("rolbypassrls", ScalarValue::Boolean(Some(false)))],
        "pg_tables" => vec![("tableowner", ScalarValue::Utf8(Some(OWNER.to_owned())))],
        _ => Vec::new(),
    }
}

/// A table with columns that hold one value in place of those of their names, or after all others.
fn with_columns(
    name: &str,
    table: Arc<dyn TableProvider>,
    mut values: Vec<(&'static str, ScalarValue)>,
) -> Result<Arc<dyn TableProvider>> {
    let scan = LogicalPlanBuilder::scan(name, provider_as_source(Arc::clone(&table)), None)?;
    let mut columns = Vec::new();
    for field in table.schema().fields() {
        let replaced = values.iter().position(|(column, _)| column == field.name());
        columns.push(match replaced {
            Some(at) => lit(values.remove(at).1).alias_qualified(Some(name), field.name()),
            None => Expr::Column(Column::new(Some(name), field.name())),
        });
    }
    columns.extend(values.into_iter().map(|(column, value)| lit(value).alias_qualified(Some(name), column)));
    Ok(Arc::new(ViewTable::new(scan.project(columns)?.build()?, None)))
}

/// The one role.
#[derive(Debug, Clone)]
struct Roles;

#[async_trait]
impl PgCatalogContextProvider for Roles {
    async fn roles(&self) -> Vec<String> {
        vec![OWNER.to_owned()]
    }

    async fn role(&self, name: &str) -> Option<Role> {
        (name == OWNER).then(|| Role {
            name: OWNER.to_owned(),
            is_superuser: false,
            can_login: true,
            can_create_db: false,
            can_create_role: false,
            can_create_user: false,
            can_replication: false,
            grants: Vec::new(),
            inherited_roles: Vec::new(),
        })
    }
}

/// Schemas and tables, sorted, so that numbers are given in the same order each time.
#[derive(Clone)]
struct Listing {
    snapshots: Weak<Snapshots>,
    /// Only its columns are asked for.
    system: Option<Arc<PgCatalogSchemaProvider<Listing, Roles>>>,
}

impl std::fmt::Debug for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listing")
    }
}

#[async_trait]
impl CatalogInfo for Listing {
    async fn catalog_names(&self) -> Result<Vec<String>, DataFusionError> {
        Ok(vec![CATALOG.to_owned()])
    }

    async fn schema_names(&self, _: &str) -> Result<Option<Vec<String>>, DataFusionError> {
        Ok(Some(SCHEMAS.map(str::to_owned).to_vec()))
    }

    async fn table_names(&self, _: &str, schema: &str) -> Result<Option<Vec<String>>, DataFusionError> {
        Ok(Some(match schema {
            "pg_catalog" => System::names(),
            "information_schema" => information::TABLES.map(str::to_owned).to_vec(),
            layer => self.snapshots.upgrade().map(|all| all.current().names(layer)).unwrap_or_default(),
        }))
    }

    async fn table_schema(&self, _: &str, schema: &str, table: &str) -> Result<Option<SchemaRef>, DataFusionError> {
        let snapshot = self.snapshots.upgrade().map(|all| all.current());
        Ok(match schema {
            "pg_catalog" => match &self.system {
                Some(system) => system.build_table_by_name(table)?.map(|table| table.schema()),
                None => None,
            },
            "information_schema" => match snapshot {
                Some(snapshot) => information::table(&snapshot, table)?.map(|table| table.schema()),
                None => None,
            },
            layer => snapshot.and_then(|snapshot| snapshot.table(layer, table)).map(|table| table.schema()),
        })
    }

    async fn table_type(&self, _: &str, schema: &str, _: &str) -> Result<Option<TableType>, DataFusionError> {
        Ok(Some(if schema == "information_schema" { TableType::View } else { TableType::Base }))
    }
}
