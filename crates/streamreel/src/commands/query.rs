//! `query`: one statement over all tables. Nothing can be written with it.

use std::io::Read;

use arrow_array::RecordBatch;
use datafusion::execution::context::{SQLOptions, SessionContext};
use futures::StreamExt;
use streamreel_lake::{Lake, Reading, TableId, plan};

use crate::cli::{Format, Query};
use crate::failure::{Failure, Outcome};
use crate::home::{Home, runtime};
use crate::output::RowWriter;

/// Runs the statement and prints its rows.
pub fn run(home: &Home, args: &Query) -> Outcome {
    let format = match (args.format, home.printer.json) {
        (None | Some(Format::Json), true) => Format::Json,
        (Some(_), true) => return Err(Failure::usage("--json is the same as --format json: give one format")),
        (Some(format), false) => format,
        (None, false) => Format::Table,
    };
    let sql = if args.sql == "-" { from_stdin()? } else { args.sql.clone() };
    let lake = home.lake_to_read()?;
    runtime()?.block_on(async {
        let session = session(&lake, args.latest).await?;
        print(&session, &sql, format).await
    })
}

fn from_stdin() -> Outcome<String> {
    /// Longer than any statement that a person or a tool would write.
    const LONGEST: u64 = 1 << 20;
    let mut sql = String::new();
    std::io::stdin().take(LONGEST).read_to_string(&mut sql)?;
    Ok(sql)
}

/// A session over the published build and the newest bronze; before the first build, or if `latest`, over the newest
/// state of everything.
pub async fn session(lake: &Lake, latest: bool) -> Outcome<SessionContext> {
    if latest || lake.published().await?.is_none() {
        return Ok(lake.session(&Reading::Latest).await?);
    }
    let session = lake.session(&Reading::Published).await?;
    let bronze = TableId::bronze("events");
    if lake.open_table(&bronze).await?.is_some() {
        lake.register(&session, &bronze, None).await?;
    }
    Ok(session)
}

async fn print(session: &SessionContext, sql: &str, format: Format) -> Outcome {
    let reads_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let frame = plan::sql_with(session, sql, reads_only).await.map_err(readable)?;
    let mut rows = frame.execute_stream().await.map_err(readable)?;
    let empty = RecordBatch::new_empty(rows.schema());
    let mut writer = RowWriter::new(format);
    while let Some(batch) = rows.next().await {
        writer.write(&batch.map_err(readable)?)?;
    }
    writer.finish(&empty)
}

/// The engine's error without its inner wrappings.
fn readable(error: datafusion::error::DataFusionError) -> Failure {
    Failure::Failed(anyhow::anyhow!("{}", error.strip_backtrace()))
}
