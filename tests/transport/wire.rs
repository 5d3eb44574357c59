//! HTTP/1.1 as bytes.

use std::{io::Read, net::TcpStream, time::Duration};

/// A question that is allowed.
pub const BODY: &str = r#"{"request":{"method":"GET","path":"/health"}}"#;

/// A connection of a client that waits for nothing for more than half a minute.
pub fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// [`BODY`] as a request, with more header lines.
pub fn question(lines: &str) -> String {
    let length = BODY.len();
    format!("POST /v1/decide HTTP/1.1\r\nhost: localhost\r\n{lines}content-length: {length}\r\n\r\n{BODY}")
}

/// One answer, from a connection that may go on.
pub fn read_answer(from: &mut impl Read) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        from.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |l| l.parse().unwrap());
    let mut body = vec![0; length];
    from.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

/// All that comes until the other end closes, or breaks off.
pub fn read_rest(from: &mut impl Read) -> String {
    let mut rest = Vec::new();
    if let Err(error) = from.read_to_end(&mut rest) {
        assert!(error.kind() != std::io::ErrorKind::WouldBlock, "the connection stays open");
    }
    String::from_utf8_lossy(&rest).into_owned()
}
