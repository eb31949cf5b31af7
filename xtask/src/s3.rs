//! What needs an S3-compatible server: starts one in a folder of its own, holds the lake to the same suite as in a folder, and
//! goes the whole way in a bucket, with the topics on a Kafka as well.

use std::process::Command;

use anyhow::{Context, Result};

use crate::kafka::Broker;
use crate::server::Server;
use crate::tools::{cargo, step};

/// The bucket that is made for the tests.
const BUCKET: &str = "lake";

/// Tells a test how to reach a store, as clients are told.
fn tell(store: &Server, test: &mut Command) -> Result<()> {
    let said = store.ask("env").output().context("can't start s3/server.sh")?;
    let said = String::from_utf8(said.stdout).context("s3/server.sh env")?;
    let pairs = said.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    test.envs(pairs).env("STREAMREEL_TEST_S3", BUCKET).env("STREAMREEL_TEST_S3_DIR", &store.folder);
    Ok(())
}

/// Runs all of it.
pub fn run() -> Result<()> {
    let store = Server::start("s3/server.sh", 30_000, &[BUCKET])?;
    let broker = Broker::start()?;
    // Two packages have a test of this name.
    let mut test = cargo("test", &["--release", "--test", "s3", "--", "--nocapture"]);
    tell(&store, &mut test)?;
    test.env("STREAMREEL_TEST_KAFKA", broker.address());
    step("the lake, and the whole way, in a bucket", &mut test)
}
