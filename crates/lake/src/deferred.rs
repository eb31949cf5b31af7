//! A store whose failed writes are told afterwards.
//!
//! The table library answers a write that fails at the very end, as on a full disk, with a panic that it catches but
//! that prints a backtrace. So it is told that all went well; whoever owns the store asks for the error before the
//! files are named anywhere.

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart, path::Path,
};

type FirstError = Arc<Mutex<Option<Error>>>;

/// Passes everything on and keeps the first error of a write.
#[derive(Debug, Clone)]
pub(crate) struct Deferred {
    inner: Arc<dyn ObjectStore>,
    error: FirstError,
}

impl Deferred {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self { inner, error: FirstError::default() }
    }

    /// The first write that failed, if one did.
    pub(crate) fn take_error(&self) -> Option<Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn keep(first: &FirstError, error: Error) {
    first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
}

impl fmt::Display for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

const WRITTEN: PutResult = PutResult { e_tag: None, version: None };

/// An upload whose errors are kept; without one below it, it goes nowhere.
#[derive(Debug)]
struct Upload {
    inner: Option<Box<dyn MultipartUpload>>,
    error: FirstError,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let Some(inner) = &mut self.inner else { return std::future::ready(Ok(())).boxed() };
        let (part, error) = (inner.put_part(data), Arc::clone(&self.error));
        async move {
            if let Err(e) = part.await {
                keep(&error, e);
            }
            Ok(())
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let Some(inner) = &mut self.inner else { return Ok(WRITTEN) };
        let failed = self.error.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if failed {
            // Incomplete parts must not become a file; what stays of them is an orphan.
            let _ = inner.abort().await;
        } else if let Err(e) = inner.complete().await {
            keep(&self.error, e);
        }
        Ok(WRITTEN)
    }

    async fn abort(&mut self) -> Result<()> {
        match &mut self.inner {
            Some(inner) => inner.abort().await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl ObjectStore for Deferred {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        match self.inner.put_opts(location, payload, opts).await {
            Ok(written) => Ok(written),
            Err(e) => {
                keep(&self.error, e);
                Ok(WRITTEN)
            }
        }
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(location, opts).await;
        let inner = inner.map_err(|e| keep(&self.error, e)).ok();
        Ok(Box::new(Upload { inner, error: Arc::clone(&self.error) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}
