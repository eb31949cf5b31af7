//! Where a lake is: a folder, or a prefix in a bucket of an object store.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use object_store::path::Path as ObjectPath;
use url::Url;

use crate::error::{Error, Result};

/// How an address in a bucket begins.
const SCHEMES: [&str; 2] = ["s3://", "s3a://"];

/// Where a lake, a table or a file of it is. Shown as a path, or as `s3://BUCKET/PREFIX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A path of this machine.
    Folder(PathBuf),
    /// An address in an S3-compatible object store.
    Bucket {
        /// The bucket.
        name: Box<str>,
        /// Segments of the keys below it, separated by `/`; may be empty.
        prefix: Box<str>,
    },
}

impl Place {
    /// Whether a text looks like an address in a bucket, not like a folder.
    pub fn is_url(text: &str) -> bool {
        text.contains("://")
    }

    /// The path, if it is one of this machine.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(path) => Some(path),
            Self::Bucket { .. } => None,
        }
    }

    /// What is below, by `/`-separated names.
    pub fn join(&self, below: &str) -> Self {
        match self {
            Self::Folder(path) => Self::Folder(path.join(below)),
            Self::Bucket { name, prefix } if prefix.is_empty() => {
                Self::Bucket { name: name.clone(), prefix: below.into() }
            }
            Self::Bucket { name, prefix } => {
                Self::Bucket { name: name.clone(), prefix: format!("{prefix}/{below}").into() }
            }
        }
    }

    /// The key in the bucket.
    pub(crate) fn key(&self) -> ObjectPath {
        match self {
            Self::Folder(path) => ObjectPath::from_absolute_path(path).unwrap_or_default(),
            Self::Bucket { prefix, .. } => ObjectPath::from(&**prefix),
        }
    }

    /// As the table library takes a table's place: with a `/` at the end.
    pub(crate) fn url(&self) -> Result<Url> {
        let refused = |problem: &str| Error::BadPlace { given: self.to_string(), problem: problem.to_owned() };
        match self {
            Self::Folder(path) => Url::from_directory_path(path).map_err(|()| refused("its path can't be a file URL")),
            Self::Bucket { .. } => Url::parse(&format!("{self}/")).map_err(|e| refused(&e.to_string())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Bucket { name, prefix } if prefix.is_empty() => write!(f, "s3://{name}"),
            Self::Bucket { name, prefix } => write!(f, "s3://{name}/{prefix}"),
        }
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Place {
    fn from(path: &P) -> Self {
        Self::Folder(path.as_ref().to_owned())
    }
}

impl From<PathBuf> for Place {
    fn from(path: PathBuf) -> Self {
        Self::Folder(path)
    }
}

impl FromStr for Place {
    type Err = Error;

    /// A folder, or `s3://BUCKET[/PREFIX]`.
    ///
    /// # Errors
    /// [`Error::BadPlace`] for another scheme, a bucket without a name, and names that would have to be escaped in URLs.
    fn from_str(text: &str) -> Result<Self> {
        if !Self::is_url(text) {
            return Ok(Self::Folder(text.into()));
        }
        let refused = |problem: &str| Error::BadPlace { given: text.to_owned(), problem: problem.to_owned() };
        let address = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme));
        let address = address.ok_or_else(|| refused("it is neither a folder nor s3://BUCKET/PREFIX"))?;
        let (name, prefix) = address.split_once('/').unwrap_or((address, ""));
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c)) {
            return Err(refused("a bucket's name is of a-z, 0-9, - and ."));
        }
        let prefix = prefix.trim_end_matches('/');
        let plain = |part: &str| {
            !matches!(part, "" | "." | "..") && part.chars().all(|c| c.is_ascii_alphanumeric() || "-._=".contains(c))
        };
        if !prefix.is_empty() && !prefix.split('/').all(plain) {
            return Err(refused("the names in a prefix are of letters, digits, -, _, = and ."));
        }
        Ok(Self::Bucket { name: name.into(), prefix: prefix.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_they_are_given() {
        let cases = [
            ("s3://bucket", "s3://bucket", "s3://bucket/silver/views"),
            ("s3://bucket/", "s3://bucket", "s3://bucket/silver/views"),
            ("s3a://my-bucket/a/b=1/", "s3://my-bucket/a/b=1", "s3://my-bucket/a/b=1/silver/views"),
            ("/data/lake", "/data/lake", "/data/lake/silver/views"),
            ("lake", "lake", "lake/silver/views"),
        ];
        for (given, shown, table) in cases {
            let place: Place = given.parse().unwrap();
            assert_eq!(place.to_string(), shown);
            assert_eq!(place.join("silver").join("views").to_string(), table);
        }
    }

    #[test]
    fn what_is_no_place_says_why() {
        let cases = [
            ("gs://bucket/lake", "neither a folder nor s3://"),
            ("s3://", "bucket's name"),
            ("s3:///lake", "bucket's name"),
            ("s3://Bucket/lake", "bucket's name"),
            ("s3://bucket/a//b", "prefix"),
            ("s3://bucket/../b", "prefix"),
            ("s3://bucket/a b", "prefix"),
            ("s3://bucket/a?b", "prefix"),
        ];
        for (given, says) in cases {
            let error = given.parse::<Place>().unwrap_err().to_string();
            assert!(error.contains(says) && error.contains(given), "{given}: {error}");
        }
    }
}
