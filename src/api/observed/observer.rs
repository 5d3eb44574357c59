//! The line and the span of a request, at its end.

use std::{
    cell::RefCell,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    http::{Method, Request, StatusCode, Uri},
    response::Response,
};

use super::{NOTES, Noted, Notes, Routes};
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
    method: Method,
    uri: Uri,
    peer: Option<SocketAddr>,
    when: ClockReading,
}

impl RequestObserver {
    /// Writes these lines; spans, if there are traces.
    pub fn new(clock: Arc<dyn Clock>, lines: RequestLines, traces: Option<Arc<Traces>>) -> Self {
        Self { clock, lines, traces, pace: Mutex::default() }
    }

    /// Whether more is told of a request than that it was refused.
    const fn tells_all(&self) -> bool {
        matches!(self.lines, RequestLines::All) || self.traces.is_some()
    }

    /// Whether a line is due, and how many were left out before it.
    fn line(&self, outcome: &Outcome, now: ClockReading) -> Option<u64> {
        match self.lines {
            RequestLines::None => None,
            RequestLines::All => Some(0),
            RequestLines::Refused if outcome.is_refused() => {
                self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(now.uptime.as_secs())
            }
            RequestLines::Refused => None,
        }
    }

    async fn tell(&self, routes: &Routes, begun: &Begun, outcome: Outcome) {
        // Most requests are told of nowhere, and cost no look at the clock.
        if !self.tells_all() && !outcome.is_refused() {
            return;
        }
        let now = self.clock.reading();
        let line = self.line(&outcome, now);
        let traces = self.traces.as_ref().filter(|_| !begun.is_probe());
        if line.is_none() && traces.is_none() {
            return;
        }
        let route = routes.find(&begun.method, &begun.uri).await;
        let time = now.uptime.saturating_sub(begun.when.uptime);
        let path = route.as_ref().map_or("unmatched", |route| route.as_str());
        let told = Told { method: known(&begun.method), path, peer: begun.peer, time, outcome: &outcome };
        let parent = outcome.notes.parent();
        let trace = traces.and_then(|traces| traces.note(parent, begun.when.now, time, || told.span()));
        if let Some(left_out) = line {
            let trace = trace.as_deref().or_else(|| parent.map(|parent| parent.trace_id()));
            told.write(trace, left_out);
        }
    }
}

impl Begun {
    /// Whether somebody only looks whether this process is well.
    fn is_probe(&self) -> bool {
        matches!(self.uri.path(), "/health" | "/ready")
    }
}

/// A listener whose requests are watched.
pub(in crate::api) struct WatchedListener {
    observer: Arc<RequestObserver>,
    routes: Routes,
}

impl WatchedListener {
    pub fn new(observer: Arc<RequestObserver>, routes: Routes) -> Self {
        Self { observer, routes }
    }

    /// A request begins. `peer`: who sent it, but for Unix sockets.
    pub fn begin<B>(self: &Arc<Self>, request: &Request<B>, peer: Option<SocketAddr>) -> Watched {
        let detailed = self.observer.tells_all();
        let begun = (detailed || self.observer.lines == RequestLines::Refused).then(|| Begun {
            method: request.method().clone(),
            uri: request.uri().clone(),
            peer,
            when: self.observer.clock.reading(),
        });
        Watched { listener: Arc::clone(self), notes: Notes::begin(request.headers(), detailed), begun }
    }
}

/// A request that is being answered.
pub(in crate::api) struct Watched {
    listener: Arc<WatchedListener>,
    notes: Notes,
    /// Where anything is told of it.
    begun: Option<Begun>,
}

impl Watched {
    /// Has it answered, and tells of it.
    pub async fn answer<E>(
        self,
        answering: impl Future<Output = Result<Response, E>>,
    ) -> Result<Response, E> {
        let Self { listener, notes, begun } = self;
        let (answer, notes) = NOTES
            .scope(RefCell::new(notes), async move {
                let answer = answering.await;
                (answer, NOTES.with(RefCell::take))
            })
            .await;
        // Not the answer itself is kept over what follows: its body stays with one thread.
        let outcome = answer.as_ref().ok().map(|answer| Outcome {
            notes,
            status: answer.status(),
            grpc_status: grpc_status(answer),
        });
        if let (Some(outcome), Some(begun)) = (outcome, begun) {
            listener.observer.tell(&listener.routes, &begun, outcome).await;
        }
        answer
    }
}

/// How a request ended.
struct Outcome {
    notes: Notes,
    status: StatusCode,
    /// Of a gRPC call that was answered with an error.
    grpc_status: Option<u16>,
}

impl Outcome {
    /// Whether the answer is an error, and no decision: those are in the decision log. That a process is not ready is its
    /// answer to who asks whether it is.
    fn is_refused(&self) -> bool {
        let is_error = self.status.is_client_error() || self.status.is_server_error();
        (is_error || self.grpc_status.is_some()) && self.notes.decided == 0
    }
}

/// What is told of a request.
struct Told<'a> {
    method: &'static str,
    /// The pattern of the route, such as `/v1/tokens/{id}`.
    path: &'a str,
    peer: Option<SocketAddr>,
    time: Duration,
    outcome: &'a Outcome,
}

impl Told<'_> {
    fn write(&self, trace: Option<&str>, left_out: u64) {
        let Self { method, path, peer, time, outcome } = self;
        let Outcome { notes, status, grpc_status } = outcome;
        let first = notes.decisions.first();
        tracing::info!(
            target: "regate::request",
            method,
            path,
            status = status.as_u16(),
            grpc_status,
            latency_micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
            peer = peer.map(tracing::field::display),
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
        let Self { method, path, peer, outcome, .. } = *self;
        let Outcome { notes, status, grpc_status } = outcome;
        let mut attributes = vec![
            ("http.request.method", method.into()),
            ("http.route", path.to_owned().into()),
            ("http.response.status_code", i64::from(status.as_u16()).into()),
        ];
        attributes.extend(grpc_status.map(|status| ("rpc.grpc.status_code", i64::from(status).into())));
        attributes.extend(peer.map(|peer| ("network.peer.address", peer.ip().to_string().into())));
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
        let name = format!("{method} {path}").into();
        Span { name, attributes, events, failed: status.is_server_error() }
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
