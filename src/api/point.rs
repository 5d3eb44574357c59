//! The policy decision point: where the questions of every face come together.

mod asks;
mod evaluations;
mod measured;
mod settle;

use std::{
    cell::RefCell,
    fmt,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use uuid::Uuid;

use tokio::{
    runtime::Handle,
    sync::{Semaphore, SemaphorePermit},
};

use self::{evaluations::SEARCHES, settle::Settling};
use super::{problem::Problem, refusals::Refusals, uses::TokenUses};
use crate::{
    audit::Asked,
    decision::{
        AskingGateway, CredentialUse, Decision, DecisionRules, Delivery, Evaluator, Fault, GatewayRefusal,
        ManagementCall, Moment, OwnReason, Question, Reason, Subject, SubjectKind, decide, manage,
        recognise_gateway, recognise_operator,
    },
    policy::{Live, LiveBasis},
    store::upstreams::CredentialKey,
    telemetry::DecisionMetrics,
    types::{Clock, ClockReading, IdSource, PresentedCredential, TenantId, Timestamp},
    upstream::Renewals,
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
    max_staleness: Duration,
    explaining: Semaphore,
    searching: Semaphore,
    uses: Option<Arc<TokenUses>>,
    unusable_credentials: AtomicU64,
    renewals: Option<Renewals>,
    ending: AtomicBool,
    refusals: Refusals,
    settling: Settling,
    measured: Option<Arc<DecisionMetrics>>,
}

/// So many explanations are worked out at a time: each takes a hundred times as long as a decision, and they
/// must not keep decisions waiting.
const EXPLANATIONS: usize = 1;

/// The turn to work out explanations, for as long as it is held.
#[derive(Debug)]
pub struct ExplainingTurn<'a> {
    _place: Option<SemaphorePermit<'a>>,
}

/// Does work that takes its time without holding up its thread's other questions.
fn apart<T>(work: impl FnOnce() -> T) -> T {
    // No other runtime has a second thread to go on with.
    let has_others = Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread);
    if has_others { tokio::task::block_in_place(work) } else { work() }
}

/// The policy and data that questions are answered from, and how old the data was at which moment.
#[derive(Debug)]
pub struct Taken {
    basis: LiveBasis,
    age: Option<Duration>,
    when: ClockReading,
}

/// How the data of this process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataState {
    /// It has not been loaded yet.
    Loading,
    /// It is current, or was this long ago.
    Current(Duration),
    /// It was current this long ago, which is longer than it may be: decisions are denied.
    Stale(Duration),
}

impl fmt::Debug for DecisionPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecisionPoint").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// What a thread that decides keeps to itself.
struct Worker {
    number: usize,
    evaluator: Evaluator,
    ids: Option<Box<dyn IdSource>>,
}

/// Numbers the threads, so that each takes a program of its own out of a bundle.
static WORKERS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::new({
        let number = WORKERS.fetch_add(1, Ordering::Relaxed);
        Worker { number, evaluator: Evaluator::new(number), ids: None }
    });
}

impl DecisionPoint {
    /// A decision point over this live state. Data older than `max_staleness` denies.
    pub fn new(
        live: Arc<Live>,
        rules: DecisionRules,
        clock: Arc<dyn Clock>,
        new_ids: NewIds,
        authentication: GatewayAuthentication,
        max_staleness: Duration,
    ) -> Self {
        let refusals = Refusals::new(Arc::clone(&clock));
        Self {
            live,
            rules,
            clock,
            new_ids,
            authentication,
            max_staleness,
            explaining: Semaphore::new(EXPLANATIONS),
            searching: Semaphore::new(SEARCHES),
            uses: None,
            unusable_credentials: AtomicU64::new(0),
            renewals: None,
            ending: AtomicBool::new(false),
            refusals,
            settling: Settling::default(),
            measured: None,
        }
    }

    /// Also notes when each token was last used.
    pub fn noting(self, uses: Arc<TokenUses>) -> Self {
        Self { uses: Some(uses), ..self }
    }

    /// Also has an upstream credential renewed that had expired when it was needed.
    pub fn renewing(self, renewals: Option<Renewals>) -> Self {
        Self { renewals, ..self }
    }

    /// Which refusals the log has told of.
    pub(super) const fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// The live policy and data.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Says that this process is about to end. It decides until it does.
    pub fn announce_end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Whether this process is about to end, and load balancers should send their questions elsewhere.
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// How often a request was denied because the upstream credential that is there does not open, or does not fit.
    pub fn unusable_credentials(&self) -> u64 {
        self.unusable_credentials.load(Ordering::Relaxed)
    }

    /// How the data stands.
    pub fn data_state(&self) -> DataState {
        match self.live.age(self.clock.reading()) {
            None => DataState::Loading,
            Some(age) if age > self.max_staleness => DataState::Stale(age),
            Some(age) => DataState::Current(age),
        }
    }

