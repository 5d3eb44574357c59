//! A client of regate: asks over one connection, and holds each answer against the model.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    Soak,
    outages::MACHINE,
    question::{ALLOWS, Question},
};

/// No answer takes as long, whatever else the machine does.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection, made anew when it ends.
pub struct Client {
    address: String,
    stream: Option<TcpStream>,
    used: Instant,
    buffer: Vec<u8>,
}

/// A decision as it was answered.
pub struct Answer {
    pub allow: bool,
    pub reason: String,
    pub asked: Instant,
    pub answered: Instant,
}

impl Client {
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None, used: Instant::now(), buffer: vec![0; 64 * 1024] }
    }

    /// One exchange: the status and the body. After a failure the next one is on a new connection.
    ///
    /// # Errors
    /// When the connection breaks, or there is no answer for [`PATIENCE`].
    pub async fn exchange(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        body: &str,
    ) -> io::Result<(u16, Vec<u8>)> {
        let bearer =
            if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
        let message = format!(
            "{method} {path} HTTP/1.1\r\nhost: regate\r\n{bearer}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let exchanged = timeout(PATIENCE, self.try_exchange(message.as_bytes())).await;
        let exchanged = exchanged.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if exchanged.is_err() {
            self.stream = None;
        }
        exchanged
    }

    async fn try_exchange(&mut self, message: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        // regate may be about to close it: `idle_time` is 10 s.
        if self.stream.is_none() || self.used.elapsed() > Duration::from_secs(5) {
            let stream = TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            self.stream = Some(stream);
        }
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        stream.write_all(message).await?;
        let mut filled = 0;
        loop {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let count = stream.read(&mut self.buffer[filled..]).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += count;
            if let Some((status, head, length)) = head(&self.buffer[..filled])
                && filled >= head + length
            {
                self.used = Instant::now();
                return Ok((status, self.buffer[head..head + length].to_vec()));
            }
        }
    }

    /// Asks, judges and notes the answer. `None`: there was none that decides, which is noted as well.
    pub async fn ask(
        &mut self,
        soak: &Soak,
        question: Question,
        min_revision: Option<u64>,
    ) -> Option<Answer> {
        let mut message = question.message();
        if let Some(revision) = min_revision {
            message["min_revision"] = revision.into();
        }
        let asked = Instant::now();
        let exchanged = self.exchange("POST", "/v1/decide", "", &message.to_string()).await;
        let answered = Instant::now();
        let (status, body) = match exchanged {
            Ok(exchanged) => exchanged,
            Err(error) => {
                soak.tally.fail(format!("an honest client's connection broke: {error}"));
                return None;
            }
        };
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status != 200 {
            soak.not_decided(status, &body, asked, answered);
            return None;
        }
        soak.judge(question, &body, asked, answered)
    }

    /// Asks several questions at once.
    pub async fn ask_all(&mut self, soak: &Soak, questions: &[Question]) {
        let messages: Vec<Value> = questions.iter().map(Question::message).collect();
        let asked = Instant::now();
        let body = serde_json::json!({"requests": messages}).to_string();
        let exchanged = self.exchange("POST", "/v1/decide/batch", "", &body).await;
        let answered = Instant::now();
        match exchanged {
            Ok((200, body)) => {
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                let decisions = body["decisions"].as_array().cloned().unwrap_or_default();
                if decisions.len() != questions.len() {
                    soak.tally.fail(format!("a batch of {} got {}", questions.len(), decisions.len()));
                }
                for (question, decision) in questions.iter().zip(&decisions) {
                    soak.judge(*question, decision, asked, answered);
                }
            }
            Ok((status, body)) => {
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                soak.not_decided(status, &body, asked, answered);
            }
            Err(error) => soak.tally.fail(format!("an honest client's connection broke: {error}")),
        }
    }
}

/// The status, where the body begins and how long it is, once the head is there.
fn head(bytes: &[u8]) -> Option<(u16, usize, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Some((status, end + 4, length.unwrap_or(0)))
}

impl Soak {
    /// Holds a decision against the model, and notes it.
    pub fn judge(
        self: &Soak,
        question: Question,
        body: &Value,
        asked: Instant,
        answered: Instant,
    ) -> Option<Answer> {
        let (Some(allow), Some(reason), Some(id)) =
            (body["allow"].as_bool(), body["reason"].as_str(), body["decision_id"].as_str())
        else {
            self.tally.fail(format!("an answer that is no decision: {body}"));
            return None;
        };
        let id = uuid::Uuid::parse_str(id).map(|id| id.as_u128()).unwrap_or_default();
        self.tally.answered(id, allow, reason);
        let may = question.reasons(&self.model, asked, answered);
        let fits =
            may.contains(&reason) && allow == ALLOWS.contains(&reason) && (body["status"] == 200) == allow;
        if !fits {
            if !allow && self.is_stated(reason, asked, answered) {
                self.tally.refused(reason);
                return None;
            }
            let what = if allow { "WRONG ALLOW" } else { "wrong deny" };
            self.tally.count("wrong", what);
            self.tally.fail(format!("{what}: {question:?} was answered {reason}, and not one of {may:?}"));
            return None;
        }
        self.tally.count("reasons", reason);
        Some(Answer { allow, reason: reason.to_owned(), asked, answered })
    }

    /// An answer that is no decision: only what is stated, while it may be.
    pub fn not_decided(&self, status: u16, body: &Value, asked: Instant, answered: Instant) {
        let code = body["code"].as_str().unwrap_or("none");
        if body["allow"] != false {
            self.tally.fail(format!("HTTP {status} {code} does not say that nothing is allowed: {body}"));
        } else if status == 503 && self.is_stated(code, asked, answered) {
            self.tally.refused(code);
        } else {
            self.tally.fail(format!("HTTP {status} {code}: {body}"));
        }
    }

    /// Whether such a refusal may be answered at that time: the database was away, or had just come back.
    pub fn is_stated(&self, code: &str, asked: Instant, answered: Instant) -> bool {
        match code {
            "data.stale" | "store.unavailable" => {
                self.standstill.is_now()
                    || self.outages.overlap("Postgres", asked, answered)
                    || self.outages.overlap(MACHINE, asked, answered)
            }
            // Another write came in between; the revision did not come within `revision_wait`.
            "store.busy" | "data.revision_not_reached" => true,
            _ => false,
        }
    }
}

/// A client of this soak.
pub fn client(soak: &Arc<Soak>) -> Client {
    Client::new(&soak.address)
}
