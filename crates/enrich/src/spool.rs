//! Events on their way into views, split by viewer and video into buckets that fit in memory one at a time.
//!
//! A Grace hash partition: all events of a viewer with a video land in one bucket. Buckets stay in memory up to a bound;
//! past it all of them are written out, one after another, to the end of one file that has no name: however many buckets there
//! are, it takes one descriptor, and the system removes it with the spool, whatever ends the process.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::{RecordBatch, UInt32Array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Schema, SchemaRef};
use arrow_select::take::take_record_batch;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::Error;

/// Rows that a bucket should hold: its sort then stays within a few hundred MB.
const ROWS_A_BUCKET: u64 = 128_000;
const MAX_BUCKETS: u64 = 4096;
const FILE_BUFFER_BYTES: usize = 256 * 1024;

/// Events by bucket.
pub struct Spool {
    schema: SchemaRef,
    buckets: Vec<Bucket>,
    held_bytes: usize,
    bound_bytes: usize,
    /// The temporary folder that what is written out goes to.
    folder: PathBuf,
    file: Option<BufWriter<File>>,
    rows: u64,
}

#[derive(Default)]
struct Bucket {
    held: Vec<RecordBatch>,
    /// Where in the file it was written out, as an Arrow IPC stream each time.
    written: Vec<Span>,
}

struct Span {
    from: u64,
    bytes: usize,
}

impl Spool {
    /// A spool for about `rows` events that holds at most `bound_bytes` in memory; what is more goes below `folder`.
    pub fn new(schema: SchemaRef, rows: u64, bound_bytes: usize, folder: &Path) -> Self {
        let count = rows.div_ceil(ROWS_A_BUCKET).clamp(1, MAX_BUCKETS);
        let buckets = (0..count).map(|_| Bucket::default()).collect();
        Self { schema, buckets, held_bytes: 0, bound_bytes, folder: folder.to_owned(), file: None, rows: 0 }
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds a batch of the spool's schema.
    ///
    /// # Errors
    /// [`Error::Spool`] when it has to be written out and the disk refuses.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += batch.num_rows() as u64;
        let (order, ends) = self.by_bucket(batch);
        let sorted = take_record_batch(batch, &order).map_err(|e| Error::Derive(e.to_string()))?;
        self.held_bytes += sorted.get_array_memory_size();
        let mut from = 0;
        for (bucket, &to) in self.buckets.iter_mut().zip(&ends) {
            if to > from {
                bucket.held.push(sorted.slice(from, to - from));
            }
            from = to;
        }
        if self.held_bytes > self.bound_bytes { self.spill() } else { Ok(()) }
    }

    /// The rows' order by bucket (a counting sort), and where each bucket ends in it.
    fn by_bucket(&self, batch: &RecordBatch) -> (UInt32Array, Vec<usize>) {
        let users = batch["user_id"].as_string::<i32>();
        let videos = batch["video_id"].as_string::<i32>();
        let count = self.buckets.len() as u64;
        let bucket_of: Vec<u32> = (0..batch.num_rows())
            .map(|row| {
                let user = xxh3_64(users.value(row).as_bytes());
                (xxh3_64_with_seed(videos.value(row).as_bytes(), user) % count) as u32
            })
            .collect();
        let mut ends = vec![0_usize; self.buckets.len()];
        for &bucket in &bucket_of {
            ends[bucket as usize] += 1;
        }
        let mut sum = 0;
        let mut next: Vec<usize> = Vec::with_capacity(ends.len());
        for end in &mut ends {
            next.push(sum);
            sum += *end;
            *end = sum;
        }
        let mut order = vec![0_u32; bucket_of.len()];
        for (row, &bucket) in bucket_of.iter().enumerate() {
            order[next[bucket as usize]] = row as u32;
            next[bucket as usize] += 1;
        }
        (UInt32Array::from(order), ends)
    }