    /// Takes the policy and data of this moment.
    pub fn take(&self) -> Taken {
        // In this order: the data that is taken is as new as its age says, or newer.
        let when = self.clock.reading();
        let age = self.live.age(when);
        Taken { basis: self.live.basis(), age, when }
    }

    /// The gateway that presented `credential`; `None` where it need not and did not.
    ///
    /// # Errors
    /// [`Problem::Gateway`] when it must authenticate and did not, or what it presented is not good;
    /// [`Problem::NotLoaded`] and [`Problem::Stale`] when this process cannot tell.
    pub fn gateway(&self, credential: &PresentedCredential) -> Result<Option<AskingGateway>, Problem> {
        if !self.live.is_loaded() {
            return Err(Problem::NotLoaded);
        }
        if *credential == PresentedCredential::Absent {
            // The usual case on a loopback listener takes no look at the clock.
            return match self.authentication {
                GatewayAuthentication::Required => Err(Problem::Gateway(GatewayRefusal)),
                GatewayAuthentication::Optional => Ok(None),
            };
        }
        let now = self.clock.now();
        match recognise_gateway(self.live.basis().snapshot(), credential, now) {
            Ok(gateway) => {
                if let Some(uses) = &self.uses {
                    uses.note(WORKER.with_borrow(|worker| worker.number), &gateway.id, now);
                }
                Ok(Some(gateway))
            }
            // It may have been minted since.
            Err(_) if matches!(self.data_state(), DataState::Stale(_)) => Err(Problem::Stale),
            Err(refusal) => Err(Problem::Gateway(refusal)),
        }
    }

    /// Decides one question from the policy and data of this moment. What is given to a gateway is counted and recorded
    /// before.
    pub async fn decide(&self, question: &Question<'_>) -> Decision {
        let taken = self.take();
        let decision = self.judge_at(&taken, question, taken.when);
        self.give(question, decision, taken.when).await
    }

    /// What the policy and data of this moment say to a question. Nothing is counted, nothing recorded: no request may go on
    /// by this.
    pub fn judge(&self, question: &Question<'_>) -> Decision {
        let taken = self.take();
        self.judge_at(&taken, question, taken.when)
    }

    /// The same from a policy and data that the caller took.
    pub fn judge_from(&self, taken: &Taken, question: &Question<'_>) -> Decision {
        self.judge_at(taken, question, self.clock.reading())
    }

    /// Decides several questions from one policy and data, which the caller took. Those that ask why need the turn.
    pub async fn decide_all(
        &self,
        taken: &Taken,
        questions: &[Question<'_>],
        turn: Option<&ExplainingTurn<'_>>,
    ) -> Vec<Decision> {
        let mut recorded = Vec::with_capacity(questions.len());
        for question in questions {
            let began = self.clock.reading();
            let judged = match turn {
                Some(_) if question.explain => apart(|| self.judge_at(taken, question, began)),
                _ => self.judge_at(taken, question, began),
            };
            let tallied = self.count_given(question, judged, began).await;
            recorded.push((self.record_given(question, &tallied), tallied));
            // A batch of questions that each use up their budget must not keep others from being heard.
            tokio::task::yield_now().await;
        }
        // All at once: a log that is flushed to the disk takes as long for all as for one.
        let (recordings, tallied): (Vec<_>, Vec<_>) = recorded.into_iter().unzip();
        let recorded = join_all(recordings).await;
        let given = questions.iter().zip(tallied).zip(recorded);
        given.map(|((question, tallied), recorded)| self.given(question, tallied, recorded)).collect()
    }

    /// Waits for a turn to work out explanations.
    ///
    /// INVARIANT: whoever waits looks only then who asks, and takes the policy and data: what was revoked while it waited
    /// is revoked.
    pub async fn explaining_turn(&self) -> ExplainingTurn<'_> {
        // It is never closed.
        ExplainingTurn { _place: self.explaining.acquire().await.ok() }
    }

    /// Decides one question that asks why, from the policy and data of this moment, without holding up its thread's
    /// other questions.
    pub async fn explain(&self, _turn: &ExplainingTurn<'_>, question: &Question<'_>) -> Decision {
        let taken = self.take();
        let decision = apart(|| self.judge_at(&taken, question, taken.when));
        self.give(question, decision, taken.when).await
    }

    fn judge_at(&self, taken: &Taken, question: &Question<'_>, reading: ClockReading) -> Decision {
        let work = || {
            self.on_worker(taken, reading, |evaluator, id, moment| {
                decide(evaluator, &taken.basis, &self.rules, question, id, moment)
            })
        };
        if question.is_long() { apart(work) } else { work() }
    }

    /// What an answer that goes out has brought about beside it.
    fn note_given(&self, question: &Question<'_>, decision: &Decision) {
        let Some(used) = &decision.credential else { return };
        note_credential(question, decision, used);
        if let Some(renewals) = self.renewals.as_ref().filter(|_| used.expired) {
            let CredentialUse { tenant, upstream, holder, .. } = used.clone();
            renewals.nudge(CredentialKey { tenant, upstream_id: upstream, holder });
        }
    }

