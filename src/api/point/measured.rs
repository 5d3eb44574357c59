//! What is counted of a decision, and noted of it for its request.

use std::{sync::Arc, time::Duration};

use super::{super::observed, DecisionPoint};
use crate::{
    decision::{Decision, EvaluationError, Fault},
    telemetry::{DecisionMetrics, FaultKind},
    types::ClockReading,
};

impl DecisionPoint {
    /// Also counts how decisions come out.
    pub fn measuring(self, metrics: Arc<DecisionMetrics>) -> Self {
        Self { measured: Some(metrics), ..self }
    }

    /// Counts a decision that is about to be answered and was begun at this moment, and notes it for its request.
    /// `evaluation`: how long it took to work it out, if the policy was asked.
    pub(super) fn measure(
        &self,
        face: &'static str,
        decision: &Decision,
        begun: ClockReading,
        evaluation: Option<Duration>,
    ) {
        observed::decided(decision);
        let Some(measured) = &self.measured else { return };
        let latency = self.clock.uptime().saturating_sub(begun.uptime);
        measured.note(face, decision.allow, decision.reasons.first.as_str(), latency, evaluation);
        if let Some(kind) = decision.fault.as_ref().and_then(kind) {
            measured.note_fault(kind);
        }
    }
}

/// What kind of fault it is, if it is the policy's.
const fn kind(fault: &Fault) -> Option<FaultKind> {
    match fault {
        Fault::Evaluation(EvaluationError::InstructionBudget(_)) => Some(FaultKind::Instructions),
        Fault::Evaluation(EvaluationError::TimeBudget) => Some(FaultKind::Time),
        Fault::Evaluation(EvaluationError::Failed { .. } | EvaluationError::NoEntrypoint) => {
            Some(FaultKind::Evaluation)
        }
        Fault::Verdict(_) => Some(FaultKind::Result),
        Fault::Credential(_) | Fault::Gateway(_) => None,
    }
}
