//! The server itself: health, metrics, clients that misbehave, and its end.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::{Duration, Instant};

use streamreel_serve::{ServeError, Server, Settings, Sources};
use support::*;

#[test]
fn health_says_what_is_missing() {
    let place = Place::new();
    let server = place.serve(|_| ());
    let mut client = server.client();
    assert_eq!(client.get("/healthz").text(), "ok\n");
    let answer = client.get("/readyz");
    let checks = serde_json::json!([{ "name": "lake", "ok": true }, { "name": "log", "ok": true }]);
    assert_eq!((answer.status, answer.json()["checks"].clone()), (200, checks));
    std::fs::remove_dir_all(place.folder.path().join("lake")).unwrap();
    let answer = client.get("/readyz");
    assert_eq!((answer.status, answer.json()["ready"].clone()), (503, false.into()));
    let checks = answer.json()["checks"].clone();
    assert!(checks[0]["error"].as_str().unwrap().contains("there is no lake"), "{checks}");
    assert_eq!(checks[1]["ok"], true);
    assert_eq!(client.get("/healthz").status, 200, "the process is alive all the same");
}

#[test]
fn metrics_have_names_units_and_help() {
    let place = Place::new();
    let server = place.collect(|_| ());
    let mut client = server.client();
    assert_eq!(client.post(events(7, 0).as_bytes()).status, 200);
    assert_eq!(client.get("/api/no/such/path").status, 404);
    place.process();
    let began = Instant::now();
    let text = loop {
        let answer = client.get("/metrics");
        assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
        let text = answer.text();
        // Other tests of this program share the metrics, so that these are lower bounds.
        if value(&text, "streamreel_records_total{outcome=\"clean\"}") >= Some(7.0) {
            break text;
        }
        assert!(began.elapsed() < PATIENCE, "{text}");
        std::thread::sleep(Duration::from_millis(100));
    };
    for name in [
        "streamreel_records_total",
        "streamreel_received_records_total",
        "streamreel_unprocessed_records",
        "streamreel_viewers",
        "streamreel_lake_behind_records",
        "streamreel_collected_records_total",
        "streamreel_collector_commit_seconds",
        "streamreel_http_requests_total",
        "streamreel_http_request_duration_seconds",
        "streamreel_http_connections",
    ] {
        assert!(
            text.contains(&format!("# HELP {name} ")) && text.contains(&format!("# TYPE {name} ")),
            "{name}: {text}"
        );
    }
    assert!(value(&text, "streamreel_collected_records_total") >= Some(7.0), "{text}");
    let posted = "streamreel_http_requests_total{route=\"/v1/events\",method=\"POST\",status=\"200\"}";
    assert!(value(&text, posted) >= Some(1.0), "{text}");
    assert!(text.contains("route=\"none\",method=\"GET\",status=\"404\""), "paths are no labels: {text}");
    assert!(!text.contains("no/such/path"));
    let bucket = "streamreel_http_request_duration_seconds_bucket{route=\"/v1/events\",method=\"POST\",le=\"0.05\"}";
    assert!(value(&text, bucket).is_some(), "{text}");
}

fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series))?;
    line.trim().parse().ok()
}

