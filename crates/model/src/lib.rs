//! Runs the dbt project on DataFusion and writes its gold models as Delta tables.
//!
//! The same files run on dbt Core with dbt-duckdb and dbt-spark. What this runner has of dbt:
//!
//! | dbt | here |
//! |---|---|
//! | `dbt_project.yml`: name, paths, vars, `models:` tree | yes; hooks, seeds and snapshots are refused |
//! | models in SQL; `table`, `incremental`, `ephemeral`, `view` | yes; a view outside of gold is ephemeral, in gold it is refused |
//! | sources, descriptions, columns | yes |
//! | data tests: generic, singular; `severity`, `where` | yes, with dbt's names |
//! | unit tests: rows as dicts or CSV, overrides of macros, vars and environment variables | yes |
//! | macros across files, `adapter.dispatch` (`datafusion__`, then `default__`), `return`, `do` | yes |
//! | `run_query`, `statement`, materializations, Python models, packages | refused, with the line |
//!
//! An incremental model names in `changed_by` the columns of `silver.changes` that its groups are made of. A build
//! takes the distinct groups that silver builds have touched since the published one, as the session's table
//! `silver.changed_groups` with just these columns, and the dates of the groups as `var('changed_dates')`; it deletes
//! these groups from the model's table and appends what the model selects, in one commit. A model whose SQL, layout or columns changed, or that reads such a model, is derived as a whole.
//!
//! Nothing that a run writes is visible before all tests have passed: it works at table versions that no reader
//! asks for, and then appends one row to `gold.builds`, which names the versions that belong together.

mod checks;
mod compile;
mod config;
mod error;
mod files;
mod graph;
mod head;
mod jinja;
mod project;
mod properties;
mod reader;
mod report;
mod run;
mod select;
mod yaml;

pub use checks::Severity;
pub use config::Materialized;
pub use error::{Error, Place, Result};
pub use project::{Model, Project};
pub use report::{Action, Failure, ModelReport, Outcome, Progress, Report, Sample, TestKind, TestReport, TestResult};
pub use run::{OnProgress, Options, run};
