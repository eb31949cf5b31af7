//! `export`: gold tables as files.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
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
use crate::hyper::{self, Source};
use crate::output;
use crate::progress::Progress;

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
    let lake = home.lake_to_read()?;
    let exported = runtime()?.block_on(async {
        let Some(build) = lake.published().await? else {
            return Err(Failure::Failed(anyhow::anyhow!("nothing is published yet: run `streamreel build` first")));
        };
        let all: Vec<&str> =
            build.versions.keys().filter(|id| id.layer == Layer::Gold).map(|id| id.name.as_str()).collect();
        let tables = wanted(&args.tables, &all)?;
        make_folder(&args.to)?;
        let session = lake.session(&Reading::Published).await?;
        match args.format {
            ExportFormat::Csv => files(home, &session, &tables, args, "csv", csv).await,
            ExportFormat::Parquet => files(home, &session, &tables, args, "parquet", parquet).await,
            ExportFormat::Hyper => extract(home, &session, &tables, args).await,
        }
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

/// A file a table.
async fn files(
    home: &Home,
    session: &SessionContext,
    tables: &[String],
    args: &Export,
    extension: &str,
    write: impl AsyncFn(&SessionContext, &TableId, &Path, &mut Progress) -> anyhow::Result<u64>,
) -> Outcome<Vec<Exported>> {
    let mut exported = Vec::new();
    for table in tables {
        let id = TableId::gold(table);
        let file = args.to.join(format!("{table}.{extension}"));
        // Readers of the folder see a whole file or none.
        let staged = args.to.join(format!(".{table}.{extension}.{}", std::process::id()));
        let mut progress = home.display.start(table, "rows", None);
        let written = write(session, &id, &staged, &mut progress).await;
        let rows = written.and_then(|rows| publish(&staged, &file).map(|()| rows)).inspect_err(|_| {
            let _ = std::fs::remove_file(&staged);
        })?;
        exported.push(Exported { table: id.to_string(), file, rows });
    }
    Ok(exported)
}

/// One extract of all tables: Tableau opens one file, and joins within it.
async fn extract(home: &Home, session: &SessionContext, tables: &[String], args: &Export) -> Outcome<Vec<Exported>> {
    let file = args.to.join(EXTRACT);
    let scratch = std::path::absolute(&args.to)?.join(format!(".{EXTRACT}.{}", std::process::id()));
    make_folder(&scratch)?;
    let written = extract_in(home, session, tables, &scratch, &file).await;
    // What is left there is of no use, whatever came of it.
    let _ = std::fs::remove_dir_all(&scratch);
    let exported =
        |s: Source| Exported { table: TableId::gold(&s.table).to_string(), file: file.clone(), rows: s.rows };
    Ok(written?.into_iter().map(exported).collect())
}

async fn extract_in(
    home: &Home,
    session: &SessionContext,
    tables: &[String],
    scratch: &Path,
    file: &Path,
) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for table in tables {
        let through = scratch.join(format!("{table}.parquet"));
        let mut progress = home.display.start(table, "rows", None);
        let rows = parquet(session, &TableId::gold(table), &through, &mut progress).await?;
        sources.push(Source { table: table.clone(), parquet: through, rows });
    }
    let staged = scratch.join(EXTRACT);
    hyper::write(&staged, &sources, home.printer)?;
    publish(&staged, file)?;
    Ok(sources)
}

fn publish(staged: &Path, file: &Path) -> anyhow::Result<()> {
    std::fs::rename(staged, file).with_context(|| format!("can't write {}", file.display()))
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
