//! A gateway of the tests' own.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::harness::{
    behind::{Behind, Message},
    http::send,
};

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
