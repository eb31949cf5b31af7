//! The client of a store, from settings, environment and the files of the AWS tools.

use std::time::Duration;

use object_store::{
    BackoffConfig, ClientConfigKey, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut},
};

use super::{profile::Profile, requests::Requests};
use crate::{
    error::{Error, Result},
    lake::Settings,
    place::Place,
};

/// Settings that what this crate promises rests on, or that the place gives.
const OURS: [AmazonS3ConfigKey; 3] =
    [AmazonS3ConfigKey::ConditionalPut, AmazonS3ConfigKey::Bucket, AmazonS3ConfigKey::CopyIfNotExists];
/// The first pause before a request is sent again; the following ones are longer, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// A client of a bucket whose requests are sent again for up to `patience`, each after `answer` without one (by default
/// half a minute); connects to nothing yet.
///
/// # Errors
/// [`Error::BadPlace`] for a setting that there is not or whose value can't be.
pub(super) fn connect(
    place: &Place,
    settings: &Settings,
    patience: Duration,
    answer: Option<Duration>,
) -> Result<Requests> {
    let Place::Bucket { name, .. } = place else { return Err(refused(place, "it is no bucket".to_owned())) };
    let mut builder = Profile::read()?.fill(AmazonS3Builder::from_env());
    for (setting, value) in &settings.s3 {
        let key = key_of(place, setting)?;
        builder = builder.with_config(key, value);
    }
    if let Some(answer) = answer {
        let timeout = AmazonS3ConfigKey::Client(ClientConfigKey::Timeout);
        builder = builder.with_config(timeout, format!("{} ms", answer.as_millis()));
    }
    check_http(place, &builder)?;
    let retries = RetryConfig {
        backoff: BackoffConfig { init_backoff: FIRST_PAUSE, max_backoff: LONGEST_PAUSE, base: 2.0 },
        // Time alone ends it.
        max_retries: usize::MAX,
        retry_timeout: patience,
    };
    let built =
        builder.with_bucket_name(&**name).with_conditional_put(S3ConditionalPut::ETagMatch).with_retry(retries).build();
    // Values are not shown: they may be secret.
    let store = built.map_err(|e| refused(place, format!("a setting of [s3] or AWS_* can't be: {e}")))?;
    Requests::new(store, place, patience)
}

fn key_of(place: &Place, setting: &str) -> Result<AmazonS3ConfigKey> {
    let key: AmazonS3ConfigKey = setting.parse().map_err(|_| {
        let problem = format!(
            "there is no setting s3.{setting}; those most needed are endpoint, region, access_key_id, secret_access_key, \
             allow_http, virtual_hosted_style_request"
        );
        refused(place, problem)
    })?;
    if OURS.contains(&key) {
        return Err(refused(place, format!("s3.{setting} can't be set: commits rest on it, or --lake gives it")));
    }
    Ok(key)
}

/// An endpoint without TLS must be wanted: whoever is on the way can read and change what goes there.
fn check_http(place: &Place, builder: &AmazonS3Builder) -> Result<()> {
    let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
    let endpoint = endpoint.iter().find_map(|key| builder.get_config_value(key)).unwrap_or_default();
    let allowed = builder.get_config_value(&AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp));
    let allowed = allowed.is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on"));
    if endpoint.starts_with("http://") && !allowed {
        let problem = format!(
            "its endpoint {endpoint} is without TLS; if that is meant, set AWS_ALLOW_HTTP=true (or s3.allow_http = true)"
        );
        return Err(refused(place, problem));
    }
    Ok(())
}

fn refused(place: &Place, problem: String) -> Error {
    Error::BadPlace { given: place.to_string(), problem }
}
