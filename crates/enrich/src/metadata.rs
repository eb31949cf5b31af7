//! Video and user metadata: read from CSV or Parquet, checked, compared with what the last build used, joined by id.
//!
//! `video_metadata.{csv,parquet}`: video_id, title, creator, genre, duration_s, published_at (optional) and any further
//! columns, which go through to silver as they are (text, from CSV). `user_metadata.{csv,parquet}`, if there: user_id and any
//! columns, each named `user_<column>` in silver. An empty field is `null`.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_select::concat::concat_batches;
use arrow_select::take::take;
use hashbrown::HashMap;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use streamreel_viewing::MAX_DURATION_S;

use crate::Error;

/// Columns that every video metadata has; a missing one is an error.
const VIDEO_COLUMNS: [&str; 5] = ["video_id", "title", "creator", "genre", "duration_s"];
/// Columns with a meaning of their own; all others are further columns.
const KNOWN_COLUMNS: [&str; 6] = ["video_id", "title", "creator", "genre", "duration_s", "published_at"];

/// The metadata of a build.
#[derive(Debug)]
pub struct Metadata {
    /// By video_id; with no rows if there is no file.
    pub videos: Catalogue,
    /// By user_id; columns already named `user_<column>`.
    pub users: Catalogue,
}

/// Rows with a unique id in the first column.
#[derive(Debug)]
pub struct Catalogue {
    batch: RecordBatch,
    row_of: HashMap<String, u32>,
}

impl Metadata {
    /// Reads a folder. A file that is not there is a catalogue without rows.
    ///
    /// `reserved` are column names of silver that a further column must not take.
    ///
    /// # Errors
    /// [`Error::MetadataRead`] and [`Error::MetadataInvalid`], naming file, row and remedy.
    pub fn load(dir: &Path, reserved: &HashSet<String>) -> Result<Self, Error> {
        let videos = match read(dir, "video_metadata")? {
            Some((path, batch)) => videos(&path, &batch, reserved)?,
            None => Catalogue::empty(video_schema(&[])),
        };
        let users = match read(dir, "user_metadata")? {
            Some((path, batch)) => users(&path, &batch, reserved)?,
            None => Catalogue::empty(Arc::new(Schema::new(vec![Field::new("user_id", DataType::Utf8, false)]))),
        };
        Ok(Self { videos, users })
    }
}

impl Catalogue {
    fn empty(schema: SchemaRef) -> Self {
        Self { batch: RecordBatch::new_empty(schema), row_of: HashMap::new() }
    }

    fn new(path: &Path, batch: RecordBatch) -> Result<Self, Error> {
        let ids = batch.column(0).as_string::<i32>();
        let mut row_of = HashMap::with_capacity(ids.len());
        for (row, id) in ids.iter().flatten().enumerate() {
            if let Some(first) = row_of.insert(id.to_owned(), row as u32) {
                let problem = format!("repeats the id `{id}` of row {}; keep one of them", first + 1);
                return Err(invalid(path, Some(row), problem));
            }
        }
        Ok(Self { batch, row_of })
    }

    /// All rows, id first.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// For each id its row, `null` where there is none.
    pub fn rows_of(&self, ids: &StringArray) -> UInt32Array {
        let mut last: Option<(&str, Option<u32>)> = None;
        ids.iter()
            .map(|id| {
                let id = id?;
                if let Some((same, row)) = last
                    && same == id
                {
                    return row;
                }
                let row = self.row_of.get(id).copied();
                last = Some((id, row));
                row
            })
            .collect()
    }

    /// The columns after the id, one value a row of `rows`.
    ///
    /// # Errors
    /// None that the data can cause; what arrow reports is passed on.
    pub fn join(&self, rows: &UInt32Array) -> Result<Vec<ArrayRef>, Error> {
        let columns = self.batch.columns().iter().skip(1);
        columns.map(|column| take(column, rows, None).map_err(|e| Error::Derive(e.to_string()))).collect()
    }

