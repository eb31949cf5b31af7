//! The catalog that one statement resolves its names in.

use std::{collections::BTreeMap, sync::Arc};

use arrow_array::RecordBatch;
use async_trait::async_trait;
use datafusion::{
    catalog::{CatalogProvider, CatalogProviderList, MemTable, SchemaProvider, TableProvider},
    common::Result,
};

use crate::{
    information,
    listing::System,
    snapshot::{CATALOG, Snapshot},
};

/// Schemas in the order in which they are listed.
pub(crate) const SCHEMAS: [&str; 6] = ["bronze", "gold", "information_schema", "pg_catalog", "public", "silver"];

/// What a session has of its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Own {
    /// Temporary tables by name.
    pub(crate) temporary: BTreeMap<String, Arc<MemTable>>,
    /// Schemas that unqualified names are looked up in.
    pub(crate) search_path: Vec<String>,
    /// Its settings, as `pg_settings` shows them.
    pub(crate) settings: Option<RecordBatch>,
}

/// Everything that names of one statement can mean.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    snapshot: Arc<Snapshot>,
    system: Arc<System>,
    own: Arc<Own>,
}

impl Names {
    /// Over a snapshot and what a session has of its own.
    pub(crate) fn new(snapshot: Arc<Snapshot>, system: Arc<System>, own: Arc<Own>) -> Arc<Self> {
        Arc::new(Self { snapshot, system, own })
    }
}

impl CatalogProviderList for Names {
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(self.clone()) as _)
    }
}

impl CatalogProvider for Names {
    fn schema_names(&self) -> Vec<String> {
        SCHEMAS.map(str::to_owned).to_vec()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let known = SCHEMAS.into_iter().find(|known| *known == name);
        let name = known.or_else(|| (name == "pg_temp").then_some("pg_temp"))?;
        Some(Arc::new(InSchema { name, names: self.clone() }))
    }
}

/// The tables of one schema. In `public`, where unqualified names are looked for, everything on the search path is found.
#[derive(Debug)]
struct InSchema {
    name: &'static str,
    names: Names,
}

impl InSchema {
    async fn find(&self, schema: &str, table: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Names { snapshot, system, own } = &self.names;
        Ok(match schema {
            "information_schema" => information::table(snapshot, table)?,
            "pg_catalog" if table == "pg_settings" && own.settings.is_some() => {
                own.settings.clone().map(one_batch).transpose()?
            }
            "pg_catalog" => system.table(table).await?,
            "pg_temp" => own.temporary.get(table).map(|table| Arc::clone(table) as _),
            layer => snapshot.table(layer, table),
        })
    }
}

#[async_trait]
impl SchemaProvider for InSchema {
    fn table_names(&self) -> Vec<String> {
        let Names { snapshot, own, .. } = &self.names;
        match self.name {
            "information_schema" => information::TABLES.map(str::to_owned).to_vec(),
            "pg_catalog" => System::names(),
            "pg_temp" => own.temporary.keys().cloned().collect(),
            layer => snapshot.names(layer),
        }
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if self.name != "public" {
            return self.find(self.name, name).await;
        }
        let path = self.names.own.search_path.iter().map(String::as_str);
        // As in PostgreSQL, temporary tables and the system's come first unless the path says otherwise.
        for schema in ["pg_temp", "pg_catalog"].into_iter().chain(path) {
            if let Some(table) = self.find(schema, name).await? {
                return Ok(Some(table));
            }
        }
        Ok(None)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.table_names().iter().any(|known| known == name)
    }
}

/// A table of one batch.
pub(crate) fn one_batch(batch: RecordBatch) -> Result<Arc<dyn TableProvider>> {
    Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
}
