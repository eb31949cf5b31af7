//! The home: a folder with the log, the lake, the metadata and the settings, and what a command needs to work in it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use streamreel_enrich::Request;
use streamreel_lake::{BUILD_LEASE, Lake, Place, Settings as LakeSettings};
use streamreel_process as process;
use streamreel_serve::collector;
use streamreel_topic::{EmbeddedLog, Error as LogError, KafkaLog, KafkaSettings, Log};
use streamreel_viewing as viewing;

use crate::cli::Global;
use crate::clock;
use crate::config::{self, KeepPayload, OpenPlay, Origin, Resolved, Settings, Sources};
use crate::failure::{Failure, Outcome};
use crate::output::Printer;
use crate::progress::Display;
use crate::stop::{self, Stop};

const CONFIG_FILE: &str = "streamreel.toml";
const METADATA_VARIABLE: &str = "STREAMREEL_METADATA";
/// Says that a demo made the home, so that the next one may begin anew in it.
const MADE_BY_DEMO: &str = ".made_by_demo";
/// How long `--wait` waits for a build under way.
pub const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// What a command works in and with.
pub struct Home {
    /// The folder.
    pub folder: PathBuf,
    /// Folder of the metadata, there or not.
    pub metadata: PathBuf,
    /// Who named it; `None`: it is the home's own.
    metadata_origin: Option<Origin>,
    /// The settings that hold.
    pub settings: Settings,
    /// Where each came from.
    pub resolved: Resolved,
    /// Where results go.
    pub printer: Printer,
    /// Where progress goes.
    pub display: Display,
    /// The Kafka, once it is connected to.
    kafka: OnceLock<KafkaLog>,
}

impl Home {
    /// Resolves the settings; touches nothing. `flags` are (flag as typed, key, value) of the command's own.
    ///
    /// # Errors
    /// A wrong configuration is a wrong use.
    pub fn new(global: &Global, flags: Vec<(String, String, String)>) -> Outcome<Self> {
        let folder = global.home.clone();
        let in_home = folder.join(CONFIG_FILE);
        let file = global.config.clone().or_else(|| in_home.is_file().then_some(in_home));
        let typed = |k: &str, v: &str| format!("--set {k}={}", if config::is_secret(k) { "..." } else { v });
        let set = global.set.iter().map(|(k, v)| (typed(k, v), k.clone(), v.clone()));
        let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let log = global.log.iter().map(|url| (format!("--log {url}"), "log.url".to_owned(), url.clone()));
        let lake = global.lake.iter().map(|place| (format!("--lake {place}"), "lake.url".to_owned(), place.clone()));
        let flags = set.chain(log).chain(lake).chain(flags).collect();
        let sources = Sources { file, environment: environment.collect(), flags };
        let from = sources.file.as_ref().map_or_else(|| "no file".to_owned(), |file| file.display().to_string());
        let resolved = config::resolve(&sources)?;
        let printer = Printer::new(global, resolved.settings.serve.log_format);
        printer.detail(format!("home {}, settings from {from}", folder.display()));
        Ok(Self {
            metadata: global.metadata.clone().unwrap_or_else(|| folder.join("metadata")),
            metadata_origin: global.metadata.as_deref().map(metadata_origin),
            folder,
            settings: resolved.settings.clone(),
            resolved,
            printer,
            display: Display::new(global.quiet),
            kafka: OnceLock::new(),
        })
    }

    /// The folder of the metadata for reading. One that was named must be there; the home's own may be missing.
    ///
    /// # Errors
    /// Wrong use, which says who named it.
    pub fn metadata_to_read(&self) -> Outcome<&Path> {
        let folder = self.metadata.display();
        let problem = match std::fs::metadata(&self.metadata) {
            Ok(found) if found.is_dir() => return Ok(&self.metadata),
            Ok(_) => format!("{folder} is no folder"),
            Err(error) if error.kind() != ErrorKind::NotFound => format!("can't read the folder {folder}: {error}"),
            Err(_) if self.metadata_origin.is_none() => return Ok(&self.metadata),
            Err(_) => format!("there is no folder {folder}"),
        };
        let origin = self.metadata_origin.as_ref().map_or_else(String::new, |origin| format!("{origin}: "));
        Err(Failure::usage(format!("{origin}{problem}; metadata is a folder with video_metadata.csv")))
    }

