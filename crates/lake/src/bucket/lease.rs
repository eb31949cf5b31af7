//! Leases as objects that their holders renew.
//!
//! Whoever wants a lease that another has watches its object: a change shows that the holder is alive, none for as long
//! as the holder has said shows that it is not, and then the object is replaced. No clocks of different machines are
//! compared. Every write is conditional on what was read, so one wins. A holder that could not renew in time must not
//! rely on its lease; [`Renewed::check`] is asked before it commits what only it may.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion, path::Path as Key,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::requests::{self, Requests};
use crate::{
    error::{self, Error, Result},
    lease::{Held, Holder},
    place::Place,
};

/// A holder renews so often within the time after which it counts as gone.
const RENEWALS: u32 = 3;
/// Whoever watches a lease looks so often within that time.
const LOOKS: u32 = 10;
/// How long a process that ends waits for the lease to be given back.
const GIVING_BACK: Duration = Duration::from_secs(5);

/// What is in a lease's object; without a holder it is free.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    holder: Option<Holder>,
    /// Of the one who took it, different each time.
    token: String,
    /// How often it was renewed.
    renewal: u64,
    /// The holder is gone when nothing has changed for so long.
    expiry_ms: u64,
}

/// A lease that is renewed until it is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    renewed: Arc<Renewed>,
    ended: Arc<Notify>,
}

impl Held for Taken {}

impl Taken {
    pub(super) fn renewed(&self) -> &Arc<Renewed> {
        &self.renewed
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.ended.notify_one();
        let renewed = Arc::clone(&self.renewed);
        let given_back = async move { tokio::time::timeout(GIVING_BACK, renewed.give_back()).await };
        // If it can't be given back, it expires.
        let _ = requests::wait(given_back);
    }
}

/// What is known of a lease that this process took.
#[derive(Debug)]
pub(super) struct Renewed {
    object: Object,
    /// The entry as it was written last, and its version.
    entry: AsyncMutex<(Entry, UpdateVersion)>,
    expiry: Duration,
    /// When the last successful renewal began.
    known_at: Mutex<Instant>,
    is_lost: AtomicBool,
}

impl Renewed {
    /// Whether the lease is still had: as far as is known, or `surely`.
    ///
    /// # Errors
    /// [`Error::LeaseLost`]; what the store says when it can't be asked.
    pub(super) async fn check(&self, surely: bool) -> Result<()> {
        let known_at = *self.known_at.lock().unwrap_or_else(PoisonError::into_inner);
        if surely || known_at.elapsed() > self.expiry {
            self.renew().await?;
        }
        if self.is_lost.load(Ordering::Acquire) { Err(self.lost().await) } else { Ok(()) }
    }

    async fn lost(&self) -> Error {
        let holder = self.entry.lock().await.0.holder.clone();
        Error::LeaseLost { lease: holder.map_or_else(String::new, |holder| holder.lease) }
    }

    async fn renew(&self) -> Result<()> {
        let mut entry = self.entry.lock().await;
        if self.is_lost.load(Ordering::Acquire) {
            return Ok(());
        }
        let began = Instant::now();
        let mut next = entry.0.clone();
        next.renewal += 1;
        match self.object.replace(&next, entry.1.clone()).await? {
            Some(version) => *entry = (next, version),
            // The answer to an earlier renewal may have been lost; else another has it.
            None => match self.object.read().await? {
                Some((found, version)) if found.token == next.token && found.holder.is_some() => {
                    *entry = (found, version)
                }
                _ => {
                    self.is_lost.store(true, Ordering::Release);
                    return Ok(());
                }
            },
        }
        *self.known_at.lock().unwrap_or_else(PoisonError::into_inner) = began;
        Ok(())
    }

    async fn give_back(&self) {
        let entry = self.entry.lock().await;
        let free = Entry { holder: None, ..entry.0.clone() };
        let _ = self.object.replace(&free, entry.1.clone()).await;
    }

    async fn go_on(&self, ended: &Notify) {
        while !self.is_lost.load(Ordering::Acquire) {
            if tokio::time::timeout(self.expiry / RENEWALS, ended.notified()).await.is_ok() {
                return;
            }
            // A store that does not answer now may do so the next time; meanwhile the lease runs out.
            let _ = self.renew().await;
        }
    }
}

