//! Filters: which views an answer is about. The same parameters everywhere, and one text for equal filters.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::scalar::ScalarValue;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::{KnownFormat, SchemaFormat};

use super::document;
use super::query::{Params, encode};
use super::time::Day;
use crate::gold::Video;
use crate::problem::Problem;
use crate::silver::Values;

/// Values of one filter that are taken.
pub(crate) const MOST_VALUES: usize = 100;
/// What a filter of silver's `user_<column>` is called: this and the column.
const USER: &str = "user.";

/// The device of `v`, which is silver.views. Players may send an empty one, which tells no more than none.
pub(crate) const DEVICE: &str = "nullif(v.device, '')";

/// What a filter's parameters are, for messages.
pub(crate) const TAKEN: [&str; 8] =
    ["from", "to", "region", "creator", "genre", "device", "video", "user.<column of the user metadata>"];

/// A column of silver.views that views can be chosen by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    Region,
    Creator,
    Genre,
    Device,
    Video,
    /// `user_<name>`.
    User(String),
}

impl Column {
    /// The columns whose names are fixed.
    const FIXED: [Column; 5] = [Column::Region, Column::Creator, Column::Genre, Column::Device, Column::Video];

    /// The parameter.
    fn parameter(&self) -> String {
        match self {
            Column::Region => "region".to_owned(),
            Column::Creator => "creator".to_owned(),
            Column::Genre => "genre".to_owned(),
            Column::Device => "device".to_owned(),
            Column::Video => "video".to_owned(),
            Column::User(name) => format!("{USER}{name}"),
        }
    }

    /// The column of `v`, which is silver.views, as text.
    pub(crate) fn sql(&self) -> String {
        match self {
            Column::Video => "v.video_id".to_owned(),
            Column::Device => DEVICE.to_owned(),
            Column::User(name) => format!("cast(v.\"user_{}\" as varchar)", name.replace('"', "\"\"")),
            fixed => format!("v.{}", fixed.parameter()),
        }
    }
}

/// Values of which a view has one; `None` is the group whose value is unknown.
type Choice = BTreeSet<Option<String>>;

/// Which views: those within the dates that have, for every column named, one of its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// The first date.
    pub(crate) from: Option<Day>,
    /// The last date.
    pub(crate) to: Option<Day>,
    chosen: BTreeMap<Column, Choice>,
}

impl Filter {
    /// Takes the filter's parameters. `user_columns` are the columns of the user metadata.
    pub(crate) fn take(params: &mut Params, user_columns: &[String]) -> Result<Self, Problem> {
        let mut filter = Self { from: take_day(params, "from")?, to: take_day(params, "to")?, chosen: BTreeMap::new() };
        if let (Some(from), Some(to)) = (filter.from, filter.to)
            && from > to
        {
            return Err(Problem::parameter("from", format!("`from` {from} is after `to` {to}")));
        }
        for column in Column::FIXED {
            let values = params.all(&column.parameter());
            if column == Column::Video && values.iter().any(String::is_empty) {
                return Err(Problem::parameter("video", "the id of a video is not empty"));
            }
            check_count(&column, values.len())?;
            if !values.is_empty() {
                filter.chosen.insert(column, values.into_iter().map(known).collect());
            }
        }
        let mut given: BTreeMap<Column, usize> = BTreeMap::new();
        for (name, value) in params.prefixed(USER) {
            if !user_columns.contains(&name) {
                return Err(unknown_user_column(&name, user_columns));
            }
            let column = Column::User(name);
            *given.entry(column.clone()).or_default() += 1;
            filter.chosen.entry(column).or_default().insert(known(value));
        }
        given.iter().try_for_each(|(column, count)| check_count(column, *count))?;
        Ok(filter)
    }

