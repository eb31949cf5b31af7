//! What needs a real Kafka: starts one in a folder of its own, holds the log to the same suite as the embedded one, and goes the
//! whole way on it.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::tools::{cargo, command, root, step};

/// A broker that ends with this value.
pub struct Broker {
    folder: PathBuf,
    port: u16,
}

impl Broker {
    /// An empty one; one at a time.
    pub fn start() -> Result<Self> {
        let folder = env::temp_dir().join(format!("streamreel-kafka-{}", std::process::id()));
        let broker = Self { folder, port: two_free_ports()? };
        let (folder, port) = (broker.folder.to_string_lossy().into_owned(), broker.port.to_string());
        step("start Kafka", &mut command(script(), &["start", &folder, &port]))?;
        Ok(broker)
    }

    /// Where clients reach it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where it is, as `--log` takes it.
    pub fn url(&self) -> String {
        format!("kafka://{}", self.address())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let folder = self.folder.to_string_lossy().into_owned();
        // Its data goes anyhow: it need not end well.
        if let Err(error) = step("end Kafka", &mut command(script(), &["kill", &folder])) {
            eprintln!("{error:#}");
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("can't remove {folder}: {error}");
        }
    }
}

fn script() -> PathBuf {
    root().join("kafka/broker.sh")
}

/// A port for clients with a free one after it, for the controller; below those that the system gives to clients, so that it is
/// still free when the broker is started again.
fn two_free_ports() -> Result<u16> {
    let first = 31_000 + (std::process::id() % 400) as u16 * 2;
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut ports = (first..32_600).step_by(2);
    ports.find(|port| is_free(*port) && is_free(port + 1)).context("no two free ports beside one another")
}

/// Runs all of it.
pub fn run() -> Result<()> {
    let broker = Broker::start()?;
    // Two packages have a test of this name.
    let mut test = cargo("test", &["--release", "--test", "kafka", "--", "--nocapture"]);
    test.env("STREAMREEL_TEST_KAFKA", broker.address()).env("STREAMREEL_TEST_KAFKA_DIR", &broker.folder);
    step("the log, and the whole way, on Kafka", &mut test)?;
    let own = [("group", "a group of processors on Kafka"), ("login", "TLS and a login on Kafka")];
    for (name, what) in own {
        step(what, &mut cargo("test", &["--release", "--test", name, "--", "--nocapture"]))?;
    }
    Ok(())
}
