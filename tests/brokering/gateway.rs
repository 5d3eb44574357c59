//! A gateway of the tests' own, and servers behind it that write down what reaches them.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::harness::http::send;

/// A request as it is on the wire.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Its first line.
    pub line: String,
    /// Names as they were written, and values.
    pub headers: Vec<(String, String)>,
}

impl Message {
    /// Reads the head of a message; `None` at the end of the connection.
    fn read(from: &mut impl BufRead) -> Option<Self> {
        let mut message = Self::default();
        loop {
            let mut line = String::new();
            if from.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end_matches(['\r', '\n']);
            match (message.line.is_empty(), line.split_once(':')) {
                (true, _) => message.line = line.to_owned(),
                (false, Some((name, value))) => {
                    message.headers.push((name.to_owned(), value.trim().to_owned()));
                }
                (false, None) => return Some(message),
            }
        }
    }

    /// All values of a header, whatever its case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    fn write(&self, to: &mut impl Write) -> std::io::Result<()> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        to.write_all(text.as_bytes())
    }
}

/// A server behind the gateway.
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
}

/// A gateway: it asks regate before each request, does what the answer says, and keeps its connections by their key.
pub struct Gateway {
    pub address: String,
}

struct Asking {
    regate: String,
    token: Option<String>,
    behind: BTreeMap<String, String>,
    connections: Mutex<HashMap<String, Arc<Mutex<TcpStream>>>>,
}

impl Gateway {
    /// In front of these servers, by the `Host` under which each is reached, which is also its id as upstream.
    pub fn start(regate: &str, token: Option<&str>, behind: &[(&str, &Behind)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asking = Arc::new(Asking {
            regate: regate.to_owned(),
            token: token.map(str::to_owned),
            behind: behind.iter().map(|(id, behind)| ((*id).to_owned(), behind.address.clone())).collect(),
            connections: Mutex::default(),
        });
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, asking) = (stream.unwrap(), Arc::clone(&asking));
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    while let Some(message) = Message::read(&mut reader) {
                        let (status, body) = asking.serve(message);
                        let answer =
                            format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                        if stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address }
    }
}

impl Asking {
    fn serve(&self, mut message: Message) -> (u64, String) {
        let upstream = message.all("host").first().copied().unwrap_or_default().to_owned();
        let Some(answer) = self.ask(&message, &upstream) else { return (503, "no decision".into()) };
        if answer["allow"] != true {
            return (answer["status"].as_u64().unwrap_or(503), answer["reason"].to_string());
        }
        // First remove, then set: exactly one value arrives.
        let removed = |name: &str| {
            let names = answer["headers"]["remove"].as_array().unwrap();
            names.iter().any(|gone| gone.as_str().unwrap().eq_ignore_ascii_case(name))
        };
        message.headers.retain(|(name, _)| !removed(name));
        for (name, value) in answer["headers"]["set"].as_object().unwrap() {
            message.headers.push((name.clone(), value.as_str().unwrap().to_owned()));
        }
        let key = answer["connection_key"].as_str().unwrap_or(&upstream).to_owned();
        self.forward(key, &self.behind[&upstream], &message)
    }

    fn ask(&self, message: &Message, upstream: &str) -> Option<Value> {
        let mut line = message.line.split(' ');
        let mut headers = serde_json::Map::new();
        for (name, value) in &message.headers {
            let name = name.to_ascii_lowercase();
            match headers.get_mut(&name) {
                // It was sent more than once.
                Some(Value::Array(values)) => values.push(json!(value)),
                Some(first) => *first = json!([first, value]),
                None => {
                    headers.insert(name, json!(value));
                }
            }
        }
        let question = json!({
            "request": {"method": line.next()?, "path": line.next()?, "headers": headers},
            "upstream": upstream,
        });
        let authorization = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let own: Vec<(&str, &str)> =
            authorization.iter().map(|value| ("authorization", value.as_str())).collect();
        if TcpStream::connect(&self.regate).is_err() {
            return None;
        }
        let answer = send(&self.regate, "POST", "/v1/decide", &own, question.to_string().as_bytes());
        (answer.status == 200).then(|| answer.json())
    }

    fn forward(&self, key: String, address: &str, message: &Message) -> (u64, String) {
        let connection = {
            let mut connections = self.connections.lock().unwrap();
            let connect = || Arc::new(Mutex::new(TcpStream::connect(address).unwrap()));
            Arc::clone(connections.entry(key).or_insert_with(connect))
        };
        let mut stream = connection.lock().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        message.write(&mut *stream).unwrap();
        let mut answer = [0; 40];
        // As long as every answer of the servers behind is.
        stream.read_exact(&mut answer).unwrap();
        (200, String::from_utf8_lossy(&answer[38..]).into_owned())
    }
}
