//! What a build goes on from: the tables as the last build left them.

use std::collections::BTreeMap;

use crate::{
    error::Result,
    evolve,
    lake::Lake,
    spec::{TableId, TableSpec},
    table::Table,
};

/// The tables of the last build, for the commits of the next one.
///
/// A commit is refused when anybody has changed the table's rows since they were taken back here. A build that has lost its
/// lease and does not know yet may still commit, and what it adds must not become a part of the next one, not even
/// when it comes while that one has not begun to write.
#[derive(Debug)]
pub struct Base {
    lake: Lake,
    tables: BTreeMap<TableId, Table>,
}

impl Lake {
    /// Brings tables back to these versions, those of the last build; compaction, which changes no rows, stays.
    ///
    /// # Errors
    /// [`Error::LeaseLost`](crate::Error::LeaseLost) when the lease of builds was lost: then what is here may be another build's.
    /// [`Error::Conflict`](crate::Error::Conflict) when another writer changes rows meanwhile. Others of reading and writing.
    pub async fn roll_back(&self, versions: &BTreeMap<TableId, i64>) -> Result<Base> {
        self.inner.storage.check_build_lease(true).await?;
        let mut tables = BTreeMap::new();
        for (id, &version) in versions {
            let Some(mut table) = self.open_table(id).await? else { continue };
            if table.version() != version {
                table.restore(version).await?;
            }
            tables.insert(id.clone(), table);
        }
        Ok(Base { lake: self.clone(), tables })
    }
}

impl Base {
    /// A table to commit to: as the last build left it, or, one that it did not have, as it is. `None` if there is none.
    ///
    /// # Errors
    /// Those of [`Lake::open_table`].
    pub async fn open_table(&self, id: &TableId) -> Result<Option<Table>> {
        match self.tables.get(id) {
            Some(table) => Ok(Some(table.clone())),
            None => self.lake.open_table(id).await,
        }
    }

    /// The same, made if there is none. Its columns may be others than those of `spec`: its rows are to be replaced, with
    /// those of a [`Table::writer_for`].
    ///
    /// # Errors
    /// Those of [`Lake::open_table`] and [`Lake::create`].
    pub async fn open_or_create(&self, spec: &TableSpec) -> Result<Table> {
        match self.open_table(&spec.id).await? {
            Some(table) => Ok(table),
            None => self.lake.create(spec).await,
        }
    }

    /// A table to add rows to: made if there is none, and with nullable columns added that it does not have.
    ///
    /// # Errors
    /// Those of [`Lake::create`].
    pub async fn create(&self, spec: &TableSpec) -> Result<Table> {
        match self.tables.get(&spec.id) {
            Some(table) => evolve::fit(table.clone(), spec).await,
            None => self.lake.create(spec).await,
        }
    }
}
