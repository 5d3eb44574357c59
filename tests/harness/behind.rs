//! A server behind a gateway, which writes down what reaches it.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

/// A request as it is on the wire.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Its first line.
    pub line: String,
    /// Names as they were written, and values.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Message {
    /// Reads a message; `None` at the end of the connection.
    pub fn read(from: &mut impl BufRead) -> Option<Self> {
        let mut message = Self::default();
        loop {
            let line = read_line(from)?;
            match (message.line.is_empty(), line.split_once(':')) {
                (true, _) => message.line = line,
                (false, Some((name, value))) => {
                    message.headers.push((name.to_owned(), value.trim().to_owned()));
                }
                (false, None) => break,
            }
        }
        message.read_body(from)?;
        Some(message)
    }

    fn read_body(&mut self, from: &mut impl BufRead) -> Option<()> {
        let chunked = self.all("transfer-encoding").iter().any(|value| value.eq_ignore_ascii_case("chunked"));
        let told = self.all("content-length").first().and_then(|length| length.parse().ok());
        let mut length = told.unwrap_or(0);
        loop {
            if chunked {
                length = usize::from_str_radix(&read_line(from)?, 16).ok()?;
            }
            let begin = self.body.len();
            self.body.resize(begin + length, 0);
            from.read_exact(&mut self.body[begin..]).ok()?;
            if !chunked {
                return Some(());
            }
            read_line(from)?;
            if length == 0 {
                return Some(());
            }
        }
    }

    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap()
    }

    /// The request target, undecoded.
    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }

    /// All values of a header, whatever its case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// Writes the head of the message.
    pub fn write(&self, to: &mut impl Write) -> std::io::Result<()> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        to.write_all(text.as_bytes())
    }
}

fn read_line(from: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    if from.read_until(b'\n', &mut line).ok()? == 0 {
        return None;
    }
    Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
}

/// A server behind the gateway. It answers everything with `ok`.
pub struct Behind {
    pub address: String,
    /// What reached it, and on which of its connections.
    pub seen: Arc<Mutex<Vec<(usize, Message)>>>,
}

impl Behind {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen: Arc<Mutex<Vec<(usize, Message)>>> = Arc::default();
        let into = Arc::clone(&seen);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (mut stream, into) = (stream.unwrap(), Arc::clone(&into));
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(message) = Message::read(&mut reader) {
                        into.lock().unwrap().push((number, message));
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                        if stream.write_all(answer).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// What has reached it, taken away.
    pub fn take(&self) -> Vec<(usize, Message)> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// The one request that has reached it, taken away.
    pub fn take_one(&self) -> Message {
        let mut seen = self.take();
        assert_eq!(seen.len(), 1, "one request was to come");
        seen.remove(0).1
    }
}
