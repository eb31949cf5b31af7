//! One bucket of events: put in order, joined with metadata, reduced to views by the kernel.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::interleave::interleave_record_batch;
use hashbrown::HashMap;
use streamreel_viewing::{Output, OutputSchemas, Sessioniser, Settings, Totals, event_schema};

use crate::Error;
use crate::metadata::Metadata;
use crate::touched::{GroupKey, group_key};

/// Rows that are joined and reduced at once.
const CHUNK_ROWS: usize = 8 * 1024;

/// Column names of silver that no further metadata column may take.
pub(crate) fn reserved_names() -> Result<HashSet<String>, Error> {
    let none = Schema::empty();
    let schemas = OutputSchemas::new(&kernel_schema(&none, &none)).map_err(kernel)?;
    let fixed = [&schemas.enriched, &schemas.views].into_iter().flat_map(|s| s.fields().iter());
    Ok(fixed.map(|f| f.name().clone()).chain(["build_id".to_owned()]).collect())
}

/// The kernel's input: an event, then the metadata of its video and of its user (further columns only).
fn kernel_schema(videos: &Schema, users: &Schema) -> SchemaRef {
    let mut fields: Vec<Field> = event_schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.extend(["title", "creator", "genre"].map(|name| Field::new(name, DataType::Utf8, true)));
    fields.push(Field::new("video_duration_s", DataType::Float64, true));
    let further = |schema: &Schema, from: usize| -> Vec<Field> {
        schema.fields().iter().skip(from).map(|f| f.as_ref().clone().with_nullable(true)).collect()
    };
    // Of a video's columns the first five are the id and those above.
    fields.extend(further(videos, 5));
    fields.extend(further(users, 1));
    Arc::new(Schema::new(fields))
}

fn kernel(error: streamreel_viewing::Error) -> Error {
    Error::Derive(error.to_string())
}

fn arrow(error: arrow_schema::ArrowError) -> Error {
    Error::Derive(error.to_string())
}

/// Turns buckets into rows of silver. Shared by the threads that do so.
pub(crate) struct Deriver {
    settings: Settings,
    metadata: Metadata,
    input: SchemaRef,
}

impl Deriver {
    pub(crate) fn new(settings: Settings, metadata: Metadata) -> Self {
        let input = kernel_schema(metadata.videos.batch().schema_ref(), metadata.users.batch().schema_ref());
        Self { settings, metadata, input }
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The schemas of what [`Deriver::bucket`] emits.
    pub(crate) fn schemas(&self) -> Result<OutputSchemas, Error> {
        OutputSchemas::new(&self.input).map_err(kernel)
    }

    /// Reduces all events of some viewers and videos, in any order.
    pub(crate) fn bucket(
        &self,
        batches: &[RecordBatch],
        emit: &mut dyn FnMut(Output) -> Result<(), Error>,
    ) -> Result<Totals, Error> {
        let mut sessioniser = Sessioniser::new(self.settings.clone(), &self.input).map_err(kernel)?;
        let parts: Vec<&RecordBatch> = batches.iter().collect();
        let order = grouped(batches);
        for chunk in order.chunks(CHUNK_ROWS) {
            let events = interleave_record_batch(&parts, chunk).map_err(arrow)?;
            sessioniser.push(&self.join(&events)?).map_err(kernel)?;
            while let Some(output) = sessioniser.take_output() {
                emit(output)?;
            }
        }
        sessioniser.finish().map_err(kernel)?;
        while let Some(output) = sessioniser.take_output() {
            emit(output)?;
        }
        Ok(sessioniser.totals().clone())
    }

    /// How many of these views are of videos that the metadata lacks.
    pub(crate) fn views_without_metadata(&self, views: &RecordBatch) -> i64 {
        self.metadata.videos.rows_of(views["video_id"].as_string()).null_count() as i64
    }

    fn join(&self, events: &RecordBatch) -> Result<RecordBatch, Error> {
        let Metadata { videos, users } = &self.metadata;
        let mut columns = events.columns().to_vec();
        columns.extend(videos.join(&videos.rows_of(events["video_id"].as_string()))?);
        columns.extend(users.join(&users.rows_of(events["user_id"].as_string()))?);
        RecordBatch::try_new(self.input.clone(), columns).map_err(arrow)
    }
}

/// Where a row is: batch, row.
type At = (usize, usize);

/// The rows in the order that the kernel wants: by user, video and session, none first. Groups are found by hash and only
/// one row of each is compared as text.
fn grouped(batches: &[RecordBatch]) -> Vec<At> {
    let texts: Vec<[&StringArray; 3]> =
        batches.iter().map(|b| ["user_id", "video_id", "session_id"].map(|c| b[c].as_string())).collect();
    let value = |(batch, row): At, column: usize| {
        let array = texts[batch][column];
        array.is_valid(row).then(|| array.value(row))
    };
    let mut group_of: HashMap<GroupKey, u32> = HashMap::new();
    let mut firsts: Vec<At> = Vec::new();
    let mut sizes: Vec<u32> = Vec::new();
    let mut groups: Vec<u32> = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for (batch, rows) in batches.iter().map(RecordBatch::num_rows).enumerate() {
        for row in 0..rows {
            let at = (batch, row);
            let key = group_key(value(at, 0).unwrap_or_default(), value(at, 1).unwrap_or_default(), value(at, 2));
            let group = *group_of.entry(key).or_insert_with(|| {
                firsts.push(at);
                sizes.push(0);
                (firsts.len() - 1) as u32
            });
            sizes[group as usize] += 1;
            groups.push(group);
        }
    }
    let compare = |a: At, b: At| -> Ordering {
        (0..3).map(|c| value(a, c).cmp(&value(b, c))).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    };
    let mut ranked: Vec<u32> = (0..firsts.len() as u32).collect();
    ranked.sort_unstable_by(|&a, &b| compare(firsts[a as usize], firsts[b as usize]));
    let mut next = vec![0_usize; ranked.len()];
    let mut sum = 0;
    for group in ranked {
        next[group as usize] = sum;
        sum += sizes[group as usize] as usize;
    }
    let mut order = vec![(0, 0); groups.len()];
    let all = batches.iter().enumerate().flat_map(|(batch, b)| (0..b.num_rows()).map(move |row| (batch, row)));
    for (at, group) in all.zip(groups) {
        order[next[group as usize]] = at;
        next[group as usize] += 1;
    }
    order
}

#[cfg(test)]
mod tests {
    use arrow_array::ArrayRef;