/// Takes a lease, or says who has it. Watches for as long as that takes, `expiry` of the other's at most.
pub(super) async fn take(store: &Requests, place: &Place, holder: &Holder, expiry: Duration) -> Result<Taken> {
    let object = Object { store: store.clone(), place: place.clone() };
    let entry = Entry {
        holder: Some(holder.clone()),
        token: uuid::Uuid::new_v4().to_string(),
        renewal: 0,
        expiry_ms: u64::try_from(expiry.as_millis()).unwrap_or(u64::MAX),
    };
    let mut watched: Option<(UpdateVersion, Instant)> = None;
    loop {
        let began = Instant::now();
        let taken = match object.read().await? {
            None => object.create(&entry).await?,
            Some((Entry { holder: None, .. }, version)) => object.replace(&entry, version).await?,
            // Of an earlier look, whose answer was lost.
            Some((found, version)) if found.token == entry.token => Some(version),
            Some((found, version)) => {
                let its_expiry = Duration::from_millis(found.expiry_ms);
                match &watched {
                    Some((seen, _)) if seen.e_tag != version.e_tag => {
                        let who = found.holder.unwrap_or_else(|| Holder::unknown(&holder.lease));
                        return Err(Error::LeaseHeld { who: Box::new(who) });
                    }
                    Some((_, since)) if since.elapsed() > its_expiry => object.replace(&entry, version).await?,
                    _ => {
                        watched.get_or_insert((version, Instant::now()));
                        tokio::time::sleep(its_expiry / LOOKS).await;
                        continue;
                    }
                }
            }
        };
        // Lost against another who wants it: look again.
        if let Some(version) = taken {
            return keep(object, entry, version, expiry, began);
        }
    }
}

fn keep(object: Object, entry: Entry, version: UpdateVersion, expiry: Duration, began: Instant) -> Result<Taken> {
    let renewed = Arc::new(Renewed {
        object,
        entry: AsyncMutex::new((entry, version)),
        expiry,
        known_at: Mutex::new(began),
        is_lost: AtomicBool::new(false),
    });
    let ended = Arc::new(Notify::new());
    let (going_on, end) = (Arc::clone(&renewed), Arc::clone(&ended));
    requests::start(async move { going_on.go_on(&end).await })?;
    Ok(Taken { renewed, ended })
}

/// Who has a lease, as far as its object says.
pub(super) async fn holder(store: &Requests, place: &Place) -> Result<Option<Holder>> {
    let object = Object { store: store.clone(), place: place.clone() };
    Ok(object.read().await?.and_then(|(entry, _)| entry.holder))
}

/// The object of a lease.
#[derive(Debug)]
struct Object {
    store: Requests,
    place: Place,
}

impl Object {
    fn key(&self) -> Key {
        self.place.key()
    }

    async fn read(&self) -> Result<Option<(Entry, UpdateVersion)>> {
        let failed = |e: StoreError| error::of_store("read", &self.place, &e);
        let found = match self.store.get(&self.key()).await {
            Ok(found) => found,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(failed(e)),
        };
        let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: None };
        let bytes = found.bytes().await.map_err(failed)?;
        let entry = serde_json::from_slice(&bytes)
            .map_err(|e| Error::NotALake { path: self.place.clone(), found: format!("this is no lease: {e}") })?;
        Ok(Some((entry, version)))
    }

    async fn create(&self, entry: &Entry) -> Result<Option<UpdateVersion>> {
        self.put(entry, PutMode::Create).await
    }

    async fn replace(&self, entry: &Entry, version: UpdateVersion) -> Result<Option<UpdateVersion>> {
        self.put(entry, PutMode::Update(version)).await
    }

    /// `None` when somebody else was first.
    async fn put(&self, entry: &Entry, mode: PutMode) -> Result<Option<UpdateVersion>> {
        let payload = PutPayload::from(serde_json::to_vec(entry).unwrap_or_default());
        match self.store.put_opts(&self.key(), payload, mode.into()).await {
            Ok(put) => Ok(Some(put.into())),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(None),
            Err(e) => Err(error::of_store("write", &self.place, &e)),
        }
    }
}
