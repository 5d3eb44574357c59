//! What is noted of a request while it is answered, for one line of the log and one span at its end.
//!
//! The notes go with the request's task, and not through every handler: a face need not know of them, and cannot forget
//! them.
//!
//! **Must never know:** a header's value but `traceparent`, a path as it was sent: an unknown one may hold anything.

mod observer;
mod routes;

use std::cell::RefCell;

use axum::http::{HeaderMap, HeaderName};
use uuid::Uuid;

use crate::{
    decision::{Decision, Question, Reason},
    types::TraceParent,
};

pub use observer::RequestObserver;
pub(super) use observer::WatchedListener;
pub(super) use routes::Routes;

/// So many decisions of one request are told apart; of a longer batch the rest is a number.
const MOST_DECISIONS: usize = 100;

tokio::task_local! {
    static NOTES: RefCell<Notes>;
}

/// What is noted of one request.
#[derive(Debug, Default)]
struct Notes {
    /// Whether anybody wants to know what was decided, and not only that something was.
    detailed: bool,
    /// Of the call to regate.
    asked_in: Option<TraceParent>,
    /// Of the request that the gateway holds, the first that says one.
    held_in: Option<TraceParent>,
    decisions: Vec<Noted>,
    /// How many there were.
    decided: usize,
}

/// What is told of a decision.
#[derive(Clone, Debug)]
struct Noted {
    id: Uuid,
    allow: bool,
    reason: Reason,
}

impl Notes {
    fn begin(headers: &HeaderMap, detailed: bool) -> Self {
        const TRACEPARENT: HeaderName = HeaderName::from_static(TraceParent::HEADER);
        let mut values = headers.get_all(TRACEPARENT).iter();
        let asked_in = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().and_then(TraceParent::read),
            // W3C Trace Context section 3.2: of several none counts.
            _ => None,
        };
        Self { detailed, asked_in, ..Self::default() }
    }

    /// The trace that the request belongs to.
    const fn parent(&self) -> Option<&TraceParent> {
        match &self.asked_in {
            Some(parent) => Some(parent),
            None => self.held_in.as_ref(),
        }
    }
}

/// Notes that this was decided for the present request, if there is one.
pub(super) fn decided(decision: &Decision) {
    // Not in a task of a request: a command asked, or a test.
    let _ = NOTES.try_with(|notes| {
        let mut notes = notes.borrow_mut();
        notes.decided += 1;
        if notes.detailed && notes.decisions.len() < MOST_DECISIONS {
            let reason = decision.reasons.first.clone();
            notes.decisions.push(Noted { id: decision.id, allow: decision.allow, reason });
        }
    });
}

/// The trace that the present call to regate belongs to, as who makes it says.
pub(super) fn trace_of_call() -> Option<TraceParent> {
    NOTES.try_with(|notes| notes.borrow().asked_in).ok().flatten()
}

/// The trace that a question belongs to: that of the call that asks it, else that of the request that it is about. The
/// latter's client may have written any: it is told to people, and trusted for nothing.
pub(super) fn trace(question: &Question<'_>) -> Option<TraceParent> {
    let asked_in = trace_of_call();
    if asked_in.is_some() {
        return asked_in;
    }
    let mut headers = question.request.headers.iter();
    let (_, value) = headers.find(|(name, _)| *name == TraceParent::HEADER)?;
    let held_in = TraceParent::read(value)?;
    let _ = NOTES.try_with(|notes| {
        notes.borrow_mut().held_in.get_or_insert(held_in);
    });
    Some(held_in)
}
