//! `export`: gold tables as files.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use datafusion::execution::context::SessionContext;
use futures::StreamExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::Serialize;
use streamreel_lake::{Layer, Reading, TableId};

use crate::cli::{Export, ExportFormat};
use crate::draw::thousands;
use crate::failure::{Failure, Interrupted, NOT_PUBLISHED, Outcome};
use crate::home::{Home, make_folder, runtime};
use crate::hyper::{self, Source};
use crate::output;
use crate::progress::Progress;
use crate::stop::Stop;

/// The extract that holds all tables.
const EXTRACT: &str = "streamreel.hyper";

#[derive(Serialize)]
struct Exported {
    table: String,
    file: PathBuf,
    rows: u64,
}

/// Exports the published state of tables.
pub fn run(home: &Home, args: &Export) -> Outcome {
    let stop = Stop::listen()?;
    let lake = home.lake_to_read()?;
    let exported = runtime()?.block_on(async {
        let Some(build) = lake.published().await? else {
            return Err(Failure::Failed(anyhow::anyhow!(NOT_PUBLISHED)));
        };
        let all: Vec<&str> =
            build.versions.keys().filter(|id| id.layer == Layer::Gold).map(|id| id.name.as_str()).collect();
        let tables = wanted(&args.tables, &all)?;
        make_folder(&args.to)?;
        let session = lake.session(&Reading::Published).await?;
        export(home, &session, &tables, args, stop).await.map_err(|error| Failure::of_query(&lake, error))
    })?;
    home.printer.result(&exported, |exported| {
        let line =
            |e: &Exported| format!("{:<36} {:>13} rows  {}\n", e.table, thousands(e.rows as i64), e.file.display());
        exported.iter().map(line).collect()
    })
}

fn wanted(asked: &[String], all: &[&str]) -> Outcome<Vec<String>> {
    if asked.is_empty() {
        return Ok(all.iter().map(|name| (*name).to_owned()).collect());
    }
    let known = |name: &String| {
        let plain = name.strip_prefix("gold.").unwrap_or(name);
        if all.contains(&plain) {
            Ok(plain.to_owned())
        } else {
            Err(Failure::usage(format!("there is no table gold.{plain}; there are {}", all.join(", "))))
        }
    };
    let mut tables = asked.iter().map(known).collect::<Outcome<Vec<_>>>()?;
    tables.sort();
    tables.dedup();
    Ok(tables)
}

/// Writes all tables, then puts the files in their places.
async fn export(
    home: &Home,
    session: &SessionContext,
    tables: &[String],
    args: &Export,
    stop: Stop,
) -> anyhow::Result<Vec<Exported>> {
    let staging = Staging::begin(&args.to, stop)?;
    let exported = match args.format {
        ExportFormat::Csv => files(home, session, tables, &staging, "csv", csv).await?,
        ExportFormat::Parquet => files(home, session, tables, &staging, "parquet", parquet).await?,
        ExportFormat::Hyper => extract(home, session, tables, &staging).await?,
    };
    staging.publish(&exported)?;
    Ok(exported)
}

/// A file a table.
async fn files(
    home: &Home,
    session: &SessionContext,
    tables: &[String],
    staging: &Staging<'_>,
    extension: &str,
    write: impl AsyncFn(&SessionContext, &TableId, &Path, &mut Progress) -> anyhow::Result<u64>,
) -> anyhow::Result<Vec<Exported>> {
    let mut exported = Vec::new();
    for table in tables {
        let (id, name) = (TableId::gold(table), format!("{table}.{extension}"));
        let staged = staging.file(&name)?;
        let mut progress = home.display.start(table, "rows", None);
        let rows = write(session, &id, &staged, &mut progress).await?;
        exported.push(Exported { table: id.to_string(), file: staging.to.join(name), rows });
    }
    Ok(exported)
}

/// One extract of all tables: Tableau opens one file, and joins within it.
async fn extract(
    home: &Home,
    session: &SessionContext,
    tables: &[String],
    staging: &Staging<'_>,
) -> anyhow::Result<Vec<Exported>> {
    let mut sources = Vec::new();
    for table in tables {
        let through = staging.file(&format!("{table}.parquet"))?;
        let mut progress = home.display.start(table, "rows", None);
        let rows = parquet(session, &TableId::gold(table), &through, &mut progress).await?;
        sources.push(Source { table: table.clone(), parquet: through, rows });
    }
    hyper::write(&staging.file(EXTRACT)?, &sources, home.printer)?;
    let file = staging.to.join(EXTRACT);
    let exported =
        |s: Source| Exported { table: TableId::gold(&s.table).to_string(), file: file.clone(), rows: s.rows };
    Ok(sources.into_iter().map(exported).collect())
}

/// A folder beside the files of an export, in which they are written: readers see whole files, and of one build. What is in it at
/// the end is thrown away.
struct Staging<'a> {
    to: &'a Path,
    folder: PathBuf,
    stop: Stop,
}

impl<'a> Staging<'a> {
    fn begin(to: &'a Path, stop: Stop) -> anyhow::Result<Self> {
        // Tableau's library, which runs in a process of its own, is given full paths.
        let folder = std::path::absolute(to)?.join(format!(".export.{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("can't make the folder {}", folder.display()))?;
        Ok(Self { to, folder, stop })
    }

    /// Where a file is written, unless the user wants no more of them.
    fn file(&self, name: &str) -> anyhow::Result<PathBuf> {
        if self.stop.wanted() {
            bail!(Interrupted(format!("interrupted: what was in {} is as it was", self.to.display())));
        }
        Ok(self.folder.join(name))
    }

    /// Puts the files in their places, where they replace those of an export before.
    fn publish(&self, exported: &[Exported]) -> anyhow::Result<()> {
        let files: BTreeSet<&Path> = exported.iter().map(|exported| exported.file.as_path()).collect();
        // The one thing that keeps a file from a folder in which another could be written.
        if let Some(taken) = files.iter().find(|file| file.is_dir()) {
            bail!("can't write {}: it is a folder", taken.display());
        }
        for file in files {
            let staged = self.folder.join(file.file_name().unwrap_or_default());
            std::fs::rename(staged, file).with_context(|| format!("can't write {}", file.display()))?;
        }
        Ok(())
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn csv(session: &SessionContext, id: &TableId, file: &Path, progress: &mut Progress) -> anyhow::Result<u64> {
    let out = File::create(file).with_context(|| format!("can't write {}", file.display()))?;
    let mut writer = output::csv(out);
    let mut batches = session.table(id.to_string()).await?.execute_stream().await?;
    writer.write(&arrow_array::RecordBatch::new_empty(batches.schema()))?;
    let mut rows = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        writer.write(&batch)?;
        progress.set(rows);
    }
    writer.into_inner().flush()?;
    Ok(rows)
}

async fn parquet(session: &SessionContext, id: &TableId, file: &Path, progress: &mut Progress) -> anyhow::Result<u64> {
    let out = File::create(file).with_context(|| format!("can't write {}", file.display()))?;
    let mut batches = session.table(id.to_string()).await?.execute_stream().await?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?)).build();
    let mut writer = ArrowWriter::try_new(out, batches.schema(), Some(properties))?;
    let mut rows = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        writer.write(&batch)?;
        progress.set(rows);
    }
    writer.close()?;
    Ok(rows)
}
