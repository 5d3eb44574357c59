//! What operators and other programs do to the database: `psql`, `pg_dump`, signals.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
};

use crate::harness::postgres;

/// Runs SQL, and gives what it printed.
pub fn sql(url: &str, sql: &str) -> String {
    succeed(postgres::psql(url).args(["--command", sql]).stdin(Stdio::null()).output().unwrap())
}

/// The database as a script that puts it back in place of what is there.
pub fn dump(url: &str) -> String {
    let mut command = postgres::program("pg_dump", url);
    succeed(command.args(["--clean", "--if-exists"]).stdin(Stdio::null()).output().unwrap())
}

/// Runs a script, as a person would feed it to `psql`.
pub fn run_script(url: &str, options: &[&str], script: &str) {
    let mut command = postgres::psql(url);
    let command = command.args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // It prints next to nothing, so that it reads all before anybody has to read from it.
    input.write_all(script.as_bytes()).unwrap();
    drop(input);
    succeed(child.wait_with_output().unwrap());
}

fn succeed(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// A `psql` that stays connected. It ends, and undoes what it has not committed, when this is dropped.
pub struct Session {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Session {
    /// Connects.
    pub fn open(url: &str) -> Self {
        let mut child = postgres::psql(url).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// Begins something, without waiting for its end.
    pub fn begin(&mut self, script: &str) {
        writeln!(self.input.as_mut().unwrap(), "{script}").unwrap();
    }

    /// Does something, and waits for its end and that of all before.
    pub fn run(&mut self, script: &str) {
        self.begin(script);
        // Not by \echo, which a script of pg_dump forbids.
        self.begin("select 'so far';");
        let mut line = String::new();
        while line.trim_end() != "so far" {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "psql ended");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.input.take();
        let _ = self.child.wait();
    }
}

/// Processes that do not move until this is dropped.
pub struct Frozen {
    pids: Vec<String>,
}

impl Frozen {
    /// Stops these processes, given one a line.
    pub fn new(pids: &str) -> Self {
        let pids: Vec<String> = pids.lines().map(str::to_owned).collect();
        assert!(!pids.is_empty(), "there is no process to stop");
        signal("STOP", &pids);
        Self { pids }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        signal("CONT", &self.pids);
    }
}

/// By the shell's own `kill`: a small machine has no other.
fn signal(name: &str, pids: &[String]) {
    let status = Command::new("sh").args(["-c", "kill -s \"$@\"", "sh", name]).args(pids).status();
    assert!(status.unwrap().success(), "the tests may not signal Postgres's processes: run them as root");
}
