//! What comes after the rules: the call is counted, the decision recorded, and only then answered.
//!
//! INVARIANT: nothing is answered by which a request goes on, or is turned away, before it is recorded; what cannot be
//! recorded is denied. A call that is denied for that is not counted.

use std::sync::Arc;

use super::{DecisionPoint, goes_on};
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
        let tallied = self.count(decision).await;
        let recorded = self.record(asked, &tallied, began).await;
        self.kept(tallied, recorded)
    }

    /// The same of an answer to a question, unless it only asks what would be.
    pub(super) async fn give(
        &self,
        question: &Question<'_>,
        decision: Decision,
        began: ClockReading,
    ) -> Decision {
        let tallied = self.count_given(question, decision).await;
        let recorded = self.record_given(question, &tallied, began).await;
        self.given(question, tallied, recorded)
    }

    pub(super) async fn count_given(&self, question: &Question<'_>, decision: Decision) -> Tallied {
        if goes_on(question.delivery) {
            self.count(decision).await
        } else {
            Tallied { decision, counted: Vec::new() }
        }
    }

    pub(super) fn record_given<'p>(
        &'p self,
        question: &Question<'_>,
        tallied: &Tallied,
        began: ClockReading,
    ) -> impl Future<Output = bool> + Send + use<'p> {
        let recording =
            goes_on(question.delivery).then(|| self.record(Asked::Request(question), tallied, began));
        async move {
            match recording {
                Some(recording) => recording.await,
                None => true,
            }
        }
    }

    pub(super) fn given(&self, question: &Question<'_>, tallied: Tallied, recorded: bool) -> Decision {
        let decision = self.kept(tallied, recorded);
        if goes_on(question.delivery) {
            self.note_given(question, &decision);
        }
        decision
    }

    /// Counts it against its limits.
    pub(super) async fn count(&self, decision: Decision) -> Tallied {
        if decision.limits.is_empty() {
            return Tallied { decision, counted: Vec::new() };
        }
        let counted = match &self.settling.limiter {
            Some(limiter) => limiter.count(&limits(&decision)).await,
            None => Vec::new(),
        };
        let states = counted.iter().map(|counted| LimitState {
            allowed: counted.allowed,
            remaining: counted.remaining,
            reset: counted.reset,
        });
        Tallied { decision: decision.counted(states), counted }
    }

    /// Begins to record it: done when it is.
    pub(super) fn record<'p>(
        &'p self,
        asked: Asked<'_>,
        tallied: &Tallied,
        began: ClockReading,
    ) -> impl Future<Output = bool> + Send + use<'p> {
        let recording = self.settling.recorder.as_deref().map(|recorder| {
            let took = self.clock.reading().since(began);
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            recorder.record(asked, &tallied.decision, Took { at: began.now, micros })
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
        let Tallied { decision, counted } = tallied;
        if recorded {
            return decision;
        }
        // A call that was refused was counted nowhere.
        if let Some(limiter) = &self.settling.limiter
            && counted.iter().all(|counted| counted.allowed)
        {
            limiter.take_back(&limits(&decision), &counted);
        }
        decision.not_recorded()
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
