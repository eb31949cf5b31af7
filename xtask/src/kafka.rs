//! What needs a real Kafka: starts one in a folder of its own, holds the log to the same suite as the embedded one, and goes the
//! whole way on it.

use anyhow::Result;

use crate::server::Server;
use crate::tools::{cargo, step};

/// A broker that ends with this value.
pub struct Broker(Server);

impl Broker {
    /// An empty one; one at a time. The port after its own is the controller's.
    pub fn start() -> Result<Self> {
        Server::start("kafka/broker.sh", 31_000, &[]).map(Self)
    }

    /// Where clients reach it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.0.port)
    }

    /// Where it is, as `--log` takes it.
    pub fn url(&self) -> String {
        format!("kafka://{}", self.address())
    }
}

/// Runs all of it.
pub fn run() -> Result<()> {
    let broker = Broker::start()?;
    // Two packages have a test of this name.
    let mut test = cargo("test", &["--release", "--test", "kafka", "--", "--nocapture"]);
    test.env("STREAMREEL_TEST_KAFKA", broker.address()).env("STREAMREEL_TEST_KAFKA_DIR", &broker.0.folder);
    step("the log, and the whole way, on Kafka", &mut test)?;
    let own = [("group", "a group of processors on Kafka"), ("login", "TLS and a login on Kafka")];
    for (name, what) in own {
        step(what, &mut cargo("test", &["--release", "--test", name, "--", "--nocapture"]))?;
    }
    Ok(())
}