    /// The folder of the log.
    pub fn log_folder(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Whether the lake is not in the home.
    pub fn is_lake_elsewhere(&self) -> bool {
        !self.settings.lake.url.is_empty()
    }

    fn lake_place(&self) -> Outcome<Place> {
        if self.is_lake_elsewhere() {
            Ok(self.settings.lake.url.parse()?)
        } else {
            Ok(self.folder.join("data_lake").into())
        }
    }

    /// Whether the topics are on a Kafka, not in the home.
    pub fn is_on_kafka(&self) -> bool {
        !self.settings.log.url.is_empty()
    }

    /// The log; made if it is not there.
    pub fn log(&self) -> Outcome<Arc<dyn Log>> {
        if self.is_on_kafka() {
            return self.kafka();
        }
        Ok(Arc::new(EmbeddedLog::open(self.log_folder())?))
    }

    /// The log for reading; it must be there.
    pub fn log_to_read(&self) -> Outcome<Arc<dyn Log>> {
        if self.is_on_kafka() {
            return self.kafka();
        }
        Ok(Arc::new(EmbeddedLog::open_read_only(self.log_folder())?))
    }

    /// The log for reading, if there is one.
    pub fn log_if_there(&self) -> Outcome<Option<Arc<dyn Log>>> {
        let is_there = self.is_on_kafka() || self.log_folder().is_dir();
        is_there.then(|| self.log_to_read()).transpose()
    }

    fn kafka(&self) -> Outcome<Arc<dyn Log>> {
        if let Some(kafka) = self.kafka.get() {
            return Ok(Arc::new(kafka.clone()));
        }
        let own = &self.settings.log;
        if !KafkaSettings::is_url(&own.url) {
            return Err(Failure::usage(format!(
                "the log {:?} is none: a Kafka is written as kafka://HOST:PORT; without --log the topics are in the home",
                own.url
            )));
        }
        let settings = KafkaSettings {
            url: own.url.clone(),
            properties: self.settings.kafka.clone(),
            timeout: own.timeout,
            stop: Arc::clone(stop::flag()),
        };
        let kafka = KafkaLog::open(&settings).map_err(|error| match error {
            LogError::BadPlace { .. } => Failure::usage(error),
            other => other.into(),
        })?;
        Ok(Arc::new(self.kafka.get_or_init(|| kafka).clone()))
    }

    /// The lake, with the memory of builds or of queries; made if it is not there.
    pub fn lake(&self, memory: bytesize::ByteSize) -> Outcome<Lake> {
        Ok(Lake::open_with(self.lake_place()?, self.lake_settings(memory))?)
    }

    /// The lake for reading; it must be there.
    pub fn lake_to_read(&self) -> Outcome<Lake> {
        Ok(Lake::open_read_only_with(self.lake_place()?, self.lake_settings(self.settings.query.memory))?)
    }

    fn lake_settings(&self, memory: bytesize::ByteSize) -> LakeSettings {
        LakeSettings {
            memory_bytes: usize::try_from(memory.as_u64()).unwrap_or(usize::MAX),
            spill_dir: Some(self.folder.join("tmp")),
            target_file_bytes: self.settings.upkeep.optimize_target.as_u64(),
            s3: self.settings.s3.clone(),
            store_timeout: self.settings.lake.timeout,
            lease_expiry: self.settings.lake.lease_expiry,
            ..LakeSettings::default()
        }
    }

    /// What a processor works with.
    pub fn process_settings(&self, from: process::ReadFrom) -> process::Settings {
        let own = &self.settings.process;
        process::Settings {
            from,
            partitions: self.settings.log.partitions,
            dedupe_window: own.dedupe_window,
            dedupe_max_entries: own.dedupe_max_entries,
            keep_payload: match self.settings.bronze.keep_payload {
                KeepPayload::All => process::KeepPayload::All,
                KeepPayload::Rejected => process::KeepPayload::Rejected,
            },
            commit_interval: own.commit_interval,
            topics_interval: own.topics_interval,
            commit_records: own.commit_records,
            ..process::Settings::default()
        }
    }

    /// What a collector works with.
    pub fn collector_settings(&self) -> collector::Settings {
        let own = &self.settings.collector;
        collector::Settings {
            partitions: self.settings.log.partitions,
            tokens: own.tokens.clone(),
            cors_origins: own.cors_origins.clone(),
            memory_bytes: usize::try_from(own.memory.as_u64()).unwrap_or(usize::MAX),
        }
    }

    /// What a build of silver works with.
    ///
    /// # Errors
    /// Those of [`Home::metadata_to_read`].
    pub fn silver_request(&self, full_refresh: bool, stop: &Stop) -> Outcome<Request> {
        let view = &self.settings.view;
        Ok(Request {
            metadata: self.metadata_to_read()?.to_owned(),
            views: viewing::Settings {
                view_gap_s: view.gap.as_secs_f64(),
                max_unproven_s: view.max_unproven.as_secs_f64(),
                completed_ratio: view.completion_ratio,
                engaged_s: view.engaged_seconds,
                engaged_ratio: view.engaged_ratio,
                short_video_s: 2.0 * view.engaged_seconds,
                open_play: match view.open_play {
                    OpenPlay::Evidence => viewing::OpenPlay::Evidence,
                    OpenPlay::Elapsed => viewing::OpenPlay::Elapsed,
                    OpenPlay::Drop => viewing::OpenPlay::Drop,
                },
                ..viewing::Settings::default()
            },
            full_refresh,
            spool_bytes: usize::try_from(self.settings.build.spool_memory.as_u64()).unwrap_or(usize::MAX),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            clock: clock::now_us,
            cancel: Arc::clone(stop.flag()),
        })
    }

    /// The file that says that all in the home is a demo's.
    pub fn demo_marker(&self) -> PathBuf {
        self.folder.join(MADE_BY_DEMO)
    }

    /// From now on the home holds what somebody wants to keep: no demo may begin anew in it.
    pub fn keep(&self) {
        // Where it can't be removed, nothing else can be written either, and that is said.
        let _ = std::fs::remove_file(self.demo_marker());
    }

    /// Whether the folder holds nothing of ours or anybody's.
    pub fn is_empty(&self) -> bool {
        let has_entry = |mut entries: std::fs::ReadDir| entries.any(|e| e.is_ok_and(|e| e.file_name() != CONFIG_FILE));
        !std::fs::read_dir(&self.folder).is_ok_and(has_entry)
    }
}

/// Who named the folder of the metadata: a flag, unless the environment names the same.
fn metadata_origin(folder: &Path) -> Origin {
    let in_environment = std::env::var_os(METADATA_VARIABLE);
    if in_environment.is_some_and(|named| named.as_os_str() == folder.as_os_str()) {
        Origin::Environment(METADATA_VARIABLE.to_owned())
    } else {
        Origin::Flag("--metadata".to_owned())
    }
}

/// The lease that lets nobody else build; waits for it if `wait`.
///
/// # Errors
/// If another has it: the message says who.
pub async fn build_lease(lake: &Lake, wait: bool) -> Outcome<streamreel_lake::Lease> {
    let patience = if wait { PATIENCE } else { Duration::ZERO };
    Ok(lake.lease_within(BUILD_LEASE, patience).await?)
}

/// A runtime for the lake's work.
pub fn runtime() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Makes a folder, or says why not.
pub fn make_folder(path: &Path) -> Outcome {
    std::fs::create_dir_all(path)
        .map_err(|e| Failure::Failed(anyhow::anyhow!("can't make the folder {}: {e}", path.display())))
}
