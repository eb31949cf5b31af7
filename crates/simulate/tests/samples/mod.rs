//! The settings of the logs in the repository's `examples/` folder.

use streamreel_simulate::{Pace, Players, Settings};

/// File names and settings.
pub fn logs() -> [(&'static str, Settings); 2] {
    let records = |records, days| Pace::Records { records, days };
    [
        (
            "minimal.ndjson",
            Settings {
                pace: records(800, 2),
                players: Players::Minimal,
                dirt_ratio: 0.0,
                seed: 11,
                ..Settings::default()
            },
        ),
        ("full.ndjson", Settings { pace: records(1_500, 2), dirt_ratio: 0.04, seed: 12, ..Settings::default() }),
    ]
}
