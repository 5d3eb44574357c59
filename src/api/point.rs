//! The policy decision point: where the questions of every face come together.

use std::{
    cell::RefCell,
    fmt,
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    decision::{
        AskingGateway, Basis, Decision, DecisionRules, Evaluator, GatewayRefusal, Question, decide,
        recognise_gateway,
    },
    policy::Live,
    types::{Clock, IdSource, PresentedCredential},
};

/// Makes the source of decision ids of one worker.
pub type NewIds = Arc<dyn Fn() -> Box<dyn IdSource> + Send + Sync>;

/// Whether a gateway must say who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayAuthentication {
    /// With a live token of kind `gateway`.
    Required,
    /// It may go without (the listener is reached from this machine alone). A token that it does
    /// present must still be good.
    Optional,
}

/// Decides the questions of all faces, from the live policy and data.
pub struct DecisionPoint {
    live: Arc<Live>,
    rules: DecisionRules,
    clock: Arc<dyn Clock>,
    new_ids: NewIds,
    authentication: GatewayAuthentication,
}

impl fmt::Debug for DecisionPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecisionPoint").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// What a thread that decides keeps to itself.
struct Worker {
    evaluator: Evaluator,
    ids: Option<Box<dyn IdSource>>,
}

/// Numbers the threads, so that each takes a program of its own out of a bundle.
static WORKERS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::new(Worker {
        evaluator: Evaluator::new(WORKERS.fetch_add(1, Ordering::Relaxed)),
        ids: None,
    });
}

impl DecisionPoint {
    /// A decision point over this live state.
    pub fn new(
        live: Arc<Live>,
        rules: DecisionRules,
        clock: Arc<dyn Clock>,
        new_ids: NewIds,
        authentication: GatewayAuthentication,
    ) -> Self {
        Self { live, rules, clock, new_ids, authentication }
    }

    /// The live policy and data.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// The gateway that presented `credential`; `None` where it need not and did not.
    ///
    /// # Errors
    /// [`GatewayRefusal`] when it must authenticate and did not, or what it presented is not good.
    pub fn gateway(&self, credential: PresentedCredential) -> Result<Option<AskingGateway>, GatewayRefusal> {
        let basis = self.live.basis();
        let gateway = recognise_gateway(basis.snapshot(), credential, self.clock.now())?;
        match (gateway, self.authentication) {
            (None, GatewayAuthentication::Required) => Err(GatewayRefusal),
            (gateway, _) => Ok(gateway),
        }
    }

    /// Decides one question from the policy and data of this moment.
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        self.decide_from(&self.live.basis(), question)
    }

    /// Decides one question from a policy and data that the caller holds: for several questions that
    /// must be answered from the same.
    pub fn decide_from(&self, basis: &Basis, question: &Question<'_>) -> Decision {
        let decision = WORKER.with_borrow_mut(|worker| {
            let now = self.clock.now();
            let ids = worker.ids.get_or_insert_with(|| (self.new_ids)());
            let id = ids.next_id(now);
            decide(&mut worker.evaluator, basis, &self.rules, question, id, now)
        });
        if let Some(fault) = &decision.fault {
            tracing::warn!(decision_id = %decision.id, reason = %decision.reasons.first, %fault, "the policy gave no usable result: denied");
        }
        decision
    }
}