    /// Decides whether a call of regate's own management API may be made. The decision is counted and recorded.
    pub async fn manage(&self, call: &ManagementCall<'_>) -> Decision {
        let taken = self.take();
        let decision = self.manage_at(&taken, call);
        self.settle(Asked::Management(call), decision, taken.when).await
    }

    /// Whether such a call might be made: nothing is counted, nothing recorded.
    pub fn may_manage(&self, call: &ManagementCall<'_>) -> Decision {
        self.manage_at(&self.take(), call)
    }

    fn manage_at(&self, taken: &Taken, call: &ManagementCall<'_>) -> Decision {
        self.on_worker(taken, taken.when, |evaluator, id, moment| {
            manage(evaluator, &taken.basis, &self.rules, call, id, moment)
        })
    }

    /// The tenant of whoever speaks for none.
    pub fn default_tenant(&self) -> &TenantId {
        &self.rules.default_tenant
    }

    /// Who makes a call of the management API, if they may make any, see [`recognise_operator`].
    ///
    /// # Errors
    /// Why not.
    pub fn recognise_operator(&self, question: &Question<'_>) -> Result<Subject, OwnReason> {
        let taken = self.take();
        let moment = self.moment(&taken, taken.when);
        recognise_operator(&taken.basis, &self.rules, question, moment)
    }

    fn moment(&self, taken: &Taken, reading: ClockReading) -> Moment {
        let age = taken.age.map(|age| age.saturating_add(reading.since(taken.when)));
        Moment { now: reading.now, data_is_stale: age.is_none_or(|age| age > self.max_staleness) }
    }

    /// Works with what this thread keeps to itself.
    fn with_worker<T>(
        &self,
        taken: &Taken,
        reading: ClockReading,
        work: impl FnOnce(&mut Worker, Uuid, Moment) -> T,
    ) -> T {
        WORKER.with_borrow_mut(|worker| {
            let moment = self.moment(taken, reading);
            let ids = worker.ids.get_or_insert_with(|| (self.new_ids)());
            let id = ids.next_id(moment.now);
            work(worker, id, moment)
        })
    }

    fn on_worker(
        &self,
        taken: &Taken,
        reading: ClockReading,
        decide: impl FnOnce(&mut Evaluator, Uuid, Moment) -> Decision,
    ) -> Decision {
        let decision = self.with_worker(taken, reading, |worker, id, moment| {
            let decision = decide(&mut worker.evaluator, id, moment);
            self.note_use(worker.number, &decision, moment.now);
            decision
        });
        match &decision.fault {
            None => {}
            Some(fault @ Fault::Credential(_)) => {
                self.unusable_credentials.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(decision_id = %decision.id, %fault, "an upstream credential is not used: denied");
            }
            Some(fault @ Fault::Gateway(_)) => {
                tracing::warn!(decision_id = %decision.id, %fault, "an allowed request is denied");
            }
            Some(fault @ (Fault::Evaluation(_) | Fault::Verdict(_))) => {
                tracing::warn!(decision_id = %decision.id, reason = %decision.reasons.first, %fault, "the policy gave no usable result: denied");
            }
        }
        decision
    }

    /// A token that was good was used, whatever came of it.
    fn note_use(&self, worker: usize, decision: &Decision, now: Timestamp) {
        let Some(uses) = &self.uses else { return };
        let Some(Subject { kind: SubjectKind::Token(_), token_id: Some(id), .. }) = &decision.subject else {
            return;
        };
        let dead = matches!(decision.reasons.first, Reason::Own(own) if own.status() == 401);
        if !dead {
            uses.note(worker, id, now);
        }
    }
}

/// Whether a request goes on by the answer: others only ask what would be.
const fn goes_on(delivery: Delivery) -> bool {
    match delivery {
        Delivery::Given | Delivery::Refused => true,
        Delivery::Withheld | Delivery::Assumed => false,
    }
}

/// One line for each use of an upstream credential (systems.md C8), whatever came of it.
fn note_credential(question: &Question<'_>, decision: &Decision, used: &CredentialUse) {
    let subject = decision.subject.as_ref();
    // What stands behind the question mark may be secret.
    let path = question.request.target.split('?').next().unwrap_or_default();
    tracing::info!(
        target: "regate::credential_use",
        decision_id = %decision.id,
        tenant = used.tenant.as_str(),
        upstream = used.upstream,
        holder = used.holder.kind().as_str(),
        holder_id = used.holder.id(),
        user = subject.and_then(|subject| subject.user_id.as_deref()),
        token = subject.and_then(|subject| subject.token_id.as_deref()),
        method = question.request.method.as_ref(),
        path,
        allow = decision.allow,
        reason = decision.reasons.first.as_str(),
        "upstream credential"
    );
}
