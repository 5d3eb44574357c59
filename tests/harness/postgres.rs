//! One Postgres for the whole test process, in a temporary folder, on a free port of the loopback.
//!
//! It is started by the first test that asks. It is stopped, and its folder removed, when this
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

const INSTALL: &str = "the tests need Postgres's own programs (initdb, pg_ctl, postgres), and are never \
    skipped without: install them, on Debian with `apt-get install postgresql`, or put their folder on PATH";

struct Server {
    port: u16,
    /// Holds the pipe whose end stops Postgres. A static is never dropped: the end of the process
    /// closes it.
    _supervisor: Child,
}

/// Makes a database that nobody else uses, and gives its URL. The server is started if this is the
/// first.
pub async fn new_database() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = tokio::task::spawn_blocking(|| SERVER.get_or_init(start)).await.unwrap();
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    // Nobody checks the password; the tests look for it where it must not be.
    let url = |name| format!("postgres://regate:never-shown@127.0.0.1:{}/{name}", server.port);
    let mut admin = PgConnection::connect(&url("postgres")).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut admin).await.unwrap();
    admin.close().await.unwrap();
    url(&name)
}

fn start() -> Server {
    let programs = programs();
    // Somebody may take the port between our look and Postgres's: then with another one.
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut supervisor = Command::new("sh")
            .args(["-c", include_str!("postgres_supervisor.sh"), "postgres_supervisor"])
            .arg(&programs)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A group of its own, so that what kills the tests as a group leaves it to clean up.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(supervisor.stdout.take().unwrap());
        let mut said = String::new();
        output.read_line(&mut said).unwrap();
        if said == "ready\n" {
            return Server { port, _supervisor: supervisor };
        }
        output.read_to_string(&mut said).unwrap();
        let status = supervisor.wait().unwrap();
        assert_eq!(status.code(), Some(2), "Postgres could not be set up: {said}\n{INSTALL}");
        eprintln!("Postgres did not start on port {port}, trying another: {said}");
    }
    panic!("Postgres did not start on any of five ports; see above");
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
