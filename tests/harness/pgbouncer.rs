//! PgBouncer in transaction mode, before a Postgres of the tests: see `pgbouncer_supervisor.sh`.

use std::{path::PathBuf, process::Child};

use super::postgres::start_on_a_free_port;

const INSTALL: &str = "the tests need PgBouncer, and are never skipped without: install it, on Debian with \
    `apt-get install pgbouncer`, or put its folder on PATH";

/// A running PgBouncer. Dropping it ends it.
pub struct PgBouncer {
    port: u16,
    supervisor: Child,
}

impl PgBouncer {
    /// Starts one before the Postgres that a URL names, which passes over these settings of its clients. As
    /// its manual says, `extra_float_digits` is to be one of them.
    pub fn before(url: &str, ignored: &str) -> Self {
        let program = program();
        let (address, _) = parts(url);
        let postgres = address.rsplit_once(':').unwrap().1;
        let arguments = |port| vec![program.as_os_str().to_owned(), port, postgres.into(), ignored.into()];
        let script = include_str!("pgbouncer_supervisor.sh");
        let (port, supervisor, _) = start_on_a_free_port(script, arguments)
            .unwrap_or_else(|said| panic!("PgBouncer could not be started: {said}\n{INSTALL}"));
        Self { port, supervisor }
    }

    /// The URL that leads through it to the database of `url`.
    pub fn url(&self, url: &str) -> String {
        let (address, database) = parts(url);
        let user = address.rsplit_once('@').unwrap().0;
        format!("{user}@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // The supervisor ends with its standard input.
        self.supervisor.stdin.take();
        let _ = self.supervisor.wait();
    }
}

/// A URL before and after the slash of its path.
fn parts(url: &str) -> (&str, &str) {
    url.rsplit_once('/').unwrap()
}

fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let programs = on_path.map(|folder| folder.join("pgbouncer"));
    programs.into_iter().find(|program| program.is_file()).unwrap_or_else(|| panic!("{INSTALL}"))
}