#[test]
fn requests_that_make_no_sense() {
    type Case<'a> = (&'a str, &'a [u16]);
    let place = Place::new();
    let server = place.collect(|_| ());
    let huge = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(200 << 10));
    let many = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(200));
    let long = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(100 << 10));
    let cases: [Case; 18] = [
        ("GET /../../etc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n", &[200]),
        ("GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n", &[200]),
        ("GET /v1/events/../../healthz HTTP/1.1\r\nhost: localhost\r\n\r\n", &[404]),
        ("GET //v1//events HTTP/1.1\r\nhost: localhost\r\n\r\n", &[404]),
        ("GET /v1/events/ HTTP/1.1\r\nhost: localhost\r\n\r\n", &[404]),
        ("GET /healthz%00 HTTP/1.1\r\nhost: localhost\r\n\r\n", &[200]),
        ("GET /\u{e9} HTTP/1.1\r\nhost: localhost\r\n\r\n", &[200, 400]),
        ("GET http://localhost/healthz HTTP/1.1\r\nhost: localhost\r\n\r\n", &[200]),
        ("GET http://other/healthz HTTP/1.1\r\nhost: localhost\r\n\r\n", &[403]),
        ("BREW /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n", &[405]),
        ("POST /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n", &[405]),
        ("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-request-id: a b\r\n\r\n", &[200]),
        ("GET /healthz HTTP/9.9\r\n\r\n", &[400]),
        ("\u{0}\u{1}\u{2}\r\n\r\n", &[400]),
        ("POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n", &[400]),
        (&huge, &[431]),
        (&many, &[431]),
        (&long, &[414, 431]),
    ];
    for (request, expected) in cases {
        let mut client = server.client();
        client.send(request.as_bytes());
        let answer = client.answer().unwrap_or_else(|| panic!("no answer to {}", &request[..request.len().min(80)]));
        assert!(expected.contains(&answer.status), "{}: {answer:?}", &request[..request.len().min(80)]);
        assert!(!answer.text().contains("root:"), "a path leads out of the page");
        if (403..=405).contains(&answer.status) {
            answer.problem();
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        }
    }
    assert_eq!(server.client().get("/healthz").status, 200, "it still serves");
    assert_eq!(place.count(), 0);
}

#[test]
fn requests_by_names_that_are_not_its_own_are_refused() {
    let place = Place::new();
    let server = place.serve(|settings| {
        settings.collector = Some(Default::default());
        settings.hosts = vec!["stats.example".to_owned()];
    });
    let requests = [
        ("GET", "/", ""),
        ("GET", "/metrics", ""),
        ("GET", "/api/v1/openapi.json", ""),
        ("GET", "/api/v1/live/now", ""),
        ("POST", "/v1/events", "[{\"a\":1}]"),
    ];
    let hosts = [
        ("127.0.0.1:8080", 200),
        ("[::1]", 200),
        ("localhost:8080", 200),
        ("stats.example", 200),
        ("evil.example:8080", 403),
        ("", 403),
    ];
    for (host, status) in hosts {
        for (method, path, body) in requests {
            let length = body.len();
            let mut client = server.client();
            let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n");
            client.send(format!("{head}{body}").as_bytes());
            let answer = client.answer().unwrap();
            assert_eq!(answer.status, status, "{host:?} {method} {path}: {}", answer.text());
            if status == 403 {
                assert!(answer.problem().contains("serve.hosts"), "{}", answer.text());
            }
        }
    }
    assert_eq!(place.count(), 4, "of what is refused nothing is stored");
}

