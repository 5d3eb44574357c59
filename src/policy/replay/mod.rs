//! What another policy would have decided on recorded questions.
//!
//! A question is decided under the new bundle and compared with the old answer: the one that was recorded, or
//! the one that the old bundle gives. Both bundles see the same data.
//!
//! Records hold no credentials. A record's caller is known by the id of its token: that token's hash takes the
//! place of the credential, and the decision goes the same way as any other. So there is no way around the
//! look-up of a credential here that something else could be led to.
//!
//! **Must never know:** files, formats, what is printed.

mod case;
mod tally;

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

pub use case::{Before, Case, Change, Comparison, Lack, Recorded, Undecided};
pub use tally::{ReasonChange, Tally};

use crate::{
    decision::{
        Basis, Bundle, Decision, DecisionRules, Evaluator, Moment, OwnReason, Question, Reason, Snapshot,
        decide,
    },
    types::{DataRevision, PolicyRevision, PresentedCredential, SessionRefusal, Timestamp, TokenHash},
};

/// The new bundle, the old one if there is one, and the data.
#[derive(Debug)]
pub struct Replay {
    new: Side,
    old: Option<Side>,
    rules: DecisionRules,
    /// By id; made when the first record needs it.
    tokens: Option<HashMap<Arc<str>, TokenHash>>,
}

/// One bundle over the data.
#[derive(Debug)]
struct Side {
    basis: Basis,
    evaluator: Evaluator,
}

impl Side {
    fn new(bundle: Arc<Bundle>, snapshot: Snapshot) -> Self {
        Self { basis: Basis::new(bundle, snapshot), evaluator: Evaluator::new(0) }
    }

    fn decide(&mut self, rules: &DecisionRules, question: &Question<'_>, now: Timestamp) -> Decision {
        // Nobody is answered: the decision needs no id of its own, and no data is stale.
        let moment = Moment { now, data_is_stale: false };
        decide(&mut self.evaluator, &self.basis, rules, question, Uuid::nil(), moment)
    }
}

/// Both answers with why they are as they are.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Under the old bundle, if it was asked.
    pub before: Option<Decision>,
    /// Under the new bundle.
    pub after: Decision,
}

impl Replay {
    /// Begins with the new bundle, the old bundle if old answers are to come from there, and the data.
    pub fn new(new: Arc<Bundle>, old: Option<Arc<Bundle>>, rules: DecisionRules, snapshot: Snapshot) -> Self {
        let old = old.map(|bundle| Side::new(bundle, snapshot.clone()));
        Self { new: Side::new(new, snapshot), old, rules, tokens: None }
    }

    /// The revisions of the new bundle, and of the old one.
    pub fn policy_revisions(&self) -> (&PolicyRevision, Option<&PolicyRevision>) {
        let old = self.old.as_ref().map(|old| old.basis.bundle().revision());
        (self.new.basis.bundle().revision(), old)
    }

    /// The revision of the data.
    pub fn data_revision(&self) -> DataRevision {
        self.new.basis.snapshot().revision()
    }

    /// Decides a case again and holds it against its old answer. The caller's credential, where it has to be found
    /// from the record, is in the case afterwards.
    ///
    /// # Errors
    /// [`Undecided`], when there is no old answer, or when the record does not say enough to be decided again.
    pub fn compare(&mut self, case: &mut Case<'_>) -> Result<Comparison, Undecided> {
        if self.old.is_none() && case.recorded.is_none() {
            return Err(Undecided::NothingToCompare);
        }
        let now = case.now.ok_or(Lack::Time)?;
        // What the gateway wanted explained then is not what is asked now, and takes long.
        case.question.explain = false;
        let credential_is_told = self.find_caller(case)?;
        let after = self.new.decide(&self.rules, &case.question, now);
        let recorded = case.recorded.take();
        let decision_id = recorded.as_ref().and_then(|recorded| recorded.decision_id.clone());
        if !credential_is_told && !says_nothing_of_the_caller(&after) {
            let reason = recorded.map(|recorded| recorded.reason).unwrap_or_default();
            return Err(Lack::Credential { reason }.into());
        }
        let present = self.data_revision();
        Ok(match (&mut self.old, recorded) {
            (Some(old), _) => {
                let before = Before::Decided(Box::new(old.decide(&self.rules, &case.question, now)));
                Comparison { before, after, decision_id, other_data: false }
            }
            (None, Some(recorded)) if is_not_the_rules(&recorded.reason) => {
                return Err(Lack::NotTheRules { reason: recorded.reason }.into());
            }
            (None, Some(recorded)) => {
                let other_data = recorded.data_revision.is_some_and(|revision| revision != present);
                Comparison { before: Before::Recorded(recorded), after, decision_id, other_data }
            }
            (None, None) => return Err(Undecided::NothingToCompare),
        })
    }

