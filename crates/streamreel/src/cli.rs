//! The command line as the user types it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Where viewers stay, skip, replay and leave: from player events to exact retention, in one program.
#[derive(Debug, Parser)]
#[command(
    name = "streamreel",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = "Try it:\n  \
        streamreel demo --serve                            a million simulated events, answered; then the page\n\n\
        Your own log:\n  \
        streamreel ingest events.ndjson.gz && streamreel process && streamreel build\n  \
        streamreel query \"select * from gold.viewer_retention\"\n\n\
        On a Kafka, with the lake in a bucket:\n  \
        streamreel --log kafka://localhost:9092 --lake s3://bucket/lake up"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
pub struct Global {
    /// The folder with the log, the lake and the settings.
    #[arg(long, global = true, value_name = "DIR", default_value = "./streamreel_data", env = "STREAMREEL_HOME")]
    pub home: PathBuf,
    /// Where the topics are: kafka://HOST:PORT[,HOST:PORT] for a Kafka, else in the home. Its TLS and SASL settings are kafka.*.
    #[arg(long, global = true, value_name = "URL", env = "STREAMREEL_LOG")]
    pub log: Option<String>,
    /// Where the lake is: a folder, or s3://BUCKET/PREFIX in an S3-compatible store (default: data_lake/ in the home). The
    /// store's settings are s3.* and AWS_*.
    #[arg(long, global = true, value_name = "PLACE", env = "STREAMREEL_LAKE")]
    pub lake: Option<String>,
    /// The settings' file (default: streamreel.toml in the home, if there is one).
    #[arg(long, global = true, value_name = "FILE", env = "STREAMREEL_CONFIG")]
    pub config: Option<PathBuf>,
    /// One setting, as `section.key=value`; may be repeated. `streamreel config` lists them.
    #[arg(long = SET, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// The folder with video_metadata.csv and user_metadata.csv (default: metadata/ in the home).
    #[arg(long, global = true, value_name = "DIR", env = "STREAMREEL_METADATA")]
    pub metadata: Option<PathBuf>,
    /// No progress, no remarks: results and errors only.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more of what is being done.
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// Flag and id of a single setting.
const SET: &str = "set";

impl Cli {
    /// Parses a command line.
    ///
    /// # Errors
    /// Wrong use, and also a question for help or version.
    pub fn of(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let matches = command().try_get_matches_from(args)?;
        let mut cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command()))?;
        let levels = std::iter::successors(Some(&matches), |level| level.subcommand().map(|(_, below)| below));
        cli.global.set = levels.flat_map(set_at).collect();
        Ok(cli)
    }
}

fn set_at(level: &ArgMatches) -> impl Iterator<Item = (String, String)> {
    level.get_many(SET).into_iter().flatten().cloned()
}

/// What clap knows of the command line. Of a global argument it keeps only the values after the last command that has some, so
/// `--set` is none: every command has one of its own.
pub fn command() -> clap::Command {
    let command = Cli::command();
    let set = command.get_arguments().find(|arg| arg.get_id() == SET).cloned();
    match set {
        Some(set) => with_below(command, &set),
        None => command,
    }
}

