//! A client of gRPC that does no more than it must: HTTP/2 frames as they are on the wire (RFC 9113), headers without
//! compression (RFC 7541 section 6.2.2). A client that shares the machine with what it measures has to be cheap.

use std::time::Instant;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    figures::quantile,
    http::{CONNECTIONS, TURN, Turn},
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// One unary call, but for the number of its stream.
#[derive(Clone)]
pub struct Call {
    headers: Vec<u8>,
    message: Vec<u8>,
}

impl Call {
    /// A call of this method with this message, encoded.
    pub fn new(path: &str, message: &[u8]) -> Self {
        let mut headers = Vec::new();
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "regate"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ] {
            // A literal that no table keeps: 0, then both as texts without Huffman codes.
            headers.push(0);
            for text in [name, value] {
                headers.push(u8::try_from(text.len()).ok().filter(|n| *n < 127).expect("a short text"));
                headers.extend_from_slice(text.as_bytes());
            }
        }
        let length = u32::try_from(message.len()).expect("a short message");
        let message = [&[0], &length.to_be_bytes()[..], message].concat();
        Self { headers, message }
    }

    fn write(&self, stream: u32, into: &mut Vec<u8>) {
        frame(HEADERS, END_HEADERS, stream, &self.headers, into);
        frame(DATA, END_STREAM, stream, &self.message, into);
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], into: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    into.extend_from_slice(&length[1..]);
    into.extend_from_slice(&[kind, flags]);
    into.extend_from_slice(&stream.to_be_bytes());
    into.extend_from_slice(payload);
}

/// A connection that makes one call after the other.
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    write: Vec<u8>,
    next: u32,
}

impl Connection {
    async fn new(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let mut write = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        frame(SETTINGS, 0, 0, &[], &mut write);
        // Room for all answers of a turn.
        frame(WINDOW_UPDATE, 0, 0, &0x7000_0000_u32.to_be_bytes(), &mut write);
        Self { stream, read: Vec::with_capacity(64 * 1024), write, next: 1 }
    }

    /// Makes the call, and checks that the answer has these bytes.
    async fn call(&mut self, call: &Call, expected: &[u8]) {
        let own = self.next;
        self.next += 2;
        call.write(own, &mut self.write);
        self.stream.write_all(&self.write).await.expect("to write");
        self.write.clear();
        let mut right = false;
        loop {
            let Some((kind, flags, stream, payload)) = self.take_frame() else {
                let count = self.stream.read_buf(&mut self.read).await.expect("to read");
                assert!(count > 0, "the server closed the connection");
                continue;
            };
            match kind {
                SETTINGS if flags & ACK == 0 => frame(SETTINGS, ACK, 0, &[], &mut self.write),
                PING if flags & ACK == 0 => frame(PING, ACK, 0, &payload, &mut self.write),
                GO_AWAY | RESET => panic!("the server refuses: frame {kind}"),
                DATA | HEADERS if stream == own => {
                    right |= payload.windows(expected.len()).any(|window| window == expected);
                    if flags & END_STREAM != 0 {
                        assert!(right, "a wrong answer");
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    fn take_frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let head: [u8; 9] = self.read.get(..9)?.try_into().ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = self.read.get(9..9 + length)?.to_vec();
        self.read.drain(..9 + length);
        Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
    }
}

/// Calls over [`CONNECTIONS`] connections for [`TURN`], each waiting for its answer.
pub async fn ask(address: &str, call: &Call, expected: &[u8]) -> Turn {
    let begun = Instant::now();
    let end = begun + TURN;
    let connections = (0..CONNECTIONS).map(|_| {
        let (address, call, expected) = (address.to_owned(), call.clone(), expected.to_vec());
        tokio::spawn(async move {
            let mut connection = Connection::new(&address).await;
            let mut times = Vec::with_capacity(100_000);
            while Instant::now() < end {
                let asked = Instant::now();
                connection.call(&call, &expected).await;
                times.push(asked.elapsed().as_secs_f64() * 1e3);
            }
            times
        })
    });
    let mut times = Vec::new();
    for connection in connections.collect::<Vec<_>>() {
        times.extend(connection.await.expect("an answer to each call"));
    }
    let elapsed = begun.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    Turn { per_second: times.len() as f64 / elapsed, p50: quantile(&times, 0.5), p99: quantile(&times, 0.99) }
}
