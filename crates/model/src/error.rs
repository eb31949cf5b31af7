//! What can go wrong, named by operation. Every error says where in the project it is and what would be right.

use std::fmt;
use std::path::PathBuf;

/// A place in a project's file. Lines count from 1; 0 means the file as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Path inside the project, as `models/gold/gold__drop_off.sql`.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
}

impl Place {
    /// A place from its parts.
    pub fn new(file: impl Into<String>, line: usize) -> Self {
        Self { file: file.into(), line }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of loading, rendering and running a project. Causes are the error's source, not part of its text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the project could not be read.
    #[error("reading the project: {path}", path = path.display())]
    ReadProject {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A YAML file is not well-formed.
    #[error("{at}: not valid YAML: {detail}")]
    ParseYaml {
        /// Where.
        at: Place,
        /// The parser's message.
        detail: String,
    },
    /// The project says something that is wrong or that this runner does not do.
    #[error("{at}: {found}\n  supported: {supported}")]
    Unsupported {
        /// Where.
        at: Place,
        /// The offending text and why it is refused.
        found: String,
        /// What can be written instead.
        supported: String,
    },
    /// A template could not be parsed or rendered.
    #[error("{at}: {detail}\n  | {text}")]
    Render {
        /// Where, in the file as written.
        at: Place,
        /// What went wrong.
        detail: String,
        /// The line itself.
        text: String,
    },
    /// Models refer to each other in a circle.
    #[error("models refer to each other in a circle: {}", path.join(" -> "))]
    Cycle {
        /// The models of the circle; the first is repeated at the end.
        path: Vec<String>,
    },
    /// A selector matches nothing or is not understood.
    #[error("--select {selector}: {detail}")]
    Select {
        /// The selector as given.
        selector: String,
        /// What is wrong, with the nearest names.
        detail: String,
    },
    /// A query of the project is not valid, or failed while it ran.
    #[error("{at}: {node}: {detail}\n  compiled SQL:\n{sql}")]
    Query {
        /// The model or test.
        node: String,
        /// Its file.
        at: Place,
        /// The engine's message.
        detail: String,
        /// The SQL as it was sent, indented.
        sql: String,
    },
    /// A unit test is written in a way that can't be run.
    #[error("{at}: unit test {test}: {detail}")]
    UnitTest {
        /// The unit test.
        test: String,
        /// Where.
        at: Place,
        /// What is wrong.
        detail: String,
    },
    /// The lake refused something.
    #[error("{doing}")]
    Lake {
        /// The operation.
        doing: String,
        /// The lake's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Gold can't be built yet, or what is stored about earlier builds can't be read.
    #[error("{0}")]
    State(String),
}

impl Error {
    pub(crate) fn unsupported(at: &Place, found: impl Into<String>, supported: impl Into<String>) -> Self {
        Error::Unsupported { at: at.clone(), found: found.into(), supported: supported.into() }
    }

    pub(crate) fn lake<E>(doing: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let doing = doing.into();
        move |source| Error::Lake { doing, source: Box::new(source) }
    }
}

/// The name of `known` nearest to `wrong`, if it is near enough to be a slip of the fingers.
pub(crate) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= (name.len().max(wrong.len()) / 3).max(1))
        .min()
        .map(|(_, name)| name)
}
