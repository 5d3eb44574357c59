//! Redis, from Debian's package, in memory alone, on a free port of the loopback. It is gone when this process
//! ends, however it ends: see `redis_supervisor.sh`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdout},
};

use super::{postgres::start_on_a_free_port, supervised::program};

const INSTALL: &str = "the tests need Redis, and are never skipped without: install it, on Debian with \
    `apt-get install redis-server`, or put its folder on PATH";

/// A running Redis. Dropping it ends it.
pub struct Redis {
    port: u16,
    password: Option<String>,
    supervisor: Child,
    answers: BufReader<ChildStdout>,
}

impl Redis {
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// One that asks for a password.
    pub fn with_password(password: &str) -> Self {
        Self::start_with(Some(password.to_owned()))
    }

    fn start_with(password: Option<String>) -> Self {
        let redis = program("redis-server", INSTALL);
        let arguments = |port| {
            let settings = password.iter().flat_map(|password| ["--requirepass", password]).map(Into::into);
            [redis.as_str().into(), port].into_iter().chain(settings).collect()
        };
        let script = include_str!("redis_supervisor.sh");
        let (port, supervisor, answers) = start_on_a_free_port(script, arguments)
            .unwrap_or_else(|said| panic!("Redis could not be started: {said}\n{INSTALL}"));
        Self { port, password, supervisor, answers }
    }

    /// `redis://127.0.0.1:PORT/0`, with the password if it asks for one.
    pub fn url(&self) -> String {
        let password = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{password}127.0.0.1:{}/0", self.port)
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Ends it with `kill -9`.
    pub fn kill(&mut self) {
        self.tell("kill");
    }

    /// Starts it again, empty, on the same port.
    pub fn start_again(&mut self) {
        self.tell("start");
    }

    /// Halts it (SIGSTOP): connections stay, are even made, and say nothing.
    pub fn freeze(&mut self) {
        self.tell("freeze");
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        self.tell("thaw");
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.supervisor.stdin.as_mut().unwrap(), "{command}").unwrap();
        let mut said = String::new();
        self.answers.read_line(&mut said).unwrap();
        assert_eq!(said, "done\n", "{command}");
    }

    /// Puts a command, over a connection of its own. The answer's lines as they are on the wire, without those
    /// that say how long something is.
    pub fn ask(&self, command: &[&str]) -> Vec<String> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        if let Some(password) = &self.password {
            send(&mut connection, &["AUTH", password]);
        }
        send(&mut connection, command);
        send(&mut connection, &["QUIT"]);
        let mut bytes = Vec::new();
        connection.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        // The last line answers QUIT.
        let mut lines: Vec<String> =
            text.lines().filter(|line| !line.starts_with(['$', '*'])).map(str::to_owned).collect();
        assert_eq!(lines.pop().as_deref(), Some("+OK"), "{text}");
        if self.password.is_some() {
            lines.remove(0);
        }
        lines
    }
}

fn send(connection: &mut TcpStream, command: &[&str]) {
    let words: String = command.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    connection.write_all(format!("*{}\r\n{words}", command.len()).as_bytes()).unwrap();
}

impl Drop for Redis {
    fn drop(&mut self) {
        // The supervisor ends with its standard input.
        self.supervisor.stdin.take();
        let _ = self.supervisor.wait();
    }
}
