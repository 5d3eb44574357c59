//! What comes after the rules: the call is counted, the decision recorded, and only then answered.
//!
//! INVARIANT: nothing is answered by which a request goes on, or is turned away, before it is recorded; what cannot be
//! recorded is denied. A call that is denied for that is not counted.

use std::{sync::Arc, time::Duration};

use super::{super::observed, DecisionPoint, goes_on};
use crate::{
    audit::{Asked, Recorder, Took},
    decision::{Decision, LimitState, Question, RateLimit},
    limits::{Counted, Limit, Limiter},
    types::ClockReading,
};

/// What counts calls and records decisions.
#[derive(Debug, Default)]
pub(super) struct Settling {
    limiter: Option<Arc<Limiter>>,
    recorder: Option<Arc<Recorder>>,
}

/// A decision, and where it was counted.
pub(super) struct Tallied {
    pub decision: Decision,
    counted: Vec<Counted>,
    face: &'static str,
    began: ClockReading,
    /// Until it was worked out.
    took: Duration,
}

impl DecisionPoint {
    /// Also counts calls against the limits that policies name. Without this a call that has one is refused.
    pub fn limiting(mut self, limiter: Arc<Limiter>) -> Self {
        self.settling.limiter = Some(limiter);
        self
    }

    /// Also records each decision before it is answered.
    pub fn recording(mut self, recorder: Option<Arc<Recorder>>) -> Self {
        self.settling.recorder = recorder;
        self
    }

    /// Counts and records a decision that was begun at this moment.
    pub(super) async fn settle(&self, asked: Asked<'_>, decision: Decision, began: ClockReading) -> Decision {
        let tallied = self.count(asked, decision, began).await;
        let recorded = self.record(asked, &tallied).await;
        self.kept(tallied, recorded)
    }

    /// The same of an answer to a question, unless it only asks what would be.
    pub(super) async fn give(
        &self,
        question: &Question<'_>,
        decision: Decision,
        began: ClockReading,
    ) -> Decision {
        let tallied = self.count_given(question, decision, began).await;
        let recorded = self.record_given(question, &tallied).await;
        self.given(question, tallied, recorded)
    }

    pub(super) async fn count_given(
        &self,
        question: &Question<'_>,
        decision: Decision,
        began: ClockReading,
    ) -> Tallied {
        let asked = Asked::Request(question);
        if goes_on(question.delivery) {
            self.count(asked, decision, began).await
        } else {
            self.uncounted(asked, decision, began)
        }
    }

    pub(super) fn record_given<'p>(
        &'p self,
        question: &Question<'_>,
        tallied: &Tallied,
    ) -> impl Future<Output = bool> + Send + use<'p> {
        let recording = goes_on(question.delivery).then(|| self.record(Asked::Request(question), tallied));
        async move {
            match recording {
                Some(recording) => recording.await,
                None => true,
            }
        }
    }

    pub(super) fn given(&self, question: &Question<'_>, tallied: Tallied, recorded: bool) -> Decision {
        if !goes_on(question.delivery) {
            observed::decided(&tallied.decision);
            return tallied.decision;
        }
        let decision = self.kept(tallied, recorded);
        self.note_given(question, &decision);
        decision
    }

    fn uncounted(&self, asked: Asked<'_>, decision: Decision, began: ClockReading) -> Tallied {
        let took = self.clock.uptime().saturating_sub(began.uptime);
        Tallied { decision, counted: Vec::new(), face: asked.face(), began, took }
    }

    /// Counts it against its limits.
    pub(super) async fn count(&self, asked: Asked<'_>, decision: Decision, began: ClockReading) -> Tallied {
        let tallied = self.uncounted(asked, decision, began);
        if tallied.decision.limits.is_empty() {
            return tallied;
        }
        let counted = match &self.settling.limiter {
            Some(limiter) => limiter.count(&limits(&tallied.decision)).await,
            None => Vec::new(),
        };
        let states = counted.iter().map(|counted| LimitState {
            allowed: counted.allowed,
            remaining: counted.remaining,
            reset: counted.reset,
        });
        Tallied { decision: tallied.decision.counted(states), counted, ..tallied }
    }

    /// Begins to record it: done when it is.
    pub(super) fn record<'p>(
        &'p self,
        asked: Asked<'_>,
        tallied: &Tallied,
    ) -> impl Future<Output = bool> + Send + use<'p> {
        let trace = match asked {
            Asked::Request(question) => observed::trace(question),
            Asked::Management(call) => observed::trace(&call.question),
            Asked::Evaluation(_) => observed::trace_of_call(),
        };
        let recording = self.settling.recorder.as_deref().map(|recorder| {
            let micros = u64::try_from(tallied.took.as_micros()).unwrap_or(u64::MAX);
            recorder.record(asked, &tallied.decision, Took { at: tallied.began.now, micros, trace })
        });
        async move {
            match recording {
                Some(recording) => recording.await.is_ok(),
                None => true,
            }
        }
    }

    /// The answer, now that it is known whether it is recorded.
    pub(super) fn kept(&self, tallied: Tallied, recorded: bool) -> Decision {
        let Tallied { mut decision, counted, face, began, took } = tallied;
        if !recorded {
            // A call that was refused was counted nowhere.
            if let Some(limiter) = &self.settling.limiter
                && !counted.is_empty()
                && counted.iter().all(|counted| counted.allowed)
            {
                limiter.take_back(&limits(&decision), &counted);
            }
            decision = decision.not_recorded();
        }
        let evaluation = decision.evaluated.then_some(took);
        self.measure(face, &decision, began, evaluation);
        decision
    }
}

fn limits(decision: &Decision) -> Vec<Limit<'_>> {
    let limits = decision.limits.iter();
    let tenant = decision.tenant.as_str();
    limits
        .map(|RateLimit { name, key, limit, window, count, .. }| Limit {
            tenant,
            name,
            key,
            limit: *limit,
            window: *window,
            count: *count,
        })
        .collect()
}