    fn spill(&mut self) -> Result<(), Error> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = tempfile::tempfile_in(&self.folder).map_err(failed(&self.folder))?;
                self.file.insert(BufWriter::with_capacity(FILE_BUFFER_BYTES, file))
            }
        };
        for bucket in self.buckets.iter_mut().filter(|bucket| !bucket.held.is_empty()) {
            let span = append(file, &self.schema, &bucket.held).map_err(failed(&self.folder))?;
            bucket.written.push(span);
            bucket.held.clear();
        }
        self.held_bytes = 0;
        Ok(())
    }

    /// Closes the spool for reading.
    ///
    /// # Errors
    /// [`Error::Spool`] if the last bytes can't be written.
    pub fn finish(self) -> Result<Spooled, Error> {
        let written = self.file.map(BufWriter::into_inner).transpose().map_err(failed(&self.folder))?;
        let file = written.map(|file| Arc::new(Mutex::new(file)));
        Ok(Spooled { buckets: self.buckets.into_iter(), file, folder: self.folder })
    }
}

fn failed<E: std::fmt::Display>(folder: &Path) -> impl Fn(E) -> Error {
    move |problem| Error::Spool { path: folder.to_owned(), problem: problem.to_string() }
}

/// A closed spool: its buckets, one after another.
pub struct Spooled {
    buckets: std::vec::IntoIter<Bucket>,
    file: Option<Arc<Mutex<File>>>,
    folder: PathBuf,
}

impl Iterator for Spooled {
    type Item = SpooledBucket;

    fn next(&mut self) -> Option<SpooledBucket> {
        let bucket = self.buckets.next()?;
        Some(SpooledBucket { bucket, file: self.file.clone(), folder: self.folder.clone() })
    }
}

/// All events of some viewers and videos, in no order.
pub struct SpooledBucket {
    bucket: Bucket,
    file: Option<Arc<Mutex<File>>>,
    folder: PathBuf,
}

impl SpooledBucket {
    /// Reads the bucket.
    ///
    /// # Errors
    /// [`Error::Spool`] if the file can't be read back.
    pub fn load(self) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = self.bucket.held;
        let Some(file) = self.file else { return Ok(batches) };
        for span in self.bucket.written {
            let bytes = read(&file, &span).map_err(failed(&self.folder))?;
            let reader = StreamReader::try_new(&*bytes, None).map_err(failed(&self.folder))?;
            for batch in reader {
                batches.push(batch.map_err(failed(&self.folder))?);
            }
        }
        Ok(batches)
    }
}

fn append(file: &mut BufWriter<File>, schema: &Schema, batches: &[RecordBatch]) -> Result<Span, ArrowError> {
    let from = file.stream_position()?;
    let mut writer = StreamWriter::try_new(&mut *file, schema)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    drop(writer);
    let bytes = file.stream_position()? - from;
    Ok(Span { from, bytes: usize::try_from(bytes).unwrap_or(usize::MAX) })
}

fn read(file: &Mutex<File>, span: &Span) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; span.bytes];
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(span.from))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow_array::StringArray;
    use arrow_schema::{DataType, Field};

    use super::*;

    /// Every row comes back once, and a viewer with a video is never in two buckets, spilled or not.
    #[test]
    fn buckets_partition_the_rows() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("user_id", DataType::Utf8, false),
            Field::new("video_id", DataType::Utf8, false),
        ]));
        for bound in [0, 10_000, usize::MAX] {
            let dir = tempfile::tempdir().unwrap();
            let mut spool = Spool::new(schema.clone(), 3 * ROWS_A_BUCKET, bound, dir.path());
            for part in 0..5 {
                let users: StringArray = (0..500).map(|i| Some(format!("u{}", (i + part) % 97))).collect();
                let videos: StringArray = (0..500).map(|i| Some(format!("v{}", i % 7))).collect();
                let columns: Vec<arrow_array::ArrayRef> = vec![Arc::new(users), Arc::new(videos)];
                spool.push(&RecordBatch::try_new(schema.clone(), columns).unwrap()).unwrap();
            }
            let mut seen: HashMap<(String, String), usize> = HashMap::new();
            let mut rows = 0;
            for (number, bucket) in spool.finish().unwrap().enumerate() {
                for batch in bucket.load().unwrap() {
                    rows += batch.num_rows();
                    let (users, videos) = (batch["user_id"].as_string::<i32>(), batch["video_id"].as_string::<i32>());
                    for (user, video) in users.iter().zip(videos) {
                        let key = (user.unwrap().to_owned(), video.unwrap().to_owned());
                        assert_eq!(*seen.entry(key).or_insert(number), number);
                    }
                }
            }
            assert_eq!(rows, 2500);
        }
    }
}