    /// Decides a case that was compared once more, to say why. Much slower.
    pub fn explain(&mut self, case: &mut Case<'_>) -> Option<Explained> {
        let now = case.now?;
        case.question.explain = true;
        let before = self.old.as_mut().map(|old| old.decide(&self.rules, &case.question, now));
        let after = self.new.decide(&self.rules, &case.question, now);
        Some(Explained { before, after })
    }

    /// Puts the caller's credential into the question where only the record tells whose it was; and says whether
    /// it is told at all.
    fn find_caller(&mut self, case: &mut Case<'_>) -> Result<bool, Lack> {
        let credential = &mut case.question.credential;
        let Some(recorded) = &case.recorded else { return Ok(true) };
        if credential.token_hash().is_some() {
            return Ok(true);
        }
        // Its `jti` may be the id of a token, which it is not.
        if recorded.by_session {
            return Err(Lack::Session);
        }
        if let Some(id) = &recorded.token_id {
            // What the question may have in its place is what a log writes for a credential: it was a good one.
            let snapshot = self.new.basis.snapshot();
            let tokens = self.tokens.get_or_insert_with(|| {
                snapshot.tokens().map(|(hash, token)| (Arc::clone(&token.id), *hash)).collect()
            });
            let hash = tokens.get(id.as_str()).ok_or_else(|| Lack::Token { id: id.clone() })?;
            *credential = PresentedCredential::Token(*hash);
            return Ok(true);
        }
        if *credential != PresentedCredential::Absent {
            return Ok(true);
        }
        let reason = recorded.reason.as_str();
        if reason == OwnReason::TokenMalformed.code() {
            *credential = PresentedCredential::Malformed;
        } else if reason == OwnReason::AmbiguousCredential.code() {
            *credential = PresentedCredential::Ambiguous;
        } else {
            // With these, nobody looked at the credential, or nobody knew it: there may have been one.
            const UNTOLD: [OwnReason; 4] = [
                OwnReason::AmbiguousPath,
                OwnReason::PublicPath,
                OwnReason::DataStale,
                OwnReason::TokenUnknown,
            ];
            let refused_session = SessionRefusal::ALL.map(OwnReason::from);
            return Ok(!UNTOLD.iter().chain(&refused_session).any(|untold| untold.code() == reason));
        }
        Ok(true)
    }
}

/// Whether a reason is that of a process at a moment (its limits, its log, its data, its keys) or of a gateway: another
/// policy would have been answered the same.
fn is_not_the_rules(reason: &str) -> bool {
    const NOT_THE_RULES: [OwnReason; 6] = [
        OwnReason::RateLimitExceeded,
        OwnReason::AuditUnavailable,
        OwnReason::DataStale,
        OwnReason::SessionKeysUnavailable,
        OwnReason::CannotCarryOut,
        OwnReason::ChannelInsecure,
    ];
    NOT_THE_RULES.iter().any(|own| own.code() == reason)
}

/// Whether a decision was made before anybody looked at the credential: it is the same for every caller.
fn says_nothing_of_the_caller(decision: &Decision) -> bool {
    matches!(decision.reasons.first, Reason::Own(OwnReason::AmbiguousPath | OwnReason::PublicPath))
}
