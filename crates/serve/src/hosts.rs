//! By which names the server goes. Anybody can point a name of his own at 127.0.0.1 (DNS rebinding); a page of that name then
//! counts as the server's own, and the browser lets it read every answer. So a loopback address is served by address, as
//! `localhost`, and under the names that are configured.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::problem::{Kind, Problem};
use crate::server::ServeError;

const LOCALHOST: &str = "localhost";

/// The names besides addresses and `localhost`, in lower case.
#[derive(Debug, Clone)]
pub(crate) struct Hosts(Arc<[String]>);

impl Hosts {
    /// The rule of a server that listens here; `None`: it goes by any name.
    pub(crate) fn new(addr: SocketAddr, names: &[String]) -> Result<Option<Self>, ServeError> {
        let names = names.iter().map(|name| parse(name)).collect::<Result<Vec<String>, ServeError>>()?;
        let is_checked = addr.ip().is_loopback() || !names.is_empty();
        Ok(is_checked.then(|| Self(names.into())))
    }

    /// Lets a request in, or says why not. One that names no host is no browser's.
    fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let in_uri = uri.authority().map(|authority| authority.as_str().as_bytes());
        let in_headers = headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes);
        let Some(host) = in_uri.into_iter().chain(in_headers).find(|host| !self.have(host)) else { return Ok(()) };
        let detail = format!(
            "this server does not go by the name {:?}: use its address or localhost; the name of a reverse proxy in front \
             belongs in serve.hosts",
            String::from_utf8_lossy(host)
        );
        Err(Problem::new(Kind::ForbiddenHost, detail))
    }

    fn have(&self, host: &[u8]) -> bool {
        let Ok(authority) = Authority::try_from(host) else { return false };
        let name = canonical(authority.host());
        is_address(&name) || name == LOCALHOST || self.0.contains(&name)
    }
}

/// Refuses requests by other names.
pub(crate) async fn check(State(hosts): State<Hosts>, request: Request, next: Next) -> Result<Response, Problem> {
    hosts.admit(request.uri(), request.headers())?;
    Ok(next.run(request).await)
}

/// A configured name as it is compared.
fn parse(name: &str) -> Result<String, ServeError> {
    let lower = canonical(name);
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if lower.is_empty() || !lower.bytes().all(is_part) {
        return Err(ServeError::Host { host: name.to_owned() });
    }
    Ok(lower)
}

fn canonical(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Whether a host, without its port, is an IP address.
fn is_address(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => host.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<Ipv4Addr>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: &str = "127.0.0.1:8080";
    const REMOTE: &str = "0.0.0.0:8080";

    fn hosts(addr: &str, names: &[&str]) -> Result<Option<Hosts>, ServeError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Hosts::new(addr.parse().unwrap(), &names)
    }

    #[test]
    fn which_hosts_are_served() {
        type Case<'a> = (&'a str, &'a [&'a str], &'a str, bool);
        const LISTED: &[&str] = &["Stats.example."];
        let cases: [Case; 21] = [
            (LOOPBACK, &[], "127.0.0.1", true),
            (LOOPBACK, &[], "127.0.0.1:8080", true),
            (LOOPBACK, &[], "192.0.2.1:8080", true),
            (LOOPBACK, &[], "[::1]:8080", true),
            (LOOPBACK, &[], "localhost", true),
            (LOOPBACK, &[], "LOCALHOST.:8080", true),
            (LOOPBACK, &[], "evil.example", false),
            (LOOPBACK, &[], "evil.example:8080", false),
            (LOOPBACK, &[], "localhost.evil.example", false),
            (LOOPBACK, &[], "127.0.0.1.evil.example", false),
            (LOOPBACK, &[], "127.0.0.1@evil.example", false),
            (LOOPBACK, &[], "[evil.example]", false),
            (LOOPBACK, &[], "", false),
            ("[::1]:8080", &[], "evil.example", false),
            (LOOPBACK, LISTED, "stats.EXAMPLE:443", true),
            (LOOPBACK, LISTED, "localhost", true),
            (LOOPBACK, LISTED, "more.stats.example", false),
            (REMOTE, &[], "evil.example", true),
            (REMOTE, LISTED, "stats.example", true),
            (REMOTE, LISTED, "192.0.2.1", true),
            (REMOTE, LISTED, "evil.example", false),
        ];
        for (addr, names, host, expected) in cases {
            let hosts = hosts(addr, names).unwrap();
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
            let is_in = |hosts: Hosts| hosts.admit(&Uri::from_static("/"), &headers).is_ok();
            assert_eq!(hosts.is_none_or(is_in), expected, "{addr} {names:?} {host:?}");
        }
    }

    #[test]
    fn every_host_of_a_request_counts() {
        let hosts = hosts(LOOPBACK, &[]).unwrap().unwrap();
        let mut headers = HeaderMap::new();
        assert!(hosts.admit(&Uri::from_static("/"), &headers).is_ok(), "none at all");
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        assert!(hosts.admit(&Uri::from_static("http://localhost/"), &headers).is_ok());
        assert!(hosts.admit(&Uri::from_static("http://evil.example/"), &headers).is_err());
        headers.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert!(hosts.admit(&Uri::from_static("/"), &headers).is_err());
    }

    #[test]
    fn names_that_are_none() {
        for name in ["", ".", "*", "http://stats.example", "stats.example:443", "stats.example/", "two words"] {
            let error = hosts(LOOPBACK, &[name]).unwrap_err();
            assert!(error.to_string().contains("serve.hosts"), "{error}");
        }
    }
}
