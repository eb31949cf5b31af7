//! Stores that can't be had: what was wrong and what to do, and no endless retries.

use std::time::{Duration, Instant};

use streamreel_lake::{Error, Lake, Place, Settings};
use tempfile::TempDir;

use crate::support::{bucket, lake, place, put, settings};

fn with(pairs: &[(&str, &str)]) -> Settings {
    let s3 = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Settings { s3, store_timeout: Duration::from_secs(1), ..settings() }
}

/// A place, its settings, what is said of them and what is to be done.
type Case = (Place, &'static [(&'static str, &'static str)], &'static str, &'static str);

#[test]
fn what_is_wrong_is_said_soon() {
    let place = |text: String| text.parse::<Place>().unwrap();
    let ours = place(format!("s3://{}/refused", bucket()));
    let cases: [Case; 7] = [
        (place("s3://no-such-bucket-here/lake".to_owned()), &[], "no bucket no-such-bucket-here", "--lake"),
        (ours.clone(), &[("secret_access_key", "wrong")], "refused the credentials", "AWS_SECRET_ACCESS_KEY"),
        (ours.clone(), &[("access_key_id", "nobody")], "refused the credentials", "AWS_ACCESS_KEY_ID"),
        (ours.clone(), &[("endpoint", "http://127.0.0.1:1")], "does not answer", "AWS_ENDPOINT_URL"),
        (ours.clone(), &[("endpoint", "http://a.example"), ("allow_http", "false")], "without TLS", "AWS_ALLOW_HTTP"),
        (ours.clone(), &[("end_point", "http://a")], "no setting s3.end_point", "endpoint"),
        (ours.clone(), &[("conditional_put", "disabled")], "s3.conditional_put can't be set", ""),
    ];
    for (place, pairs, says, remedy) in cases {
        let began = Instant::now();
        for error in
            [Lake::open_with(place.clone(), with(pairs)), Lake::open_read_only_with(place.clone(), with(pairs))]
        {
            let text = error.unwrap_err().to_string();
            assert!(text.contains(says) && text.contains(remedy) && text.contains("s3://"), "{pairs:?}: {text}");
            assert!(!text.contains("wrong"), "no secret is shown: {text}");
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{pairs:?}: {:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prefixes_of_others_are_left_alone() {
    let dir = TempDir::new().unwrap();
    let theirs = place(&dir);
    put(&theirs, "thesis/chapter.tex", "").await;
    for opened in [Lake::open(theirs.clone()), Lake::open_read_only(theirs.clone())] {
        let text = opened.unwrap_err().to_string();
        assert!(text.contains("thesis") && text.contains(&theirs.to_string()), "{text}");
    }
    let nothing = place(&dir);
    assert!(matches!(Lake::open_read_only(nothing.clone()), Err(Error::NoLake { path }) if path == nothing));
    let (_dir, lake) = lake();
    put(lake.place(), "_streamreel.json", "{").await;
    let damaged = Lake::open(lake.place().clone()).unwrap_err().to_string();
    assert!(damaged.contains("damaged"), "{damaged}");
    lake.check().unwrap_err();
}
