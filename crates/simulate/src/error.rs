//! What can be wrong with the settings or the catalogue that a simulation is asked for.

/// Why a simulation can't start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A share that must lie in `0.0..=most` does not.
    #[error("{name} is {value}; give a share from 0 to {most}")]
    Ratio {
        /// The setting's name.
        name: &'static str,
        /// What was given.
        value: f64,
        /// The largest share that is allowed.
        most: f64,
    },
    /// The rate is not a positive, finite number of at most 10 million records a second.
    #[error("the rate is {0} records a second; give one above 0 and at most 10,000,000")]
    Rate(f64),
    /// A number that must be at least 1 is 0, or one is beyond what the simulator can hold.
    #[error("{name} is {value}; give a number from 1 to {most}")]
    Count {
        /// The setting's name.
        name: &'static str,
        /// What was given.
        value: u64,
        /// The largest value that is allowed.
        most: u64,
    },
    /// The catalogue's CSV can't be read.
    #[error("the video catalogue can't be read as CSV: {0}")]
    CatalogueCsv(#[from] csv::Error),
    /// A column that the simulator needs is not in the catalogue.
    #[error("the video catalogue has no column `{0}`; it needs at least video_id and duration_s")]
    CatalogueColumn(&'static str),
    /// A row of the catalogue has no usable duration or no id.
    #[error("line {line} of the video catalogue: {column} is `{value}`; {wanted}")]
    CatalogueRow {
        /// Line of the CSV text, from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        wanted: &'static str,
    },
    /// The same video is there twice.
    #[error("line {line} of the video catalogue: video `{video_id}` is there twice")]
    CatalogueTwice {
        /// Line of the CSV text, from 1.
        line: u64,
        /// The video.
        video_id: String,
    },
    /// No video at all.
    #[error("the video catalogue has no rows")]
    CatalogueEmpty,
}
