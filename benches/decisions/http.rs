//! Decisions over HTTP beside a floor.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, http::header, routing::post};
use regate::{
    api::{self, Channel, HttpBounds, Server, Shared},
    auth::CredentialReader,
    policy::{Live, Source},
    types::{Clock, SystemClock},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    figures::{middle, quantile},
    live_server,
    world::{self, ROWS},
};

pub const CONNECTIONS: usize = 32;
const TURNS: usize = 7;
pub const TURN: Duration = Duration::from_secs(3);

/// An answer of the usual length.
const FIXED: &[u8] = br#"{"allow":true,"status":200,"reason":"global_token.read","reasons":["global_token.read"],"message":"","decision_id":"01a0a0a0-0000-7000-8000-000000000000","subject":{"kind":"global","token_id":"global-500000","user_id":"user-500000","tenant":"default"},"headers":{"set":{},"remove":["authorization"]},"connection_key":null,"rate_limit":null,"challenge":null,"policy_revision":"0000000000000000000000000000000000000000000000000000000000000000","data_revision":1}"#;

/// The floor: the same server, a handler that reads the body and answers fixed bytes.
pub fn serve_floor() {
    let handler = |body: Bytes| async move {
        assert!(!body.is_empty());
        ([(header::CONTENT_TYPE, "application/json")], FIXED)
    };
    serve(Router::new().route("/v1/decide", post(handler)));
}

/// regate over this many rows, as `regate serve` puts it together.
pub fn serve_decisions(rows: usize) {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let live = Arc::new(Live::new(world::bundle(workers), world::snapshot(rows)));
    live.confirm(Source::Tables, SystemClock.reading());
    let point = live_server::point(live, Duration::MAX);
    serve(api::router(Shared {
        point: Arc::new(point),
        bounds: Arc::new(HttpBounds::default()),
        channel: Channel::Loopback,
        faces: Arc::default(),
        credentials: CredentialReader::default(),
        feed: None,
        policies: None,
        management: None,
    }));
}

/// Serves until the benchmark closes the pipe, or dies.
pub fn serve(router: Router) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(serve_until_told(router));
}

/// Prints the address, and serves until the benchmark closes the pipe, or dies.
pub async fn serve_until_told(router: Router) {
    let server = Server::bind("127.0.0.1:0", Arc::new(HttpBounds::default())).await.expect("a port");
    println!("{}", server.address().expect("an address"));
    let end = async {
        let mut byte = [0];
        let _ =
            tokio::task::spawn_blocking(move || std::io::Read::read(&mut std::io::stdin(), &mut byte)).await;
    };
    server.serve(router, end).await;
}

/// A server in a process of its own, which ends with this.
pub struct Started {
    child: Child,
    pub address: String,
}

impl Started {
    /// Starts this program with these arguments, and waits until it has printed its address.
    pub fn new(arguments: &[&str]) -> Self {
        Self::with_log(arguments, Stdio::inherit())
    }

    /// The same of one whose log nobody reads.
    pub fn quiet(arguments: &[&str]) -> Self {
        Self::with_log(arguments, Stdio::null())
    }

    fn with_log(arguments: &[&str], log: Stdio) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("a server");
        let mut address = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut address).expect("its address");
        Self { child, address: address.trim().to_owned() }
    }

    /// Stops it where it is: while others are asked, it does nothing.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.process().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "a signal");
    }

    /// The number of the process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have been stopped, and would not see that the pipe is closed.
        let _ = Command::new("kill").args(["-CONT", &self.process().to_string()]).status();
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// What one turn gave.
pub struct Turn {
    pub per_second: f64,
    /// Milliseconds.
    pub p50: f64,
    pub p99: f64,
}

