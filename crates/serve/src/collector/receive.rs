//! A request: its body read and decompressed within bounds, taken apart, keyed, stored, answered.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use flate2::bufread::MultiGzDecoder;
use futures::StreamExt;
use streamreel_event::{KeyScratch, MAX_RECORD_BYTES, producer_key};
use streamreel_topic::{Records, RecordsBuilder, partition_for};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::commit::{Batch, NotStored};
use super::split::{NoEvents, split};
use super::{Accepted, Collector, MAX_BODY_BYTES, MAX_EVENTS};
use crate::problem::{Kind, Problem};

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// Of a body that is too large, so much is read and thrown away, so that the client gets to read the answer ...
const DRAIN_BYTES: usize = 32 << 20;
/// ... in at most this time.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// Memory is taken in such steps while a body comes in.
const STEP_BYTES: usize = 64 << 10;
/// When to come again after the memory or the queue was full, in seconds: a commit takes some milliseconds ...
const SOON_S: u32 = 1;
/// ... and when something has to be done here first.
const LATER_S: u32 = 30;

/// Takes events in.
pub(super) async fn receive(collector: &Collector, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
    collector.access.check(headers)?;
    check_type(headers)?;
    let is_gzip = is_gzip(headers)?;
    let (bytes, memory) = read(collector, headers, body).await?;
    let (bytes, memory) = if is_gzip { unzip(collector, &bytes, memory)? } else { (bytes, memory) };
    let (records, accepted) = take_apart(&bytes, collector)?;
    drop(bytes);
    if accepted.accepted > 0 {
        collector.committer.store(Batch { records, memory }).await.map_err(refused)?;
    }
    Ok(axum::Json(accepted).into_response())
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    // A beacon of bytes has no type at all.
    let Some(given) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let given = String::from_utf8_lossy(given.as_bytes());
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if ["application/json", "application/x-ndjson", "text/plain"].contains(&&*essence) {
        return Ok(());
    }
    let detail = format!(
        "the content type is {given}; send application/json (an array of events), application/x-ndjson (an event a line) or \
         text/plain (either)"
    );
    Err(Problem::new(Kind::UnsupportedMedia, detail).closing())
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let encoding = encodings.next().map_or("identity".into(), |value| String::from_utf8_lossy(value.as_bytes()));
    match encoding.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" if encodings.next().is_none() => Ok(true),
        "identity" | "" if encodings.next().is_none() => Ok(false),
        _ => {
            let detail = format!("the content encoding is {encoding}; send the events plain or with gzip");
            Err(Problem::new(Kind::UnsupportedMedia, detail).closing())
        }
    }
}

fn too_large() -> Problem {
    let detail = format!("a request holds at most {MAX_BODY_BYTES} bytes of events; send them in smaller batches");
    Problem::new(Kind::TooLarge, detail).closing()
}

fn pressed() -> Problem {
    let detail = "too many events are on their way to the disk just now; send them again in a second";
    Problem::new(Kind::TooManyEvents, detail).retry_after(SOON_S)
}

/// Takes memory for `bytes` more out of what all requests share.
fn take_memory(collector: &Collector, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
    let permits = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
    Semaphore::try_acquire_many_owned(Arc::clone(&collector.memory_kib), permits).map_err(|_| pressed())
}

