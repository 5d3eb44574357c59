//! HTTP/2 that two programs could read in two ways: refused, or the end of the stream or the connection.

use super::{
    frames::{DATA, END_STREAM, Frames, Outcome, RST_STREAM},
    wire::BODY,
};
use crate::harness::{http::send, program::Serving};

const GOOD: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":path", "/v1/decide"), (":authority", "localhost")];

/// What comes of a question with this header.
fn ask(address: &str, fields: &[(&str, &str)]) -> Outcome {
    let mut frames = Frames::open(address);
    frames.request(1, fields, 0).unwrap();
    let _ = frames.send(DATA, END_STREAM, 1, BODY.as_bytes());
    frames.outcome(1)
}

fn allowed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Answered(body) if body.contains("\"allow\":true"))
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    let and = |more: &[(&'static str, &'static str)]| [&GOOD[..], more].concat();
    let without = |name: &str| GOOD.into_iter().filter(|(n, _)| *n != name).collect::<Vec<_>>();
    let with = |name: &'static str, value: &'static str| {
        GOOD.into_iter().map(|(n, v)| if n == name { (n, value) } else { (n, v) }).collect::<Vec<_>>()
    };
    let first = |fields: &[(&'static str, &'static str)]| [fields, &GOOD[..]].concat();
    for good in [and(&[]), and(&[("host", "localhost")]), and(&[("te", "trailers")])] {
        assert!(allowed(&ask(&serving.address, &good)), "{good:?}");
    }
    let cases = [
        ("a path twice", and(&[(":path", "/v1/decide")])),
        ("another path", first(&[(":path", "/health")])),
        ("a method twice", and(&[(":method", "GET")])),
        ("two authorities", and(&[(":authority", "other")])),
        ("an unknown pseudo-header", and(&[(":token", "x")])),
        ("a status", and(&[(":status", "200")])),
        ("a field before them", first(&[("x", "y")])),
        ("no path", without(":path")),
        ("no method", without(":method")),
        ("no scheme", without(":scheme")),
        ("an empty path", with(":path", "")),
        ("a path without a slash", with(":path", "v1/decide")),
        ("an asterisk", with(":path", "*")),
        ("a whole URL", with(":path", "http://localhost/v1/decide")),
        ("a space in the path", with(":path", "/v1/decide x")),
        ("a line break in the path", with(":path", "/v1/decide\r\nx: y")),
        ("a space in the method", with(":method", "POST /")),
        ("CONNECT", with(":method", "CONNECT")),
        ("CONNECT by the book", vec![(":method", "CONNECT"), (":authority", "localhost:80")]),
        ("a protocol", and(&[(":protocol", "websocket")])),
        ("a user in the authority", with(":authority", "root@localhost")),
        ("a path in the authority", with(":authority", "localhost/x")),
        ("another host", and(&[("host", "other")])),
        ("two hosts", and(&[("host", "localhost"), ("host", "localhost")])),
        ("a name in capitals", and(&[("X-Name", "y")])),
        ("a line break in a value", and(&[("x", "a\r\nauthorization: b")])),
        ("a zero byte in a value", and(&[("x", "a\0b")])),
        ("a space in a name", and(&[("x y", "z")])),
        ("an empty name", and(&[("", "z")])),
        ("connection", and(&[("connection", "close")])),
        ("chunks", and(&[("transfer-encoding", "chunked")])),
        ("an upgrade", and(&[("upgrade", "h2c")])),
        ("another te", and(&[("te", "gzip")])),
        ("a length that is too short", and(&[("content-length", "3")])),
        ("a length that is too long", and(&[("content-length", "300")])),
        ("two lengths", and(&[("content-length", "45"), ("content-length", "3")])),
    ];
    for (name, fields) in cases {
        for address in [&serving.address, &serving.grpc] {
            let outcome = ask(address, &fields);
            assert!(!allowed(&outcome), "{name}: {outcome:?}");
        }
    }
    assert_eq!(send(&serving.address, "GET", "/health", &[], b"").status, 200);
}

#[test]
fn streams_that_are_reset_at_once_end_the_connection() {
    // CVE-2023-44487.
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    for address in [&serving.address, &serving.grpc] {
        let mut frames = Frames::open(address);
        let refused = (0..50_000).any(|n| {
            let stream = 2 * n + 1;
            frames.request(stream, &GOOD, 0).is_err()
                || frames.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes()).is_err()
        });
        assert!(refused, "the connection lives on");
    }
    assert_eq!(send(&serving.address, "GET", "/health", &[], b"").status, 200);
}

#[test]
fn more_streams_than_may_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    let mut frames = Frames::open(&serving.address);
    for n in 0..=256 {
        frames.request(2 * n + 1, &GOOD, 0).unwrap();
    }
    // REFUSED_STREAM: it may be asked again.
    assert_eq!(frames.outcome(513), Outcome::Reset(7));
    frames.send(DATA, END_STREAM, 1, BODY.as_bytes()).unwrap();
    assert!(allowed(&frames.outcome(1)));
}
