//! How a command ends when it does not succeed.

use std::error::Error as StdError;
use std::fmt::Display;
use std::io::ErrorKind;

use datafusion::error::DataFusionError;
use streamreel_lake::Lake;

/// The status of a command that was interrupted: what a shell reports of a program that Ctrl-C ended.
pub const INTERRUPTED_STATUS: u8 = 130;
/// What is said where gold is wanted before the first build.
pub const NOT_PUBLISHED: &str = "nothing is published yet: run `streamreel build` first";

/// Why a command ended without success, and so with which status.
#[derive(Debug)]
pub enum Failure {
    /// It was called wrongly (status 2).
    Usage(String),
    /// It was called rightly and failed (status 1).
    Failed(anyhow::Error),
    /// It did its work, and the answer is no: a failed audit, a failed test. All has been printed (status 1).
    Negative,
    /// It was asked to stop, by Ctrl-C or SIGTERM, before all was done that it was called for; says how far it is (status 130).
    Interrupted(String),
    /// Whoever read the output has left, as `head` does. No failure of ours (status 0).
    ReaderLeft,
}

/// Says within an error of any kind that it is a [`Failure::Interrupted`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Interrupted(pub String);

/// Result of a command.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A wrong use.
    pub fn usage(message: impl Display) -> Self {
        Failure::Usage(message.to_string())
    }

    /// Of an error that a query over a lake led to: where it comes of a data file, the lake says which and what to do.
    pub fn of_query(lake: &Lake, error: impl Into<anyhow::Error>) -> Self {
        let error: anyhow::Error = error.into();
        let unreadable = error.chain().find_map(engines_own).and_then(|said| lake.unreadable(said));
        match unreadable {
            Some(unreadable) => unreadable.into(),
            None => error.into(),
        }
    }

    /// The exit status.
    pub fn status(&self) -> u8 {
        match self {
            Failure::ReaderLeft => 0,
            Failure::Failed(_) | Failure::Negative => 1,
            Failure::Usage(_) => 2,
            Failure::Interrupted(_) => INTERRUPTED_STATUS,
        }
    }

    /// Whether another writer was first, so that it may succeed when it is done again.
    pub fn is_conflict(&self) -> bool {
        let is_conflict = |cause: &(dyn StdError + 'static)| {
            matches!(cause.downcast_ref(), Some(streamreel_lake::Error::Conflict { .. }))
        };
        matches!(self, Failure::Failed(error) if error.chain().any(is_conflict))
    }

    /// Says on stderr what was wrong, cause by cause.
    pub fn report(&self) {
        if let Some(message) = self.message() {
            eprintln!("error: {message}");
        }
    }

    /// What was wrong, cause by cause; `None` where all has been said.
    pub fn message(&self) -> Option<String> {
        match self {
            Failure::Usage(message) | Failure::Interrupted(message) => Some(message.clone()),
            Failure::Failed(error) => Some(causes(error)),
            Failure::Negative | Failure::ReaderLeft => None,
        }
    }
}

/// The query engine's error, if it is one; some errors have theirs in a box.
fn engines_own<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a DataFusionError> {
    error.downcast_ref().or_else(|| error.downcast_ref::<Box<DataFusionError>>().map(|boxed| &**boxed))
}

/// An error and what caused it; where an error says itself what its cause says, that is not said again.
fn causes(error: &anyhow::Error) -> String {
    let mut said = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let broken_pipe = |e: &std::io::Error| e.kind() == ErrorKind::BrokenPipe;
        if error.downcast_ref().is_some_and(broken_pipe) {
            return Failure::ReaderLeft;
        }
        if let Some(config) = error.downcast_ref::<crate::config::ConfigError>() {
            return Failure::Usage(config.to_string());
        }
        if let Some(place @ streamreel_lake::Error::BadPlace { .. }) = error.downcast_ref() {
            return Failure::Usage(place.to_string());
        }
        if let Some(cancelled @ streamreel_enrich::Error::Cancelled) = error.downcast_ref() {
            return Failure::Interrupted(cancelled.to_string());
        }
        if let Some(Interrupted(message)) = error.downcast_ref() {
            return Failure::Interrupted(message.clone());
        }
        Failure::Failed(error)
    }
}

#[cfg(test)]
mod tests {
    use streamreel_lake::TableId;

    use super::*;

    #[test]
    fn an_interruption_is_known_among_other_errors() {
        let error = anyhow::anyhow!(Interrupted("as it was".to_owned()));
        let failure = Failure::from(error);
        assert_eq!((failure.status(), failure.message().as_deref()), (INTERRUPTED_STATUS, Some("as it was")));
    }

    #[test]
    fn a_conflict_is_known_below_other_errors() {
        let conflict = || streamreel_lake::Error::Conflict {
            operation: "commit".to_owned(),
            table: TableId::silver("views"),
            what: "its rows changed".to_owned(),
        };
        let silver = streamreel_enrich::Error::Lake { operation: "committing silver", source: conflict() };
        let doing = "committing gold.drop_off".to_owned();
        let gold = streamreel_model::Error::Lake { doing, source: Box::new(conflict()) };
        assert!(Failure::from(silver).is_conflict());
        assert!(Failure::from(gold).is_conflict());
        let cancelled = Failure::from(streamreel_enrich::Error::Cancelled);
        assert!(!cancelled.is_conflict());
        assert_eq!(cancelled.status(), INTERRUPTED_STATUS);
        assert!(!Failure::usage("views").is_conflict());
    }
}
