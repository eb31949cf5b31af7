//! A real Kafka that wants TLS and a login: who has both goes the whole way, who has not is told soon why. `cargo xtask kafka` runs
//! this.

mod common;

use std::time::{Duration, Instant};

use common::Home;
use common::broker::Broker;

const EVENTS: i64 = 2_000;
/// Far less than what brokers that do not answer are waited for.
const SOON: Duration = Duration::from_secs(8);

/// Settings of `[kafka]`, as a user has them in a file.
fn settings(home: &Home, mechanism: &str, password: &str, authority: Option<&str>) {
    let authority = authority.map_or_else(String::new, |file| format!("ssl.ca.location = \"{file}\"\n"));
    let text = format!(
        "[kafka]\nsecurity.protocol = \"SASL_SSL\"\nsasl.mechanism = \"{mechanism}\"\nsasl.username = \"streamreel\"\n\
         sasl.password = \"{password}\"\n{authority}"
    );
    std::fs::create_dir_all(home.path()).expect("made");
    std::fs::write(home.path().join("streamreel.toml"), text).expect("written");
}

#[test]
fn who_may_log_in_goes_the_whole_way_and_others_are_told_why_not() {
    let broker = Broker::secure();
    let (log, authority) = (broker.secure_url(), broker.authority());
    let events = EVENTS.to_string();
    let mut received = 0;
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] {
        let home = Home::new();
        settings(&home, mechanism, Broker::PASSWORD, Some(&authority));
        home.ok(&["--log", &log, "simulate", "--events", &events]);
        received += EVENTS;
        home.ok(&["--log", &log, "process"]);
        assert_eq!(home.number("select count(*) from bronze.events"), received, "{mechanism}");
        home.ok(&["--log", &log, "build"]);
        home.ok(&["--log", &log, "audit"]);
    }

    let wrong_password = ["sasl.username", "STREAMREEL_KAFKA_SASL_PASSWORD"];
    let unknown_authority = ["certificate verify failed", "kafka.ssl.ca.location"];
    let cases: [(&str, &str, Option<&str>, &[&str]); 3] = [
        ("SCRAM-SHA-512", "wrong", Some(&authority), &wrong_password),
        ("PLAIN", "wrong", Some(&authority), &wrong_password),
        ("SCRAM-SHA-256", Broker::PASSWORD, None, &unknown_authority),
    ];
    for (mechanism, password, authority, told) in cases {
        let home = Home::new();
        settings(&home, mechanism, password, authority);
        for command in [&["simulate", "--events", "10"][..], &["process"], &["process", "--follow"]] {
            let began = Instant::now();
            let said = home.fails(1, &[&["--log", &log], command].concat());
            assert!(began.elapsed() < SOON, "{mechanism}, {command:?}: after {:?}: {said}", began.elapsed());
            assert!(told.iter().all(|part| said.contains(part)), "{mechanism}, {command:?}: {said}");
            assert!(!said.contains("wrong\""), "a password is shown: {said}");
            println!("{mechanism}, {command:?}: after {:?}: {said}", began.elapsed());
        }
    }

    let home = Home::new();
    settings(&home, "PLAIN", Broker::PASSWORD, Some("/nowhere/ca.pem"));
    let said = home.fails(2, &["--log", &log, "process"]);
    assert!(said.contains("/nowhere/ca.pem"), "{said}");
}
