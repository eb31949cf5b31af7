//! Whether the threads of a run may go on, and why not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use streamreel_topic::Membership;

use crate::error::{Error, Result};

/// What all threads of a run look at.
pub(crate) struct Watch<'a> {
    membership: &'a dyn Membership,
    has_failed: AtomicBool,
    failure: Mutex<Option<Error>>,
    /// Lanes go on to where their partition ends now, and no further.
    is_draining: AtomicBool,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(membership: &'a dyn Membership) -> Self {
        Self {
            membership,
            has_failed: AtomicBool::new(false),
            failure: Mutex::default(),
            is_draining: AtomicBool::new(false),
        }
    }

    /// Whether a thread has failed: then all end, and give up what they have not committed.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// Ends all threads; the first reason counts.
    pub(crate) fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.has_failed.store(true, Ordering::Release);
    }

    /// Why they ended.
    pub(crate) fn into_result(self) -> Result<()> {
        self.failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// The body of a thread: its failure, or its panic, ends the others.
    pub(crate) fn over(&self, body: impl FnOnce() -> Result<()>) {
        struct Bell<'b>(&'b AtomicBool);
        impl Drop for Bell<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.store(true, Ordering::Release);
                }
            }
        }
        let _bell = Bell(&self.has_failed);
        if let Err(error) = body() {
            self.fail(error);
        }
    }

    /// Whether this process has its partitions still.
    ///
    /// # Errors
    /// [`Error::Fenced`] when it was silent for so long that others may have them.
    pub(crate) fn check_membership(&self) -> Result<()> {
        if self.membership.is_current() {
            return Ok(());
        }
        let detail = "the group has not heard of this one for longer than a session".to_owned();
        Err(Error::Fenced { detail })
    }

    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }
}
