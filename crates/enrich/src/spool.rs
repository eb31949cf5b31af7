//! Events on their way into views, split by viewer and video into buckets that fit in memory one at a time.
//!
//! A Grace hash partition: all events of a viewer with a video land in one bucket. Buckets stay in memory up to a bound;
//! past it all of them are written out as Arrow IPC files, removed when the spool is dropped.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::PathBuf;

use arrow_array::cast::AsArray;
use arrow_array::{RecordBatch, UInt32Array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::SchemaRef;
use arrow_select::take::take_record_batch;
use tempfile::TempDir;
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
    folder: TempDir,
    rows: u64,
}

#[derive(Default)]
struct Bucket {
    held: Vec<RecordBatch>,
    file: Option<StreamWriter<BufWriter<File>>>,
}

impl Spool {
    /// A spool for about `rows` events that holds at most `bound_bytes` in memory; what is more goes below `folder`.
    ///
    /// # Errors
    /// [`Error::Spool`] if no temporary folder can be made there.
    pub fn new(schema: SchemaRef, rows: u64, bound_bytes: usize, folder: &std::path::Path) -> Result<Self, Error> {
        let failed = |e: std::io::Error| Error::Spool { path: folder.to_owned(), problem: e.to_string() };
        let folder = tempfile::tempdir_in(folder).map_err(failed)?;
        let count = rows.div_ceil(ROWS_A_BUCKET).clamp(1, MAX_BUCKETS);
        let buckets = (0..count).map(|_| Bucket::default()).collect();
        Ok(Self { schema, buckets, held_bytes: 0, bound_bytes, folder, rows: 0 })
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
        for (number, bucket) in self.buckets.iter_mut().enumerate() {
            let path = self.folder.path().join(format!("{number}.arrows"));
            let failed = |e: String| Error::Spool { path: path.clone(), problem: e };
            let file = match &mut bucket.file {
                Some(file) => file,
                None => {
                    let file = File::create(&path).map_err(|e| failed(e.to_string()))?;
                    let buffered = BufWriter::with_capacity(FILE_BUFFER_BYTES, file);
                    let writer = StreamWriter::try_new(buffered, &self.schema).map_err(|e| failed(e.to_string()))?;
                    bucket.file.insert(writer)
                }
            };
            for batch in bucket.held.drain(..) {
                file.write(&batch).map_err(|e| failed(e.to_string()))?;
            }
        }
        self.held_bytes = 0;
        Ok(())
    }

    /// Closes the spool for reading.
    ///
    /// # Errors
    /// [`Error::Spool`] if the last bytes can't be written.
    pub fn finish(mut self) -> Result<Spooled, Error> {
        let mut buckets = Vec::with_capacity(self.buckets.len());
        for (number, bucket) in self.buckets.iter_mut().enumerate() {
            let path = self.folder.path().join(format!("{number}.arrows"));
            let failed = |e: String| Error::Spool { path: path.clone(), problem: e };
            let file = match bucket.file.take() {
                Some(mut writer) => {
                    writer.finish().map_err(|e| failed(e.to_string()))?;
                    let buffered = writer.into_inner().map_err(|e| failed(e.to_string()))?;
                    buffered.into_inner().map_err(|e| failed(e.to_string()))?;
                    Some(path)
                }
                None => None,
            };
            buckets.push(SpooledBucket { held: std::mem::take(&mut bucket.held), file });
        }
        Ok(Spooled { buckets: buckets.into_iter(), _folder: self.folder })
    }
}

/// A closed spool: its buckets, one after another. The files live as long as it does.
pub struct Spooled {
    buckets: std::vec::IntoIter<SpooledBucket>,
    _folder: TempDir,
}

impl Iterator for Spooled {
    type Item = SpooledBucket;

    fn next(&mut self) -> Option<SpooledBucket> {
        self.buckets.next()
    }
}

/// All events of some viewers and videos, in no order.
pub struct SpooledBucket {
    held: Vec<RecordBatch>,
    file: Option<PathBuf>,
}

impl SpooledBucket {
    /// Reads the bucket and removes its file.
    ///
    /// # Errors
    /// [`Error::Spool`] if the file can't be read back.
    pub fn load(self) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = self.held;
        if let Some(path) = self.file {
            let failed = |e: String| Error::Spool { path: path.clone(), problem: e };
            let file = File::open(&path).map_err(|e| failed(e.to_string()))?;
            let buffered = BufReader::with_capacity(FILE_BUFFER_BYTES, file);
            let reader = StreamReader::try_new(buffered, None).map_err(|e| failed(e.to_string()))?;
            for batch in reader {
                batches.push(batch.map_err(|e| failed(e.to_string()))?);
            }
            std::fs::remove_file(&path).map_err(|e| failed(e.to_string()))?;
        }
        Ok(batches)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow_array::StringArray;
    use arrow_schema::{DataType, Field, Schema};

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
            let mut spool = Spool::new(schema.clone(), 3 * ROWS_A_BUCKET, bound, dir.path()).unwrap();
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
