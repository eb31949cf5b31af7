//! Serves the tables of a lake over SQL: `serve_lake LAKE [setting=value ...]`.
//!
//! Settings: `addr`, `user` (name:password), `certificate`, `key`, `statement_timeout_ms`, `query_memory_mb`,
//! `max_connections`, `login_timeout_ms`, `write_timeout_ms`, `idle_in_transaction_ms`. It prints the address that it
//! listens on, and serves until its standard input is closed.

use std::{error::Error, io::Read, path::PathBuf, process::ExitCode, time::Duration};

use streamreel_lake::{Lake, Place};
use streamreel_sql::{Server, Settings, Tls, User};

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let lake = args.next().ok_or("usage: serve_lake LAKE [setting=value ...]")?;
    let settings = settings(args)?;
    let server = Server::bind(Lake::open_read_only(lake.parse::<Place>()?)?, settings).await?;
    println!("listening on {}", server.local_addr());
    let closed = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    server
        .run(async {
            if let Ok(Err(error)) = closed.await {
                eprintln!("standard input: {error}");
            }
        })
        .await;
    Ok(())
}

fn settings(args: impl Iterator<Item = String>) -> Result<Settings, Box<dyn Error>> {
    let mut settings = Settings { addr: "127.0.0.1:0".parse()?, ..Settings::default() };
    let (mut certificate, mut key) = (None, None);
    for arg in args {
        let (name, value) = arg.split_once('=').ok_or_else(|| format!("{arg:?} is no setting=value"))?;
        let ms = || value.parse().map(Duration::from_millis);
        match name {
            "addr" => settings.addr = value.parse()?,
            "user" => {
                let (name, password) = value.split_once(':').ok_or("user=name:password")?;
                settings.users.push(User { name: name.to_owned(), password: password.to_owned() });
            }
            "certificate" => certificate = Some(PathBuf::from(value)),
            "key" => key = Some(PathBuf::from(value)),
            "statement_timeout_ms" => settings.statement_timeout = Some(ms()?),
            "query_memory_mb" => settings.query_memory_bytes = value.parse::<usize>()? << 20,
            "max_connections" => settings.max_connections = value.parse()?,
            "login_timeout_ms" => settings.authentication_timeout = ms()?,
            "write_timeout_ms" => settings.write_timeout = ms()?,
            "idle_in_transaction_ms" => settings.idle_in_transaction_timeout = Some(ms()?),
            _ => return Err(format!("there is no setting {name:?}").into()),
        }
    }
    settings.tls = certificate.zip(key).map(|(certificate, key)| Tls { certificate, key });
    Ok(settings)
}
