//! HTTP/1.1 that two programs could read in two ways: refused, or the end of the connection.

use std::io::Write;

use super::wire::{BODY, connect, question, read_answer, read_rest};
use crate::harness::program::Serving;

fn post(target: &str, lines: &str, body: &str) -> Vec<u8> {
    format!("POST {target} HTTP/1.1\r\n{lines}\r\n{body}").into_bytes()
}

#[test]
fn what_can_be_read_in_two_ways_is_refused_and_ends_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    let length = format!("content-length: {}\r\n", BODY.len());
    let with = |lines: &str| post("/v1/decide", &format!("host: a\r\n{length}{lines}"), BODY);
    let to = |target: &str| post(target, &format!("host: a\r\n{length}"), BODY);
    let of_length = |lines: &str| post("/v1/decide", &format!("host: a\r\n{lines}"), BODY);
    let chunked = |lines: &str, body: &str| post("/v1/decide", &format!("host: a\r\n{lines}"), body);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("two hosts", with("host: b\r\n")),
        ("the same host twice", with("host: a\r\n")),
        ("no host", post("/v1/decide", &length, BODY)),
        ("a whole URL", to("http://b/v1/decide")),
        ("a whole URL of the same host", to("http://a/v1/decide")),
        ("a URL of another kind", to("file:///v1/decide")),
        ("an asterisk", to("*")),
        ("a path without a slash", to("v1/decide")),
        ("an authority", to("a:80")),
        ("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n".to_vec()),
        ("CONNECT to a path", b"CONNECT /v1/decide HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()),
        ("OPTIONS of everything", b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n".to_vec()),
        ("a space in the target", to("/v1/decide /x")),
        ("a tab in the target", to("/v1/decide\t")),
        ("a folded line", with("x: a\r\n b\r\n")),
        ("a space before the colon", with("x : a\r\n")),
        ("a space before a name", post("/v1/decide", &format!(" x: y\r\nhost: a\r\n{length}"), BODY)),
        ("a carriage return in a value", with("x: a\rauthorization: b\r\n")),
        ("a zero byte in a value", with("x: a\0b\r\n")),
        ("no name", with(": a\r\n")),
        ("no colon", with("x\r\n")),
        ("a name with a bracket", with("x(y): a\r\n")),
        ("two lengths", with("content-length: 3\r\n")),
        ("two lengths in one", of_length("content-length: 45, 3\r\n")),
        ("a length with a sign", of_length("content-length: +45\r\n")),
        ("a negative length", of_length("content-length: -1\r\n")),
        ("a length in hex", of_length("content-length: 0x2d\r\n")),
        ("a length beyond all", of_length("content-length: 99999999999999999999999\r\n")),
        ("an unknown coding", chunked("transfer-encoding: xchunked\r\n", BODY)),
        ("chunked, then another", chunked("transfer-encoding: chunked, identity\r\n", BODY)),
        ("a chunk of no length", chunked("transfer-encoding: chunked\r\n", "x\r\n{}\r\n0\r\n\r\n")),
        ("a chunk with a sign", chunked("transfer-encoding: chunked\r\n", "+2\r\n{}\r\n0\r\n\r\n")),
        (
            "a chunk of length beyond all",
            chunked("transfer-encoding: chunked\r\n", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        ),
        ("a version in small letters", b"GET /health http/1.1\r\nhost: a\r\n\r\n".to_vec()),
        ("a version of the future", b"GET /health HTTP/3.0\r\nhost: a\r\n\r\n".to_vec()),
        ("HTTP/0.9", b"GET /health\r\n\r\n".to_vec()),
        ("TLS to a plain port", vec![22, 3, 1, 0, 5, 1, 0, 0, 1, 0, b'\r', b'\n', b'\r', b'\n']),
    ];
    for (name, message) in cases {
        for address in [&serving.address, &serving.grpc] {
            let mut stream = connect(address);
            let _ = stream.write_all(&message);
            // Whatever would be taken for another request comes with it.
            let _ = stream.write_all(question("").as_bytes());
            let answer = read_rest(&mut stream);
            // gRPC says no in a header, and is at `UNIMPLEMENTED` before it looks at any body.
            let says_no = address == &serving.grpc && answer.contains("grpc-status: 12\r\n");
            let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4") || says_no;
            assert!(refused && !answer.contains("\"allow\":true"), "{name}: {answer}");
            assert!(answer.matches("HTTP/1.").count() <= 1, "{name}: {answer}");
        }
    }
    let mut stream = connect(&serving.address);
    stream.write_all(&with("host: b\r\n")).unwrap();
    let answer = read_rest(&mut stream);
    assert!(answer.contains("application/problem+json") && answer.contains("request.malformed"), "{answer}");
    assert!(answer.contains("\"allow\":false"), "{answer}");
}

#[test]
fn of_two_lengths_the_chunks_count_and_nothing_is_read_behind_them() {
    // RFC 9112 section 6.3.
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    let chunks = format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len());
    let smuggled = question("");
    let length = format!("content-length: {}", chunks.len() + smuggled.len());
    for (one, other) in
        [(length.as_str(), "transfer-encoding: chunked"), ("transfer-encoding: chunked", &length)]
    {
        let mut stream = connect(&serving.address);
        let lines = format!("host: a\r\n{one}\r\n{other}\r\n");
        stream.write_all(&post("/v1/decide", &lines, &(chunks.clone() + &smuggled))).unwrap();
        let answer = read_rest(&mut stream);
        assert!(answer.matches("HTTP/1.").count() == 1, "{answer}");
    }
}

#[test]
fn what_is_odd_and_clear_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--demo"]);
    let chunks = format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len());
    let length = BODY.len();
    for message in [
        question(""),
        format!("POST /v1/decide HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"),
        format!("POST /v1/decide HTTP/1.0\r\ncontent-length: {length}\r\n\r\n{BODY}"),
        format!("POST /v1/decide?x=http://y HTTP/1.1\r\nhost:\r\ncontent-length: {length}\r\n\r\n{BODY}"),
        format!("POST /v1/decide HTTP/1.1\r\nhost: [::1]:80\r\ncontent-length: {length}\r\n\r\n{BODY}"),
    ] {
        let mut stream = connect(&serving.address);
        stream.write_all(message.as_bytes()).unwrap();
        assert!(read_answer(&mut stream).contains("\"allow\":true"), "{message}");
    }
}
