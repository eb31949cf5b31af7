//! Keys and region from the shared files of the AWS tools, `~/.aws/credentials` and `~/.aws/config`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{ErrorKind, Read},
    path::PathBuf,
};

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

use crate::{
    error::{Error, Result},
    place::Place,
};

/// Such files are small.
const MOST_BYTES: u64 = 1 << 20;

/// A profile's values, by their names there.
#[derive(Debug, Default)]
pub(super) struct Profile {
    values: BTreeMap<String, String>,
}

impl Profile {
    /// The profile named by `AWS_PROFILE`, else `default`; empty when there are no such files.
    ///
    /// # Errors
    /// A file that can't be read, and a profile that is named and is in neither file.
    pub(super) fn read() -> Result<Self> {
        let named = std::env::var("AWS_PROFILE").ok();
        let name = named.as_deref().unwrap_or("default");
        let mut found = Self::default();
        let mut is_there = false;
        // The first file is stronger.
        for (variable, file, section) in [
            ("AWS_SHARED_CREDENTIALS_FILE", "credentials", name.to_owned()),
            ("AWS_CONFIG_FILE", "config", if name == "default" { name.to_owned() } else { format!("profile {name}") }),
        ] {
            let Some(path) = path(variable, file) else { continue };
            let Some(values) = section_of(&text(&path)?, &section) else { continue };
            is_there = true;
            for (key, value) in values {
                found.values.entry(key).or_insert(value);
            }
        }
        match named {
            Some(name) if !is_there => Err(Error::BadPlace {
                given: format!("AWS_PROFILE={name}"),
                problem: "no such profile is in ~/.aws/credentials or ~/.aws/config".to_owned(),
            }),
            _ => Ok(found),
        }
    }

    /// Gives a builder what it has not yet. Keys belong together: they are taken only where none is given.
    pub(super) fn fill(&self, mut builder: AmazonS3Builder) -> AmazonS3Builder {
        use AmazonS3ConfigKey::{AccessKeyId, Endpoint, Region, SecretAccessKey, Token};
        let has = |builder: &AmazonS3Builder, key| builder.get_config_value(&key).is_some();
        let has_keys = has(&builder, AccessKeyId) || has(&builder, AmazonS3ConfigKey::WebIdentityTokenFile);
        let keys = [
            ("aws_access_key_id", AccessKeyId),
            ("aws_secret_access_key", SecretAccessKey),
            ("aws_session_token", Token),
        ];
        for (name, key) in
            keys.into_iter().filter(|_| !has_keys).chain([("region", Region), ("endpoint_url", Endpoint)])
        {
            if let Some(value) = self.values.get(name).filter(|_| !has(&builder, key)) {
                builder = builder.with_config(key, value);
            }
        }
        builder
    }
}

fn path(variable: &str, file: &str) -> Option<PathBuf> {
    let given = std::env::var_os(variable).map(PathBuf::from);
    given.or_else(|| std::env::home_dir().map(|home| home.join(".aws").join(file)))
}

/// Empty for a file that is not there.
fn text(path: &std::path::Path) -> Result<String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text));
    match read {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(Error::Io { operation: "read", path: Place::from(path), source })
        }
        _ => Ok(text),
    }
}

/// Pairs of a section; `None` when there is no such section. Indented lines belong to settings that are not looked at.
fn section_of(text: &str, wanted: &str) -> Option<Vec<(String, String)>> {
    let mut found = None;
    let mut is_in = false;
    for line in text.lines().filter(|line| !line.starts_with(['#', ';', ' ', '\t'])) {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_in = name.trim() == wanted;
            if is_in {
                found.get_or_insert_with(Vec::new);
            }
        } else if let (true, Some(found), Some((key, value))) = (is_in, found.as_mut(), line.split_once('=')) {
            found.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# keys\n[default]\naws_access_key_id = AK\naws_secret_access_key=a=b\ns3 =\n  max = 3\n\n\
                        [profile other]\nRegion = eu-central-1\n[ empty ]\n";

    #[test]
    fn sections_are_found_by_name() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let cases = [
            (
                "default",
                Some(vec![pair("aws_access_key_id", "AK"), pair("aws_secret_access_key", "a=b"), pair("s3", "")]),
            ),
            ("profile other", Some(vec![pair("region", "eu-central-1")])),
            ("empty", Some(Vec::new())),
            ("other", None),
        ];
        for (name, expected) in cases {
            assert_eq!(section_of(FILE, name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_given_is_stronger_than_a_profile() {
        let values = section_of(FILE, "default").unwrap().into_iter().chain(section_of(FILE, "profile other").unwrap());
        let profile = Profile { values: values.collect() };
        let filled = profile.fill(AmazonS3Builder::new());
        assert_eq!(filled.get_config_value(&AmazonS3ConfigKey::SecretAccessKey).as_deref(), Some("a=b"));
        assert_eq!(filled.get_config_value(&AmazonS3ConfigKey::Region).as_deref(), Some("eu-central-1"));
        let given = AmazonS3Builder::new().with_access_key_id("mine").with_region("here");
        let filled = profile.fill(given);
        assert_eq!(filled.get_config_value(&AmazonS3ConfigKey::AccessKeyId).as_deref(), Some("mine"));
        assert_eq!(filled.get_config_value(&AmazonS3ConfigKey::SecretAccessKey), None);
        assert_eq!(filled.get_config_value(&AmazonS3ConfigKey::Region).as_deref(), Some("here"));
    }
}
