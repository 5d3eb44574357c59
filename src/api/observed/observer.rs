//! The line and the span of a request, at its end.

use std::{
    cell::RefCell,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    http::{HeaderMap, Method, StatusCode},
    response::Response,
};

use super::{NOTES, Noted, Notes};
use crate::{
    telemetry::{RequestLines, Span, Traces},
    types::{Clock, ClockReading},
};

/// Lines about refused requests in a second: whoever may connect may be refused as often as they like.
const REFUSED_LINES: u32 = 20;

/// Tells the log and the traces of requests.
pub struct RequestObserver {
    clock: Arc<dyn Clock>,
    lines: RequestLines,
    traces: Option<Arc<Traces>>,
    pace: Mutex<Pace>,
}

impl fmt::Debug for RequestObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestObserver").field("lines", &self.lines).finish_non_exhaustive()
    }
}

/// How many lines were written in which second of the process, and how many were left out since the last one.
#[derive(Debug, Default)]
struct Pace {
    second: u64,
    written: u32,
    left_out: u64,
}

impl Pace {
    /// Where a line may be written, how many were left out before it.
    fn take(&mut self, second: u64) -> Option<u64> {
        if second != self.second {
            (self.second, self.written) = (second, 0);
        }
        if self.written == REFUSED_LINES {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// A request as it came.
struct Begun {
    method: &'static str,
    peer: Option<SocketAddr>,
    when: ClockReading,
}

impl RequestObserver {
    /// Writes these lines; spans, if there are traces.
    pub fn new(clock: Arc<dyn Clock>, lines: RequestLines, traces: Option<Arc<Traces>>) -> Self {
        Self { clock, lines, traces, pace: Mutex::default() }
    }

    /// Whether anything is told: then the notes have to say which route a request took.
    pub(in crate::api) fn tells(&self) -> bool {
        self.lines != RequestLines::None || self.traces.is_some()
    }

    /// A request begins. `peer`: who sent it, but for Unix sockets.
    pub(in crate::api) fn begin(
        self: &Arc<Self>,
        method: &Method,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
    ) -> Watched {
        let tells = self.tells();
        Watched {
            observer: Arc::clone(self),
            notes: Notes::begin(headers, tells),
            begun: tells.then(|| Begun { method: known(method), peer, when: self.clock.reading() }),
        }
    }

    fn tell(&self, begun: &Begun, answer: &Response, notes: &Notes) {
        let now = self.clock.reading();
        let time = now.uptime.saturating_sub(begun.when.uptime);
        let told = Told { begun, time, notes, status: answer.status(), grpc_status: grpc_status(answer) };
        let trace = match &self.traces {
            Some(traces) if !told.is_probe() => {
                traces.note(notes.parent(), begun.when.now, time, || told.span())
            }
            _ => None,
        };
        let trace = trace.as_deref().or_else(|| notes.parent().map(|parent| parent.trace_id()));
        match self.lines {
            RequestLines::None => {}
            RequestLines::All => told.write(trace, 0),
            RequestLines::Refused if told.is_refused() => {
                let second = now.uptime.as_secs();
                let turn = self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(second);
                if let Some(left_out) = turn {
                    told.write(trace, left_out);
                }
            }
            RequestLines::Refused => {}
        }
    }
}

/// A request that is being answered.
pub(in crate::api) struct Watched {
    observer: Arc<RequestObserver>,
    notes: Notes,
    /// Where anything is told of it.
    begun: Option<Begun>,
}

impl Watched {
    /// Has it answered, and tells of it.
    pub(in crate::api) async fn answer<E>(
        self,
        answering: impl Future<Output = Result<Response, E>>,
    ) -> Result<Response, E> {
        let Self { observer, notes, begun } = self;
        let answering = async move {
            let answer = answering.await;
            if let (Ok(answer), Some(begun)) = (&answer, begun) {
                NOTES.with(|notes| observer.tell(&begun, answer, &notes.borrow()));
            }
            answer
        };
        NOTES.scope(RefCell::new(notes), answering).await
    }
}

/// What is told of a request.
struct Told<'a> {
    begun: &'a Begun,
    time: Duration,
    notes: &'a Notes,
    status: StatusCode,
    /// Of a gRPC call that was answered with an error.
    grpc_status: Option<u16>,
}

impl Told<'_> {
    /// The pattern of the route, such as `/v1/tokens/{id}`.
    fn path(&self) -> &str {
        self.notes.route.as_ref().map_or("unmatched", |route| route.as_str())
    }

    /// Whether somebody only looks whether this process is well.
    fn is_probe(&self) -> bool {
        matches!(self.path(), "/health" | "/ready")
    }

    /// Whether the answer is an error, and no decision: those are in the decision log.
    fn is_refused(&self) -> bool {
        let is_error =
            self.status.is_client_error() || self.status.is_server_error() || self.grpc_status.is_some();
        is_error && self.notes.decided == 0 && !self.is_probe()
    }

    fn write(&self, trace: Option<&str>, left_out: u64) {
        let Self { begun, notes, .. } = self;
        let first = notes.decisions.first();
        tracing::info!(
            target: "regate::request",
            method = begun.method,
            path = self.path(),
            status = self.status.as_u16(),
            grpc_status = self.grpc_status,
            latency_micros = u64::try_from(self.time.as_micros()).unwrap_or(u64::MAX),
            peer = begun.peer.map(tracing::field::display),
            decision_id = first.map(|decision| tracing::field::display(decision.id)),
            allow = first.map(|decision| decision.allow),
            reason = first.map(|decision| decision.reason.as_str()),
            decisions = (notes.decided > 1).then_some(notes.decided),
            trace_id = trace,
            left_out = (left_out > 0).then_some(left_out),
            "request"
        );
    }

    fn span(&self) -> Span {
        let Self { begun, notes, .. } = self;
        let mut attributes = vec![
            ("http.request.method", begun.method.into()),
            ("http.route", self.path().to_owned().into()),
            ("http.response.status_code", i64::from(self.status.as_u16()).into()),
        ];
        attributes.extend(self.grpc_status.map(|status| ("rpc.grpc.status_code", i64::from(status).into())));
        attributes.extend(begun.peer.map(|peer| ("network.peer.address", peer.ip().to_string().into())));
        let mut events = Vec::new();
        match &notes.decisions[..] {
            [one] => attributes.extend(one.attributes()),
            several => {
                events.extend(several.iter().map(|decision| ("decision", decision.attributes().into())))
            }
        }
        if notes.decided > 1 {
            attributes.push(("regate.decisions", i64::try_from(notes.decided).unwrap_or(i64::MAX).into()));
        }
        let name = format!("{} {}", begun.method, self.path()).into();
        Span { name, attributes, events, failed: self.status.is_server_error() }
    }
}

impl Noted {
    fn attributes<V: From<bool> + From<String>>(&self) -> [(&'static str, V); 3] {
        [
            ("regate.decision_id", self.id.to_string().into()),
            ("regate.allow", self.allow.into()),
            ("regate.reason", self.reason.as_str().to_owned().into()),
        ]
    }
}

/// A method that everybody knows; any other word is the client's.
fn known(method: &Method) -> &'static str {
    const KNOWN: [(&Method, &str); 8] = [
        (&Method::GET, "GET"),
        (&Method::POST, "POST"),
        (&Method::PUT, "PUT"),
        (&Method::DELETE, "DELETE"),
        (&Method::PATCH, "PATCH"),
        (&Method::HEAD, "HEAD"),
        (&Method::OPTIONS, "OPTIONS"),
        (&Method::TRACE, "TRACE"),
    ];
    KNOWN.iter().find(|(known, _)| *known == method).map_or("_OTHER", |(_, name)| name)
}

/// The status of a gRPC call that has no answer but it.
fn grpc_status(answer: &Response) -> Option<u16> {
    let status = answer.headers().get("grpc-status")?.to_str().ok()?.parse().ok()?;
    (status != 0).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::{Pace, REFUSED_LINES};

    #[test]
    fn so_many_lines_a_second_and_the_next_says_how_many_were_left_out() {
        let mut pace = Pace::default();
        for _ in 0..REFUSED_LINES {
            assert_eq!(pace.take(7), Some(0));
        }
        assert_eq!(pace.take(7), None);
        assert_eq!(pace.take(7), None);
        assert_eq!(pace.take(8), Some(2));
        assert_eq!(pace.take(8), Some(0));
    }
}
