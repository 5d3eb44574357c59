//! Postgres, in a temporary folder, on a free port of the loopback: one for the whole test process, and
//! more for tests that break theirs and for benchmarks.
//!
//! Each is stopped, and its folder removed, when this process ends, however it ends: see
//! `postgres_supervisor.sh`. The one for all is started by the first test that asks.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

const INSTALL: &str = "this needs Postgres's own programs (initdb, pg_ctl, postgres, psql, pg_dump), and \
    is never skipped without: install them, on Debian with `apt-get install postgresql`, or put their folder \
    on PATH";

/// What was committed survives the end of Postgres's processes, however they end; only the end of the machine
/// is nothing that the tests survive.
const TESTS: [&str; 1] = ["fsync=off"];

/// A running Postgres. Dropping it stops it; the one in a static ends with the process.
pub struct Postgres {
    port: u16,
    supervisor: Child,
    answers: BufReader<ChildStdout>,
}

/// Makes a database that nobody else uses, and gives its URL. The server is started if this is the
/// first.
pub async fn new_database() -> String {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = tokio::task::spawn_blocking(|| SERVER.get_or_init(Postgres::start)).await.unwrap();
    server.new_database(&format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed))).await
}

impl Postgres {
    /// One that nobody else uses, with the one database `postgres`.
    pub fn start() -> Self {
        Self::start_with(&TESTS)
    }

    /// The same with these settings of the server.
    pub fn start_with(settings: &[&str]) -> Self {
        let programs = programs();
        let arguments = |port| {
            let settings = settings.iter().map(Into::into);
            [programs.as_os_str().to_owned(), port].into_iter().chain(settings).collect()
        };
        let script = include_str!("postgres_supervisor.sh");
        let (port, supervisor, answers) = start_on_a_free_port(script, arguments)
            .unwrap_or_else(|said| panic!("Postgres could not be started: {said}\n{INSTALL}"));
        Self { port, supervisor, answers }
    }

    /// Makes a database of this name, and gives its URL.
    pub async fn new_database(&self, name: &str) -> String {
        let mut admin = PgConnection::connect(&self.url("postgres")).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        self.url(name)
    }

    /// The URL of one of its databases. Nobody checks the password; the tests look for it where it must
    /// not be.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://regate:never-shown@127.0.0.1:{}/{database}", self.port)
    }

    /// Ends all of its processes at once with `kill -9`.
    pub fn kill(&mut self) {
        self.tell("kill");
    }

    /// Stops it as an operator does.
    pub fn stop(&mut self) {
        self.tell("stop");
    }

    /// Starts it again, on the same port and folder, and waits until it answers.
    pub fn start_again(&mut self) {
        self.tell("start");
    }

    /// Halts all of its processes (SIGSTOP): connections stay, and say nothing.
    pub fn freeze(&mut self) {
        self.tell("freeze");
    }

    /// Lets them go on.
    pub fn thaw(&mut self) {
        self.tell("thaw");
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.supervisor.stdin.as_mut().unwrap(), "{command}").unwrap();
        let mut said = String::new();
        self.answers.read_line(&mut said).unwrap();
        assert_eq!(said, "done\n", "{command}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The supervisor ends with its standard input.
        self.supervisor.stdin.take();
        let _ = self.supervisor.wait();
    }
}

/// Starts a supervisor whose arguments are made from a port, and waits until it says that it is ready.
///
/// # Errors
/// What it said, when it did not get ready.
pub(super) fn start_on_a_free_port(
    script: &str,
    arguments: impl Fn(std::ffi::OsString) -> Vec<std::ffi::OsString>,
) -> Result<(u16, Child, BufReader<ChildStdout>), String> {
    let mut said = String::new();
    // Somebody may take the port between our look and the server's: then with another one.
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut supervisor = Command::new("sh")
            .args(["-c", script, "supervisor"])
            .args(arguments(port.to_string().into()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A group of its own, so that what kills the tests as a group leaves it to clean up.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(supervisor.stdout.take().unwrap());
        said.clear();
        output.read_line(&mut said).unwrap();
        if said == "ready\n" {
            return Ok((port, supervisor, output));
        }
        output.read_to_string(&mut said).unwrap();
        if supervisor.wait().unwrap().code() != Some(2) {
            return Err(said);
        }
        eprintln!("nothing started on port {port}, trying another: {said}");
    }
    Err(said)
}

/// One of Postgres's own programs, told which database to use.
pub fn program(name: &str, url: &str) -> Command {
    let mut command = Command::new(programs().join(name));
    // What the machine's user has set for it is not for the tests.
    command.env_clear().env("PATH", "/usr/bin:/bin").arg("--dbname").arg(url);
    command
}

/// `psql`, which reads statements from its standard input or its arguments, and ends at the first error.
pub fn psql(url: &str) -> Command {
    let mut command = program("psql", url);
    command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"]);
    command
}

/// The folder of Postgres's programs: the one on PATH, or the newest of Debian's.
fn programs() -> PathBuf {
    let complete = |folder: &Path| {
        ["initdb", "pg_ctl", "postgres", "psql", "pg_dump"]
            .iter()
            .all(|program| folder.join(program).is_file())
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = std::env::split_paths(&path).find(|folder| complete(folder)) {
        return folder;
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number =
        |folder: &PathBuf| folder.parent()?.file_name()?.to_str()?.split('.').next()?.parse::<u32>().ok();
    versions
        .map(|version| version.path().join("bin"))
        .filter(|folder| complete(folder))
        .max_by_key(number)
        .unwrap_or_else(|| panic!("{INSTALL}"))
}
