//! The program itself, as users start it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use super::record;

/// The built binary.
pub const REGATE: &str = env!("CARGO_BIN_EXE_regate");

/// Runs a command to its end, `input` on its standard input.
pub fn run(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(REGATE)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("regate starts");
    // A command that does not read its input may have closed it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    record::log(&stderr(&output));
    output
}

/// What was written to standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What was written to standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A running `regate serve`.
///
/// It runs below a shell that ends it when a pipe closes: the pipe is held by this value, and by the
/// test process, so nothing is left running however the process ends.
pub struct Serving {
    supervisor: Child,
    pipe: Option<ChildStdin>,
    /// `127.0.0.1:PORT`, or the path of a Unix socket
    pub address: String,
    /// The same of the listener for gRPC; empty where there is none
    pub grpc: String,
    /// All that it printed before and after it was ready.
    pub output: Arc<Mutex<String>>,
    /// All that it logged.
    pub log: Arc<Mutex<String>>,
}

/// What is being started, what it prints, and the thread that collects what it logs.
type Spawned = (Serving, BufReader<ChildStdout>, thread::JoinHandle<()>);

const FREE_PORTS: &[[&str; 2]] = &[["--listen", "127.0.0.1:0"], ["--grpc-listen", "127.0.0.1:0"]];

const SUPERVISOR: &str = r#"
exec 3<&0
"$@" </dev/null &
serving=$!
( cat <&3; kill -TERM $serving ) >/dev/null 2>&1 &
wait $serving
"#;

