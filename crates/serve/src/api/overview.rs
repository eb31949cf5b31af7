//! `GET /overview`: a period, day by day and as a whole, against the one before.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Question};
use super::asking::Asking;
use super::csv::{self, Column, Row};
use super::filter::{Filter, TAKEN};
use super::state::Api;
use super::time::{Dates, Day};
use super::totals::Totals;
use crate::gold::Snapshot;
use crate::problem::Problem;
use crate::silver::{Columns, Facts, Reader, Trouble, add_facts, facts, viewers};

/// Days of the longest period.
const MOST_DAYS: i32 = 3660;

/// Dates, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
struct Period {
    /// The first.
    from: Day,
    /// The last.
    to: Day,
}

impl Period {
    fn days(self) -> i32 {
        self.to.0.saturating_sub(self.from.0).saturating_add(1)
    }

    fn before(self) -> Self {
        Self { from: self.from.plus(-self.days()), to: self.from.plus(-1) }
    }
}

/// A period and the one before.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    /// The dates asked for; where they are not given, those with views. Null when nothing was ever viewed and no date is given.
    period: Option<Period>,
    /// As many days just before; null when there were no views of any kind.
    previous: Option<Period>,
    /// The period as a whole.
    totals: Totals,
    /// The one before as a whole.
    previous_totals: Option<Totals>,
    /// Every day of the period, those without views too.
    days: Vec<DayTotals>,
}

/// A day.
#[derive(Debug, Serialize, ToSchema)]
struct DayTotals {
    /// The date.
    date: Day,
    #[serde(flatten)]
    totals: Totals,
}

impl Row for DayTotals {
    const COLUMNS: &'static [(&'static str, Column)] = &[
        ("date", Column::Text),
        ("views", Column::Integer),
        ("viewers", Column::Integer),
        ("watch_time_s", Column::Number),
        ("avg_retention", Column::Number),
        ("completion_rate", Column::Number),
        ("engaged_views", Column::Integer),
    ];
}

impl Answer for Overview {
    fn csv(&self) -> Option<Result<Vec<u8>, arrow_schema::ArrowError>> {
        Some(csv::write(&self.days))
    }
}

/// Views, viewers, watch time, retention and completion of a period, day by day; as CSV the days.
#[utoipa::path(
    get, path = "/overview", tag = "views", params(Filter),
    responses((status = 200, description = "The period.", content((Overview = "application/json"), (String = "text/csv"))))
)]
pub(crate) async fn overview(State(api): State<Arc<Api>>, mut asking: Asking) -> Result<Response, Problem> {
    let snapshot = api.snapshot()?;
    let filter = Filter::take(&mut asking.params, &snapshot.user_columns)?;
    asking.params.none_left(&TAKEN)?;
    let period = period(&filter, snapshot.dates)?;
    let state = snapshot.build.build_id.as_str();
    let question = Question { state, endpoint: "overview".to_owned(), query: filter.canonical(), page: None };
    api.answers.answer(&asking, question, async { Ok(compute(&api, &snapshot, &filter, period).await?) }).await
}

/// The dates given, completed by those that there are.
fn period(filter: &Filter, dates: Option<Dates>) -> Result<Option<Period>, Problem> {
    let first = filter.from.or_else(|| Some(dates?.first.min(filter.to?))).or(dates.map(|dates| dates.first));
    let Some(from) = first.or(filter.to) else { return Ok(None) };
    let to = filter.to.unwrap_or_else(|| dates.map_or(from, |dates| dates.last.max(from)));
    let period = Period { from, to };
    if period.days() > MOST_DAYS {
        let detail = format!("{from} to {to} are {} days; at most {MOST_DAYS} are taken", period.days());
        return Err(Problem::parameter(if filter.from.is_some() { "from" } else { "to" }, detail));
    }
    Ok(Some(period))
}