/// The body, and the memory that it holds.
async fn read(
    collector: &Collector,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, OwnedSemaphorePermit), Problem> {
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        drain(headers, body, 0).await;
        return Err(too_large());
    }
    let mut memory = take_memory(collector, STEP_BYTES)?;
    let mut bytes = Vec::with_capacity(usize::try_from(body.size_hint().lower()).unwrap_or(0).min(STEP_BYTES));
    let mut stream = body.into_data_stream();
    let deadline = tokio::time::sleep(BODY_TIMEOUT);
    let mut deadline = std::pin::pin!(deadline);
    loop {
        let chunk = tokio::select! {
            chunk = stream.next() => chunk,
            () = &mut deadline => {
                let detail = format!("the body did not come within {} s", BODY_TIMEOUT.as_secs());
                return Err(Problem::new(Kind::SlowBody, detail).closing());
            }
        };
        let chunk: Bytes = match chunk {
            None => return Ok((bytes.into(), memory)),
            Some(Ok(chunk)) => chunk,
            Some(Err(error)) => {
                let detail = format!("the body broke off: {error}; nothing of it was stored, send it again");
                return Err(Problem::new(Kind::BadBody, detail).closing());
            }
        };
        if bytes.len() + chunk.len() > MAX_BODY_BYTES {
            let read = bytes.len() + chunk.len();
            drop((bytes, memory));
            drain(headers, Body::from_stream(stream), read).await;
            return Err(too_large());
        }
        while memory.num_permits() * 1024 < bytes.len() + chunk.len() {
            memory.merge(take_memory(collector, STEP_BYTES).map_err(Problem::closing)?);
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// Reads on for a while: a client that is still sending would otherwise see a broken connection instead of the answer.
async fn drain(headers: &HeaderMap, body: Body, mut read: usize) {
    if headers.contains_key(header::EXPECT) {
        // It waits for a word before it sends anything.
        return;
    }
    let mut stream = body.into_data_stream();
    let reading = async {
        while let Some(Ok(chunk)) = stream.next().await {
            read += chunk.len();
            if read > DRAIN_BYTES {
                break;
            }
        }
    };
    // What has not come by then does not change the answer.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, reading).await;
}

/// Decompresses at most [`MAX_BODY_BYTES`].
fn unzip(
    collector: &Collector,
    bytes: &[u8],
    mut memory: OwnedSemaphorePermit,
) -> Result<(Bytes, OwnedSemaphorePermit), Problem> {
    let mut decoder = MultiGzDecoder::new(bytes).take(MAX_BODY_BYTES as u64 + 1);
    let mut plain = Vec::new();
    loop {
        if memory.num_permits() * 1024 < plain.len() + STEP_BYTES {
            memory.merge(take_memory(collector, STEP_BYTES)?);
        }
        match decoder.by_ref().take(STEP_BYTES as u64).read_to_end(&mut plain) {
            Ok(0) => return Ok((plain.into(), memory)),
            Ok(_) if plain.len() > MAX_BODY_BYTES => return Err(too_large()),
            Ok(_) => {}
            Err(error) => {
                let detail = format!("the body is no whole gzip ({error}); nothing of it was stored, send it again");
                return Err(Problem::new(Kind::BadBody, detail));
            }
        }
    }
}

/// The records of a body, by partition. One that is longer than the limit is cut to it, with a header that says so.
fn take_apart(body: &[u8], collector: &Collector) -> Result<(Vec<Records>, Accepted), Problem> {
    const WANTED: &str = "send a JSON array of events, or one event a line";
    let partitions = collector.partitions;
    let mut builders: Vec<RecordsBuilder> = (0..partitions).map(|_| RecordsBuilder::new()).collect();
    let mut accepted = Accepted::default();
    let mut scratch = KeyScratch::default();
    let now_ms = (collector.clock)() / 1000;
    let taken = split(body, |record| {
        accepted.accepted += 1;
        if accepted.accepted > MAX_EVENTS {
            return;
        }
        let whole = record.len();
        let record = &record[..whole.min(MAX_RECORD_BYTES)];
        let key = if whole == record.len() { producer_key(record, &mut scratch) } else { None };
        // Without a key, copies of a record still share a partition.
        let key = key.map(str::as_bytes);
        let builder = &mut builders[partition_for(key.unwrap_or(record), partitions) as usize];
        if whole == record.len() {
            builder.push(now_ms, key, record, &[]);
        } else {
            accepted.cut += 1;
            builder.push(now_ms, key, record, &[(collector.cut_header, whole.to_string().as_bytes())]);
        }
    });
    let bad = |detail: String| Err(Problem::new(Kind::BadBody, detail));
    match taken {
        Err(NoEvents::Empty) => bad(format!("the body is empty; {WANTED}")),
        Err(NoEvents::Other) => bad(format!("the body begins with neither [ nor {{; {WANTED}")),
        Ok(()) if accepted.accepted > MAX_EVENTS => {
            let detail = format!("a request holds at most {MAX_EVENTS} events; send them in smaller batches");
            Err(Problem::new(Kind::TooLarge, detail))
        }
        Ok(()) => Ok((builders.iter_mut().map(RecordsBuilder::finish).collect(), accepted)),
    }
}

fn refused(why: NotStored) -> Problem {
    let later = |detail: &str| Problem::new(Kind::NotStored, detail).retry_after(LATER_S);
    match why {
        NotStored::QueueFull => pressed(),
        NotStored::DiskFull => later("the collector's disk is full: nothing of this was stored. Send it again later"),
        NotStored::Busy => later("another program holds the log: nothing of this was stored. Send it again later"),
        NotStored::Failed => later("the events could not be stored; the server's log says why. Send them again later"),
        NotStored::Stopping => later("the collector is stopping: nothing of this was stored. Send it again later"),
    }
}
