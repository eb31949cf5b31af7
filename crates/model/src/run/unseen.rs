//! Rows that no test has seen: tests that look at one row at a time need to look at no others.

use std::collections::BTreeMap;

use datafusion::common::DFSchema;
use streamreel_lake::beyond;

/// What was written since the published build, as conditions in SQL on the columns by which rows tell.
pub(super) struct Unseen {
    by_build: String,
    /// `None` where rows don't tell.
    by_source: Option<String>,
}

impl Unseen {
    /// `builds` are the silver builds since; `seen` and `offsets` the source offsets that the published build and the one
    /// that is being made cover.
    pub(super) fn new(builds: &[String], seen: &BTreeMap<String, i64>, offsets: &BTreeMap<String, i64>) -> Self {
        let ids: Vec<String> = builds.iter().map(|id| format!("build_id = '{}'", id.replace('\'', "''"))).collect();
        let by_build = if ids.is_empty() { "false".to_owned() } else { ids.join(" or ") };
        Self { by_build, by_source: beyond(seen, offsets) }
    }

    /// The condition for rows of one table with this schema; `None` where they tell neither the build that wrote them nor
    /// their source. Rows of a source are appended once and never changed.
    pub(super) fn condition(&self, schema: &DFSchema) -> Option<&str> {
        let has = |column: &str| schema.has_column_with_unqualified_name(column);
        let sources = ["source_log", "source_topic", "source_partition", "source_offset"];
        if has("build_id") {
            Some(&self.by_build)
        } else if sources.into_iter().all(has) {
            self.by_source.as_deref()
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    #[test]
    fn rows_tell_by_build_or_by_source() {
        let at = |offset| BTreeMap::from([("l/video-events/0".to_owned(), offset)]);
        let unseen = Unseen::new(&["b1".to_owned(), "b2".to_owned()], &at(3), &at(9));
        let schema = |names: &[&str]| {
            let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
            DFSchema::try_from(Schema::new(fields)).unwrap()
        };
        let sources = ["source_log", "source_topic", "source_partition", "source_offset"];
        assert_eq!(unseen.condition(&schema(&["a", "build_id"])), Some("build_id = 'b1' or build_id = 'b2'"));
        let by_source = unseen.condition(&schema(&sources)).unwrap();
        assert!(by_source.contains("source_offset >= 3"), "{by_source}");
        assert_eq!(unseen.condition(&schema(&sources[..3])), None);
        assert_eq!(Unseen::new(&[], &at(3), &at(3)).condition(&schema(&["build_id"])), Some("false"));
    }
}