/// Puts a question as an HTTP message.
pub fn message(question: &serde_json::Value) -> Vec<u8> {
    let body = question.to_string();
    format!(
        "POST /v1/decide HTTP/1.1\r\nhost: regate\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Asks over [`CONNECTIONS`] connections for [`TURN`], each waiting for its answer; with a `pace`, each
/// asks once in that time, and else without a pause.
pub async fn ask(address: &str, message: &[u8], expected: &[u8], pace: Option<Duration>) -> Turn {
    ask_over(CONNECTIONS, address, message, expected, pace).await
}

/// The same over so many connections.
pub async fn ask_over(
    connections: usize,
    address: &str,
    message: &[u8],
    expected: &[u8],
    pace: Option<Duration>,
) -> Turn {
    let begun = Instant::now();
    let end = begun + TURN;
    let asking = (0..connections).map(|number| {
        let (address, message, expected) = (address.to_owned(), message.to_vec(), expected.to_vec());
        tokio::spawn(async move {
            let mut stream = connect(&address).await;
            let mut buffer = vec![0; 16 * 1024];
            let mut times = Vec::with_capacity(100_000);
            let mut due = begun + pace.unwrap_or_default() * number as u32 / connections as u32;
            while Instant::now() < end {
                let mut asked = Instant::now();
                if let Some(pace) = pace {
                    // A question that is late because the answer before it was is counted from when
                    // it was due: else a standstill would count once and not as often as it is felt.
                    if due > asked {
                        tokio::time::sleep_until(due.into()).await;
                        asked = Instant::now();
                    } else {
                        asked = due;
                    }
                    due += pace;
                }
                stream.write_all(&message).await.expect("to write");
                read_answer(&mut stream, &mut buffer, &expected).await;
                times.push(asked.elapsed().as_secs_f64() * 1e3);
            }
            times
        })
    });
    let mut times = Vec::new();
    for connection in asking.collect::<Vec<_>>() {
        times.extend(connection.await.expect("an answer to each question"));
    }
    let elapsed = begun.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    Turn { per_second: times.len() as f64 / elapsed, p50: quantile(&times, 0.5), p99: quantile(&times, 0.99) }
}

/// Connects to a server.
pub async fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// Asks once, and gives the answer.
pub async fn ask_once(address: &str, message: &[u8], expected: &[u8]) -> String {
    let mut stream = connect(address).await;
    let mut buffer = vec![0; 16 * 1024];
    stream.write_all(message).await.expect("to write");
    let filled = read_answer(&mut stream, &mut buffer, expected).await;
    String::from_utf8_lossy(&buffer[..filled]).into_owned()
}

/// Reads one answer, checks that it is the right one, and gives its length.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8], expected: &[u8]) -> usize {
    let mut filled = 0;
    loop {
        let count = stream.read(&mut buffer[filled..]).await.expect("to read");
        assert!(count > 0, "the server closed the connection");
        filled += count;
        let read = &buffer[..filled];
        if is_whole(read) {
            assert!(find(read, expected).is_some(), "a wrong answer: {}", String::from_utf8_lossy(read));
            return filled;
        }
    }
}

/// Whether all of an answer was read.
pub fn is_whole(read: &[u8]) -> bool {
    let Some(end) = find(read, b"\r\n\r\n") else { return false };
    let at = find(&read[..end], b"content-length: ").expect("a length") + b"content-length: ".len();
    let digits = read[at..].iter().take_while(|b| b.is_ascii_digit());
    let length = digits.fold(0, |n, d| n * 10 + usize::from(d - b'0'));
    read.len() >= end + 4 + length
}

/// Where a part begins in a text.
pub fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Prints the table.
pub fn run() {
    let case = world::cases(ROWS).remove(0);
    let message = message(&case.question);
    print!("Over HTTP: loading {ROWS} tokens and {ROWS} collaborators … ");
    let _ = std::io::stdout().flush();
    let floor = Started::new(&["serve-floor"]);
    let decisions = Started::new(&["serve-decisions", &ROWS.to_string()]);
    println!("loaded\n");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let turn = |server: &Started| {
        runtime.block_on(ask(&server.address, &message, b"\"reason\":\"global_token.read\"", None))
    };
    // The first turns warm caches and connections up, and are not counted.
    turn(&floor);
    turn(&decisions);
    let turns: Vec<(Turn, Turn)> = (0..TURNS).map(|_| (turn(&floor), turn(&decisions))).collect();
    println!(
        "{} turns of {} s each, {CONNECTIONS} connections; median (least to most)\n",
        TURNS,
        TURN.as_secs()
    );
    let row = |name: &str, of: &dyn Fn(&(Turn, Turn)) -> f64, digits: usize| {
        let (median, least, most) = middle(turns.iter().map(of).collect());
        println!("{name:<28} {median:>12.digits$} ({least:.digits$} to {most:.digits$})");
    };
    row("floor, requests/s", &|t| t.0.per_second, 0);
    row("decisions, requests/s", &|t| t.1.per_second, 0);
    row("ratio to the floor", &|t| t.1.per_second / t.0.per_second, 3);
    row("floor, p50 ms", &|t| t.0.p50, 3);
    row("decisions, p50 ms", &|t| t.1.p50, 3);
    row("floor, p99 ms", &|t| t.0.p99, 3);
    row("decisions, p99 ms", &|t| t.1.p99, 3);
}
