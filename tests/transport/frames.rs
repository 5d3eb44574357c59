//! HTTP/2 as bytes (RFC 9113): what no library would send.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

use super::wire::connect;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const GOAWAY: u8 = 7;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered, with this body.
    Answered(String),
    /// Its stream was reset, with this code.
    Reset(u32),
    /// The connection ended.
    Ended,
}

/// A connection whose frames are written by hand.
pub struct Frames {
    pub stream: TcpStream,
}

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frames {
    pub fn open(address: &str) -> Self {
        let mut frames = Self { stream: connect(address) };
        frames.stream.write_all(PREFACE).unwrap();
        frames.send(SETTINGS, 0, 0, &[]).unwrap();
        frames
    }

    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        self.stream.write_all(&bytes)
    }

    /// A request's header: literal fields that are not indexed (RFC 7541 section 6.2.2).
    pub fn request(&mut self, stream: u32, fields: &[(&str, &str)], flags: u8) -> io::Result<()> {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap());
                block.extend(text.as_bytes());
            }
        }
        self.send(HEADERS, END_HEADERS | flags, stream, &block)
    }

    /// The next frame, unless the connection ends.
    pub fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let [a, b, c, kind, flags, s1, s2, s3, s4] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some(Frame { kind, flags, stream: u32::from_be_bytes([s1, s2, s3, s4]), payload })
    }

    /// Waits for what comes of a request.
    pub fn outcome(&mut self, stream: u32) -> Outcome {
        let mut body = Vec::new();
        while let Some(frame) = self.next() {
            match frame.kind {
                GOAWAY => return Outcome::Ended,
                RST_STREAM if frame.stream == stream => {
                    // A whole answer may come before: then it counts.
                    return Outcome::Reset(u32::from_be_bytes(frame.payload.try_into().unwrap()));
                }
                DATA if frame.stream == stream => body.extend(frame.payload),
                _ => {}
            }
            if frame.stream == stream && matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0
            {
                return Outcome::Answered(String::from_utf8_lossy(&body).into_owned());
            }
        }
        Outcome::Ended
    }
}
