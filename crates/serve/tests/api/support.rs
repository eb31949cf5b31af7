//! A lake with everything that can be told apart, the API over it, and SQL to compare with.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use streamreel_enrich as enrich;
use streamreel_lake::{Lake, Reading, Settings as LakeSettings, plan};
use streamreel_model as model;
use streamreel_process::{Processor, Settings as ProcessSettings, Until, names};
use streamreel_serve::{Api, ApiSettings, document_route, page_router, router};
use streamreel_simulate::{Batch, Catalogue, Pace, Settings, Simulator};
use streamreel_topic::{EmbeddedLog, Log, RecordsBuilder, partition_for};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt;

const PARTITIONS: u32 = 4;
/// Records of the shared lake.
const RECORDS: u64 = 30_000;
/// A video whose id has to be encoded.
pub const ODD_VIDEO: &str = "a/b ü?&=%2F";

/// A home: log, lake, metadata.
pub struct Home {
    folder: TempDir,
    pub lake: Lake,
    pub log: Arc<dyn Log>,
}

impl Home {
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let settings = LakeSettings { durable: false, partitions: Some(2), ..LakeSettings::default() };
        let lake = Lake::open_with(folder.path().join("data_lake"), settings).expect("a lake");
        let log = EmbeddedLog::open(folder.path().join("log")).expect("a log");
        log.ensure_topic(names::VIDEO_EVENTS, PARTITIONS).expect("a topic");
        std::fs::create_dir(folder.path().join("metadata")).expect("a folder");
        Self { lake, log: Arc::new(log), folder }
    }

    fn metadata(&self) -> PathBuf {
        self.folder.path().join("metadata")
    }

    pub fn write_metadata(&self, file: &str, text: &str) {
        std::fs::write(self.metadata().join(file), text).expect("it is written");
    }

    /// Appends records: arrival, key, payload.
    pub fn append<'a>(&self, records: impl Iterator<Item = (i64, Option<&'a [u8]>, &'a [u8])>) {
        let mut producer = self.log.producer("test").expect("a producer");
        let mut open: Vec<RecordsBuilder> = (0..PARTITIONS).map(|_| RecordsBuilder::new()).collect();
        for (at_ms, key, payload) in records {
            open[partition_for(key.unwrap_or(payload), PARTITIONS) as usize].push(at_ms, key, payload, &[]);
        }
        for (partition, mut builder) in (0..).zip(open).filter(|(_, builder)| !builder.is_empty()) {
            producer.send(names::VIDEO_EVENTS, partition, builder.finish()).expect("sent");
        }
        producer.commit().expect("committed");
    }

    pub fn simulate(&self, settings: &Settings) {
        let mut simulator = Simulator::new(settings, &Catalogue::sample().expect("titles")).expect("a simulator");
        self.write_metadata("video_metadata.csv", &simulator.titles());
        let mut batch = Batch::with_capacity(5000);
        while simulator.next_batch(&mut batch) {
            self.append((0..batch.len()).map(|i| (batch.arrival_ms(i), batch.key(i), batch.payload(i))));
        }
    }

    pub fn process(&self) {
        let mut processor =
            Processor::open(Arc::clone(&self.log), Some(&self.lake), ProcessSettings::default()).expect("a processor");
        processor.run(Until::End, &AtomicBool::new(false), &|_| {}).expect("it is processed");
    }

    /// Builds silver and gold; gold is published.
    pub async fn build(&self) -> String {
        let request = enrich::Request {
            metadata: self.metadata(),
            views: streamreel_viewing::Settings::default(),
            full_refresh: false,
            spool_bytes: 64 << 20,
            threads: 2,
            clock: || 1_767_571_200_000_000,
            cancel: Arc::default(),
        };
        enrich::build(&self.lake, &request, &|_| {}).await.expect("silver");
        let project = model::Project::embedded().expect("the project");
        let report = model::run(&self.lake, &project, &model::Options::default()).await.expect("gold");
        match &report.outcome {
            model::Outcome::Published { build_id } => build_id.clone(),
            other => panic!("{other:?}: {report}"),
        }
    }

    pub async fn open(&self, settings: ApiSettings) -> Served {
        let names = streamreel_audit::Names {
            received: names::VIDEO_EVENTS,
            clean: names::CLEAN_EVENTS,
            dead_letters: names::DEAD_LETTERS,
            group: names::GROUP,
            landed_from: names::LANDED_FROM,
        };
        let log = Some(Arc::clone(&self.log));
        let api = Api::open(self.lake.clone(), log, names, settings).await.expect("the API");
        let (routes, document) = router(Arc::clone(&api));
        let router = routes.merge(document_route(document)).merge(page_router());
        Served { api, router }
    }

    /// Rows of a query over the published build.
    pub async fn sql(&self, sql: &str) -> Vec<Value> {
        let session = self.lake.session(&Reading::Published).await.expect("a session");
        let batches = plan::sql(&session, sql).await.expect(sql).collect().await.expect(sql);
        let mut writer = arrow_json::WriterBuilder::new()
            .with_explicit_nulls(true)
            .build::<_, arrow_json::writer::JsonArray>(Vec::new());
        writer.write_batches(&batches.iter().collect::<Vec<_>>()).expect("JSON");
        writer.finish().expect("JSON");
        let text = writer.into_inner();
        if text.is_empty() { Vec::new() } else { serde_json::from_slice(&text).expect("JSON") }
    }
}

