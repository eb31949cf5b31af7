//! What needs an S3-compatible server: starts one in a folder of its own, holds the lake to the same suite as in a folder, and
//! goes the whole way in a bucket, with the topics on a Kafka as well.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::kafka::Broker;
use crate::tools::{cargo, command, root, step};

/// The bucket that is made for the tests.
const BUCKET: &str = "lake";

/// A server that ends with this value.
pub struct Store {
    folder: PathBuf,
    port: u16,
}

impl Store {
    fn start() -> Result<Self> {
        let folder = env::temp_dir().join(format!("streamreel-s3-{}", std::process::id()));
        let store = Self { folder, port: free_port()? };
        let (folder, port) = (store.folder.to_string_lossy().into_owned(), store.port.to_string());
        step("start the store", &mut command(script(), &["start", &folder, &port, BUCKET]))?;
        Ok(store)
    }

    /// Tells a test how to reach it, as clients are told.
    fn tell(&self, test: &mut Command) -> Result<()> {
        let said =
            command(script(), &["env", &self.folder.to_string_lossy()]).output().context("can't start s3/server.sh")?;
        let said = String::from_utf8(said.stdout).context("s3/server.sh env")?;
        let pairs = said.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        test.envs(pairs).env("STREAMREEL_TEST_S3", BUCKET).env("STREAMREEL_TEST_S3_DIR", &self.folder);
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let folder = self.folder.to_string_lossy().into_owned();
        // Its data goes anyhow: it need not end well.
        if let Err(error) = step("end the store", &mut command(script(), &["kill", &folder])) {
            eprintln!("{error:#}");
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("can't remove {folder}: {error}");
        }
    }
}

fn script() -> PathBuf {
    root().join("s3/server.sh")
}

/// A port below those that the system gives to clients, so that it is still free when the server is started again.
fn free_port() -> Result<u16> {
    let first = 30_000 + (std::process::id() % 800) as u16;
    (first..31_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).context("no free port")
}

/// Runs all of it.
pub fn run() -> Result<()> {
    let store = Store::start()?;
    let broker = Broker::start()?;
    // Two packages have a test of this name.
    let mut test = cargo("test", &["--release", "--test", "s3", "--", "--nocapture"]);
    store.tell(&mut test)?;
    test.env("STREAMREEL_TEST_KAFKA", broker.address());
    step("the lake, and the whole way, in a bucket", &mut test)
}
