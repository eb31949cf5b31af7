//! `export`: gold tables as files.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
use crate::failure::{Failure, Outcome};
use crate::home::{Home, make_folder, runtime};
use crate::output;

/// Writes a Hyper extract from a Parquet file; the library for that exists in Python only.
const HYPER: &str = include_str!("export_hyper.py");

#[derive(Serialize)]
struct Exported {
    table: String,
    file: PathBuf,
    rows: u64,
}

/// Exports the published state of tables.
pub fn run(home: &Home, args: &Export) -> Outcome {
    let lake = home.lake_to_read()?;
    make_folder(&args.to)?;
    let exported = runtime()?.block_on(async {
        let Some(build) = lake.published().await? else {
            return Err(Failure::Failed(anyhow::anyhow!("nothing is published yet: run `streamreel build` first")));
        };
        let all: Vec<&str> =
            build.versions.keys().filter(|id| id.layer == Layer::Gold).map(|id| id.name.as_str()).collect();
        let session = lake.session(&Reading::Published).await?;
        let mut exported = Vec::new();
        for table in wanted(&args.tables, &all)? {
            exported.push(one(home, &session, &table, args).await?);
        }
        Ok(exported)
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
    asked.iter().map(known).collect()
}

async fn one(home: &Home, session: &SessionContext, table: &str, args: &Export) -> Outcome<Exported> {
    let id = TableId::gold(table);
    let extension = match args.format {
        ExportFormat::Csv => "csv",
        ExportFormat::Parquet => "parquet",
        ExportFormat::Hyper => "hyper",
    };
    let file = args.to.join(format!("{table}.{extension}"));
    // Readers of the folder see a whole file or none.
    let staged = args.to.join(format!(".{table}.{extension}.{}", std::process::id()));
    let mut progress = home.display.start(table, "rows", None);
    let rows = match args.format {
        ExportFormat::Csv => csv(session, &id, &staged, &mut progress).await,
        ExportFormat::Parquet => parquet(session, &id, &staged, &mut progress).await,
        ExportFormat::Hyper => hyper(session, &id, &staged, &mut progress).await,
    };
    let rows = rows.inspect_err(|_| {
        let _ = std::fs::remove_file(&staged);
    })?;
    std::fs::rename(&staged, &file).with_context(|| format!("can't write {}", file.display()))?;
    Ok(Exported { table: id.to_string(), file, rows })
}

type Progress = crate::progress::Progress;

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

async fn hyper(session: &SessionContext, id: &TableId, file: &Path, progress: &mut Progress) -> anyhow::Result<u64> {
    let through = file.with_extension("parquet");
    let rows = parquet(session, id, &through, progress).await;
    let made = rows.and_then(|rows| python(&through, file, &id.name).map(|()| rows));
    let _ = std::fs::remove_file(&through);
    made
}

fn python(from: &Path, to: &Path, table: &str) -> anyhow::Result<()> {
    let ran = Command::new("python3").args(["-c", HYPER]).arg(from).arg(to).arg(table).stdin(Stdio::null()).output();
    let ran = ran.context("hyper files are written by Python, and `python3` can't be started")?;
    if !ran.status.success() {
        bail!("no hyper file: {}", String::from_utf8_lossy(&ran.stderr).trim());
    }
    Ok(())
}