    /// Ids whose row is another than in `earlier`, or is in only one of the two; `None` where the columns differ, so that
    /// every row does.
    ///
    /// # Errors
    /// None that the data can cause; what arrow reports is passed on.
    pub fn changed_since(&self, earlier: &RecordBatch) -> Result<Option<HashSet<String>>, Error> {
        let kinds = |schema: &Schema| -> Vec<_> {
            schema.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect()
        };
        if kinds(self.batch.schema_ref()) != kinds(earlier.schema_ref()) {
            return Ok(None);
        }
        let error = |e: arrow_schema::ArrowError| Error::Derive(e.to_string());
        let fields = self.batch.schema().fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
        let converter = RowConverter::new(fields).map_err(error)?;
        let now = converter.convert_columns(self.batch.columns()).map_err(error)?;
        let before = converter.convert_columns(earlier.columns()).map_err(error)?;
        let mut changed = HashSet::new();
        let mut kept = 0_usize;
        for (row, id) in earlier.column(0).as_string::<i32>().iter().flatten().enumerate() {
            match self.row_of.get(id) {
                Some(&at) if now.row(at as usize) == before.row(row) => kept += 1,
                _ => {
                    changed.insert(id.to_owned());
                }
            }
        }
        if kept < self.batch.num_rows() {
            let known: HashSet<&str> = earlier.column(0).as_string::<i32>().iter().flatten().collect();
            changed.extend(self.row_of.keys().filter(|id| !known.contains(id.as_str())).cloned());
        }
        Ok(Some(changed))
    }
}

fn invalid(path: &Path, row: Option<usize>, problem: String) -> Error {
    Error::MetadataInvalid { path: path.to_owned(), row: row.map(|r| r + 1), problem }
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn video_schema(further: &[Field]) -> SchemaRef {
    let text = |name| Field::new(name, DataType::Utf8, true);
    let mut fields = vec![
        Field::new("video_id", DataType::Utf8, false),
        text("title"),
        text("creator"),
        text("genre"),
        Field::new("duration_s", DataType::Float64, true),
        Field::new("published_at", timestamp(), true),
    ];
    fields.extend_from_slice(further);
    Arc::new(Schema::new(fields))
}

fn read(dir: &Path, name: &str) -> Result<Option<(PathBuf, RecordBatch)>, Error> {
    let csv = dir.join(format!("{name}.csv"));
    let parquet = dir.join(format!("{name}.parquet"));
    match (csv.exists(), parquet.exists()) {
        (true, true) => Err(invalid(&csv, None, format!("stands beside {name}.parquet; keep one of them"))),
        (true, false) => read_csv(&csv).map(|batch| Some((csv, batch))),
        (false, true) => read_parquet(&parquet).map(|batch| Some((parquet, batch))),
        (false, false) => Ok(None),
    }
}

fn read_csv(path: &Path) -> Result<RecordBatch, Error> {
    let failed = |problem: String| Error::MetadataRead { path: path.to_owned(), problem };
    let open = || File::open(path).map_err(|e| failed(e.to_string()));
    let format = arrow_csv::reader::Format::default().with_header(true);
    let (inferred, _) = format.infer_schema(open()?, Some(0)).map_err(|e| failed(e.to_string()))?;
    let columns = inferred.fields().iter().map(|f| {
        let name = f.name().trim_start_matches('\u{feff}').trim();
        Field::new(name, DataType::Utf8, true)
    });
    let schema = Arc::new(Schema::new(columns.collect::<Vec<_>>()));
    let reader = arrow_csv::ReaderBuilder::new(schema.clone()).with_header(true).build(open()?);
    let batches: Result<Vec<_>, _> = reader.and_then(Iterator::collect);
    batches.and_then(|b| concat_batches(&schema, &b)).map_err(|e| failed(e.to_string()))
}

fn read_parquet(path: &Path) -> Result<RecordBatch, Error> {
    let failed = |problem: String| Error::MetadataRead { path: path.to_owned(), problem };
    let file = File::open(path).map_err(|e| failed(e.to_string()))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| failed(e.to_string()))?;
    let schema = builder.schema().clone();
    let batches: Result<Vec<_>, _> = builder.build().map_err(|e| failed(e.to_string()))?.collect();
    batches.and_then(|b| concat_batches(&schema, &b)).map_err(|e| failed(e.to_string()))
}