/// An API and its router.
pub struct Served {
    pub api: Arc<Api>,
    router: axum::Router,
}

/// A response.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }
}

impl Served {
    pub async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (status, headers) = (response.status(), response.headers().clone());
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        Reply { status, headers, body: body.to_vec() }
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).expect("a request")).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.get_with(path, &[]).await
    }

    /// The JSON below `/api/v1`; must be 200.
    pub async fn json(&self, path: &str) -> Value {
        let reply = self.get(&format!("/api/v1{path}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text());
        reply.json()
    }
}

/// The lake that most tests share, and what asks it.
pub struct Shared {
    runtime: Runtime,
    pub home: Home,
    pub served: Served,
    /// The same with nothing of gold in memory.
    pub unheld: Served,
}

/// A test over the shared lake.
pub fn with_shared<F: Future<Output = ()>>(test: impl FnOnce(&'static Shared) -> F) {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    let shared = SHARED.get_or_init(make_shared);
    shared.runtime.block_on(test(shared));
}

fn make_shared() -> Shared {
    let home = Home::new();
    let pace = Pace::Records { records: RECORDS, days: 4 };
    home.simulate(&Settings { pace, videos: Some(12), users: Some(150), ..Settings::default() });
    let odd = odd_events();
    home.append(odd.iter().map(|(at, user, payload)| (*at, Some(user.as_bytes()), payload.as_bytes())));
    home.process();
    let runtime = Runtime::new().expect("a runtime");
    let (served, unheld) = runtime.block_on(async {
        write_users(&home).await;
        home.build().await;
        let settings = ApiSettings { clock: || 1_767_999_999_000_000, ..ApiSettings::default() };
        let served = home.open(settings.clone()).await;
        (served, home.open(ApiSettings { gold_memory: 0, ..settings }).await)
    });
    Shared { runtime, home, served, unheld }
}

/// A plan and an age for most users; some have neither.
async fn write_users(home: &Home) {
    let session = home.lake.session(&Reading::Latest).await.expect("a session");
    let ids = "select distinct user_id from bronze.events where outcome = 'clean' order by user_id";
    let batches = plan::sql(&session, ids).await.expect("a plan").collect().await.expect("rows");
    let mut text = "user_id,plan,age_group\n".to_owned();
    let mut n = 0;
    for batch in &batches {
        let ids = arrow_cast::cast(batch.column(0), &arrow_schema::DataType::Utf8).expect("text");
        for id in arrow_array::cast::AsArray::as_string::<i32>(&ids).iter().flatten() {
            n += 1;
            if n % 5 != 0 {
                let plan = ["free", "pro", "it's \"odd\", really"][n % 3];
                let _ =
                    writeln!(text, "{id},\"{}\",{}", plan.replace('"', "\"\""), if n % 2 == 0 { "18-25" } else { "" });
            }
        }
    }
    home.write_metadata("user_metadata.csv", &text);
}

/// Views of a video without metadata: one of unknown length without region, one that watched nothing, one with seeks.
fn odd_events() -> Vec<(i64, String, String)> {
    let start = streamreel_simulate::DEFAULT_START_MS + 3_600_000;
    let script = [
        ("odd-1", "tv", None, vec![(0, "play", 0.0), (30, "pause", 30.0), (40, "play", 10.0), (60, "pause", 30.0)]),
        ("odd-2", "phone", Some("CH-ZH"), vec![(5, "play", 0.0)]),
        ("odd-3", "", None, vec![(0, "play", 0.2), (12, "heartbeat", 12.2), (20, "ended", 20.3)]),
    ];
    let mut events = Vec::new();
    for (user, device, region, steps) in script {
        for (at_s, kind, position) in steps {
            let at_ms = start + at_s * 1000;
            let payload = serde_json::json!({
                "user_id": user, "video_id": ODD_VIDEO, "timestamp": at_ms, "event_type": kind, "position_s": position,
                "session_id": "s", "device": device, "region": region,
            });
            events.push((at_ms, user.to_owned(), payload.to_string()));
        }
    }
    events
}

/// Percent-encodes an id for a path or a query.
pub fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => encoded.push(char::from(byte)),
            byte => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        encoded
    })
}

/// Rows of CSV text, by column; an empty value is `None`.
pub fn csv_rows(text: &str) -> Vec<Vec<(String, Option<String>)>> {
    let mut lines = csv_records(text).into_iter();
    let header = lines.next().unwrap_or_default();
    let value = |text: String| (!text.is_empty()).then_some(text);
    lines.map(|line| header.iter().cloned().zip(line.into_iter().map(value)).collect()).collect()
}

fn csv_records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            c => field.push(c),
        }
    }
    records
}

/// Waits until something is so.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..300 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: not within 30 s");
}

/// The folder of the crate.
pub fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
