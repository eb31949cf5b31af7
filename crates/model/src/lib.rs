//! Runs a dbt project on DataFusion and writes its gold models as Delta tables.

mod checks;
mod compile;
mod config;
mod error;
mod files;
mod graph;
mod jinja;
mod project;
mod properties;
mod select;
mod yaml;

pub use checks::Severity;
pub use config::Materialized;
pub use error::{Error, Place, Result};
pub use project::{Model, Project};