    /// Equal filters, however they were written, have one text; it is their query string.
    pub(crate) fn canonical(&self) -> String {
        let mut text = String::new();
        let mut add = |name: &str, value: &str| {
            if !text.is_empty() {
                text.push('&');
            }
            encode(name, &mut text);
            text.push('=');
            encode(value, &mut text);
        };
        for (name, day) in [("from", self.from), ("to", self.to)] {
            if let Some(day) = day {
                add(name, &day.to_string());
            }
        }
        for (column, choice) in &self.chosen {
            for value in choice {
                add(&column.parameter(), value.as_deref().unwrap_or_default());
            }
        }
        text
    }

    /// Whether every view is meant.
    pub(crate) fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether gold can't answer, as it does not know of devices and users.
    pub(crate) fn needs_silver(&self) -> bool {
        self.chosen.keys().any(|column| matches!(column, Column::Device | Column::User(_)))
    }

    /// The regions chosen; `None`: all.
    pub(crate) fn regions(&self) -> Option<&Choice> {
        self.chosen.get(&Column::Region)
    }

    /// Whether views of the video can be meant.
    pub(crate) fn admits(&self, video: &Video) -> bool {
        let has = |column: Column, value: Option<&str>| {
            self.chosen.get(&column).is_none_or(|choice| choice.iter().any(|chosen| chosen.as_deref() == value))
        };
        has(Column::Video, Some(&video.video_id))
            && has(Column::Creator, video.creator.as_deref())
            && has(Column::Genre, video.genre.as_deref())
    }

    /// Of these views, those of one video.
    pub(crate) fn of_video(&self, video_id: &str) -> Self {
        let one = Some(video_id.to_owned());
        let mut filter = self.clone();
        let choice = filter.chosen.entry(Column::Video).or_insert_with(|| Choice::from([one.clone()]));
        choice.retain(|chosen| *chosen == one);
        filter
    }

    /// These views, within other dates.
    pub(crate) fn within(&self, from: Day, to: Day) -> Self {
        Self { from: Some(from), to: Some(to), chosen: self.chosen.clone() }
    }

    /// A condition on `v`, which is silver.views. Values become placeholders.
    pub(crate) fn predicate(&self, values: &mut Values) -> String {
        let mut terms = self.date_terms("v", values);
        for (column, choice) in &self.chosen {
            let sql = column.sql();
            let known: Vec<String> =
                choice.iter().flatten().map(|value| values.bind(ScalarValue::from(value.as_str()))).collect();
            let mut either = Vec::new();
            if !known.is_empty() {
                either.push(format!("{sql} in ({})", known.join(", ")));
            }
            if choice.contains(&None) {
                either.push(format!("{sql} is null"));
            }
            terms.push(if either.is_empty() { "false".to_owned() } else { format!("({})", either.join(" or ")) });
        }
        if terms.is_empty() { "true".to_owned() } else { terms.join(" and ") }
    }

    /// The dates alone, as a condition on any table of silver: files of other dates are not opened.
    pub(crate) fn date_predicate(&self, alias: &str, values: &mut Values) -> String {
        let terms = self.date_terms(alias, values);
        if terms.is_empty() { "true".to_owned() } else { terms.join(" and ") }
    }

    fn date_terms(&self, alias: &str, values: &mut Values) -> Vec<String> {
        let mut terms = Vec::new();
        for (day, comparison) in [(self.from, ">="), (self.to, "<=")] {
            if let Some(day) = day {
                terms.push(format!("{alias}.view_date {comparison} {}", values.bind(day.scalar())));
            }
        }
        terms
    }
}

impl IntoParams for Filter {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let day = || document::text(Some(SchemaFormat::KnownFormat(KnownFormat::Date)));
        let group = "Repeatable: any of the values. The empty value is the group where it is unknown.";
        let mut parameters = vec![
            document::parameter("from", "First view date, UTC.", day()),
            document::parameter("to", "Last view date, UTC.", day()),
        ];
        for (name, what) in [
            ("region", "ISO 3166 region of the view."),
            ("creator", "Creator of the video."),
            ("genre", "Genre of the video."),
            ("device", "Device of the view; answered from silver."),
        ] {
            let description = format!("{what} {group}");
            parameters.push(document::repeatable(name, &description));
        }
        parameters.push(document::repeatable(
            "video",
            "Id of a video. Repeatable: any of them. \
             Besides, `user.<column>` chooses by a column of the user metadata (`/api/v1/facets` lists them), in the same way as `region`; \
             answered from silver.",
        ));
        parameters
    }
}

