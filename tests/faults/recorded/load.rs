//! Clients that ask all the time, over connections that they keep, and note what they were answered. A server that
//! goes away is no failure to them: they come again.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::super::until;

/// What a client saw.
#[derive(Clone, Debug)]
pub struct Answered {
    pub decision_id: String,
    pub allow: bool,
    pub reason: String,
}

/// Clients at work. They end when this is dropped.
pub struct Load {
    answered: Arc<Mutex<Vec<Answered>>>,
    over: Arc<AtomicBool>,
    clients: Vec<thread::JoinHandle<()>>,
}

impl Load {
    /// So many clients of the process at this address. Half of what they ask is denied.
    pub fn begin(address: &str, clients: usize) -> Self {
        let (answered, over) = (Arc::new(Mutex::default()), Arc::new(AtomicBool::new(false)));
        let clients = (0..clients).map(|number| {
            let (answered, over, address) = (Arc::clone(&answered), Arc::clone(&over), address.to_owned());
            let token = if number % 2 == 0 { "reader" } else { "guest" };
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    if let Ok(stream) = TcpStream::connect(&address) {
                        ask_on(stream, token, &answered, &over);
                    } else {
                        thread::sleep(Duration::from_millis(1));
                    }
                }
            })
        });
        Self { clients: clients.collect(), answered, over }
    }

    /// How many answers have come so far.
    pub fn count(&self) -> usize {
        self.answered.lock().unwrap().len()
    }

    /// Waits for so many more answers.
    pub fn until_more(&self, more: usize) {
        let enough = self.count() + more;
        until("more answers", || (self.count() >= enough).then_some(()));
    }

    /// Waits for an answer of this reason.
    pub fn until_told(&self, reason: &str) {
        let told = || self.answered.lock().unwrap().iter().rev().take(1_000).any(|one| one.reason == reason);
        until(reason, || told().then_some(()));
    }

    /// Ends, and gives all that was answered.
    pub fn end(mut self) -> Vec<Answered> {
        self.join();
        std::mem::take(&mut *self.answered.lock().unwrap())
    }

    fn join(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().unwrap();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Asks on a connection until it ends.
fn ask_on(mut stream: TcpStream, token: &str, answered: &Mutex<Vec<Answered>>, over: &AtomicBool) {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let question = json!({"token": token, "request": {"method": "GET", "path": "/api/v1/projects/p1"}});
    let question = question.to_string();
    let message = format!(
        "POST /v1/decide HTTP/1.1\r\nhost: x\r\nauthorization: Bearer gateway\r\ncontent-length: {}\r\n\r\n{question}",
        question.len()
    );
    while !over.load(Ordering::Relaxed) {
        if stream.write_all(message.as_bytes()).is_err() {
            return;
        }
        let Some(answer) = read_answer(&mut stream) else { return };
        // Before all data is loaded there is no decision.
        let Some(decision_id) = answer["decision_id"].as_str() else { continue };
        let reason = answer["reason"].as_str().unwrap().to_owned();
        let allow = answer["allow"].as_bool().unwrap();
        answered.lock().unwrap().push(Answered { decision_id: decision_id.to_owned(), allow, reason });
    }
}

/// A whole answer; what was cut off was not answered.
fn read_answer(stream: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length: usize = head.split("content-length: ").nth(1)?.lines().next()?.trim().parse().ok()?;
            let body = &bytes[end + 4..];
            if body.len() >= length {
                return serde_json::from_slice(&body[..length]).ok();
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}
