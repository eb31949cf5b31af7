//! Leases: one process at a time.
//!
//! In a folder the system frees a lease when its holder ends, however it ends. In a bucket a holder shows that it is
//! alive by renewing it, and one that has stopped doing so is taken over from.

use std::{fmt, path::Path, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    error::{Error, Result},
    lake::Lake,
};

/// Name of the lease of builds, and of upkeep that a build must not meet. Who has lost it commits and publishes nothing of a
/// build.
pub const BUILD_LEASE: &str = "build";
/// How often a waiting process asks again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Who has a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Name of the lease.
    pub lease: String,
    /// Process.
    pub pid: u32,
    /// Host.
    pub host: String,
    /// Its command line.
    pub command: String,
    /// Since when, RFC 3339 in UTC.
    pub since: String,
}

impl Holder {
    /// One that has not said who it is.
    pub(crate) fn unknown(lease: &str) -> Self {
        let unknown = || "?".to_owned();
        Self { lease: lease.to_owned(), pid: 0, host: unknown(), command: unknown(), since: unknown() }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lease, pid, host, command, since } = self;
        write!(f, "process {pid} on {host} has the {lease} lease since {since} ({command})")
    }
}

/// What a storage keeps of a lease that is had; dropping it gives the lease back.
pub(crate) trait Held: fmt::Debug + Send + Sync {}

/// A lease that this process has, until it is dropped.
#[derive(Debug)]
pub struct Lease {
    holder: Holder,
    _held: Box<dyn Held>,
}

impl Lease {
    /// Who has it.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }
}

impl Lake {
    /// Takes the lease of a name. In a bucket that takes up to [`crate::Settings::lease_expiry`] when another has it or had
    /// it when it was killed.
    ///
    /// # Errors
    /// [`Error::LeaseHeld`] with its holder when another process, or another value in this one, has it.
    pub async fn lease(&self, name: &str) -> Result<Lease> {
        let holder = this_process(name);
        let held = self.inner.storage.lease(&holder).await?;
        Ok(Lease { holder, _held: held })
    }

    /// Takes the lease of a name, waiting up to `patience` for it.
    ///
    /// # Errors
    /// As [`Lake::lease`], after the wait.
    pub async fn lease_within(&self, name: &str, patience: Duration) -> Result<Lease> {
        let began = Instant::now();
        loop {
            match self.lease(name).await {
                Err(Error::LeaseHeld { .. }) if began.elapsed() < patience => tokio::time::sleep(ASK_AGAIN).await,
                other => return other,
            }
        }
    }

    /// Checks that the lease of builds, which was taken through this value, is still had; a bucket is asked.
    ///
    /// # Errors
    /// [`Error::LeaseLost`]; what the store says when it can't be asked.
    pub async fn check_build_lease(&self) -> Result<()> {
        self.inner.storage.check_build_lease(true).await
    }

    /// Who has the lease of a name now. In a bucket one that was killed is named until another takes it.
    pub async fn lease_holder(&self, name: &str) -> Result<Option<Holder>> {
        self.inner.storage.lease_holder(name).await
    }
}

#[expect(clippy::disallowed_methods, reason = "a person reads it; nothing is decided by it")]
fn this_process(name: &str) -> Holder {
    let host = std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).ok();
    let host = host.or_else(|| std::env::var("HOSTNAME").ok());
    let arguments: Vec<String> = std::env::args_os().map(|a| without_value(&a.to_string_lossy())).collect();
    Holder {
        lease: name.to_owned(),
        pid: std::process::id(),
        host: host.map_or_else(|| "localhost".to_owned(), |h| h.trim().to_owned()),
        command: arguments.join(" "),
        since: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    }
}

/// An argument `key=value` without the value, which may be a password that others must not read here.
fn without_value(argument: &str) -> String {
    argument.split_once('=').map_or_else(|| argument.to_owned(), |(key, _)| format!("{key}=..."))
}