/// The command, all commands below which have this argument.
fn with_below(command: clap::Command, arg: &clap::Arg) -> clap::Command {
    command.mut_subcommands(|below| with_below(below.arg(arg), arg))
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, as in process.commit_interval=2s")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Simulate, process, build, audit, and draw the four answers.
    #[command(
        after_help = "Examples:\n  streamreel demo\n  streamreel demo --serve                     and then look at it: http://127.0.0.1:8080\n  \
        streamreel demo --events 200000 --seed 7\n  streamreel --home /tmp/try demo --json\n\nIt begins anew in a home that it made itself, and refuses any other that holds data."
    )]
    #[command(mut_args(|arg| match arg.get_id().as_str() {
        "http" | "sql" | "log_format" => arg.requires("serve"),
        _ => arg,
    }))]
    Demo(Demo),
    /// Run everything until Ctrl-C: processor, builds, upkeep, page, collector, SQL endpoint.
    #[command(
        after_help = "Examples:\n  streamreel up\n  streamreel up --simulate 2000        with simulated viewers, 2,000 events a second\n  \
        streamreel --set build.every=5m up\n  streamreel up --http 127.0.0.1:9000\n\n\
        Players send their events to http://127.0.0.1:8080/v1/events:\n  \
        curl -H 'content-type: application/json' -d '[{\"user_id\":\"u1\",\"video_id\":\"v1\",\"event_type\":\"play\",\
        \"timestamp\":\"2026-01-05T10:00:00Z\",\"position_s\":0}]' http://127.0.0.1:8080/v1/events\n\n\
        Meanwhile, from other terminals: streamreel ingest ..., query ..., audit."
    )]
    Up(Up),
    /// Show a lake that is there: page, JSON API, SQL endpoint; others may process and build meanwhile.
    #[command(
        after_help = "Examples:\n  streamreel serve                            the page at http://127.0.0.1:8080\n  \
        streamreel serve --http 127.0.0.1:0         at a free port, which is said\n  \
        streamreel serve --collect                  and take events at /v1/events, for a `process --follow` beside it\n  \
        streamreel serve --log-format json -v       every request is a line of JSON on stderr\n\n\
        Health is at /healthz and /readyz, metrics for Prometheus at /metrics. Other machines are let in only with\n\
        --set serve.allow_remote=true, as nobody is asked for a password."
    )]
    Serve(Serve),
    /// Make up viewers and what their players report.
    #[command(after_help = "Examples:\n  streamreel simulate --events 1M --dirt 0.05 --truth truth.json\n  \
        streamreel simulate --events 10k --to events.ndjson\n  streamreel simulate --rate 500 --for 10m\n  \
        streamreel simulate --events 1k --to - | head")]
    Simulate(Simulate),
    /// Append NDJSON events to the topic video-events.
    #[command(
        after_help = "Examples:\n  streamreel ingest events.ndjson.gz\n  streamreel ingest day1.ndjson day2.ndjson.zst\n  \
        zcat events.gz | streamreel ingest -\n\nEvery line that is not blank becomes one record, whatever is in it: `process` decides \
        what it is worth."
    )]
    Ingest(Ingest),
    /// Clean and deduplicate video-events into clean-events, video-events.dlq and bronze.
    #[command(
        after_help = "Examples:\n  streamreel process                          to the end of the topic, then exit\n  \
        streamreel process --follow                 go on until Ctrl-C\n  streamreel process --commit-interval 5s\n  \
        streamreel process --from clean             land bronze from the two cleaned topics"
    )]
    Process(Process),
    /// Derive silver and gold from what is new in bronze, test, publish.
    #[command(
        after_help = "Examples:\n  streamreel build\n  streamreel build --layer silver\n  streamreel build --select gold__top_content\n  \
        streamreel build --select +gold__retention_curve --select tag:curves\n  streamreel build --full-refresh\n  \
        streamreel build --project ./my_dbt_project"
    )]
    Build(Build),
    /// Ask anything of all tables, in SQL.
    #[command(
        after_help = "Examples:\n  streamreel query \"select * from gold.viewer_retention order by total_views desc limit 10\"\n  \
        streamreel query --format csv \"select * from gold.top_content where period = 'all'\" > top.csv\n  \
        streamreel query \"show tables\"\n  echo \"select count(*) from bronze.events\" | streamreel query -"
    )]
    Query(Query),
    /// Prove the conservation law from what is stored: every equation with both sides.
    #[command(
        after_help = "Examples:\n  streamreel audit\n  streamreel audit --json | jq '.equations[] | select(.holds | not)'\n  \
        streamreel audit --json | jq '.counters'\n\n\
        Exit status 1 if an equation does not hold."
    )]
    Audit,
    /// Write gold tables as files for other tools.
    #[command(after_help = "Examples:\n  streamreel export --format csv --to ./out\n  \
        streamreel export --format parquet viewer_retention top_content\n  streamreel export --format hyper --to ./tableau\n\n\
        csv and parquet are a file a table. hyper is one extract, streamreel.hyper, of all tables; Tableau's library for it \
        is installed from PyPI the first time (needs python3 with venv).")]
    Export(Export),
    /// Look after the lake: compact files, remove old ones, list versions.
    #[command(subcommand)]
    Lake(Lake),
    /// List the topics with their partitions, offsets and sizes.
    #[command(after_help = "Examples:\n  streamreel topics\n  streamreel topics --json\n  \
        streamreel --log kafka://localhost:9092 topics --apply kafka/topics/streamreel.toml")]
    Topics(Topics),
    /// Show the settings that hold and where each came from.
    #[command(after_help = "Examples:\n  streamreel config\n  \
        mkdir -p streamreel_data && streamreel config --defaults > streamreel_data/streamreel.toml\n  \
        STREAMREEL_BUILD_EVERY=10m streamreel config")]
    Config(Config),
    /// Print a completion script for a shell.
    #[command(after_help = "Examples:\n  streamreel completions bash > /etc/bash_completion.d/streamreel\n  \
        streamreel completions zsh > ~/.zfunc/_streamreel")]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Records to simulate; k and M are understood.
    #[arg(long, default_value = "1M", value_parser = count)]
    pub events: u64,
    /// What the simulated viewers do depends on this alone.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Share of the records that is dirt: rejects, duplicates, late ones.
    #[arg(long, default_value_t = 0.05, value_parser = ratio)]
    pub dirt: f64,
    /// Then serve the page, the JSON API and the SQL endpoint over it until Ctrl-C.
    #[arg(long)]
    pub serve: bool,
    #[command(flatten)]
    pub surfaces: Surfaces,
}

