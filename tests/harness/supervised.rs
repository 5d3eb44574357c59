//! Other people's programs that listen on a port: started on a free one, and gone when the test process is.

use std::{
    io::Read,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use super::record;

/// Runs a program until standard input ends, which is when whoever started this has ended.
const SUPERVISOR: &str = r#"
trap '' INT HUP
exec 3<&0
"$@" </dev/null &
running=$!
( cat <&3; kill -TERM $running ) >/dev/null 2>&1 &
wait $running
"#;

/// A program that listens on a port of the loopback.
pub struct Supervised {
    pub port: u16,
    supervisor: Child,
    pipe: Option<ChildStdin>,
    log: Arc<Mutex<String>>,
}

impl Supervised {
    /// Starts a program in a folder and waits until it listens. `prepare` writes its configuration for a port, and gives
    /// the command.
    pub fn start(folder: &Path, prepare: impl Fn(u16) -> Vec<String>) -> Self {
        let mut log = String::new();
        // Somebody may take the port between our look and the program's: then with another one.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            match Self::try_start(folder, port, &prepare(port)) {
                Ok(started) => return started,
                Err(said) => log = said,
            }
            if !log.contains("in use") {
                break;
            }
        }
        panic!("it does not start: {log}");
    }

    fn try_start(folder: &Path, port: u16, command: &[String]) -> Result<Self, String> {
        let mut supervisor = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR, "sh"])
            .args(command)
            .current_dir(folder)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/bin")
            .env("HOME", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let pipe = supervisor.stdin.take();
        let mut stderr = supervisor.stderr.take().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&log);
        let logged = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut buffer) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        let mut started = Self { port, supervisor, pipe, log };
        let began = Instant::now();
        loop {
            if let Some(status) = started.supervisor.try_wait().unwrap() {
                let _ = logged.join();
                return Err(format!("{status}: {}", started.log()));
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(started);
            }
            assert!(began.elapsed() < Duration::from_secs(60), "it does not listen: {}", started.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.pipe.take();
        let _ = self.supervisor.wait();
        record::log(&self.log());
    }
}

/// Where a program is: on PATH, or among those of the administrator.
pub fn program(name: &str, install: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    let mut programs = folders.map(|folder| folder.join(name));
    let found = programs.find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("{install}")).to_str().unwrap().to_owned()
}
