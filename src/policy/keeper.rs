//! The work of the thread that reloads: look, read, take through the steps, put in place.

use std::sync::Arc;

use super::{
    activation::{ActivationFailure, pass},
    candidate::{Candidate, Fingerprint, Look, Places},
    inbox::{Inbox, Woken},
    live::Live,
    load_error::LoadError,
    reloader::{PolicySettings, WatchOptions},
    status::{ActivePolicy, FailedActivation, Status},
    watch::Watch,
};
use crate::{decision::Bundle, types::Clock};

/// One look in so many reads the files though nothing marks them as changed.
const LOOKS_TO_A_READING: u32 = 10;
/// So often the folders are looked at again because they changed while the watches were set up.
const SETTINGS_UP: u32 = 5;

/// What the thread works with.
pub(super) struct Keeper {
    pub settings: PolicySettings,
    pub places: Places,
    pub options: WatchOptions,
    pub clock: Arc<dyn Clock>,
    pub live: Arc<Live>,
    pub status: Arc<Status>,
    pub inbox: Arc<Inbox>,
    pub watch: Option<Watch>,
    /// The last look at the files.
    pub seen: Option<Look>,
    /// The files could not be read because somebody was writing: they are worth reading though they look alike.
    pub unsteady: bool,
    /// The content that went through the steps last, whatever came of it.
    pub tried: Option<Fingerprint>,
    /// Bundles that some worker still keeps a program of. They are freed from here: a worker should not
    /// have to free a large data file.
    pub retired: Vec<Arc<Bundle>>,
}

impl Keeper {
    /// Goes on until the inbox says that it is over.
    pub fn run(mut self) {
        // What changed since the start was nowhere announced.
        self.look(true);
        let mut looks = 0;
        let mut due = self.clock.uptime() + self.options.interval;
        loop {
            let left = due.saturating_sub(self.clock.uptime());
            match self.inbox.wait(left, self.options.gather) {
                Woken::Ended => return,
                Woken::Changes => self.look(false),
                Woken::Asked(count) => self.reload(count),
                Woken::Time => {
                    looks = (looks + 1) % LOOKS_TO_A_READING;
                    self.look(looks == 0);
                    due = self.clock.uptime() + self.options.interval;
                }
            }
            self.retired.retain(|bundle| Arc::strong_count(bundle) > 1);
        }
    }

    /// Looks at the files, and acts if their content is another than the last that was tried.
    fn look(&mut self, read: bool) {
        let look = self.look_and_watch();
        let alike = self.seen.as_ref().is_some_and(|seen| seen.is_like(&look));
        self.seen = Some(look);
        if !self.unsteady {
            // To see whether anything changed, the files need not be understood.
            let same = || self.places.fingerprint().is_ok_and(|now| self.tried.as_ref() == Some(&now));
            if (alike && !read) || (read && !self.load_failed() && same()) {
                return;
            }
        }
        match self.load() {
            Ok(candidate) if self.tried.as_ref() == Some(&candidate.fingerprint) => {
                // Unreadable for a while, and then what it was: either it is active, or its failure is to
                // be seen again.
                if self.load_failed() {
                    self.attempt(&candidate);
                }
            }
            Ok(candidate) => self.attempt(&candidate),
            // The same failure at each look is one failure.
            Err(failure) if self.is_known(&failure) => {}
            Err(failure) => self.refuse(failure, None),
        }
    }

    /// Acts whatever the content is.
    fn reload(&mut self, asked: usize) {
        self.seen = Some(self.look_and_watch());
        match self.load() {
            Ok(candidate) => self.attempt(&candidate),
            Err(failure) => self.refuse(failure, None),
        }
        self.inbox.answer(asked, &self.status.state());
    }

    /// Sets up the watches for what is there, and looks again, until no folder came to be in between.
    fn look_and_watch(&mut self) -> Look {
        let mut look = self.places.look();
        let Some(watch) = &mut self.watch else { return look };
        if self.places.paths().next().is_none() {
            return look;
        }
        for _ in 0..SETTINGS_UP {
            let folders = look.policy.folders.iter().chain(&look.tests.folders);
            let armed = watch.set(self.places.paths(), folders);
            self.status.set_watching(armed.watching);
            if !armed.anew {
                break;
            }
            let after = self.places.look();
            let steady =
                after.policy.folders == look.policy.folders && after.tests.folders == look.tests.folders;
            look = after;
            if steady {
                break;
            }
        }
        look
    }

    fn load(&mut self) -> Result<Candidate, ActivationFailure> {
        let read = self.places.read();
        self.unsteady = matches!(read, Err(LoadError::Unsteady { .. }));
        Ok(read?)
    }

    fn attempt(&mut self, candidate: &Candidate) {
        self.tried = Some(candidate.fingerprint.clone());
        let passed = match pass(candidate, &self.settings.compile, self.settings.test_time) {
            Ok(passed) => passed,
            Err(failure) => return self.refuse(failure, Some(candidate)),
        };
        let before = Arc::clone(self.live.basis().bundle());
        self.live.activate(&passed.bundle);
        self.retired.push(before);
        drop(self.live.unused());
        let source = self.settings.source.describe();
        let entrypoints = &self.settings.compile.entrypoints;
        let active = ActivePolicy::new(candidate, &passed, source, entrypoints, self.clock.now());
        log_active(&active, self.settings.tests.is_empty());
        self.status.activated(active);
    }

    fn refuse(&mut self, failure: ActivationFailure, candidate: Option<&Candidate>) {
        let revision = candidate.map(|candidate| candidate.policy.revision.clone());
        let refused = FailedActivation { at: self.clock.now(), failure, revision };
        let failure = refused.failure.clone();
        if self.status.refused(refused) {
            tracing::error!(
                stage = %failure.stage,
                place = failure.place.as_ref().map(|place| place.to_string()),
                problem = failure.without_lines(),
                active = %self.live.basis().bundle().revision(),
                "the policy was not activated: the last good one keeps deciding"
            );
        }
    }

    fn is_known(&self, failure: &ActivationFailure) -> bool {
        self.status.state().failure.as_ref().is_some_and(|known| known.failure == *failure)
    }

    fn load_failed(&self) -> bool {
        let state = self.status.state();
        state.failure.as_ref().is_some_and(|known| known.revision.is_none())
    }
}

/// Says what decides from now on.
pub(super) fn log_active(active: &ActivePolicy, no_folder: bool) {
    let (source, revision) = (&active.source, &active.revision);
    if let Some(reason) = &active.interpreted {
        tracing::warn!(
            source, %revision, reason,
            "this policy is evaluated by the interpreter, which is slower by far: the virtual machine cannot run it"
        );
    }
    for (path, why) in &active.not_askable {
        tracing::warn!(source, %revision, path, %why, "[opa] paths lists what is undefined for every input");
    }
    match active.tests {
        Some(tests) => {
            tracing::info!(source, %revision, tests_passed = tests.passed, "policy active");
        }
        None if no_folder => {
            tracing::info!(source, %revision, "policy active; no tests were run: no folder of tests is configured");
        }
        None => tracing::info!(source, %revision, "policy active; no tests were run"),
    }
}
