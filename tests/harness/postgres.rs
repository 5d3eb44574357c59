//! A Postgres in a temporary folder, on a free port of the loopback: one for the whole test process, or for
//! a benchmark.
//!
//! That of the tests is started by the first that asks. It is stopped, and its folder removed, when this
//! process ends, however it ends: see `postgres_supervisor.sh`.

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

const INSTALL: &str = "this needs Postgres's own programs (initdb, pg_ctl, postgres), and is never \
    skipped without: install them, on Debian with `apt-get install postgresql`, or put their folder on PATH";

/// Nothing in the tests' databases needs to survive a crash.
const NOTHING_TO_LOSE: [&str; 3] = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];

/// A running Postgres. When this is dropped, or its process ends without, it is stopped and its folder
/// removed.
pub struct Server {
    port: u16,
    /// Holds the pipe whose end stops Postgres.
    supervisor: Child,
}

/// Makes a database that nobody else uses, and gives its URL. The server is started if this is the
/// first.
pub async fn new_database() -> String {
    // A static is never dropped: the end of the process closes the pipe.
    static SERVER: OnceLock<Server> = OnceLock::new();
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let start = || SERVER.get_or_init(|| Server::start(&NOTHING_TO_LOSE));
    let server = tokio::task::spawn_blocking(start).await.unwrap();
    server.new_database(&format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed))).await
}

impl Server {
    /// Starts one with these settings.
    pub fn start(settings: &[&str]) -> Self {
        let programs = programs();
        // Somebody may take the port between our look and Postgres's: then with another one.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut supervisor = Command::new("sh")
                .args(["-c", include_str!("postgres_supervisor.sh"), "postgres_supervisor"])
                .arg(&programs)
                .arg(port.to_string())
                .args(settings)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                // A group of its own, so that what kills us as a group leaves it to clean up.
                .process_group(0)
                .spawn()
                .unwrap();
            let mut output = BufReader::new(supervisor.stdout.take().unwrap());
            let mut said = String::new();
            output.read_line(&mut said).unwrap();
            if said == "ready\n" {
                return Self { port, supervisor };
            }
            output.read_to_string(&mut said).unwrap();
            let status = supervisor.wait().unwrap();
            assert_eq!(status.code(), Some(2), "Postgres could not be set up: {said}\n{INSTALL}");
            eprintln!("Postgres did not start on port {port}, trying another: {said}");
        }
        panic!("Postgres did not start on any of five ports; see above");
    }

    /// Makes a database of this name, and gives its URL.
    pub async fn new_database(&self, name: &str) -> String {
        // Nobody checks the password; the tests look for it where it must not be.
        let url = |name| format!("postgres://regate:never-shown@127.0.0.1:{}/{name}", self.port);
        let mut admin = PgConnection::connect(&url("postgres")).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        url(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// The folder of Postgres's programs: the one on PATH, or the newest of Debian's.
fn programs() -> PathBuf {
    let complete = |folder: &PathBuf| {
        ["initdb", "pg_ctl", "postgres"].iter().all(|program| folder.join(program).is_file())
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&path).find(complete) {
        return folder;
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number =
        |folder: &PathBuf| folder.parent()?.file_name()?.to_str()?.split('.').next()?.parse::<u32>().ok();
    versions
        .map(|version| version.path().join("bin"))
        .filter(complete)
        .max_by_key(number)
        .unwrap_or_else(|| panic!("{INSTALL}"))
}
