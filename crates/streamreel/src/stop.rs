//! Ctrl-C and SIGTERM: the first asks to stop cleanly, the second ends the program at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use crate::failure::{INTERRUPTED_STATUS, Outcome};

const POLL: Duration = Duration::from_millis(50);

/// Signals are the whole program's.
static WANTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// The flag that every [`Stop`] looks at, for what is made before one is or without.
pub fn flag() -> &'static Arc<AtomicBool> {
    &WANTED
}

/// Whether the user wants the program to stop.
#[derive(Debug, Clone)]
pub struct Stop(());

impl Stop {
    /// Listens from now on.
    ///
    /// # Errors
    /// If the system does not let us listen.
    pub fn listen() -> Outcome<Self> {
        ctrlc::set_handler(|| {
            if WANTED.swap(true, Ordering::SeqCst) {
                std::process::exit(i32::from(INTERRUPTED_STATUS));
            }
            eprintln!("\nstopping: finishing what is open (again to stop at once)");
        })?;
        Ok(Self(()))
    }

    /// Whether it was asked for.
    pub fn wanted(&self) -> bool {
        WANTED.load(Ordering::SeqCst)
    }

    /// Asks for it, as Ctrl-C does: for a part of the program that another part's failure ends.
    pub fn ask(&self) {
        WANTED.store(true, Ordering::SeqCst);
    }

    /// The flag itself, for work that polls one.
    pub fn flag(&self) -> &'static Arc<AtomicBool> {
        flag()
    }

    /// Sleeps, but no longer than until a stop is wanted; false if it is.
    pub fn sleep(&self, duration: Duration) -> bool {
        let until = Instant::now() + duration;
        while !self.wanted() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(POLL));
        }
        false
    }
}