#[test]
fn requests_have_an_id() {
    let place = Place::new();
    let server = place.serve(|_| ());
    let id = |given: &str| {
        let answer = server.client().request("GET", "/healthz", &[("x-request-id", given)], b"");
        answer.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(id("from-a-proxy-7"), "from-a-proxy-7");
    for bad in ["", "two words", &"x".repeat(129)] {
        assert_eq!(id(bad).len(), 36, "{bad:?} is replaced");
    }
}

#[test]
fn slow_headers_and_silent_clients_are_ended() {
    let place = Place::new();
    let server = place.serve(|settings| {
        settings.header_timeout = Duration::from_millis(500);
        settings.still_timeout = Duration::from_millis(1_000);
    });
    // A byte now and then never makes a request.
    let mut slow = server.client();
    let began = Instant::now();
    for byte in b"GET /healthz HTTP/1.1\r\nx: 12345678901234567890" {
        slow.send(&[*byte]);
        std::thread::sleep(Duration::from_millis(50));
        if slow.is_closed_within(Duration::ZERO) || began.elapsed() > Duration::from_secs(3) {
            break;
        }
    }
    assert!(slow.is_closed_within(Duration::from_secs(1)), "slow headers");
    assert!(began.elapsed() < Duration::from_secs(4));
    // A connection after its request.
    let mut idle = server.client();
    assert_eq!(idle.get("/healthz").status, 200);
    assert!(idle.is_closed_within(Duration::from_secs(4)), "nothing more");
    // One that never says anything.
    assert!(server.client().is_closed_within(Duration::from_secs(4)), "nothing at all");
}

#[test]
fn idle_connections_keep_nobody_out() {
    let place = Place::new();
    let server = place.serve(|settings| settings.max_connections = 100);
    let follower = Follower::new(server.addr);
    let idle: Vec<Client> = (0..1_000).map(|_| server.client()).collect();
    for _ in 0..50 {
        assert_eq!(server.client().get("/healthz").status, 200);
    }
    let mut follower = follower;
    let before = follower.next()["at"].clone();
    let (_, took) = follower.until("the stream goes on", |snapshot| snapshot["at"] != before);
    assert!(took < Duration::from_secs(2), "whoever is being answered is not closed: {took:?}");
    drop(idle);
}

#[test]
fn when_all_connections_are_being_answered_others_are_refused() {
    let place = Place::new();
    let server = place.collect(|_| ());
    drop(server);
    let server = place.serve(|settings| {
        settings.max_connections = 3;
        settings.collector = Some(Default::default());
    });
    let mut busy: Vec<Client> = (0..3).map(|_| server.client()).collect();
    for client in &mut busy {
        client.send(b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n[");
    }
    std::thread::sleep(Duration::from_millis(300));
    let answer = server.client().answer().unwrap();
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    busy[0].send(b"{\"a\":1}]");
    assert_eq!(busy[0].answer().unwrap().status, 200);
    assert_eq!(server.client().get("/healthz").status, 200, "the one that is done makes room");
}

#[test]
fn clients_that_do_not_listen_keep_nobody_out() {
    let place = Place::new();
    let server = place.serve(|settings| settings.max_connections = 10);
    let mut deaf: Vec<Client> = (0..10).map(|_| server.client()).collect();
    // So many answers that the system can't keep them all for a client that reads none.
    let requests = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(5_000);
    for client in &mut deaf {
        client.stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        client.send(&requests);
    }
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(server.client().get("/healthz").status, 200);
}

#[test]
fn it_stops_within_two_seconds_whoever_is_connected() {
    let place = Place::new();
    let server = place.collect(|_| ());
    let mut follower = Follower::new(server.addr);
    follower.next();
    let mut unfinished = server.client();
    unfinished.send(b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n[");
    let mut idle = server.client();
    assert_eq!(idle.get("/healthz").status, 200);
    let silent = server.client();
    std::thread::sleep(Duration::from_millis(100));
    let addr = server.addr;
    let took = server.stop();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(std::net::TcpStream::connect(addr).is_err(), "nobody listens any more");
    drop((unfinished, silent));
}

#[test]
fn an_idle_server_stops_at_once() {
    let place = Place::new();
    let server = place.collect(|_| ());
    let mut follower = Follower::new(server.addr);
    follower.next();
    let took = server.stop();
    assert!(took < Duration::from_millis(700), "the stream ends by itself: {took:?}");
}

#[test]
fn addresses_that_are_none() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let bind = |addr: &str, allow_remote: bool| {
        let settings = Settings { allow_remote, ..Settings::new(addr.parse().unwrap(), now_us) };
        let sources = Sources { lake: place.lake.clone(), log: None, names: NAMES };
        runtime.block_on(Server::bind(sources, settings)).map(|server| server.addr())
    };
    let in_use = taken.local_addr().unwrap();
    let error = bind(&in_use.to_string(), false).unwrap_err();
    assert!(matches!(error, ServeError::InUse { addr } if addr == in_use), "{error}");
    assert!(error.to_string().contains("--http"), "{error}");
    let error = bind("0.0.0.0:0", false).unwrap_err();
    assert!(error.to_string().contains("serve.allow_remote"), "{error}");
    assert!(bind("0.0.0.0:0", true).is_ok());
    assert!(matches!(bind("192.0.2.1:0", true).unwrap_err(), ServeError::Listen { .. }));
}
