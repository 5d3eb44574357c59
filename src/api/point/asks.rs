//! What is asked beside decisions: the value of a rule, and what a credential is.

use std::sync::Arc;

use uuid::Uuid;

use super::{DataState, DecisionPoint, ExplainingTurn, Problem, apart};
use crate::{
    decision::{
        AskFault, Asking, AskingGateway, Decision, Document, Introspected, NotKnown, ask, introspect,
        is_live_session,
    },
    policy::replay::{Case, Lack, Replay, Undecided},
    types::PresentedCredential,
};

impl DecisionPoint {
    /// What the policy and data of this moment say to a question that was recorded, at the moment of the record, and why.
    ///
    /// # Errors
    /// [`Problem::Stale`]; [`Problem::Invalid`] with what the record, or the data of now, lacks.
    pub fn explain_again(
        &self,
        _turn: &ExplainingTurn<'_>,
        case: &mut Case<'_>,
    ) -> Result<Decision, Problem> {
        if !matches!(self.data_state(), DataState::Current(_)) {
            return Err(Problem::Stale);
        }
        let basis = self.live.basis();
        let id = case.recorded.as_ref().and_then(|recorded| recorded.decision_id.as_ref()?.parse().ok());
        apart(|| {
            let (bundle, snapshot) = (Arc::clone(basis.bundle()), basis.snapshot().clone());
            let mut replay = Replay::new(bundle, None, self.rules.clone(), snapshot);
            match replay.compare(case) {
                // What the rules say to it is asked here, whatever the answer was.
                Ok(_) | Err(Undecided::Lacks(Lack::NotTheRules { .. })) => {}
                Err(lacks) => {
                    return Err(Problem::Invalid(format!("it cannot be decided again: {lacks}")));
                }
            }
            let lacks = || Problem::Invalid("it cannot be decided again".to_owned());
            let explained = replay.explain(case).ok_or_else(lacks)?;
            Ok(Decision { id: id.unwrap_or(explained.after.id), ..explained.after })
        })
    }

    /// The value of a rule that is asked as it is, and the id under which it was asked.
    pub fn ask(&self, asking: Asking<'_>) -> (Uuid, Result<Document, AskFault>) {
        let taken = self.take();
        self.with_worker(&taken, taken.when, |worker, id, moment| {
            (id, ask(&mut worker.evaluator, &taken.basis, &self.rules, asking, moment))
        })
    }

    /// Whether a credential is a session that is live at this moment, see [`is_live_session`].
    pub fn is_live_session(&self, credential: &PresentedCredential, gateway: &AskingGateway) -> bool {
        is_live_session(credential, gateway, self.clock.now())
    }

    /// What a credential is at this moment, see [`introspect`].
    ///
    /// # Errors
    /// Why nobody can tell.
    pub fn introspect(
        &self,
        credential: PresentedCredential,
        gateway: &AskingGateway,
    ) -> Result<Option<Introspected>, NotKnown> {
        let taken = self.take();
        let moment = self.moment(&taken, taken.when);
        introspect(&taken.basis, &self.rules, credential, gateway, moment)
    }
}
