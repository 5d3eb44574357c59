//! A trace collector (OTLP over HTTP) on this machine: takes what it is sent, and answers as it is told to.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::Span,
};
use prost::Message;

/// What the collector does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes it.
    Take,
    /// Answers with this status.
    Refuse(u16),
    /// Never answers.
    Hang,
}

struct Received {
    behaviour: Behaviour,
    /// Paths and bodies, as they came.
    messages: Vec<(String, Vec<u8>)>,
}

/// It ends with the test process.
pub struct Collector {
    /// Its URL.
    pub endpoint: String,
    received: Arc<(Mutex<Received>, Condvar)>,
}

impl Collector {
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new((Mutex::new(Received { behaviour, messages: Vec::new() }), Condvar::new()));
        let into = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let into = Arc::clone(&into);
                thread::spawn(move || serve(stream.unwrap(), &into));
            }
        });
        Self { endpoint, received }
    }

    /// From the next message on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.received.0.lock().unwrap().behaviour = behaviour;
    }

    /// All bodies, one behind the other.
    pub fn bytes(&self) -> Vec<u8> {
        self.received.0.lock().unwrap().messages.iter().flat_map(|(_, body)| body.clone()).collect()
    }

    /// All spans so far, each with where it comes from.
    pub fn spans(&self) -> Vec<(Resource, Span)> {
        let received = self.received.0.lock().unwrap();
        let mut spans = Vec::new();
        for (path, body) in &received.messages {
            assert_eq!(path, "/v1/traces");
            let message = ExportTraceServiceRequest::decode(&body[..]).unwrap();
            for of_resource in message.resource_spans {
                let resource = of_resource.resource.unwrap_or_default();
                let all = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.extend(all.map(|span| (resource.clone(), span)));
            }
        }
        spans
    }

    /// Waits for the first span of which this is true.
    pub fn wait_for(&self, wanted: impl Fn(&Span) -> bool) -> (Resource, Span) {
        loop {
            // Before the look: what comes after it is news.
            let seen = self.received.0.lock().unwrap().messages.len();
            if let Some(found) = self.spans().into_iter().find(|(_, span)| wanted(span)) {
                return found;
            }
            self.wait_for_messages(seen + 1);
        }
    }

    /// Waits until so many messages have come.
    fn wait_for_messages(&self, count: usize) {
        let (received, changed) = &*self.received;
        let limit = Duration::from_secs(60);
        let (received, waited) = changed
            .wait_timeout_while(received.lock().unwrap(), limit, |r| r.messages.len() < count)
            .unwrap();
        assert!(!waited.timed_out(), "{} messages, and no more for a minute", received.messages.len());
    }
}

/// The value of an attribute, as text.
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|pair| pair.key == key)?.value.clone()?.value?;
    Some(match value {
        any_value::Value::StringValue(text) => text,
        any_value::Value::BoolValue(truth) => truth.to_string(),
        any_value::Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

/// An id as it is written.
pub fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn serve(stream: TcpStream, into: &(Mutex<Received>, Condvar)) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let path = line.split(' ').nth(1).unwrap().to_owned();
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let behaviour = {
            let mut received = into.0.lock().unwrap();
            received.messages.push((path, body));
            into.1.notify_all();
            received.behaviour
        };
        let status = match behaviour {
            Behaviour::Take => 200,
            Behaviour::Refuse(status) => status,
            // The connection stays open until the other end gives up.
            Behaviour::Hang => {
                let _ = reader.read(&mut [0]);
                return;
            }
        };
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
        );
        writer.write_all(answer.as_bytes()).unwrap();
    }
}
