//! What is built beside the selected models, so that a published build is whole: none of its tables is older than what
//! it is made from.

use std::collections::BTreeSet;

use super::model::{definition, table_of};
use super::state::{State, stored};
use crate::error::Result;
use crate::graph::reachable;
use crate::project::Project;

/// The chosen models and those that are behind, or would be once the chosen ones are built. When silver is new, that is
/// every model, so that silver is tested, too.
pub(super) fn with_those_behind(
    project: &Project,
    state: &State<'_>,
    chosen: &BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    if state.has_new_silver() {
        return Ok(project.models.keys().cloned().collect());
    }
    let mut due: BTreeSet<String> = BTreeSet::new();
    for model in stored(project) {
        let is_due = match state.published_record(&table_of(model)?) {
            None => true,
            Some(record) => {
                record.silver_build != state.silver_build()
                    || !reachable(&project.models, &model.name, true).is_disjoint(&due)
                    || (chosen.contains(&model.name)
                        && record.definition != definition(project, model, &project.compile_model(model, None)?)?)
            }
        };
        if is_due {
            due.insert(model.name.clone());
        }
    }
    Ok(chosen | &due)
}
