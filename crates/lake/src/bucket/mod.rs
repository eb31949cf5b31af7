//! A lake in a bucket of an S3-compatible object store.
//!
//! What is stored is stored when the request is answered. That a commit is made once rests on conditional puts: a log
//! entry is written only if there is none (`If-None-Match`), a lease is renewed only if it is unchanged (`If-Match`). A
//! store that does not keep these conditions is refused when a lake is made in it.

mod claim;
mod client;
mod explain;
mod lease;
mod profile;
mod requests;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, Once, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use deltalake::{
    DeltaResult,
    logstore::{LogStore, LogStoreFactory, ObjectStoreRef, StorageConfig, default_logstore, logstore_factories},
};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutPayload, path::Path as Key};
use url::Url;

pub(crate) use self::explain::{explained, is_missing};
use self::{lease::Renewed, requests::Requests};
use crate::{
    error::{self, Error, Result},
    lake::Settings,
    lease::{BUILD_LEASE, Held, Holder},
    place::Place,
    spec::Layer,
    storage::{LEASES, LOG, MARKER, Storage},
};

/// Renewals would be all that a process does.
const SHORTEST_EXPIRY: Duration = Duration::from_secs(1);
/// Requests for the logs of tables that are under way at once.
const ASKED_AT_ONCE: usize = 16;

/// A prefix in a bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    place: Place,
    objects: Requests,
    /// For leases: gives up sooner, so that a lease that can't be renewed is known to be lost in time.
    prompt: Requests,
    lease_expiry: Duration,
    /// The lease of builds, as long as it is had.
    build_lease: Mutex<Weak<Renewed>>,
}

impl Bucket {
    /// # Errors
    /// [`Error::BadPlace`] for settings that can't be.
    pub(crate) fn new(place: &Place, settings: &Settings) -> Result<Self> {
        know_scheme();
        if settings.lease_expiry < SHORTEST_EXPIRY {
            let problem = format!("lake.lease_expiry is {:?}, and must be 1s or longer", settings.lease_expiry);
            return Err(Error::BadPlace { given: place.to_string(), problem });
        }
        let objects = client::connect(place, settings, settings.store_timeout, None)?;
        let renewal = settings.lease_expiry / 3;
        let prompt = client::connect(place, settings, settings.store_timeout.min(renewal), Some(renewal))?;
        let lease_expiry = settings.lease_expiry;
        Ok(Self { place: place.clone(), objects, prompt, lease_expiry, build_lease: Mutex::default() })
    }

    fn key(&self, below: &str) -> Key {
        self.place.join(below).key()
    }

    fn failed(&self, operation: &'static str, below: &str) -> impl Fn(StoreError) -> Error + use<> {
        let place = self.place.join(below);
        move |source| error::of_store(operation, &place, &source)
    }

    /// The first of what is below a prefix.
    async fn first_below(&self, prefix: &Key) -> Result<Option<Key>, StoreError> {
        let mut listed = self.objects.list(Some(prefix));
        Ok(listed.try_next().await?.map(|meta| meta.location))
    }
}

#[async_trait]
impl Storage for Bucket {
    fn place(&self) -> &Place {
        &self.place
    }

    fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.objects.clone())
    }

    fn marker(&self) -> Result<Option<String>> {
        let (objects, key) = (self.objects.clone(), self.key(MARKER));
        let found = requests::wait(async move {
            match objects.get(&key).await {
                Ok(found) => found.bytes().await.map(Some),
                Err(StoreError::NotFound { .. }) => Ok(None),
                Err(e) => Err(e),
            }
        })?;
        let found = found.map_err(self.failed("open", ""))?;
        Ok(found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn foreign(&self) -> Result<Option<String>> {
        let (objects, root) = (self.objects.clone(), self.place.key());
        let listed = requests::wait(async move { objects.list_with_delimiter(Some(&root)).await })?;
        let listed = listed.map_err(self.failed("list", ""))?;
        let objects = listed.objects.into_iter().map(|meta| meta.location);
        let keys = listed.common_prefixes.into_iter().chain(objects);
        let mut names = keys.filter_map(|key| key.filename().map(str::to_owned));
        // Another process may be about to make the lake, or was killed at it.
        Ok(names.find(|name| !name.starts_with(claim::PROBE)))
    }

    fn claim(&self, marker: &str) -> Result<()> {
        let probe = self.key(&format!("{}{}", claim::PROBE, uuid::Uuid::new_v4()));
        let content = PutPayload::from(marker.to_owned());
        let marked = claim::mark(self.objects.clone(), self.key(MARKER), probe, content);
        let broken = requests::wait(marked)?.map_err(self.failed("create", MARKER))?;
        broken.map_or(Ok(()), |condition| {
            let problem = format!(
                "this store does not keep the condition {condition} of a PUT, so that writers could overwrite each other's \
                 commits; use a store with conditional writes"
            );
            Err(Error::BadPlace { given: self.place.to_string(), problem })
        })
    }

    async fn has_log(&self, table: &Place) -> Result<bool> {
        let found = self.first_below(&table.join(LOG).key()).await;
        found.map(|first| first.is_some()).map_err(|e| error::of_store("open", table, &e))
    }

    async fn tables(&self, layer: Layer) -> Result<Vec<String>> {
        let listed = self.objects.list_with_delimiter(Some(&self.key(layer.as_str()))).await;
        let listed = listed.map_err(self.failed("list", layer.as_str()))?;
        let names = listed.common_prefixes.iter().filter_map(|key| key.filename().map(str::to_owned));
        let names: BTreeSet<String> = names.collect();
        let with_log = stream::iter(names).map(|name| async move {
            let table = self.place.join(layer.as_str()).join(&name);
            Ok::<_, Error>(self.has_log(&table).await?.then_some(name))
        });
        with_log.buffered(ASKED_AT_ONCE).try_filter_map(|name| async { Ok(name) }).try_collect().await
    }

    async fn prepare(&self, _table: &Place) -> Result<()> {
        Ok(())
    }

    async fn secure(&self, _files: Vec<Place>) -> Result<()> {
        Ok(())
    }

    async fn secure_log(&self, _table: &Place) -> Result<()> {
        Ok(())
    }

    async fn sweep(&self, _table: &Place) -> Result<()> {
        Ok(())
    }

    async fn lease(&self, holder: &Holder) -> Result<Box<dyn Held>> {
        let key = self.place.join(LEASES).join(&format!("{}.json", holder.lease));
        let taken = lease::take(&self.prompt, &key, holder, self.lease_expiry).await?;
        if holder.lease == BUILD_LEASE {
            *self.build_lease.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(taken.renewed());
        }
        Ok(Box::new(taken))
    }

    async fn lease_holder(&self, name: &str) -> Result<Option<Holder>> {
        let key = self.place.join(LEASES).join(&format!("{name}.json"));
        lease::holder(&self.prompt, &key).await
    }

    async fn check_build_lease(&self, surely: bool) -> Result<()> {
        let lease = self.build_lease.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        match lease {
            Some(lease) => lease.check(surely).await,
            None => Ok(()),
        }
    }
}

/// Logs of tables in a bucket, as the table library keeps them elsewhere: an entry is created, or is there already.
#[derive(Debug)]
struct Logs;

impl LogStoreFactory for Logs {
    fn with_options(
        &self,
        prefixed: ObjectStoreRef,
        root: ObjectStoreRef,
        location: &Url,
        options: &StorageConfig,
    ) -> DeltaResult<Arc<dyn LogStore>> {
        Ok(default_logstore(prefixed, root, location, options))
    }
}

/// Tells the table library that there are tables at `s3://`; it has no client for them of its own.
fn know_scheme() {
    static KNOWN: Once = Once::new();
    KNOWN.call_once(|| {
        if let Ok(scheme) = Url::parse("s3://") {
            logstore_factories().insert(scheme, Arc::new(Logs));
        }
    });
}
