//! What is asked beside decisions: the value of a rule, and what a credential is.

use uuid::Uuid;

use super::DecisionPoint;
use crate::{
    decision::{
        AskFault, Asking, AskingGateway, Document, Introspected, NotKnown, ask, introspect, is_live_session,
    },
    types::PresentedCredential,
};

impl DecisionPoint {
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