#[derive(Debug, Args)]
pub struct Surfaces {
    /// Where the page, the JSON API and the collector listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// Where the SQL endpoint listens; port 0 takes a free one [default: 127.0.0.1:5439]
    #[arg(long, value_name = "ADDR")]
    pub sql: Option<String>,
    /// How the server's log on stderr looks [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object a line.
    Json,
}

impl LogFormat {
    /// As settings name it.
    pub fn name(self) -> &'static str {
        match self {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        }
    }
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Take events at /v1/events, too, into the topic video-events.
    #[arg(long)]
    pub collect: bool,
    #[command(flatten)]
    pub surfaces: Surfaces,
}

#[derive(Debug, Args)]
pub struct Up {
    /// Feed it with simulated viewers: records a second; k and M are understood.
    #[arg(long, value_name = "RATE", value_parser = count)]
    pub simulate: Option<u64>,
    /// What the simulated viewers do depends on this alone.
    #[arg(long, default_value_t = 1, requires = "simulate")]
    pub seed: u64,
    #[command(flatten)]
    pub surfaces: Surfaces,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("amount").required(true).args(["events", "rate"])))]
pub struct Simulate {
    /// Records in all; k and M are understood.
    #[arg(long, value_parser = count)]
    pub events: Option<u64>,
    /// Records a second, in real time.
    #[arg(long, value_parser = count, requires = "for_")]
    pub rate: Option<u64>,
    /// How long to go on with --rate, as 30s, 10m, 2h.
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    #[arg(requires = "rate", conflicts_with = "events")]
    pub for_: Option<Duration>,
    /// When the simulated time begins (RFC 3339); 2026-01-05T00:00:00Z by default, now with --rate.
    #[arg(long, value_name = "TS", value_parser = timestamp_ms)]
    pub start: Option<i64>,
    /// Same seed, same bytes.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Viewers; by default as many as fit the number of records.
    #[arg(long, value_parser = count)]
    pub users: Option<u64>,
    /// Titles; the sample catalogue by default, invented ones beyond it.
    #[arg(long, value_parser = count)]
    pub videos: Option<u64>,
    /// Share of the records that is dirt beside the true events.
    #[arg(long, default_value_t = 0.0, value_parser = ratio)]
    pub dirt: f64,
    /// Share of the true events that is lost on the way.
    #[arg(long, default_value_t = 0.0, value_parser = ratio)]
    pub loss: f64,
    /// Where to: the home's `topic`, a file (.gz and .zst compress), or - for stdout. The titles go into the home's metadata, if
    /// the records or anything else is there, or to where --metadata says.
    #[arg(long, default_value = "topic", value_name = "topic|FILE|-")]
    pub to: String,
    /// Write what is true of these events to a file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Ingest {
    /// NDJSON files, plain, .gz or .zst; - for stdin.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Process {
    /// Go on at the end of the topic, until Ctrl-C.
    #[arg(long)]
    pub follow: bool,
    /// What to land bronze from.
    #[arg(long, value_enum, default_value_t = From::Raw)]
    pub from: From,
    /// How often rows and offsets are committed to bronze together, as 1s, 500ms. For the cleaned topics: `process.topics_interval`.
    #[arg(long, value_name = "DURATION")]
    pub commit_interval: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// The topic video-events.
    Raw,
    /// The topics clean-events and video-events.dlq.
    Clean,
}

