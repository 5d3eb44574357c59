//! Floods of connections, headers, bodies and frames: memory stays within what the bounds of
//! `docs/gateways/transport.md` come to, others are answered all the while, and in the end the connections are gone.
//!
//! Each test prints what it measured (`cargo test --test all -- floods:: --nocapture`): the table in `docs/soak.md`.

mod bodies;
mod connections;
mod heads;
mod http2;
mod unread;

use std::{
    fs,
    io::Write,
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    harness::program::Serving,
    transport::wire::{connect, question, read_answer},
};

pub const MEBIBYTE: usize = 1024 * 1024;

/// Clients that hang are gone soon after the flood, and not while it is being made. What somebody honest asks all the time is
/// not recorded: the demo keeps its log in memory, which is what is measured.
const SETTINGS: &str = "[http]\nidle_time = \"10s\"\nreceive_time = \"5s\"\n[audit]\nmode = \"off\"\n";

/// A process, and somebody honest who asks it all the time.
struct Scene {
    /// Ends before the process does.
    honest: Honest,
    serving: Serving,
    before: usize,
    _folder: TempDir,
}

impl Scene {
    fn start() -> Self {
        Self::start_under(&[])
    }

    /// Started by another program, whose arguments end where those of regate begin.
    fn start_under(starter: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("regate.toml"), SETTINGS).unwrap();
        let arguments = ["--demo", "--config", "regate.toml"];
        let serving = Serving::start_under(starter, folder.path(), &arguments);
        let honest = Honest::begin(&serving.address);
        honest.until_more(200);
        let before = memory(&serving);
        Self { honest, serving, before, _folder: folder }
    }

    /// The memory beyond that before the flood.
    fn grown(&self) -> usize {
        memory(&self.serving).saturating_sub(self.before)
    }

    /// Connections, and other files.
    fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.serving.process())).unwrap().count()
    }

    /// While the flood is there: somebody honest gets answers, on a connection that was there and on a new one, and the
    /// process has no more than so many bytes beyond those before.
    fn holds(&self, what: &str, connections: usize, most: usize) {
        let answers = self.honest.until_more(200);
        let mut another = connect(&self.serving.address);
        another.write_all(question("").as_bytes()).unwrap();
        assert!(read_answer(&mut another).contains("\"allow\":true"));
        let grown = self.grown();
        eprintln!(
            "{what}: {connections} connections, {} MiB before, {} MiB more during, {answers} answers to others",
            self.before / MEBIBYTE,
            grown / MEBIBYTE,
        );
        assert!(grown < most, "{what}: {} MiB more", grown / MEBIBYTE);
    }

    /// After the flood.
    fn is_over(&self, what: &str) {
        self.honest.until_more(50);
        eprintln!("{what}: {} MiB more afterwards", self.grown() / MEBIBYTE);
    }
}

fn memory(serving: &Serving) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", serving.process())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Asks all the time, over one connection. Every answer must be right.
struct Honest {
    answers: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    asking: Option<thread::JoinHandle<()>>,
}

impl Honest {
    fn begin(address: &str) -> Self {
        let (answers, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut stream = connect(address);
        let (count, until) = (Arc::clone(&answers), Arc::clone(&over));
        let asking = thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                stream.write_all(question("").as_bytes()).unwrap();
                let answer = read_answer(&mut stream);
                assert!(answer.contains("\"allow\":true"), "{answer}");
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { answers, over, asking: Some(asking) }
    }

    /// Waits for so many more answers; gives how many there are.
    fn until_more(&self, more: usize) -> usize {
        let enough = self.answers.load(Ordering::Relaxed) + more;
        let begun = Instant::now();
        loop {
            let answers = self.answers.load(Ordering::Relaxed);
            if answers >= enough {
                return answers;
            }
            assert!(!self.asking.as_ref().unwrap().is_finished(), "somebody honest is not answered");
            assert!(begun.elapsed() < Duration::from_secs(60), "{answers} answers, and no more");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Honest {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // While a test fails there may be nothing more to hear.
        if !thread::panicking() {
            self.asking.take().unwrap().join().unwrap();
        }
    }
}

/// Waits until the other end has closed each of these.
fn until_gone(streams: &mut [TcpStream]) {
    for stream in streams {
        crate::transport::wire::read_rest(stream);
    }
}
