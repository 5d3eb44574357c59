//! Caddy, from Debian's package, with a configuration in a temporary folder.

use std::fs;

use tempfile::TempDir;

use super::supervised::{Supervised, program};

const INSTALL: &str = "the tests need Caddy, and are never skipped without: install it, on Debian with \
    `apt-get install caddy`, or put its folder on PATH";

/// A running Caddy.
pub struct Caddy {
    pub running: Supervised,
    _folder: TempDir,
}

impl Caddy {
    /// Starts one with what `caddyfile` makes of its port, and these variables.
    pub fn start(caddyfile: impl Fn(u16) -> String, variables: &[(&str, &str)]) -> Self {
        let caddy = program("caddy", INSTALL);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let running = Supervised::start(&path, |port| {
            fs::write(path.join("Caddyfile"), caddyfile(port)).unwrap();
            let set = variables.iter().map(|(name, value)| format!("{name}={value}"));
            let run = [&caddy, "run", "--config", "Caddyfile", "--adapter", "caddyfile"].map(str::to_owned);
            ["/usr/bin/env".to_owned()].into_iter().chain(set).chain(run).collect()
        });
        Self { running, _folder: folder }
    }

    pub fn address(&self) -> String {
        self.running.address()
    }
}