#[derive(Debug, Args, Default)]
pub struct Build {
    /// Only this layer.
    #[arg(long, value_enum)]
    pub layer: Option<Layer>,
    /// Only these models of gold: a name, +name (and what it needs), name+ (and what needs it), tag:NAME. Others are built
    /// along where they would be older than what they are made from.
    #[arg(long, value_name = "MODEL")]
    pub select: Vec<String>,
    /// Derive everything again from the beginning.
    #[arg(long)]
    pub full_refresh: bool,
    /// A dbt project instead of the one in this program.
    #[arg(long, value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// Wait for a build that is under way instead of refusing.
    #[arg(long)]
    pub wait: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Layer {
    /// Views and segments.
    Silver,
    /// The models.
    Gold,
}

#[derive(Debug, Args)]
pub struct Query {
    /// The statement; - reads it from stdin.
    #[arg(value_name = "SQL")]
    pub sql: String,
    /// How to print the rows; --json is the same as --format json, and goes with no other.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Read the newest state of every table instead of the last published build.
    #[arg(long)]
    pub latest: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// With a header.
    Csv,
    /// One array of objects.
    Json,
    /// One object a line.
    Ndjson,
}

#[derive(Debug, Args)]
pub struct Export {
    /// Gold tables, with or without `gold.`; all of them by default.
    #[arg(value_name = "TABLE")]
    pub tables: Vec<String>,
    /// The kind of file.
    #[arg(long, value_enum, default_value_t = ExportFormat::Csv)]
    pub format: ExportFormat,
    /// The folder to write to.
    #[arg(long, value_name = "DIR", default_value = "./export")]
    pub to: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Text with a header.
    Csv,
    /// Columnar, zstd.
    Parquet,
    /// One Tableau extract of all tables.
    Hyper,
}

#[derive(Debug, Subcommand)]
pub enum Lake {
    /// Join small files of closed partitions into large ones, and write checkpoints.
    #[command(after_help = "Examples:\n  streamreel lake optimize\n  streamreel lake optimize bronze.events")]
    Optimize {
        /// Tables as layer.name; all by default.
        tables: Vec<String>,
    },
    /// Remove files that no kept version needs. The published build is always kept.
    #[command(
        after_help = "Examples:\n  streamreel lake vacuum --dry-run\n  streamreel lake vacuum --retention 24h silver.views"
    )]
    Vacuum {
        /// Tables as layer.name; all by default.
        tables: Vec<String>,
        /// Files younger than this stay, as 24h, 7d; 1h or more (default: upkeep.vacuum_retention).
        #[arg(long, value_parser = humantime::parse_duration)]
        retention: Option<Duration>,
        /// Nothing else writes to this lake: allows a retention of less than 1h.
        #[arg(long)]
        no_writers: bool,
        /// Say what would go; remove nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Have the lease of builds on behalf of another program, until stdin ends.
    #[command(
        after_help = "While it is had no other build begins. A line says so when it is had, and another one answers each line on stdin, once \
        the lake was asked whether it still is; if not, and if another has it to begin with, it ends with status 1.\n\n\
        Examples:\n  coproc streamreel lake lease --wait        in a script of bash, until the script ends"
    )]
    Lease {
        /// Wait for another who has it instead of refusing.
        #[arg(long)]
        wait: bool,
    },
    /// List a table's versions, newest first.
    #[command(
        after_help = "Examples:\n  streamreel lake history gold.builds\n  streamreel lake history bronze.events --limit 5"
    )]
    History {
        /// The table, as layer.name.
        table: String,
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
}

