//! What a store's refusals mean and what to do about them, said where they come in: whatever library passes them on says
//! the same.

use std::{error::Error as StdError, fmt};

use object_store::{Error as StoreError, client::HttpError, client::HttpErrorKind};

/// A refusal in words.
#[derive(Debug)]
pub(crate) struct Explained {
    /// What was wrong.
    problem: String,
    /// What to do.
    remedy: &'static str,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.problem, self.remedy)
    }
}

// What the store said word by word is left out: it has little for people, and much of the request.
impl StdError for Explained {}

/// Puts a refusal into words. Answers that callers decide by (not there, there already, changed) stay as they are.
pub(super) fn explain(error: StoreError, bucket: &str) -> StoreError {
    let text = error.to_string();
    let Some((problem, remedy)) = words(&error, &text, bucket) else { return error };
    StoreError::Generic { store: "S3", source: Box::new(Explained { problem, remedy }) }
}

fn words(error: &StoreError, text: &str, bucket: &str) -> Option<(String, &'static str)> {
    let said = said(text);
    match error {
        StoreError::NotFound { .. } if text.contains("NoSuchBucket") => Some((
            format!("there is no bucket {bucket}"),
            "Make it, or give the right --lake, region (AWS_REGION) and endpoint (AWS_ENDPOINT_URL)",
        )),
        _ if is_unwelcome(error, text) => Some((
            format!("the store refused the credentials for bucket {bucket} ({said})"),
            "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or s3.access_key_id and s3.secret_access_key), the region, the \
             machine's clock, and that they may list, read, write and delete there",
        )),
        StoreError::NotFound { .. } if !text.contains("<Code>") || text.contains("<Code>NoSuch") => None,
        StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } | StoreError::NotModified { .. } => None,
        _ if text.contains("169.254.") => Some((
            "no credentials were found in the environment, in ~/.aws or from the machine".to_owned(),
            "Give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role to the machine",
        )),
        _ if is_unreachable(error) => Some((
            format!("the store does not answer ({})", innermost(error)),
            "Check that it runs, the endpoint (AWS_ENDPOINT_URL or s3.endpoint), the region and the network; then run it again",
        )),
        StoreError::JoinError { .. } => None,
        _ => Some((
            format!("the store refused: {said}"),
            "If it says that it is overloaded or failed, run it again; nothing half written is visible",
        )),
    }
}

/// Whether the store does not know who asks, or does not let him. Some say that with a status of their own choice.
fn is_unwelcome(error: &StoreError, text: &str) -> bool {
    matches!(error, StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. })
        || ["InvalidAccessKeyId", "SignatureDoesNotMatch", "UserNotFound"].iter().any(|code| text.contains(code))
}

/// Code and message of an answer in XML; else the end of the text, where libraries put the cause.
fn said(text: &str) -> String {
    let tag = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once('<')?.0.trim().trim_end_matches('.').to_owned())
    };
    match (tag("Code"), tag("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code,
        _ => text.rsplit(" - ").next().unwrap_or(text).trim().trim_end_matches(':').to_owned(),
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let current = next?;
        next = current.source();
        Some(current)
    })
}

/// Whether a request got no answer.
pub(super) fn is_unreachable(error: &StoreError) -> bool {
    let kind = chain(error).find_map(|error| error.downcast_ref::<HttpError>()).map(HttpError::kind);
    kind.is_some_and(|kind| !matches!(kind, HttpErrorKind::Decode))
}

fn innermost(error: &StoreError) -> String {
    chain(error).last().map_or_else(String::new, ToString::to_string)
}

/// The words for an error, if it is a refusal; libraries wrap it in errors of their own.
pub(crate) fn explained<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Explained> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// Whether an object is not there.
pub(crate) fn is_missing(error: &(dyn StdError + 'static)) -> bool {
    chain(error).any(|error| matches!(error.downcast_ref(), Some(StoreError::NotFound { .. })))
}
