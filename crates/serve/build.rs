//! The page is part of the binary: a change in its folder, a new file too, makes this crate stale.

fn main() {
    println!("cargo:rerun-if-changed=page");
}
