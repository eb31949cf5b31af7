//! All requests to stores run on threads of their own.
//!
//! Connections belong to the runtime that opened them. Callers' runtimes come and go, and compute for seconds; here
//! neither breaks a connection nor delays a lease's renewal. It also lets code that can't wait asynchronously wait.

use std::{
    fmt,
    future::Future,
    sync::{Arc, OnceLock, mpsc},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, SinkExt, StreamExt, channel::mpsc as streams, future::BoxFuture, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as StoreResult, UploadPart,
    aws::AmazonS3, path::Path as Key,
};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
};

use super::explain::{explain, is_unreachable};
use crate::{
    error::{Error, Result},
    place::Place,
};

const STORE: &str = "S3";
/// Threads for all requests of the process: they wait, encrypt and decrypt.
const THREADS: usize = 2;
/// Listed objects that wait to be looked at.
const LISTED_AHEAD: usize = 1000;
/// Before a request is sent again whose connection has ended without an answer.
const PAUSE: Duration = Duration::from_millis(200);

fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let build =
        || Builder::new_multi_thread().worker_threads(THREADS).thread_name("streamreel-store").enable_all().build();
    RUNTIME.get_or_init(|| build().ok()).as_ref().ok_or_else(|| no_threads("the system gives no threads"))
}

fn no_threads(why: &str) -> Error {
    Error::Io { operation: "ask", path: Place::from("the object store"), source: std::io::Error::other(why.to_owned()) }
}

/// Lets a future of requests go on by itself.
pub(super) fn start(future: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    runtime()?.spawn(future);
    Ok(())
}

/// Waits for a future of requests; blocks the calling thread.
pub(super) fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    start(async move {
        let _ = sender.send(future.await);
    })?;
    receiver.recv().map_err(|_| no_threads("a request ended early"))
}

/// The objects of a bucket.
#[derive(Debug, Clone)]
pub(super) struct Requests {
    store: Arc<AmazonS3>,
    threads: Handle,
    /// For what errors say.
    bucket: Arc<str>,
    patience: Duration,
}

impl Requests {
    /// With requests that are sent again for up to `patience`.
    ///
    /// # Errors
    /// [`Error::Io`] when the system gives no threads.
    pub(super) fn new(store: AmazonS3, place: &Place, patience: Duration) -> Result<Self> {
        let bucket = match place {
            Place::Bucket { name, .. } => name,
            Place::Folder(_) => "",
        };
        Ok(Self { store: Arc::new(store), threads: runtime()?.handle().clone(), bucket: bucket.into(), patience })
    }

    /// Runs on the threads for requests.
    async fn run<T: Send + 'static, F>(&self, request: impl FnOnce(Arc<AmazonS3>) -> F) -> StoreResult<T>
    where
        F: Future<Output = StoreResult<T>> + Send + 'static,
    {
        let running = self.threads.spawn(request(Arc::clone(&self.store)));
        done(running).await.map_err(|e| explain(e, &self.bucket))
    }

    /// A stream that is filled on the threads for requests.
    fn fill<T: Send + 'static>(
        &self,
        source: BoxStream<'static, StoreResult<T>>,
    ) -> BoxStream<'static, StoreResult<T>> {
        let (mut sender, receiver) = streams::channel(LISTED_AHEAD);
        let bucket = Arc::clone(&self.bucket);
        self.threads.spawn(async move {
            let mut source = source.map(|item| Ok(item.map_err(|e| explain(e, &bucket))));
            // Whoever reads may have left.
            let _ = sender.send_all(&mut source).await;
        });
        receiver.boxed()
    }
}

async fn done<T>(running: JoinHandle<StoreResult<T>>) -> StoreResult<T> {
    running.await.map_err(|source| StoreError::JoinError { source })?
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)
    }
}

#[async_trait]
impl ObjectStore for Requests {
    /// The client itself sends no conditional one again whose connection has ended without an answer, as the store may have done
    /// it: then the condition does not hold any more. Whoever makes one looks what is there, as after an answer of 500.
    async fn put_opts(&self, location: &Key, payload: PutPayload, opts: PutOptions) -> StoreResult<PutResult> {
        let (location, patience, began) = (location.clone(), self.patience, Instant::now());
        self.run(|store| async move {
            loop {
                match store.put_opts(&location, payload.clone(), opts.clone()).await {
                    Err(error) if is_unreachable(&error) && began.elapsed() < patience => {
                        tokio::time::sleep(PAUSE).await;
                    }
                    put => return put,
                }
            }
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Key,
        opts: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        let location = location.clone();
        let upload = self.run(|store| async move { store.put_multipart_opts(&location, opts).await }).await?;
        Ok(Box::new(Upload { upload: Some(upload), requests: self.clone() }))
    }

    /// The whole range that is asked for is read before it is given on: files are read a column's chunk at a time.
    async fn get_opts(&self, location: &Key, options: GetOptions) -> StoreResult<GetResult> {
        let location = location.clone();
        self.run(|store| async move {
            let found = store.get_opts(&location, options).await?;
            let (meta, range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
            let bytes = found.bytes().await?;
            let payload = GetResultPayload::Stream(stream::once(async { Ok::<Bytes, StoreError>(bytes) }).boxed());
            Ok(GetResult { payload, meta, range, attributes })
        })
        .await
    }

    fn delete_stream(&self, locations: BoxStream<'static, StoreResult<Key>>) -> BoxStream<'static, StoreResult<Key>> {
        self.fill(self.store.delete_stream(locations))
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.fill(self.store.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Key>, offset: &Key) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.fill(self.store.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> StoreResult<ListResult> {
        let prefix = prefix.cloned();
        self.run(|store| async move { store.list_with_delimiter(prefix.as_ref()).await }).await
    }

    async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> StoreResult<()> {
        let (from, to) = (from.clone(), to.clone());
        self.run(|store| async move { store.copy_opts(&from, &to, options).await }).await
    }
}

/// An upload in parts; `None` while a request has it.
#[derive(Debug)]
struct Upload {
    upload: Option<Box<dyn MultipartUpload>>,
    requests: Requests,
}

impl Upload {
    async fn end<T: Send + 'static>(
        &mut self,
        end: impl for<'a> FnOnce(&'a mut dyn MultipartUpload) -> BoxFuture<'a, StoreResult<T>> + Send + 'static,
    ) -> StoreResult<T> {
        let ended = || StoreError::Generic { store: STORE, source: "the upload has ended".into() };
        let mut upload = self.upload.take().ok_or_else(ended)?;
        let running = self.requests.run(|_| async move {
            let result = end(&mut *upload).await;
            Ok((upload, result))
        });
        let (upload, result) = running.await?;
        self.upload = Some(upload);
        result.map_err(|e| explain(e, &self.requests.bucket))
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let Some(upload) = &mut self.upload else { return std::future::ready(Ok(())).boxed() };
        let (part, requests) = (upload.put_part(data), self.requests.clone());
        async move { requests.run(|_| part).await }.boxed()
    }

    async fn complete(&mut self) -> StoreResult<PutResult> {
        self.end(|upload| upload.complete()).await
    }

    async fn abort(&mut self) -> StoreResult<()> {
        self.end(|upload| upload.abort()).await
    }
}
