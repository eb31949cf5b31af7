//! What people and programs look at, in this process: the server and the SQL endpoint, from the settings of a home to the
//! moment of Ctrl-C.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use streamreel_process::names;
use streamreel_serve::{Names, ServeError, Server, Settings, Sources, collector};
use streamreel_sql as sql;
use streamreel_topic::Log;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

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
        landed_from: names::LANDED_FROM,
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
    sql: Option<sql::Server>,
    urls: Urls,
}

/// Where things are.
#[derive(Debug, Serialize)]
pub struct Urls {
    /// The page; everything else over HTTP is below it.
    page: String,
    /// Where events are sent to, if they are taken.
    events: Option<String>,
    /// Where PostgreSQL's clients connect to.
    sql: Option<String>,
}

impl Surfaces {
    /// Takes the addresses. `log` is that of the home, if it has one; with `collects` events are taken into it.
    ///
    /// # Errors
    /// Without a lake; when an address is in use or can't be had.
    pub fn open(home: &Home, log: Option<Arc<dyn Log>>, collects: bool) -> Outcome<Self> {
        let runtime = runtime()?;
        let settings = settings(home, collects);
        let lake = home.lake_to_read()?;
        let sources = Sources { lake: lake.clone(), log, names: NAMES };
        let http = runtime.block_on(Server::bind(sources, settings)).map_err(failure)?;
        let page = format!("http://{}", http.addr());
        let sql = match home.settings.sql.enabled {
            true => Some(runtime.block_on(sql::Server::bind(lake, sql_settings(home)?)).map_err(sql_failure)?),
            false => None,
        };
        let urls = Urls {
            events: collects.then(|| format!("{page}/v1/events")),
            page,
            sql: sql.as_ref().map(|sql| sql_url(home, &sql.local_addr())),
        };
        Ok(Self { runtime, http, sql, urls })
    }

    /// Whether the addresses are free, before work that would be for nothing.
    ///
    /// # Errors
    /// As [`Surfaces::open`].
    pub fn check(home: &Home) -> Outcome {
        runtime()?.block_on(async {
            Server::check(&settings(home, false)).await.map_err(failure)?;
            match home.settings.sql.enabled {
                true => sql::Server::check(&sql_settings(home)?).await.map_err(sql_failure),
                false => Ok(()),
            }
        })
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
        let ended = CancellationToken::new();
        let both = async {
            let asked = async {
                wanted.await;
                ended.cancel();
            };
            let sql = async {
                if let Some(sql) = self.sql {
                    sql.run(ended.cancelled()).await;
                }
            };
            tokio::join!(self.http.run(asked), sql);
        };
        self.runtime.block_on(both);
        // What a broken-off request still does is not waited for.
        self.runtime.shutdown_background();
    }
}

fn settings(home: &Home, collects: bool) -> Settings {
    let own = &home.settings.serve;
    Settings {
        allow_remote: own.allow_remote,
        hosts: own.hosts.clone(),
        max_connections: own.max_connections,
        collector: collects.then(|| home.collector_settings()),
        ..Settings::new(own.http, clock::now_us)
    }
}

fn sql_settings(home: &Home) -> Outcome<sql::Settings> {
    let own = &home.settings.sql;
    let bytes = |size: bytesize::ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
    let users = match own.password.is_empty() {
        true => Vec::new(),
        false => vec![sql::User { name: own.user.clone(), password: own.password.clone() }],
    };
    let tls = match (own.tls_cert.as_str(), own.tls_key.as_str()) {
        ("", "") => None,
        (certificate, key) if !certificate.is_empty() && !key.is_empty() => {
            Some(sql::Tls { certificate: certificate.into(), key: key.into() })
        }
        _ => return Err(Failure::usage("sql.tls_cert and sql.tls_key belong together: give both, or neither")),
    };
    Ok(sql::Settings {
        addr: own.addr,
        users,
        tls,
        statement_timeout: Some(own.statement_timeout).filter(|limit| !limit.is_zero()),
        query_memory_bytes: bytes(own.query_memory),
        memory_bytes: bytes(own.memory),
        max_connections: own.max_connections,
        ..sql::Settings::default()
    })
}

/// What psql takes.
fn sql_url(home: &Home, addr: &SocketAddr) -> String {
    format!("psql \"host={} port={} user={}\"", addr.ip(), addr.port(), home.settings.sql.user)
}

impl Urls {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("  page and API    {}\n", self.page);
        if let Some(events) = &self.events {
            text.push_str(&format!("  send events to  {events}\n"));
        }
        if let Some(sql) = &self.sql {
            text.push_str(&format!("  SQL             {sql}\n"));
        }
        text
    }
}

/// What the user can mend is a wrong use.
fn failure(error: ServeError) -> Failure {
    match error {
        ServeError::Remote { .. }
        | ServeError::Host { .. }
        | ServeError::Collector(collector::StartError::Config(_)) => Failure::usage(error),
        other => other.into(),
    }
}

fn sql_failure(error: sql::Error) -> Failure {
    match error {
        sql::Error::Exposed { .. } | sql::Error::User { .. } | sql::Error::Tls { .. } => Failure::usage(error),
        other => other.into(),
    }
}
