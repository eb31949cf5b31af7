//! What people look at, in this process: the server, from the settings of a home to the moment of Ctrl-C.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use streamreel_process::names;
use streamreel_serve::{Names, ServeError, Server, Settings, Sources, collector};
use streamreel_topic::{EmbeddedLog, Log};
use tokio::runtime::Runtime;

use crate::clock;
use crate::failure::{Failure, Outcome};
use crate::home::{Home, runtime};
use crate::stop::Stop;

/// How things in the log are called.
pub const NAMES: Names = Names {
    topics: streamreel_audit::Names {
        received: names::VIDEO_EVENTS,
        clean: names::CLEAN_EVENTS,
        dead_letters: names::DEAD_LETTERS,
        group: names::GROUP,
    },
    cut_header: names::CUT,
    reason_header: names::REASON,
    duplicate_reason: names::DUPLICATE,
};
/// How often is looked whether to stop.
const POLL: Duration = Duration::from_millis(50);

/// Servers that have their addresses.
pub struct Surfaces {
    runtime: Runtime,
    http: Server,
    urls: Urls,
}

/// Where things are.
#[derive(Debug, Serialize)]
pub struct Urls {
    /// The page; everything else over HTTP is below it.
    page: String,
    /// Where events are sent to, if they are taken.
    events: Option<String>,
}

impl Surfaces {
    /// Takes the addresses. `log` is that of the home, if it has one; with `collects` events are taken into it.
    ///
    /// # Errors
    /// Without a lake; when an address is in use or can't be had.
    pub fn open(home: &Home, log: Option<EmbeddedLog>, collects: bool) -> Outcome<Self> {
        let runtime = runtime()?;
        let settings = settings(home, collects);
        let log = log.map(|log| Arc::new(log) as Arc<dyn Log>);
        let sources = Sources { lake: home.lake_to_read()?, log, names: NAMES, facts: None };
        let http = runtime.block_on(Server::bind(sources, settings)).map_err(failure)?;
        let page = format!("http://{}", http.addr());
        let urls = Urls { events: collects.then(|| format!("{page}/v1/events")), page };
        Ok(Self { runtime, http, urls })
    }

    /// Whether the addresses are free, before work that would be for nothing.
    ///
    /// # Errors
    /// As [`Surfaces::open`].
    pub fn check(home: &Home) -> Outcome {
        runtime()?.block_on(Server::check(&settings(home, false))).map_err(failure)
    }

    /// Where things are.
    pub fn urls(&self) -> &Urls {
        &self.urls
    }

    /// Serves until a stop is wanted.
    pub fn run(self, stop: &Stop) {
        let stopped = stop.clone();
        let wanted = async move {
            while !stopped.wanted() {
                tokio::time::sleep(POLL).await;
            }
        };
        self.runtime.block_on(self.http.run(wanted));
        // What a broken-off request still does is not waited for.
        self.runtime.shutdown_background();
    }
}

fn settings(home: &Home, collects: bool) -> Settings {
    let own = &home.settings.serve;
    Settings {
        allow_remote: own.allow_remote,
        max_connections: own.max_connections,
        collector: collects.then(|| home.collector_settings()),
        ..Settings::new(own.http, clock::now_us)
    }
}

impl Urls {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("  page and API    {}\n", self.page);
        if let Some(events) = &self.events {
            text.push_str(&format!("  send events to  {events}\n"));
        }
        text
    }
}

/// What the user can mend is a wrong use.
fn failure(error: ServeError) -> Failure {
    match error {
        ServeError::Remote { .. } | ServeError::Collector(collector::StartError::Config(_)) => Failure::usage(error),
        other => other.into(),
    }
}
