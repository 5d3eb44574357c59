//! Decisions over HTTP beside a floor.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, http::header, routing::post};
use regate::{
    api::{self, DecisionPoint, GatewayAuthentication, HttpBounds, NewIds, Server, Shared},
    decision::DecisionRules,
    policy::{Live, Source},
    types::{Clock, RandomIds, SystemClock},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world;

const ROWS: usize = 1_000_000;
const CONNECTIONS: usize = 32;
const TURNS: usize = 7;
const TURN: Duration = Duration::from_secs(3);

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
    let new_ids: NewIds = Arc::new(|| Box::new(RandomIds::new()));
    let rules = DecisionRules::default();
    let (clock, authentication) = (Arc::new(SystemClock), GatewayAuthentication::Optional);
    let point = DecisionPoint::new(live, rules, clock, new_ids, authentication, Duration::MAX);
    serve(api::router(Shared {
        point: Arc::new(point),
        bounds: Arc::new(HttpBounds::default()),
        feed: None,
    }));
}

fn serve(router: Router) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let server = Server::bind("127.0.0.1:0", Arc::new(HttpBounds::default())).await.expect("a port");
        println!("{}", server.address().expect("an address"));
        // Ends when the benchmark closes the pipe, or dies.
        let end = async {
            let mut byte = [0];
            let _ =
                tokio::task::spawn_blocking(move || std::io::Read::read(&mut std::io::stdin(), &mut byte))
                    .await;
        };
        server.serve(router, end).await;
    });
}

struct Started {
    child: Child,
    address: String,
}

impl Started {
    fn new(arguments: &[&str]) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        let mut address = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut address).expect("its address");
        Self { child, address: address.trim().to_owned() }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// What one turn gave.
struct Turn {
    per_second: f64,
    /// Milliseconds.
    p50: f64,
    p99: f64,
}

/// Asks over [`CONNECTIONS`] connections for [`TURN`], each waiting for its answer.
async fn ask(address: &str, message: &[u8], expected: &[u8]) -> Turn {
    let begun = Instant::now();
    let end = begun + TURN;
    let connections = (0..CONNECTIONS).map(|_| {
        let (address, message, expected) = (address.to_owned(), message.to_vec(), expected.to_vec());
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(&address).await.expect("a connection");
            stream.set_nodelay(true).expect("no delay");
            let mut buffer = vec![0; 16 * 1024];
            let mut times = Vec::with_capacity(100_000);
            while Instant::now() < end {
                let asked = Instant::now();
                stream.write_all(&message).await.expect("to write");
                read_answer(&mut stream, &mut buffer, &expected).await;
                times.push(asked.elapsed().as_nanos() as u64);
            }
            times
        })
    });
    let mut times = Vec::new();
    for connection in connections.collect::<Vec<_>>() {
        times.extend(connection.await.expect("an answer to each question"));
    }
    let elapsed = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    let quantile = |q: f64| times[((times.len() - 1) as f64 * q) as usize] as f64 / 1e6;
    Turn { per_second: times.len() as f64 / elapsed, p50: quantile(0.5), p99: quantile(0.99) }
}

/// Reads one answer and checks that it is the right one.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8], expected: &[u8]) {
    let mut filled = 0;
    loop {
        let count = stream.read(&mut buffer[filled..]).await.expect("to read");
        assert!(count > 0, "the server closed the connection");
        filled += count;
        let read = &buffer[..filled];
        let Some(end) = find(read, b"\r\n\r\n") else { continue };
        let at = find(&read[..end], b"content-length: ").expect("a length") + b"content-length: ".len();
        let digits = read[at..].iter().take_while(|b| b.is_ascii_digit());
        let length = digits.fold(0, |n, d| n * 10 + usize::from(d - b'0'));
        if filled >= end + 4 + length {
            assert!(find(read, expected).is_some(), "a wrong answer: {}", String::from_utf8_lossy(read));
            return;
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn middle(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[0], values[values.len() - 1])
}

/// Prints the table.
pub fn run() {
    let case = world::cases(ROWS).remove(0);
    let body = case.question.to_string();
    let message = format!(
        "POST /v1/decide HTTP/1.1\r\nhost: regate\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    print!("Over HTTP: loading {ROWS} tokens and {ROWS} collaborators … ");
    let _ = std::io::stdout().flush();
    let floor = Started::new(&["serve-floor"]);
    let decisions = Started::new(&["serve-decisions", &ROWS.to_string()]);
    println!("loaded\n");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let turn = |server: &Started| {
        runtime.block_on(ask(&server.address, message.as_bytes(), b"\"reason\":\"global_token.read\""))
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
