//! regate itself, as a process of its own: `regate serve`, and the other commands.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
};

/// A running `regate serve`. It ends with this, however this process ends.
pub struct Serving {
    supervisor: Child,
    pipe: Option<ChildStdin>,
    /// The number of the process.
    pub process: u32,
    /// Where questions are asked.
    pub address: String,
    log: PathBuf,
}

/// Ends regate when standard input does. Says its number first.
const SUPERVISOR: &str = r#"
exec 3<&0
"$@" </dev/null &
serving=$!
echo $serving
( cat <&3; kill -TERM $serving ) >/dev/null 2>&1 &
wait $serving
"#;

impl Serving {
    /// Starts it in this folder, where `regate.toml` lies; its log goes into the file.
    pub fn start(program: &Path, folder: &Path, log: &Path) -> Self {
        let mut supervisor = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR, "sh"])
            .arg(program)
            .args(["serve", "--config", "regate.toml"])
            .current_dir(folder)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log).expect("a file for the log"))
            .spawn()
            .expect("a shell");
        let pipe = supervisor.stdin.take();
        let mut output = BufReader::new(supervisor.stdout.take().expect("its output"));
        let mut line = || {
            let mut line = String::new();
            output.read_line(&mut line).expect("a line");
            line.trim().to_owned()
        };
        let (number, ready) = (line(), line());
        let Some(address) = ready.strip_prefix("regate is ready: http://") else {
            panic!("regate did not start: {}", std::fs::read_to_string(log).unwrap_or_default());
        };
        let address = address.split(' ').next().unwrap_or_default().to_owned();
        // Nobody reads what it prints from here on; there is nothing more.
        std::thread::spawn(move || output.read_to_string(&mut String::new()));
        let process = number.parse().expect("a number");
        Self { supervisor, pipe, process, address, log: log.to_owned() }
    }

    /// Where `/metrics` is.
    pub fn metrics_address(&self) -> String {
        let log = std::fs::read_to_string(&self.log).expect("its log");
        let (_, rest) = log.split_once("metrics at /metrics address=").expect("where the metrics are");
        rest.split_whitespace().next().unwrap_or_default().trim_start_matches("http://").to_owned()
    }

    /// Tells it to end, and waits; gives the exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.pipe.take();
        self.supervisor.wait().ok()?.code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.pipe.take();
        let _ = self.supervisor.wait();
    }
}

/// Runs another command to its end.
pub fn run(program: &Path, folder: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .args(["--config", "regate.toml"])
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .expect("regate runs")
}

/// The resident memory of a process in bytes, and its open files and sockets.
pub fn held_by(process: u32) -> (u64, usize) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 =
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default();
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count);
    (kilobytes * 1024, files)
}
