//! Writes the two logs of the repository's `examples/` folder: `cargo run --release -p streamreel-simulate --example
//! sample_logs -- examples`.

use std::path::Path;
use std::{env, fs, io};

use streamreel_simulate::{Batch, Catalogue, Error, Settings, Simulator};

#[path = "../tests/samples/mod.rs"]
mod samples;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = env::args().nth(1).ok_or_else(|| io::Error::other("name the folder to write into"))?;
    for (name, settings) in samples::logs() {
        fs::write(Path::new(&folder).join(name), text(&settings)?)?;
    }
    Ok(())
}

fn text(settings: &Settings) -> Result<Vec<u8>, Error> {
    let mut simulator = Simulator::new(settings, &Catalogue::sample()?)?;
    let mut batch = Batch::with_capacity(1_000);
    let mut text = Vec::new();
    while simulator.next_batch(&mut batch) {
        for record in 0..batch.len() {
            text.extend_from_slice(batch.payload(record));
            text.push(b'\n');
        }
    }
    Ok(text)
}