#[derive(Debug, Args)]
pub struct Topics {
    /// First make the topics that this file defines and that are not there.
    #[arg(long, value_name = "FILE")]
    pub apply: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Config {
    /// Print the file of all defaults, with what each setting means.
    #[arg(long)]
    pub defaults: bool,
}

/// `1000`, `10k`, `1M`, `1_000_000`.
fn count(text: &str) -> Result<u64, String> {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let (digits, unit) = match plain.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1_000),
        None => plain.strip_suffix(['m', 'M']).map_or((plain.as_str(), 1), |digits| (digits, 1_000_000)),
    };
    let number: u64 = digits.parse().map_err(|_| "expected a number, as 1000, 10k or 1M".to_owned())?;
    match number.checked_mul(unit) {
        Some(0) => Err("must be at least 1".to_owned()),
        Some(count) => Ok(count),
        None => Err("too large".to_owned()),
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio: f64 = text.parse().map_err(|_| "expected a number, as 0.05".to_owned())?;
    if (0.0..1.0).contains(&ratio) { Ok(ratio) } else { Err("must be at least 0 and below 1".to_owned()) }
}

fn timestamp_ms(text: &str) -> Result<i64, String> {
    let parsed = chrono::DateTime::parse_from_rfc3339(text);
    parsed.map(|t| t.timestamp_millis()).map_err(|e| format!("{e}; expected RFC 3339, as 2026-01-05T00:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn settings_count_wherever_they_stand() {
        for args in [
            &["--set", "a.b=1", "--set", "c.d=2", "lake", "optimize", "--set", "a.b=3"][..],
            &["--set=a.b=1", "lake", "--set", "c.d=2", "optimize", "--set", "a.b=3"],
            &["lake", "--set", "a.b=1", "optimize", "--set", "c.d=2", "--set=a.b=3"],
            &["--set", "a.b=1", "--set", "c.d=2", "--set", "a.b=3", "config"],
            &["config", "--set", "a.b=1", "--set", "c.d=2", "--set", "a.b=3"],
        ] {
            let cli = Cli::of(std::iter::once("streamreel").chain(args.iter().copied())).unwrap();
            let set: Vec<_> = cli.global.set.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            assert_eq!(set, [("a.b", "1"), ("c.d", "2"), ("a.b", "3")], "{args:?}");
        }
    }

    #[test]
    fn counts() {
        let cases = [
            ("7", Some(7)),
            ("10k", Some(10_000)),
            ("1M", Some(1_000_000)),
            ("1_000", Some(1_000)),
            ("0", None),
            ("x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(count(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn wrong_use_is_status_2() {
        let all = ["simulate", "--events", "1k", "--dirt", "0.1", "--truth", "t.json"];
        assert!(Cli::of(std::iter::once("streamreel").chain(all)).is_ok());
        let demo = ["streamreel", "demo", "--serve", "--http", "127.0.0.1:0"];
        assert!(Cli::of(demo).is_ok());
        for args in [
            &["simulate"][..],
            &["simulate", "--events", "5", "--rate", "5"],
            &["nonsense"],
            &["simulate", "--rate", "5"],
            &["simulate", "--events", "5", "--for", "10s"],
            &["query"],
            &["--set", "x", "config"],
            &["config", "--set", "x"],
            &["demo", "--http", "127.0.0.1:0"],
            &["demo", "--serve", "--log-format", "xml"],
        ] {
            let error = Cli::of(std::iter::once("streamreel").chain(args.iter().copied())).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{args:?}");
        }
    }
}
