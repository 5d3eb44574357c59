//! The program as it is used: how large it is, and how long it takes from its start to the first decision.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    bounds::{Bounds, table},
    figures::middle,
    http,
};

/// The program that was built with this.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_regate");
const STARTS: usize = 20;
/// Seconds.
const FIRST_DECISION: f64 = 0.5;

/// Starts it again and again with the demo, and asks the first question that it prints. Ends with 1 where a bound is
/// missed.
pub fn run(program: &str) {
    let size = std::fs::metadata(program).expect("the program").len();
    println!("The program has {:.1} MiB.\n", size as f64 / f64::from(1 << 20));
    // The first start reads the program from the disk, and is not counted.
    let starts: Vec<(f64, f64)> = (0..=STARTS).map(|_| start(program)).skip(1).collect();
    let mut printed = table(["of a start with the demo, ms", "median", "least", "most"]);
    let mut row = |what: &str, of: fn(&(f64, f64)) -> f64| {
        let (median, least, most) = middle(starts.iter().map(of).collect());
        let cells = [median, least, most].map(|seconds| format!("{:.1}", seconds * 1e3));
        printed.add_row(std::iter::once(what.to_owned()).chain(cells));
        most
    };
    row("until it says that it is ready", |start| start.0);
    let most = row("until the first decision", |start| start.1);
    println!("{STARTS} starts\n\n{printed}");
    let mut bounds = Bounds::default();
    bounds.below("seconds from the start to the first decision, the slowest", FIRST_DECISION, most);
    bounds.end();
}

/// Seconds until it says that it is ready, and until its first decision is here.
fn start(program: &str) -> (f64, f64) {
    let folder = tempfile::tempdir().expect("a folder");
    let begun = Instant::now();
    let mut process = Command::new(program)
        .args(["serve", "--demo", "--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"])
        .current_dir(folder.path())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut output = BufReader::new(process.stdout.take().expect("its output")).lines();
    let mut line = || output.next().expect("a line").expect("to read");
    let said = line();
    let urls = said.strip_prefix("regate is ready: http://").expect("that it is ready");
    let address = urls.split(' ').next().expect("an address").to_owned();
    let ready = begun.elapsed().as_secs_f64();
    let asking = loop {
        let line = line();
        if line.starts_with("curl ") {
            break line;
        }
    };
    // The first line to paste asks what is allowed.
    let body = asking.split_once("-d '").and_then(|(_, rest)| rest.strip_suffix('\'')).expect("a question");
    let message = format!(
        "POST /v1/decide HTTP/1.1\r\nhost: regate\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(&address).expect("a connection");
    stream.write_all(message.as_bytes()).expect("to ask");
    let mut answer = vec![0; 16 * 1024];
    let mut filled = 0;
    while !http::is_whole(&answer[..filled]) {
        let count = stream.read(&mut answer[filled..]).expect("an answer");
        assert!(count > 0, "the program closed the connection");
        filled += count;
    }
    let decided = begun.elapsed().as_secs_f64();
    assert!(http::find(&answer[..filled], b"\"allow\":true").is_some(), "a wrong answer");
    process.kill().expect("to end it");
    process.wait().expect("its end");
    (ready, decided)
}