async fn compute(api: &Api, snapshot: &Snapshot, filter: &Filter, period: Option<Period>) -> Result<Overview, Trouble> {
    let Some(period) = period else {
        let totals = Totals::new(&Facts::default(), 0);
        return Ok(Overview { period: None, previous: None, totals, previous_totals: None, days: Vec::new() });
    };
    let reader = api.reader(snapshot);
    let was_viewed = |previous: &Period| snapshot.dates.is_some_and(|dates| dates.first <= previous.to);
    let previous = Some(period.before()).filter(was_viewed);
    let chosen = filter.within(period.from, period.to);
    let before = async {
        match previous {
            Some(previous) => whole(reader, &filter.within(previous.from, previous.to)).await.map(Some),
            None => Ok(None),
        }
    };
    let (days, people, previous_totals) =
        tokio::try_join!(by_day(reader, &chosen), viewers(reader, &chosen, &[]), before)?;
    let mut sums = Facts::default();
    days.values().for_each(|(facts, _)| sums.add(facts));
    let dense = (period.from.0..=period.to.0).map(|date| {
        let (facts, viewers) = days.get(&date).copied().unwrap_or_default();
        DayTotals { date: Day(date), totals: Totals::new(&facts, viewers) }
    });
    Ok(Overview {
        period: Some(period),
        previous,
        totals: Totals::new(&sums, only(&people)?),
        previous_totals,
        days: dense.collect(),
    })
}

/// Facts and viewers by date.
async fn by_day(reader: Reader<'_>, filter: &Filter) -> Result<BTreeMap<i32, (Facts, i64)>, Trouble> {
    const BY_DAY: [(&str, &str); 1] = [("v.view_date", "view_date")];
    let (sums, people) = tokio::try_join!(facts(reader, filter, &BY_DAY), viewers(reader, filter, &BY_DAY))?;
    let mut days: BTreeMap<i32, (Facts, i64)> = BTreeMap::new();
    for batch in &sums {
        let columns = Columns(batch);
        let dates = columns.days("view_date")?;
        add_facts(&columns, |row, facts| days.entry(dates.value(row)).or_default().0.add(&facts))?;
    }
    for batch in &people {
        let columns = Columns(batch);
        let (dates, counts) = (columns.days("view_date")?, columns.integers("viewers")?);
        for row in 0..batch.num_rows() {
            days.entry(dates.value(row)).or_default().1 += counts.value(row);
        }
    }
    Ok(days)
}

/// All views chosen as one.
pub(crate) async fn whole(reader: Reader<'_>, filter: &Filter) -> Result<Totals, Trouble> {
    let (sums, people) = tokio::try_join!(facts(reader, filter, &[]), viewers(reader, filter, &[]))?;
    let mut all = Facts::default();
    for batch in &sums {
        add_facts(&Columns(batch), |_, facts| all.add(&facts))?;
    }
    Ok(Totals::new(&all, only(&people)?))
}

/// The viewers of a result without groups.
pub(crate) fn only(batches: &[arrow_array::RecordBatch]) -> Result<i64, Trouble> {
    let mut viewers = 0;
    for batch in batches {
        viewers += Columns(batch).integers("viewers")?.iter().flatten().sum::<i64>();
    }
    Ok(viewers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::query::Params;

    #[test]
    fn periods() {
        let dates = Some(Dates { first: Day(100), last: Day(106) });
        let day = |n: i32| Day(n).to_string();
        let cases = [
            (String::new(), dates, Some((100, 106))),
            (String::new(), None, None),
            (format!("from={}", day(104)), dates, Some((104, 106))),
            (format!("from={}", day(200)), dates, Some((200, 200))),
            (format!("to={}", day(104)), dates, Some((100, 104))),
            (format!("to={}", day(50)), dates, Some((50, 50))),
            (format!("to={}", day(50)), None, Some((50, 50))),
            (format!("from={}&to={}", day(90), day(101)), dates, Some((90, 101))),
        ];
        for (query, dates, expected) in cases {
            let mut params = Params::parse(Some(&query)).expect("decodes");
            let filter = Filter::take(&mut params, &[]).expect("a filter");
            let period = period(&filter, dates).expect("a period");
            assert_eq!(period.map(|p| (p.from.0, p.to.0)), expected, "{query}");
        }
        let mut params = Params::parse(Some("from=0001-01-01&to=9999-12-31")).expect("decodes");
        let filter = Filter::take(&mut params, &[]).expect("a filter");
        assert!(period(&filter, dates).is_err());
    }
}
