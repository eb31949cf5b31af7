//! What a folder and a bucket do differently. Everything else is above, and does not know which of the two it has.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use object_store::ObjectStore;

use crate::{
    bucket::Bucket,
    error::Result,
    folder::Folder,
    lake::Settings,
    lease::{Held, Holder},
    place::Place,
    spec::Layer,
};

/// File at the root of a lake that says whose it is.
pub(crate) const MARKER: &str = "_streamreel.json";
/// What the leases are below.
pub(crate) const LEASES: &str = "_leases";
/// What a table's log is below.
pub(crate) const LOG: &str = "_delta_log";

/// The ground that a lake stands on.
#[async_trait]
pub(crate) trait Storage: fmt::Debug + Send + Sync {
    /// The lake's root.
    fn place(&self) -> &Place;

    /// The objects as the table library sees them; paths are from the root of the file system or of the bucket.
    fn objects(&self) -> Arc<dyn ObjectStore>;

    /// Text of the marker; `None` when there is none. Blocks.
    fn marker(&self) -> Result<Option<String>>;

    /// Name of something else that is here, where there is no marker. Blocks.
    fn foreign(&self) -> Result<Option<String>>;

    /// Writes the marker, whole or not at all; what it stands in is made. Blocks.
    fn claim(&self, marker: &str) -> Result<()>;

    /// Whether a table has a log.
    async fn has_log(&self, table: &Place) -> Result<bool>;

    /// Names of what has a log in a layer, in order.
    async fn tables(&self, layer: Layer) -> Result<Vec<String>>;

    /// Makes what a table's first commit needs to be there.
    async fn prepare(&self, table: &Place) -> Result<()>;

    /// Returns when files survive a power cut. A commit names them then.
    async fn secure(&self, files: Vec<Place>) -> Result<()>;

    /// Returns when the checkpoints of a table survive a power cut; throws away what crashed writers of its log left.
    async fn secure_log(&self, table: &Place) -> Result<()>;

    /// Throws away what killed writers of data files left unfinished, and what is left where the last file went.
    async fn sweep(&self, table: &Place) -> Result<()>;

    /// Takes a lease.
    ///
    /// # Errors
    /// [`crate::Error::LeaseHeld`].
    async fn lease(&self, holder: &Holder) -> Result<Box<dyn Held>>;

    /// Who has a lease.
    async fn lease_holder(&self, name: &str) -> Result<Option<Holder>>;

    /// Checks that the lease of builds, if it was taken through this value, is still had; with `surely`, at this moment.
    ///
    /// # Errors
    /// [`crate::Error::LeaseLost`].
    async fn check_build_lease(&self, surely: bool) -> Result<()>;
}

/// The storage of a place; touches nothing.
pub(crate) fn open(place: &Place, settings: &Settings) -> Result<Arc<dyn Storage>> {
    match place {
        Place::Folder(path) => Ok(Arc::new(Folder::new(path, settings.durable))),
        Place::Bucket { .. } => Ok(Arc::new(Bucket::new(place, settings)?)),
    }
}
