//! AuthZEN: what somebody may do who does not ask themselves, and what there is to be found.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::SemaphorePermit;

use super::{DecisionPoint, Taken, WORKER, apart, settle::Tallied};
use crate::{
    audit::Asked,
    decision::{Decision, Evaluation, NoCandidates, Searched, candidates, evaluate},
    types::ClockReading,
};

/// So many searches are worked out at a time: each goes through all that there is to find.
pub(super) const SEARCHES: usize = 1;

/// The turn to search, for as long as it is held.
#[derive(Debug)]
pub struct SearchingTurn<'a> {
    _place: Option<SemaphorePermit<'a>>,
}

impl DecisionPoint {
    /// What an AuthZEN evaluation comes to, from a policy and data that the caller took. Nothing is counted, nothing
    /// recorded: for what a search looks at.
    pub fn weigh_from(&self, taken: &Taken, evaluation: &Evaluation<'_>) -> Decision {
        self.evaluate_at(taken, evaluation, self.clock.reading())
    }

    fn evaluate_at(&self, taken: &Taken, evaluation: &Evaluation<'_>, began: ClockReading) -> Decision {
        self.on_worker(taken, began, |evaluator, id, moment| {
            evaluate(evaluator, &taken.basis, &self.rules, evaluation, id, moment)
        })
    }

    /// Decides an AuthZEN evaluation from a policy and data that the caller took, and counts it: what is left to do before
    /// it is answered is to record it.
    pub(in crate::api) async fn evaluate_from<'p>(
        &'p self,
        taken: &Taken,
        evaluation: &Evaluation<'_>,
    ) -> Unrecorded<impl Future<Output = bool> + Send + use<'p>> {
        let began = self.clock.reading();
        let asked = Asked::Evaluation(evaluation);
        let decision = self.evaluate_at(taken, evaluation, began);
        let tallied = self.count(asked, decision, began).await;
        let recording = self.record(asked, &tallied);
        Unrecorded { tallied, recording }
    }

    /// The evaluations, recorded: all at once.
    pub(in crate::api) async fn recorded<R: Future<Output = bool>>(
        &self,
        evaluated: Vec<Unrecorded<R>>,
    ) -> Vec<Decision> {
        let (tallied, recordings): (Vec<_>, Vec<_>) =
            evaluated.into_iter().map(|Unrecorded { tallied, recording }| (tallied, recording)).unzip();
        let recorded = join_all(recordings).await;
        tallied.into_iter().zip(recorded).map(|(tallied, recorded)| self.kept(tallied, recorded)).collect()
    }

    /// Waits for a turn to search.
    ///
    /// INVARIANT: as with [`explaining_turn`](Self::explaining_turn), whoever waits looks only then who asks, and takes the
    /// policy and data.
    pub async fn searching_turn(&self) -> SearchingTurn<'_> {
        // It is never closed.
        SearchingTurn { _place: self.searching.acquire().await.ok() }
    }

    /// What an AuthZEN search has to look at: at most `most`, behind `after`. Holds up no other question of its thread.
    ///
    /// # Errors
    /// [`NoCandidates`].
    pub fn candidates_from(
        &self,
        _turn: &SearchingTurn<'_>,
        taken: &Taken,
        search: (&Evaluation<'_>, Searched),
        range: (Option<&str>, usize),
    ) -> Result<Vec<Arc<str>>, NoCandidates> {
        let moment = self.moment(taken, self.clock.reading());
        apart(|| {
            WORKER.with_borrow_mut(|worker| {
                candidates(&mut worker.evaluator, &taken.basis, &self.rules, search, range, moment)
            })
        })
    }
}

/// A decision that must not be answered before its recording is done.
pub(in crate::api) struct Unrecorded<R> {
    tallied: Tallied,
    recording: R,
}

impl<R> Unrecorded<R> {
    /// Whether it is allowed, if it can be recorded.
    pub fn allows(&self) -> bool {
        self.tallied.decision.allow
    }
}