    use super::*;

    fn batch(rows: &[(&str, &str, Option<&str>)]) -> RecordBatch {
        let users: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.0)));
        let videos: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.1)));
        let sessions: ArrayRef = Arc::new(rows.iter().map(|r| r.2).collect::<StringArray>());
        let columns = [("user_id", users, true), ("video_id", videos, true), ("session_id", sessions, true)];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    #[test]
    fn grouped_is_sorted_with_no_session_first() {
        let batches = [
            batch(&[("b", "v", Some("s")), ("a", "w", None), ("a", "v", Some("t")), ("a", "v", Some("s"))]),
            batch(&[("a", "v", None), ("b", "v", Some("s")), ("a", "v", Some("t"))]),
        ];
        let expected = [(1, 0), (0, 3), (0, 2), (1, 2), (0, 1), (0, 0), (1, 1)];
        assert_eq!(grouped(&batches), expected);
    }

    #[test]
    fn views_of_videos_that_the_metadata_lacks_are_counted() {
        let deriver = |csv: Option<&str>| {
            let dir = tempfile::tempdir().unwrap();
            if let Some(csv) = csv {
                std::fs::write(dir.path().join("video_metadata.csv"), csv).unwrap();
            }
            Deriver::new(Settings::default(), Metadata::load(dir.path(), &HashSet::new()).unwrap())
        };
        let views =
            batch(&[("a", "v", None), ("a", "v", Some("s")), ("a", "w", None), ("b", "v", None), ("b", "x", None)]);
        let header = "video_id,title,creator,genre,duration_s\n";
        let cases = [
            (None, 5),
            (Some(header.to_owned()), 5),
            (Some(format!("{header}v,T,C,G,10\ny,T,C,G,10\n")), 2),
            // One that has nothing but its id is there.
            (Some(format!("{header}v,T,C,G,10\nw,,,,\nx,,,,\n")), 0),
        ];
        for (csv, expected) in cases {
            assert_eq!(deriver(csv.as_deref()).views_without_metadata(&views), expected, "{csv:?}");
            assert_eq!(deriver(csv.as_deref()).views_without_metadata(&views.slice(0, 0)), 0, "{csv:?}");
        }
    }

    #[test]
    fn further_columns_may_not_take_these_names() {
        let reserved = reserved_names().unwrap();
        for name in ["view_id", "watch_time_s", "region", "late_duplicates", "build_id", "title"] {
            assert!(reserved.contains(name), "{name}");
        }
    }
}