fn videos(path: &Path, batch: &RecordBatch, reserved: &HashSet<String>) -> Result<Catalogue, Error> {
    let schema = batch.schema();
    let missing: Vec<_> = VIDEO_COLUMNS.into_iter().filter(|c| schema.index_of(c).is_err()).collect();
    if !missing.is_empty() {
        let there: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let problem = format!("lacks the column {}; it has {}", missing.join(", "), there.join(", "));
        return Err(invalid(path, None, problem));
    }
    let mut columns: Vec<ArrayRef> = vec![ids(path, batch, "video_id")?];
    for name in ["title", "creator", "genre"] {
        columns.push(converted(path, batch, name, &DataType::Utf8)?);
    }
    let duration = converted(path, batch, "duration_s", &DataType::Float64)?;
    for (row, value) in duration.as_primitive::<Float64Type>().iter().enumerate() {
        if let Some(value) = value
            && !(value > 0.0 && value <= MAX_DURATION_S)
        {
            let problem = format!(
                "has the duration_s {value}; it must be above 0 and at most {MAX_DURATION_S}, in seconds (or empty)"
            );
            return Err(invalid(path, Some(row), problem));
        }
    }
    columns.push(duration);
    columns.push(match schema.index_of("published_at") {
        Ok(_) => converted(path, batch, "published_at", &timestamp())?,
        Err(_) => new_null_array(&timestamp(), batch.num_rows()),
    });
    let (mut further, mut taken) = (Vec::new(), reserved.clone());
    taken.extend(KNOWN_COLUMNS.map(str::to_owned));
    for field in schema.fields().iter().filter(|f| !KNOWN_COLUMNS.contains(&f.name().as_str())) {
        further.push(further_field(path, field.name(), field.data_type(), &mut taken)?);
        columns.push(converted(path, batch, field.name(), further[further.len() - 1].data_type())?);
    }
    batch_of(path, video_schema(&further), columns)
}

fn users(path: &Path, batch: &RecordBatch, reserved: &HashSet<String>) -> Result<Catalogue, Error> {
    let mut fields = vec![Field::new("user_id", DataType::Utf8, false)];
    let (mut columns, mut taken) = (vec![ids(path, batch, "user_id")?], reserved.clone());
    for field in batch.schema().fields().iter().filter(|f| f.name() != "user_id") {
        let named = format!("user_{}", field.name());
        fields.push(further_field(path, &named, field.data_type(), &mut taken)?);
        columns.push(converted(path, batch, field.name(), fields[fields.len() - 1].data_type())?);
    }
    batch_of(path, Arc::new(Schema::new(fields)), columns)
}

