//! What comes after the rules: the call is counted, the decision recorded, and only then answered.
//!
//! INVARIANT: nothing is answered by which a request goes on, or is turned away, before it is recorded; what cannot be
//! recorded is denied. A call that is denied for that is not counted.

use std::sync::Arc;

use super::{DecisionPoint, goes_on};
use crate::{
    audit::{Asked, Recorder, Took},
    decision::{Decision, LimitState, Question, RateLimit},
    limits::{Limit, Limiter},
    types::ClockReading,
};

/// What counts calls and records decisions.
#[derive(Debug, Default)]
pub(super) struct Settling {
    limiter: Option<Arc<Limiter>>,
    recorder: Option<Arc<Recorder>>,
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

    /// Counts and records a decision that was made at `began`.
    pub(super) async fn settle(&self, asked: Asked<'_>, decision: Decision, began: ClockReading) -> Decision {
        let decision = self.count(decision).await;
        let recorded = self.record(asked, &decision, began).await;
        self.kept(decision, recorded)
    }

    /// The same of an answer to a question, unless it only asks what would be.
    pub(super) async fn give(
        &self,
        question: &Question<'_>,
        decision: Decision,
        began: ClockReading,
    ) -> Decision {
        let decision = self.count_given(question, decision).await;
        let recorded = self.record_given(question, &decision, began).await;
        self.given(question, decision, recorded)
    }

    pub(super) async fn count_given(&self, question: &Question<'_>, decision: Decision) -> Decision {
        if goes_on(question.delivery) { self.count(decision).await } else { decision }
    }

    pub(super) fn record_given<'p>(
        &'p self,
        question: &Question<'_>,
        decision: &Decision,
        began: ClockReading,
    ) -> impl Future<Output = bool> + Send + use<'p> {
        let recording =
            goes_on(question.delivery).then(|| self.record(Asked::Request(question), decision, began));
        async move {
            match recording {
                Some(recording) => recording.await,
                None => true,
            }
        }
    }

    pub(super) fn given(&self, question: &Question<'_>, decision: Decision, recorded: bool) -> Decision {
        let decision = self.kept(decision, recorded);
        if goes_on(question.delivery) {
            self.note_given(question, &decision);
        }
        decision
    }

    /// Counts it against its limits.
    pub(super) async fn count(&self, decision: Decision) -> Decision {
        if decision.limits.is_empty() {
            return decision;
        }
        let states = match &self.settling.limiter {
            Some(limiter) => limiter.count(&limits(&decision)).await,
            None => Vec::new(),
        };
        let states = states.into_iter().map(|counted| LimitState {
            allowed: counted.allowed,
            remaining: counted.remaining,
            reset: counted.reset,
        });
        decision.counted(states)
    }

    /// Begins to record it: done when it is.
    pub(super) fn record<'p>(
        &'p self,
        asked: Asked<'_>,
        decision: &Decision,
        began: ClockReading,
    ) -> impl Future<Output = bool> + Send + use<'p> {
        let recording = self.settling.recorder.as_deref().map(|recorder| {
            let took = self.clock.reading().since(began);
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            recorder.record(asked, decision, Took { at: began.now, micros })
        });
        async move {
            match recording {
                Some(recording) => recording.await.is_ok(),
                None => true,
            }
        }
    }

    /// The answer, now that it is known whether it is recorded.
    pub(super) fn kept(&self, decision: Decision, recorded: bool) -> Decision {
        if recorded {
            return decision;
        }
        self.take_back(&decision);
        decision.not_recorded()
    }

    fn take_back(&self, decision: &Decision) {
        let was_counted = |limit: &RateLimit| limit.state.is_some_and(|state| state.allowed);
        if let Some(limiter) = &self.settling.limiter
            && !decision.limits.is_empty()
            && decision.limits.iter().all(was_counted)
        {
            limiter.take_back(&limits(decision));
        }
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
