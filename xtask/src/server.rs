//! A server for tests on this machine, which a script of the repository starts (`start FOLDER PORT ...`) and ends
//! (`kill FOLDER`).

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::tools::{command, root, step};

/// One that ends with this value, and its data with it.
pub struct Server {
    script: &'static str,
    /// Where its data is.
    pub folder: PathBuf,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
}

impl Server {
    /// An empty one, one of a script at a time; `more` are further arguments. The port is one with a free one after it,
    /// from `ports` on: below those that the system gives to clients, so that both are still free when the server is
    /// started again.
    pub fn start(script: &'static str, ports: u16, more: &[&str]) -> Result<Self> {
        let folder = env::temp_dir().join(format!("streamreel-{}-{}", script.replace('/', "-"), std::process::id()));
        let first = ports + (std::process::id() % 400) as u16 * 2;
        let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        let mut found = (first..ports + 1_600).step_by(2);
        let port =
            found.find(|port| is_free(*port) && is_free(port + 1)).context("no two free ports beside one another")?;
        let server = Self { script, folder, port };
        step(&format!("{script} start"), server.ask("start").arg(port.to_string()).args(more))?;
        Ok(server)
    }

    /// A verb of the script about this server.
    pub fn ask(&self, verb: &str) -> Command {
        let mut asked = command(root().join(self.script), &[verb]);
        asked.arg(&self.folder);
        asked
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its data goes anyhow: it need not end well.
        if let Err(error) = step(&format!("{} kill", self.script), &mut self.ask("kill")) {
            eprintln!("{error:#}");
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("can't remove {}: {error}", self.folder.display());
        }
    }
}
