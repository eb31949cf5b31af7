//! `query`: one statement over all tables. Nothing can be written with it.

use std::io::Read;

use anyhow::anyhow;
use arrow_array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::context::{SQLOptions, SessionContext};
use futures::StreamExt;
use streamreel_lake::{Lake, Layer, Reading, TableId, plan};

use crate::cli::{Format, Query};
use crate::failure::{Failure, NOT_PUBLISHED, Outcome};
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
        print(&lake, &session, &sql, format).await
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

async fn print(lake: &Lake, session: &SessionContext, sql: &str, format: Format) -> Outcome {
    let reads_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let frame = match plan::sql_with(session, sql, reads_only).await {
        Ok(frame) => frame,
        Err(error) => return Err(unplanned(lake, session, &error).await),
    };
    let failed = |error: DataFusionError| readable(lake, &error);
    let mut rows = frame.execute_stream().await.map_err(failed)?;
    let empty = RecordBatch::new_empty(rows.schema());
    let mut writer = RowWriter::new(format);
    while let Some(batch) = rows.next().await {
        writer.write(&batch.map_err(failed)?)?;
    }
    writer.finish(&empty)
}

/// The engine's error without its inner wrappings; of a data file, the lake's.
fn readable(lake: &Lake, error: &DataFusionError) -> Failure {
    match lake.unreadable(error) {
        Some(unreadable) => unreadable.into(),
        None => Failure::Failed(anyhow!("{}", error.strip_backtrace())),
    }
}

/// Why there is no plan; of a table that is not there, what it may be called, or that there will be one.
async fn unplanned(lake: &Lake, session: &SessionContext, error: &DataFusionError) -> Failure {
    let said = error.strip_backtrace();
    let Some(name) = missing_table(&said) else { return readable(lake, error) };
    let lists = "`show tables` lists them";
    if let Some(near) = nearest(name, tables(session)) {
        return Failure::Failed(anyhow!("there is no table {name}: did you mean {near}? {lists}"));
    }
    let is_built = [Layer::Silver, Layer::Gold].iter().any(|layer| name.starts_with(&format!("{layer}.")));
    match lake.published().await {
        Ok(None) if is_built => Failure::Failed(anyhow!("there is no table {name}: {NOT_PUBLISHED}")),
        _ => Failure::Failed(anyhow!("there is no table {name}; {lists}")),
    }
}

/// The table that the engine did not find, as people write it: without the catalog, and without a schema that they did not give.
fn missing_table(said: &str) -> Option<&str> {
    let (_, rest) = said.split_once("table '")?;
    let (name, _) = rest.split_once("' not found")?;
    let name = name.strip_prefix("streamreel.").unwrap_or(name);
    Some(name.strip_prefix("public.").unwrap_or(name))
}

/// The tables of a session, `layer.name`.
fn tables(session: &SessionContext) -> Vec<String> {
    let mut names = Vec::new();
    for catalog in session.catalog_names().iter().filter_map(|name| session.catalog(name)) {
        for layer in Layer::ALL {
            let Some(schema) = catalog.schema(layer.as_str()) else { continue };
            names.extend(schema.table_names().into_iter().map(|name| format!("{layer}.{name}")));
        }
    }
    names
}

/// The table whose name is nearest to one that is none's, if it is near enough to be meant. The layer may have been left out.
fn nearest(wrong: &str, tables: Vec<String>) -> Option<String> {
    let distance = |table: &String| {
        let bare = table.split_once('.').map_or(table.as_str(), |(_, name)| name);
        let compared = if wrong.contains('.') { table.as_str() } else { bare };
        (strsim::damerau_levenshtein(wrong, compared), compared.len().max(wrong.len()) / 3)
    };
    let near = |table: String| {
        let (distance, most) = distance(&table);
        (distance <= most).then_some((distance, table))
    };
    tables.into_iter().filter_map(near).min().map(|(_, table)| table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_not_there() {
        let tables = ["bronze.events", "gold.top_content", "gold.viewer_retention", "silver.views"];
        let cases = [
            ("streamreel.gold.viewer_retentoin", "gold.viewer_retentoin", Some("gold.viewer_retention")),
            ("streamreel.public.viewer_retention", "viewer_retention", Some("gold.viewer_retention")),
            ("streamreel.public.event", "event", Some("bronze.events")),
            ("streamreel.silver.viewer_retention", "silver.viewer_retention", Some("gold.viewer_retention")),
            ("streamreel.gold.views", "gold.views", None),
            ("streamreel.public.x", "x", None),
            ("a.b.c", "a.b.c", None),
        ];
        for (engines, name, near) in cases {
            let said = format!("Error during planning: table '{engines}' not found");
            assert_eq!(missing_table(&said), Some(name));
            let found = nearest(name, tables.map(str::to_owned).to_vec());
            assert_eq!(found.as_deref(), near, "{name}");
        }
        assert_eq!(missing_table("Error during planning: table function 'f' not found"), None);
    }
}