/// A parameter that is a date.
pub(crate) fn take_day(params: &mut Params, name: &str) -> Result<Option<Day>, Problem> {
    let Some(text) = params.one(name)? else { return Ok(None) };
    let wrong = || Problem::parameter(name, format!("`{name}` is a date as in 2026-01-05"));
    Day::parse(&text).map(Some).ok_or_else(wrong)
}

fn known(value: String) -> Option<String> {
    (!value.is_empty()).then_some(value)
}

/// A value counts as often as it is given.
fn check_count(column: &Column, count: usize) -> Result<(), Problem> {
    if count <= MOST_VALUES {
        return Ok(());
    }
    let detail = format!("{count} values are given; at most {MOST_VALUES} are taken");
    Err(Problem::parameter(column.parameter(), detail))
}

fn unknown_user_column(name: &str, user_columns: &[String]) -> Problem {
    let there = match user_columns {
        [] => "the build has none, as no user metadata were there".to_owned(),
        columns => format!("there are {}", columns.join(", ")),
    };
    let shown: String = name.chars().take(64).collect();
    Problem::parameter(format!("{USER}{shown}"), format!("there is no such column of the user metadata; {there}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Result<Filter, Problem> {
        let mut params = Params::parse(Some(query))?;
        let filter = Filter::take(&mut params, &["plan".to_owned(), "we\"ird".to_owned()])?;
        params.none_left(&TAKEN)?;
        Ok(filter)
    }

    #[test]
    fn equal_filters_have_one_text() {
        let cases = [
            ("", ""),
            ("to=2026-01-02&from=2026-01-01", "from=2026-01-01&to=2026-01-02"),
            ("region=US&region=&region=CH&region=US", "region=&region=CH&region=US"),
            ("user.plan=pro&device=tv&genre=a%26b", "genre=a%26b&device=tv&user.plan=pro"),
        ];
        for (query, canonical) in cases {
            let parsed = filter(query).expect(query);
            assert_eq!(parsed.canonical(), canonical);
            assert_eq!(filter(canonical).as_ref(), Ok(&parsed), "{canonical}");
        }
    }

    #[test]
    fn wrong_ones_are_named() {
        let cases = [
            ("from=yesterday", "from"),
            ("from=2026-01-02&to=2026-01-01", "from"),
            ("to=", "to"),
            ("from=2026-01-01&from=2026-01-01", "from"),
            ("video=", "video"),
            ("user.id=u1", "user.id"),
            ("user.=u1", "user."),
            ("regions=CH", "regions"),
        ];
        for (query, parameter) in cases {
            let body = serde_json::to_value(filter(query).expect_err(query).body()).expect("JSON");
            assert_eq!(body["parameter"], parameter, "{query}");
        }
        let many: Vec<String> = (0..=MOST_VALUES).map(|n| format!("region=R{n}")).collect();
        assert!(filter(&many.join("&")).is_err());
    }

    #[test]
    fn values_are_never_sql() {
        let mut values = Values::default();
        let wanted = filter("region=x' or 1=1 --&region=&user.we%22ird=y&to=2026-01-01").expect("a filter");
        let sql = wanted.predicate(&mut values);
        assert_eq!(
            sql,
            "v.view_date <= $1 and (v.region in ($2) or v.region is null) and (cast(v.\"user_we\"\"ird\" as varchar) in ($3))"
        );
        let bound = values.into_inner();
        assert_eq!(bound[1], ScalarValue::from("x' or 1=1 --"));
        assert_eq!(wanted.of_video("v1").of_video("v2").predicate(&mut Values::default()).matches("false").count(), 1);
    }
}
