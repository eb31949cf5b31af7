//! `GET /facets`: what can be chosen.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Question};
use super::asking::Asking;
use super::csv::{self, Column as CsvColumn, Row};
use super::filter::Column;
use super::state::Api;
use super::time::Dates;
use super::totals::{Cut, GroupCount, sort_groups};
use crate::gold::Snapshot;
use crate::problem::Problem;
use crate::silver::{Columns, Query, Reader, Trouble, text_at};

/// Values of a column that are listed.
const MOST_VALUES: usize = 1000;

/// What views can be chosen by, with the number of views of each value; most first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Facets {
    /// First and last date with a view.
    dates: Option<Dates>,
    /// Regions.
    regions: Vec<GroupCount>,
    /// Creators.
    creators: Vec<GroupCount>,
    /// Genres.
    genres: Vec<GroupCount>,
    /// Devices.
    devices: Vec<GroupCount>,
    /// Columns of the user metadata.
    user_columns: Vec<UserColumn>,
    /// Which of the four lists above had to be cut.
    cuts: Vec<ListCut>,
}

/// A column of the user metadata: `user.<name>` chooses by it.
#[derive(Debug, Serialize, ToSchema)]
struct UserColumn {
    /// Its name.
    name: String,
    /// Its values.
    values: Vec<GroupCount>,
    /// Whether there are more values.
    cut: Option<Cut>,
}

/// A list that was cut.
#[derive(Debug, Serialize, ToSchema)]
struct ListCut {
    /// Which.
    name: &'static str,
    #[serde(flatten)]
    cut: Cut,
}

/// A value, for CSV.
#[derive(Serialize)]
struct FacetRow<'a> {
    name: String,
    value: Option<&'a str>,
    views: i64,
}

impl Row for FacetRow<'_> {
    const COLUMNS: &'static [(&'static str, CsvColumn)] =
        &[("name", CsvColumn::Text), ("value", CsvColumn::Text), ("views", CsvColumn::Integer)];
}

impl Answer for Facets {
    fn csv(&self) -> Option<Result<Vec<u8>, arrow_schema::ArrowError>> {
        let fixed = [
            ("region", &self.regions),
            ("creator", &self.creators),
            ("genre", &self.genres),
            ("device", &self.devices),
        ];
        let fixed = fixed.into_iter().map(|(name, values)| (name.to_owned(), values));
        let of_users = self.user_columns.iter().map(|column| (format!("user.{}", column.name), &column.values));
        let rows = fixed.chain(of_users).flat_map(|(name, values)| {
            values.iter().map(move |v| FacetRow { name: name.clone(), value: v.value.as_deref(), views: v.views })
        });
        Some(csv::write(&rows.collect::<Vec<_>>()))
    }
}

/// The values that filters take. As CSV: a value a row, under the name of its parameter.
#[utoipa::path(
    get, path = "/facets", tag = "about",
    responses((status = 200, description = "The values.", content((Facets = "application/json"), (String = "text/csv"))))
)]
pub(crate) async fn facets(State(api): State<Arc<Api>>, asking: Asking) -> Result<Response, Problem> {
    let snapshot = api.snapshot()?;
    asking.params.none_left(&[])?;
    let state = snapshot.build.build_id.as_str();
    let question = Question { state, endpoint: "facets".to_owned(), query: String::new(), page: None };
    api.answers.answer(&asking, question, async { Ok(compute(&api, &snapshot).await?) }).await
}

async fn compute(api: &Api, snapshot: &Snapshot) -> Result<Facets, Trouble> {
    let reader = api.reader(snapshot);
    let mut cuts = Vec::new();
    let mut fixed = Vec::new();
    let columns = [
        ("regions", Column::Region),
        ("creators", Column::Creator),
        ("genres", Column::Genre),
        ("devices", Column::Device),
    ];
    for (name, column) in columns {
        let (values, cut) = values(reader, &column).await?;
        cuts.extend(cut.map(|cut| ListCut { name, cut }));
        fixed.push(values);
    }
    let mut user_columns = Vec::new();
    for name in &snapshot.user_columns {
        let (values, cut) = values(reader, &Column::User(name.clone())).await?;
        user_columns.push(UserColumn { name: name.clone(), values, cut });
    }
    let mut fixed = fixed.into_iter();
    let mut next = || fixed.next().unwrap_or_default();
    Ok(Facets {
        dates: snapshot.dates,
        regions: next(),
        creators: next(),
        genres: next(),
        devices: next(),
        user_columns,
        cuts,
    })
}

/// The values of a column with the most views.
async fn values(reader: Reader<'_>, column: &Column) -> Result<(Vec<GroupCount>, Option<Cut>), Trouble> {
    let column = column.sql();
    let sql = format!(
        "select {column} as value, count(*) as views from silver.views v group by {column} \
         order by views desc, value asc nulls last limit {}",
        MOST_VALUES + 1
    );
    let mut values = Vec::new();
    for batch in reader.collect(Query::plain(sql)).await? {
        let columns = Columns(&batch);
        let (texts, views) = (columns.texts("value")?, columns.integers("views")?);
        let value = |row| GroupCount { value: text_at(&texts, row).map(str::to_owned), views: views.value(row) };
        values.extend((0..batch.num_rows()).map(value));
    }
    sort_groups(&mut values);
    if values.len() <= MOST_VALUES {
        return Ok((values, None));
    }
    values.truncate(MOST_VALUES);
    let sql = format!("select count(*) as total from (select distinct {column} from silver.views v)");
    let mut total = 0;
    for batch in reader.collect(Query::plain(sql)).await? {
        total += Columns(&batch).integers("total")?.iter().flatten().sum::<i64>();
    }
    Ok((values, Some(Cut { limit: MOST_VALUES, total: usize::try_from(total).unwrap_or(usize::MAX) })))
}
