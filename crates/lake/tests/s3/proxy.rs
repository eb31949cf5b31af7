//! A proxy before the server that does to single requests what networks and stores under load do.

use std::{
    io::{BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::http::message;

/// What becomes of requests that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// The server does it, and its answer is lost with the connection.
    LosesAnswer,
    /// The server does not get it; the answer is that the store is overloaded.
    SlowsDown,
}

/// A proxy to the server of `AWS_ENDPOINT_URL`.
pub struct Proxy {
    pub endpoint: String,
    /// How many of the requests that match are still to be harmed.
    pub left: Arc<AtomicU32>,
}

impl Proxy {
    /// Harms the next `count` PUTs whose path contains `part`.
    pub fn start(harm: Harm, part: &'static str, count: u32) -> Self {
        let server = std::env::var("AWS_ENDPOINT_URL").expect("AWS_ENDPOINT_URL is that of the server");
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let left = Arc::new(AtomicU32::new(count));
        let harmed = Arc::clone(&left);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (server, harmed) = (server.clone(), Arc::clone(&harmed));
                std::thread::spawn(move || serve(client, &server, harm, part, &harmed));
            }
        });
        Self { endpoint, left }
    }
}

/// Requests of a connection, one after the other, until it ends.
fn serve(client: TcpStream, server: &str, harm: Harm, part: &str, left: &AtomicU32) -> Option<()> {
    let mut from_client = BufReader::new(client.try_clone().ok()?);
    let mut to_client = client;
    let mut to_server = TcpStream::connect(server).ok()?;
    let mut from_server = BufReader::new(to_server.try_clone().ok()?);
    loop {
        let request = message(&mut from_client, false)?;
        let line = String::from_utf8_lossy(&request).lines().next()?.to_owned();
        let matches = line.starts_with("PUT ") && line.contains(part);
        let take = |left: u32| left.checked_sub(1);
        let is_harmed = matches && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok();
        if is_harmed && harm == Harm::SlowsDown {
            let body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
            write!(to_client, "HTTP/1.1 503 Slow Down\r\ncontent-length: {}\r\n\r\n{body}", body.len()).ok()?;
            continue;
        }
        to_server.write_all(&request).ok()?;
        let answer = message(&mut from_server, line.starts_with("HEAD "))?;
        if is_harmed {
            to_client.shutdown(Shutdown::Both).ok()?;
            return None;
        }
        to_client.write_all(&answer).ok()?;
    }
}