fn batch_of(path: &Path, schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<Catalogue, Error> {
    let batch = RecordBatch::try_new(schema, columns).map_err(|e| invalid(path, None, e.to_string()))?;
    Catalogue::new(path, batch)
}

/// Delta knows fewer kinds than Parquet: timestamps become microseconds in UTC, large and dictionary text plain. It does not
/// tell names apart by case alone.
fn further_field(path: &Path, name: &str, kind: &DataType, taken: &mut HashSet<String>) -> Result<Field, Error> {
    if name.trim().is_empty() {
        return Err(invalid(path, None, "has a column without a name; name it, or take it out".to_owned()));
    }
    if !taken.insert(name.to_lowercase()) {
        let problem = format!("has a column that would become `{name}`, which silver has already; rename it");
        return Err(invalid(path, None, problem));
    }
    let kind = match kind {
        DataType::Timestamp(..) => timestamp(),
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => DataType::Utf8,
        other => other.clone(),
    };
    Ok(Field::new(name, kind, true))
}

/// Ids are compared with those of events, which are trimmed.
fn ids(path: &Path, batch: &RecordBatch, name: &str) -> Result<ArrayRef, Error> {
    if batch.schema().index_of(name).is_err() {
        return Err(invalid(path, None, format!("lacks the column {name}")));
    }
    let text = converted(path, batch, name, &DataType::Utf8)?;
    let trimmed = text.as_string::<i32>().iter().map(|id| id.map(str::trim).filter(|id| !id.is_empty()));
    let trimmed: StringArray = trimmed.collect();
    match (0..trimmed.len()).find(|&row| trimmed.is_null(row)) {
        Some(row) => Err(invalid(path, Some(row), format!("has no {name}"))),
        None => Ok(Arc::new(trimmed)),
    }
}

/// A column as another kind; the first value that can't be so is named with its row.
fn converted(path: &Path, batch: &RecordBatch, name: &str, to: &DataType) -> Result<ArrayRef, Error> {
    let Some(column) = batch.column_by_name(name) else {
        return Err(invalid(path, None, format!("lacks the column {name}")));
    };
    let lenient = CastOptions { safe: true, ..CastOptions::default() };
    let cast =
        cast_with_options(column, to, &lenient).map_err(|e| invalid(path, None, format!("column {name}: {e}")))?;
    if let Some(row) = (0..cast.len()).find(|&row| cast.is_null(row) && !column.is_null(row)) {
        let text = arrow_cast::display::array_value_to_string(column, row).unwrap_or_default();
        return Err(invalid(path, Some(row), format!("has the {name} `{text}`, which is no {to}")));
    }
    Ok(cast)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "video_id,title,creator,genre,duration_s,published_at,language\n";

    fn load(csv: &str) -> Result<Metadata, Error> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("video_metadata.csv"), csv).unwrap();
        Metadata::load(dir.path(), &HashSet::from(["region".to_owned()]))
    }

    #[test]
    fn bad_metadata_is_named_with_row_and_remedy() {
        let cases = [
            ("video_id,title,creator,genre\nv1,T,C,G\n".to_owned(), "lacks the column duration_s"),
            (format!("{HEADER}v1,T,C,G,10,2026-01-01,en\nv1,T,C,G,10,,en\n"), "row 2: repeats the id `v1` of row 1"),
            (format!("{HEADER}v1,T,C,G,-5,,en\n"), "row 1: has the duration_s -5"),
            (format!("{HEADER}v1,T,C,G,long,,en\n"), "row 1: has the duration_s `long`"),
            (format!("{HEADER}v1,T,C,G,10,yesterday,en\n"), "row 1: has the published_at `yesterday`"),
            (format!("{HEADER},T,C,G,10,,en\n"), "row 1: has no video_id"),
            ("video_id,title,creator,genre,duration_s,region\nv1,T,C,G,10,DE\n".to_owned(), "rename it"),
            ("video_id,title,creator,genre,duration_s,Region\nv1,T,C,G,10,DE\n".to_owned(), "rename it"),
            (
                "video_id,title,creator,genre,duration_s,tag,Tag\nv1,T,C,G,10,a,b\n".to_owned(),
                "`Tag`, which silver has",
            ),
            ("video_id,title,creator,genre,duration_s,\nv1,T,C,G,10,\n".to_owned(), "a column without a name"),
            (
                format!("{HEADER}v1,T,C,G,3000000,,en\n"),
                "row 1: has the duration_s 3000000; it must be above 0 and at most 1000000",
            ),
        ];
        for (csv, expected) in cases {
            let error = load(&csv).unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} does not say {expected:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_and_spaces_are_no_part_of_a_name() {
        let metadata = load(&format!("\u{feff}{HEADER} v1 ,T,C,G,10.5,2026-01-02,en\n")).unwrap();
        let rows = metadata.videos.rows_of(&StringArray::from(vec![Some("v1"), Some("v2"), None, Some("v1")]));
        assert_eq!(rows, UInt32Array::from(vec![Some(0), None, None, Some(0)]));
        let joined = metadata.videos.join(&rows).unwrap();
        assert_eq!(joined.len(), 6);
        assert_eq!(joined[3].as_primitive::<Float64Type>().value(0), 10.5);
    }

    #[test]
    fn changed_ids() {
        let before = load(&format!("{HEADER}v1,T,C,G,10,,en\nv2,T,C,G,10,,en\nv3,T,C,G,10,,en\n")).unwrap();
        let now = load(&format!("{HEADER}v4,T,C,G,10,,en\nv3,T,C,G,,,en\nv1,T,C,G,10,,en\n")).unwrap();
        let changed = now.videos.changed_since(before.videos.batch()).unwrap().unwrap();
        assert_eq!(changed, HashSet::from(["v2".to_owned(), "v3".to_owned(), "v4".to_owned()]));
        let wider = load("video_id,title,creator,genre,duration_s\nv1,T,C,G,10\n").unwrap();
        assert!(wider.videos.changed_since(before.videos.batch()).unwrap().is_none());
    }
}
