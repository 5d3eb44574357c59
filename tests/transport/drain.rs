//! The end: what is in flight is finished, nothing else is begun.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use super::{
    frames::{DATA, END_STREAM, Frames, GOAWAY, Outcome},
    until,
    wire::{BODY, connect, question, read_answer, read_rest},
};
use crate::harness::{http::send, program::Serving};

fn tell_to_end(process: u32) {
    assert!(Command::new("kill").args(["-TERM", &process.to_string()]).status().unwrap().success());
}

fn is_there(process: u32) -> bool {
    // A process that has ended and was not waited for has no command line.
    fs::read(Path::new("/proc").join(process.to_string()).join("cmdline")).is_ok_and(|line| !line.is_empty())
}

/// A question whose body is not there yet, and that a handler waits for.
fn hold(address: &str) -> TcpStream {
    let mut stream = connect(address);
    let whole = question("expect: 100-continue\r\n");
    stream.write_all(&whole.as_bytes()[..whole.len() - BODY.len()]).unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"));
    stream
}

const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":path", "/v1/decide"), (":authority", "localhost")];

const CHECK: [(&str, &str); 5] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/envoy.service.auth.v3.Authorization/Check"),
    (":authority", "localhost"),
    ("content-type", "application/grpc"),
];
/// The empty message, behind the five bytes that gRPC puts before each.
const EMPTY: &[u8] = &[0; 5];

/// The same on HTTP/2.
fn hold_http2(address: &str, fields: &[(&str, &str)], body: &[u8]) -> Frames {
    let mut frames = Frames::open(address);
    frames.request(1, fields, 0).unwrap();
    // What came before this has been read when this is answered.
    frames.request(3, fields, 0).unwrap();
    frames.send(DATA, END_STREAM, 3, body).unwrap();
    assert!(matches!(frames.outcome(3), Outcome::Answered(_)));
    frames
}

#[test]
fn what_is_in_flight_is_finished_and_idle_connections_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    let process = serving.process();
    let (mut held, body) = (hold(&serving.address), BODY.as_bytes());
    let mut held_http2 = hold_http2(&serving.address, &POST, body);
    let mut held_grpc = hold_http2(&serving.grpc, &CHECK, EMPTY);
    let (mut idle, mut silent) = (connect(&serving.address), connect(&serving.address));
    idle.write_all(question("").as_bytes()).unwrap();
    read_answer(&mut idle);
    let mut idle_http2 = hold_http2(&serving.address, &POST, body);
    idle_http2.send(DATA, END_STREAM, 1, body).unwrap();
    assert!(matches!(idle_http2.outcome(1), Outcome::Answered(_)));

    tell_to_end(process);
    assert_eq!(read_rest(&mut idle), "");
    assert_eq!(read_rest(&mut silent), "");
    while let Some(frame) = idle_http2.next() {
        if frame.kind == GOAWAY {
            break;
        }
    }
    until("the listeners' end", || {
        TcpStream::connect(&serving.address).is_err() && TcpStream::connect(&serving.grpc).is_err()
    });
    assert!(is_there(process));
    held.write_all(BODY.as_bytes()).unwrap();
    let answer = read_rest(&mut held);
    assert!(answer.contains("\"allow\":true") && answer.contains("connection: close"), "{answer}");
    for (frames, body) in [(&mut held_http2, body), (&mut held_grpc, EMPTY)] {
        frames.send(DATA, END_STREAM, 1, body).unwrap();
        // GOAWAY says, once or twice, that no new streams are taken; this one is old.
        let mut outcomes = (0..3).map(|_| frames.outcome(1));
        let answered = outcomes.find(|outcome| !matches!(outcome, Outcome::Ended));
        assert!(matches!(answered, Some(Outcome::Answered(_))), "{answered:?}");
    }
    until("the end", || !is_there(process));
    assert_eq!(serving.stop(), Some(0));
}

#[test]
fn load_balancers_hear_of_the_end_before_they_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("regate.toml"), "[http]\ndrain_delay = \"3s\"\n").unwrap();
    let serving = Serving::start(folder.path(), &["--demo", "--config", "regate.toml"]);
    let process = serving.process();
    assert_eq!(send(&serving.address, "GET", "/ready", &[], b"").status, 200);
    tell_to_end(process);
    until("/ready", || {
        let answer = send(&serving.address, "GET", "/ready", &[], b"");
        answer.status == 503 && answer.json()["state"] == "ending" && answer.json()["ready"] == false
    });
    // It still decides, on new connections as well.
    let decided = send(&serving.address, "POST", "/v1/decide", &[], BODY.as_bytes());
    assert_eq!((decided.status, decided.json()["allow"].clone()), (200, true.into()));
    assert_eq!(send(&serving.address, "GET", "/health", &[], b"").status, 200);
    until("the end", || !is_there(process));
    assert_eq!(serving.stop(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let grpc = format!("unix:{}", socket.display());
    let serving = Serving::start(folder.path(), &["--demo", "--grpc-listen", &grpc]);
    let process = serving.process();
    let mut held = hold(&serving.address);
    tell_to_end(process);
    until("the listener's end", || TcpStream::connect(&serving.address).is_err());
    let begun = Instant::now();
    // This is the second.
    assert_eq!(serving.stop(), Some(1));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(read_rest(&mut held), "");
    assert!(!socket.exists());
}
