//! The protocol of Delta that a table asks for, and what is said of one that this program would not do justice to.

use std::collections::BTreeSet;

use deltalake::{DeltaTable, kernel::Protocol};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use serde::Deserialize;

use crate::{
    error::{Error, Result},
    place::Place,
    replay::{checkpoint_version, entry_version},
    spec::TableId,
    storage::LOG,
};

/// What this program's own tables ask of readers and of writers: what all of them know.
pub(crate) const KNOWN: (i32, i32) = (1, 2);

/// What a table asks for.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Asked {
    min_reader_version: i32,
    min_writer_version: i32,
    reader_features: Vec<String>,
    writer_features: Vec<String>,
}

#[derive(Deserialize)]
struct Line {
    protocol: Option<Asked>,
}

impl Asked {
    fn of(protocol: &Protocol) -> Self {
        let (readers, writers) = (protocol.reader_features(), protocol.writer_features());
        Self {
            min_reader_version: protocol.min_reader_version(),
            min_writer_version: protocol.min_writer_version(),
            reader_features: readers.into_iter().flatten().map(ToString::to_string).collect(),
            writer_features: writers.into_iter().flatten().map(ToString::to_string).collect(),
        }
    }

    fn refuse(self, table: &TableId, path: &Place) -> Result<()> {
        let (reader, writer) = (self.min_reader_version, self.min_writer_version);
        if reader <= KNOWN.0 && writer <= KNOWN.1 {
            return Ok(());
        }
        let features: BTreeSet<String> = self.reader_features.into_iter().chain(self.writer_features).collect();
        let features = features.into_iter().collect::<Vec<_>>().join(", ");
        let with = if features.is_empty() { features } else { format!(" with {features}") };
        Err(Error::Protocol { table: table.clone(), path: path.clone(), reader, writer, with: with.into() })
    }
}

/// Refuses a table whose rows or rules this program would not respect.
pub(crate) fn check(table: &TableId, path: &Place, delta: &DeltaTable) -> Result<()> {
    match delta.snapshot() {
        Ok(state) => Asked::of(state.protocol()).refuse(table, path),
        Err(_) => Ok(()),
    }
}

/// Refuses such a table that could not even be loaded, as far as the entries of its log tell. Of a checkpoint nothing is read.
pub(crate) async fn check_log(table: &TableId, path: &Place, objects: &dyn ObjectStore) -> Result<()> {
    let Ok(files) = objects.list(Some(&Path::from(LOG))).try_collect::<Vec<_>>().await else { return Ok(()) };
    let version = |of: fn(&str) -> Option<i64>, file: &Path| file.filename().and_then(of);
    let checkpoint = files.iter().filter_map(|file| version(checkpoint_version, &file.location)).max().unwrap_or(-1);
    let entries = files.into_iter().filter_map(|file| Some((version(entry_version, &file.location)?, file.location)));
    let mut entries: Vec<_> = entries.filter(|(version, _)| *version >= checkpoint).collect();
    entries.sort_unstable();
    for (_, entry) in entries.into_iter().rev() {
        let Ok(found) = objects.get(&entry).await else { return Ok(()) };
        let Ok(text) = found.bytes().await else { return Ok(()) };
        let lines = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
        if let Some(asked) = lines.filter_map(|line| line.protocol).next_back() {
            return asked.refuse(table, path);
        }
    }
    Ok(())
}