impl Serving {
    /// Starts `regate serve` on a free port and waits until it can decide.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::try_start(folder, arguments)
            .unwrap_or_else(|(code, log)| panic!("regate ended with {code:?}: {log}"))
    }

    /// The same, started by another program, whose arguments end where those of regate begin.
    pub fn start_under(starter: &[&str], folder: &Path, arguments: &[&str]) -> Self {
        Self::try_start_under(starter, folder, arguments)
            .unwrap_or_else(|(code, log)| panic!("regate ended with {code:?}: {log}"))
    }

    /// The same; a process that ends before it is ready gives its exit code and its log.
    pub fn try_start(folder: &Path, arguments: &[&str]) -> Result<Self, (Option<i32>, String)> {
        Self::try_start_under(&[], folder, arguments)
    }

    /// The same, without an address of the harness's own.
    pub fn start_as_is(folder: &Path, arguments: &[&str]) -> Self {
        Self::wait(Self::spawn(&[], folder, arguments, &[]))
            .unwrap_or_else(|(code, log)| panic!("regate ended with {code:?}: {log}"))
    }

    fn try_start_under(
        starter: &[&str],
        folder: &Path,
        arguments: &[&str],
    ) -> Result<Self, (Option<i32>, String)> {
        Self::wait(Self::spawn(starter, folder, arguments, FREE_PORTS))
    }

    /// Waits until it is ready.
    fn wait((mut serving, mut stdout, logged): Spawned) -> Result<Self, (Option<i32>, String)> {
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        let Some(urls) = first.trim().strip_prefix("regate is ready: ") else {
            serving.pipe.take();
            let code = serving.supervisor.wait().unwrap().code();
            logged.join().unwrap();
            return Err((code, serving.log()));
        };
        let mut urls = urls.split(' ').map(without_scheme);
        serving.address = urls.next().unwrap_or_default();
        serving.grpc = urls.next().unwrap_or_default();
        (serving.output, _) = collect(stdout);
        Ok(serving)
    }

    /// Starts `regate serve` on a free port and waits until it listens: it may be loading still.
    pub fn start_loading(folder: &Path, arguments: &[&str]) -> Self {
        const LISTENING: &str = "listening; loading the decision data address=";
        const GRPC: &str = "listening for gRPC address=";
        let (mut serving, stdout, logged) = Self::spawn(&[], folder, arguments, FREE_PORTS);
        (serving.output, _) = collect(stdout);
        loop {
            // Before the look: what it said last is in the log by then.
            let ended = logged.is_finished();
            let log = serving.log();
            let line = |words| log.split_once(words).and_then(|(_, rest)| rest.split_once('\n'));
            if let Some((address, _)) = line(LISTENING) {
                serving.address = without_scheme(address);
                serving.grpc = line(GRPC).map(|(address, _)| without_scheme(address)).unwrap_or_default();
                return serving;
            }
            assert!(!ended, "regate ended: {log}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Gives what it prints, and the thread that collects what it logs.
    ///
    /// `ports`: where to listen, where the arguments do not say.
    fn spawn(starter: &[&str], folder: &Path, arguments: &[&str], ports: &[[&str; 2]]) -> Spawned {
        let named = |flag| arguments.contains(flag);
        let mut supervisor = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR, "sh"])
            .args(starter)
            .args([REGATE, "serve"])
            .args(arguments)
            .args(ports.iter().filter(|[flag, _]| !named(flag)).flatten())
            .current_dir(folder)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let pipe = supervisor.stdin.take();
        let stdout = BufReader::new(supervisor.stdout.take().unwrap());
        let (log, logged) = collect(supervisor.stderr.take().unwrap());
        let (address, grpc) = (String::new(), String::new());
        let serving = Self { supervisor, pipe, address, grpc, output: Arc::default(), log };
        (serving, stdout, logged)
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it has logged these words, and gives all that it has logged by then: a line is read here
    /// a moment after it was written there.
    pub fn wait_for_log(&self, words: &str) -> String {
        let begun = std::time::Instant::now();
        loop {
            let log = self.log();
            if log.contains(words) {
                return log;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{words} is not in: {log}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where `/metrics` is, where `[metrics] listen` names no port.
    pub fn metrics_address(&self) -> String {
        const WORDS: &str = "metrics at /metrics address=";
        loop {
            let log = self.wait_for_log(WORDS);
            let (_, rest) = log.split_once(WORDS).unwrap();
            // The end of the line may have been read later.
            if let Some((address, _)) = rest.split_once('\n') {
                return address.trim().to_owned();
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The id of the process that serves.
    pub fn process(&self) -> u32 {
        let supervisor = self.supervisor.id();
        let children =
            std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).unwrap();
        // The other child is the shell that waits for the pipe.
        let serves = |id: &u32| {
            let line = std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
            line.starts_with(REGATE)
        };
        children.split_whitespace().map(|id| id.parse().unwrap()).find(serves).unwrap()
    }

    /// Ends it with `kill -9`, and waits.
    pub fn kill(mut self) {
        let killed = Command::new("kill").args(["-9", &self.process().to_string()]).status().unwrap();
        assert!(killed.success());
        self.supervisor.wait().unwrap();
    }

    /// Sends SIGTERM and waits; gives the exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.pipe.take();
        self.supervisor.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.pipe.take();
        let _ = self.supervisor.wait();
        record::log(&self.log());
    }
}

/// A command that goes on until it is told to end. It is gone when this value is, and when the test process is.
pub struct Running {
    supervisor: Child,
    pipe: Option<ChildStdin>,
    /// All that it printed so far.
    pub output: Arc<Mutex<String>>,
}

impl Running {
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut supervisor = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR, "sh", REGATE])
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell starts");
        let pipe = supervisor.stdin.take();
        let (output, _) = collect(supervisor.stdout.take().unwrap());
        Self { supervisor, pipe, output }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.pipe.take();
        let _ = self.supervisor.wait();
    }
}

/// The address within a URL that `serve` printed.
fn without_scheme(url: &str) -> String {
    let tcp = url.split_once("://").map(|(_, address)| address);
    tcp.or_else(|| url.strip_prefix("unix:")).unwrap_or(url).to_owned()
}

fn collect(mut from: impl Read + Send + 'static) -> (Arc<Mutex<String>>, thread::JoinHandle<()>) {
    let text = Arc::new(Mutex::new(String::new()));
    let into = Arc::clone(&text);
    let reading = thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            into.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    });
    (text, reading)
}
