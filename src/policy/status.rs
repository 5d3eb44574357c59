//! What is active, since when, and what failed last: for the API, `/ready`, and whoever measures.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::{
    activation::{ActivationFailure, Passed, TestSummary},
    candidate::Candidate,
    folder::FileDigest,
};
use crate::{
    decision::{Bundle, Entrypoint, EntrypointPaths, EvaluatingEngine, NotAskable},
    types::{PolicyRevision, Timestamp},
};

/// The bundle that decides.
#[derive(Clone, Debug)]
pub struct ActivePolicy {
    /// The hash of its content.
    pub revision: PolicyRevision,
    /// When it began to decide.
    pub since: Timestamp,
    /// Where it comes from, for people.
    pub source: String,
    /// Its files.
    pub files: Arc<[FileDigest]>,
    /// For each kind of question its name, the rule that is asked, and whether the bundle has it.
    pub entrypoints: Vec<(&'static str, String, bool)>,
    /// The paths that OPA's API may be asked for and that are undefined for every input, and why.
    pub not_askable: Vec<(String, NotAskable)>,
    /// What became of its tests; `None` when there were none to run.
    pub tests: Option<TestSummary>,
    /// Why the interpreter evaluates it, which is slower; `None` for the virtual machine.
    pub interpreted: Option<String>,
}

/// What was refused last, and is not mended yet.
#[derive(Clone, Debug)]
pub struct FailedActivation {
    /// When it was refused first.
    pub at: Timestamp,
    /// Why.
    pub failure: ActivationFailure,
    /// The hash of what was refused; `None` when it could not be read.
    pub revision: Option<PolicyRevision>,
}

/// How the policy of this process stands.
#[derive(Clone, Debug)]
pub struct PolicyState {
    /// The bundle that decides.
    pub active: ActivePolicy,
    /// Why the files that are there now are not what decides; `None` when they are.
    pub failure: Option<FailedActivation>,
    /// How often activation was tried.
    pub attempts: u64,
    /// How often it came to its end.
    pub activations: u64,
    /// Whether the system tells of changes; else they are found at the interval alone.
    pub watching: bool,
}

impl PolicyState {
    /// How often activation was refused.
    pub fn failures(&self) -> u64 {
        self.attempts.saturating_sub(self.activations)
    }
}

/// The state, written by one thread and read by anyone without a lock.
#[derive(Debug)]
pub(super) struct Status(ArcSwap<PolicyState>);

impl Status {
    /// Begins with the bundle of the start.
    pub fn new(active: ActivePolicy) -> Self {
        let state = PolicyState { active, failure: None, attempts: 1, activations: 1, watching: false };
        Self(ArcSwap::from_pointee(state))
    }

    pub fn state(&self) -> Arc<PolicyState> {
        self.0.load_full()
    }

    pub fn set_watching(&self, watching: bool) {
        if self.0.load().watching != watching {
            self.change(|state| state.watching = watching);
        }
    }

    /// A bundle became the live one.
    pub fn activated(&self, mut active: ActivePolicy) {
        self.change(|state| {
            if state.active.revision == active.revision {
                active.since = state.active.since;
            }
            state.active = active;
            state.failure = None;
            state.attempts += 1;
            state.activations += 1;
        });
    }

    /// A bundle was refused. Says whether this is news.
    pub fn refused(&self, refused: FailedActivation) -> bool {
        let news = self.0.load().failure.as_ref().is_none_or(|known| known.failure != refused.failure);
        self.change(|state| {
            state.attempts += 1;
            let at = state.failure.as_ref().filter(|_| !news).map_or(refused.at, |known| known.at);
            state.failure = Some(FailedActivation { at, ..refused });
        });
        news
    }

    /// The thread that reloads is the only one that writes.
    fn change(&self, change: impl FnOnce(&mut PolicyState)) {
        let mut state = PolicyState::clone(&self.0.load());
        change(&mut state);
        self.0.store(Arc::new(state));
    }
}

impl ActivePolicy {
    pub(super) fn new(
        candidate: &Candidate,
        passed: &Passed,
        source: String,
        entrypoints: &EntrypointPaths,
        since: Timestamp,
    ) -> Self {
        Self {
            revision: candidate.policy.revision.clone(),
            since,
            source,
            files: candidate.policy.digests.iter().cloned().collect(),
            entrypoints: named(entrypoints, &passed.bundle),
            not_askable: passed.bundle.not_askable().to_vec(),
            tests: passed.tests,
            interpreted: match passed.bundle.engine() {
                EvaluatingEngine::VirtualMachine => None,
                EvaluatingEngine::Interpreter(reason) => Some(reason.to_owned()),
            },
        }
    }
}

fn named(paths: &EntrypointPaths, bundle: &Bundle) -> Vec<(&'static str, String, bool)> {
    [
        ("decision", &paths.decision, Entrypoint::Decision),
        ("management", &paths.management, Entrypoint::Management),
        ("authzen", &paths.authzen, Entrypoint::Authzen),
    ]
    .map(|(name, path, entrypoint)| (name, path.clone(), bundle.has(entrypoint)))
    .into()
}
