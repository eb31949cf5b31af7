//! The program's allocator, and for how long it keeps what was freed.

use std::os::raw::{c_int, c_long};

use libmimalloc_sys::mi_option_set_default;

/// Batches are made and dropped by several threads: the system's allocator spends a seventh of a build on that, and keeps
/// more memory than is in use.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's version 2; its Rust interface has no name for it.
const PURGE_DELAY: c_int = 15;
/// Long enough for the memory of a batch to be that of the next.
const KEPT_MS: c_long = 50;

/// Freed memory goes back to the system after 50 ms instead of 10, unless `MIMALLOC_PURGE_DELAY` says otherwise. Pages stay
/// small where the system would make them huge unasked: of each piece that comes back two megabytes would be cleared.
pub(crate) fn set_up() {
    // A kernel without huge pages has none to turn off.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    #[allow(unsafe_code, reason = "an option of the allocator has no safe interface")]
    // SAFETY: sets a number, from any thread and at any time.
    unsafe {
        mi_option_set_default(PURGE_DELAY, KEPT_MS);
    }
}

#[cfg(test)]
mod tests {
    use libmimalloc_sys::mi_option_get;

    use super::*;

    /// Another version of the allocator may number its options otherwise.
    #[test]
    #[allow(unsafe_code, reason = "an option of the allocator has no safe interface")]
    fn the_delay_is_set_and_huge_pages_are_off() {
        // SAFETY: reads a number.
        let get = || unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(get(), 10, "mimalloc's own delay in ms");
        set_up();
        assert_eq!(get(), KEPT_MS);
        #[cfg(target_os = "linux")]
        assert!(rustix::thread::transparent_huge_pages_are_disabled().unwrap());
    }
}
