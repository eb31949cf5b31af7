//! What a table is called and how it is laid out.

use std::{fmt, str::FromStr, time::Duration};

use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The layer of a table; also the SQL schema and the folder that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Every record received, as it came.
    Bronze,
    /// Clean, enriched events and what is derived from them per view.
    Silver,
    /// Models that answer questions.
    Gold,
}

impl Layer {
    /// All layers, upstream first.
    pub const ALL: [Layer; 3] = [Layer::Bronze, Layer::Silver, Layer::Gold];

    /// `bronze`, `silver` or `gold`.
    pub fn as_str(self) -> &'static str {
        match self {
            Layer::Bronze => "bronze",
            Layer::Silver => "silver",
            Layer::Gold => "gold",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Name of a table: `layer.name` in SQL, `layer/name` below the lake's folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TableId {
    /// The layer.
    pub layer: Layer,
    /// Lower-case letters, digits and `_`.
    pub name: String,
}

impl TableId {
    /// `bronze.<name>`
    pub fn bronze(name: &str) -> Self {
        Self::of(Layer::Bronze, name)
    }

    /// `silver.<name>`
    pub fn silver(name: &str) -> Self {
        Self::of(Layer::Silver, name)
    }

    /// `gold.<name>`
    pub fn gold(name: &str) -> Self {
        Self::of(Layer::Gold, name)
    }

    fn of(layer: Layer, name: &str) -> Self {
        Self { layer, name: name.to_owned() }
    }

    /// Whether the name can be a folder and a plain SQL name.
    pub(crate) fn check(&self) -> Result<()> {
        let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.name.is_empty() || self.name.len() > 128 || !self.name.chars().all(ok) {
            return Err(Error::TableName { given: self.to_string() });
        }
        Ok(())
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.layer, self.name)
    }
}

impl FromStr for TableId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::TableName { given: text.to_owned() };
        let (layer, name) = text.split_once('.').ok_or_else(wrong)?;
        let layer = Layer::ALL.into_iter().find(|l| l.as_str() == layer).ok_or_else(wrong)?;
        let id = Self::of(layer, name);
        id.check()?;
        Ok(id)
    }
}

impl TryFrom<String> for TableId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<TableId> for String {
    fn from(id: TableId) -> String {
        id.to_string()
    }
}

/// How a table is laid out. See [`crate::tables`] for those of the product.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// Its name.
    pub id: TableId,
    /// Its columns. Timestamps are microseconds in UTC.
    pub schema: SchemaRef,
    /// Columns whose values are part of a file's folder.
    pub partition_by: Vec<String>,
    /// Timestamp column and slot length: inside a partition the rows of one slot share files, so that a
    /// change of recent rows rewrites only recent files.
    pub cluster_by: Option<(String, Duration)>,
    /// Columns whose least and greatest values are kept per file, for pruning; `None`: the first 32.
    pub stats: Option<Vec<String>>,
}

impl TableSpec {
    /// A table without partitions or slots.
    pub fn new(id: TableId, schema: SchemaRef) -> Self {
        Self { id, schema, partition_by: Vec::new(), cluster_by: None, stats: None }
    }

    /// Sets the partition columns.
    pub fn partitioned_by<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.partition_by = columns.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the slots of a timestamp column, see [`TableSpec::cluster_by`].
    pub fn clustered_by(mut self, column: &str, slot: Duration) -> Self {
        self.cluster_by = Some((column.to_owned(), slot));
        self
    }

    /// Sets the columns with statistics.
    pub fn with_stats<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.stats = Some(columns.into_iter().map(Into::into).collect());
        self
    }
}
