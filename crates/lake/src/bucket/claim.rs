//! How a prefix becomes a lake: the store first shows, on an object of no other use, that it keeps the conditions of writes.
//! Only then the marker is put, so that a lake in a store that does not is refused each time it is opened.

use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion, path::Path as Key,
};

/// How the names of objects begin that the conditions are tried on. One that a killed process left is nobody's.
pub(super) const PROBE: &str = "_streamreel.probe.";

/// Puts the marker where there is none. If there is a condition that the store does not keep, gives it and puts nothing.
pub(super) async fn mark(
    objects: impl ObjectStore,
    marker: Key,
    probe: Key,
    content: PutPayload,
) -> Result<Option<&'static str>, StoreError> {
    let tried = broken_condition(&objects, &probe, &content).await;
    // One that can't be deleted is in nobody's way.
    let _ = objects.delete(&probe).await;
    if let Some(condition) = tried? {
        return Ok(Some(condition));
    }
    match objects.put_opts(&marker, content, PutMode::Create.into()).await {
        // Another process made it at the same moment.
        Ok(_) | Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

/// A condition that the store does not keep: tried with a second create, and an update of something else, of an object
/// that is there and gets the same content.
async fn broken_condition(
    objects: &impl ObjectStore,
    probe: &Key,
    content: &PutPayload,
) -> Result<Option<&'static str>, StoreError> {
    objects.put(probe, content.clone()).await?;
    let other = UpdateVersion { e_tag: Some("\"00000000000000000000000000000000\"".to_owned()), version: None };
    for (condition, mode) in [("If-None-Match", PutMode::Create), ("If-Match", PutMode::Update(other))] {
        match objects.put_opts(probe, content.clone(), mode.into()).await {
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {}
            Err(other) => return Err(other),
            Ok(_) => return Ok(Some(condition)),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::{fmt, sync::Arc};

    use async_trait::async_trait;
    use futures::{TryStreamExt, stream::BoxStream};
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutOptions,
        PutResult, Result as StoreResult, memory::InMemory,
    };

    use super::*;

    /// What a store does with a condition.
    #[derive(Debug, Clone, Copy)]
    enum Does {
        Keep,
        Ignore,
        Refuse,
    }

    #[derive(Debug)]
    struct Store {
        objects: InMemory,
        create: Does,
        update: Does,
    }

    impl fmt::Display for Store {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a store for tests")
        }
    }

    #[async_trait]
    impl ObjectStore for Store {
        async fn put_opts(&self, location: &Key, payload: PutPayload, opts: PutOptions) -> StoreResult<PutResult> {
            let does = match opts.mode {
                PutMode::Overwrite => Does::Keep,
                PutMode::Create => self.create,
                PutMode::Update(_) => self.update,
            };
            match does {
                Does::Keep => self.objects.put_opts(location, payload, opts).await,
                Does::Ignore => self.objects.put_opts(location, payload, PutMode::Overwrite.into()).await,
                Does::Refuse => Err(StoreError::Generic { store: "test", source: "not implemented".into() }),
            }
        }

        async fn put_multipart_opts(
            &self,
            location: &Key,
            opts: PutMultipartOptions,
        ) -> StoreResult<Box<dyn MultipartUpload>> {
            self.objects.put_multipart_opts(location, opts).await
        }

        async fn get_opts(&self, location: &Key, options: GetOptions) -> StoreResult<GetResult> {
            self.objects.get_opts(location, options).await
        }

        fn delete_stream(
            &self,
            locations: BoxStream<'static, StoreResult<Key>>,
        ) -> BoxStream<'static, StoreResult<Key>> {
            self.objects.delete_stream(locations)
        }

        fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
            self.objects.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Key>) -> StoreResult<ListResult> {
            self.objects.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> StoreResult<()> {
            self.objects.copy_opts(from, to, options).await
        }
    }

    #[tokio::test]
    async fn a_store_without_conditions_is_refused_each_time() {
        let cases = [
            (Does::Keep, Does::Keep, "marked"),
            (Does::Ignore, Does::Keep, "If-None-Match"),
            (Does::Keep, Does::Ignore, "If-Match"),
            (Does::Ignore, Does::Ignore, "If-None-Match"),
            (Does::Refuse, Does::Keep, "failed"),
            (Does::Keep, Does::Refuse, "failed"),
        ];
        for (create, update, expected) in cases {
            let store = Arc::new(Store { objects: InMemory::new(), create, update });
            for attempt in ["first", "second"] {
                let (marker, probe) = (Key::from("lake/_streamreel.json"), Key::from("lake/_streamreel.probe.1"));
                let ended = match mark(Arc::clone(&store), marker, probe, PutPayload::from("{}")).await {
                    Ok(None) => "marked",
                    Ok(Some(condition)) => condition,
                    Err(_) => "failed",
                };
                assert_eq!(ended, expected, "{create:?}, {update:?}, {attempt}");
                let listed: Vec<ObjectMeta> = store.list(None).try_collect().await.unwrap();
                let left: Vec<&str> = listed.iter().map(|meta| meta.location.as_ref()).collect();
                let there: &[&str] = if expected == "marked" { &["lake/_streamreel.json"] } else { &[] };
                assert_eq!(left, there, "{create:?}, {update:?}, {attempt}");
            }
        }
    }
}
