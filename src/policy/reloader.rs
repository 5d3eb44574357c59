//! Keeping the live policy what the folder says, on a thread of its own.

use std::{io, path::PathBuf, sync::Arc, thread, time::Duration};

use super::{
    activation::{ActivationFailure, load, pass},
    candidate::{Candidate, Fingerprint, Look, Places},
    folder::PolicySource,
    inbox::{Gather, Inbox, Waiting, Woken},
    live::Live,
    load_error::LoadError,
    status::{ActivePolicy, FailedActivation, PolicyState, Status},
    survey::BundleLimits,
    watch::Watch,
};
use crate::{
    decision::{Bundle, CompileOptions},
    types::Clock,
};

/// Which bundle is to decide, and what it must pass.
#[derive(Clone, Debug)]
pub struct PolicySettings {
    /// Where it is.
    pub source: PolicySource,
    /// Folders or files of tests beside its own.
    pub tests: Vec<PathBuf>,
    /// How much it may be.
    pub limits: BundleLimits,
    /// How long all tests of a bundle may take together.
    pub test_time: Duration,
    /// What it is compiled with.
    pub compile: CompileOptions,
}

impl PolicySettings {
    /// So long tests may take, unless something else is said.
    pub const TEST_TIME: Duration = Duration::from_secs(60);
}

/// How changes are found.
#[derive(Clone, Copy, Debug)]
pub struct WatchOptions {
    /// Whether the system is asked to tell of changes.
    pub events: bool,
    /// How often files are looked at, told or not.
    pub interval: Duration,
    /// How what is told is gathered.
    pub gather: Gather,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self { events: true, interval: Duration::from_secs(5), gather: Gather::default() }
    }
}

/// One look in so many reads the files though nothing marks them as changed.
const LOOKS_TO_A_READING: u32 = 10;
/// So often the folders are looked at again because they changed while the watches were set up.
const SETTINGS_UP: u32 = 5;
/// A thread that compiles follows the nesting of what it compiles, also of what nobody should write. It is
/// taken only as far as it is used.
const STACK_BYTES: usize = 256 * 1024 * 1024;

/// The bundle of the start: it has passed every step, and waits for the data to decide over.
pub struct FirstBundle {
    settings: PolicySettings,
    clock: Arc<dyn Clock>,
    bundle: Arc<Bundle>,
    status: Arc<Status>,
    fingerprint: Fingerprint,
}

/// The running thread. It ends with this value.
#[derive(Debug)]
pub struct Policies {
    reloader: Reloader,
}

/// What others may ask about the policy.
#[derive(Clone, Debug)]
pub struct Reloader {
    inbox: Arc<Inbox>,
    status: Arc<Status>,
}

/// Why the process cannot begin to decide.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The bundle is broken, or its tests fail.
    #[error(transparent)]
    Refused(#[from] ActivationFailure),
    /// The system gives no thread.
    #[error("no thread for the policies")]
    Thread(#[from] io::Error),
}

impl FirstBundle {
    /// Loads, compiles and tests the bundle.
    ///
    /// # Errors
    /// [`StartError`]. There is no last good bundle to go on with.
    pub fn prepare(settings: PolicySettings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let preparing = thread::Builder::new().name("regate-policies".to_owned()).stack_size(STACK_BYTES);
        let preparing = preparing.spawn(move || {
            let places = settings.places();
            let candidate = load(&places)?;
            let passed = pass(&candidate, &settings.compile, settings.test_time)?;
            let source = settings.source.describe();
            let active =
                ActivePolicy::new(&candidate, &passed, source, &settings.compile.entrypoints, clock.now());
            log_active(&active, settings.tests.is_empty());
            let status = Arc::new(Status::new(active));
            let fingerprint = candidate.fingerprint;
            Ok(Self { settings, clock, bundle: passed.bundle, status, fingerprint })
        })?;
        preparing.join().unwrap_or_else(|_| {
            Err(StartError::Thread(io::Error::other("the thread that reads the policies broke down")))
        })
    }

    /// The bundle.
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// Keeps `live` what the files say from now on.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn keep(self, live: Arc<Live>, options: WatchOptions) -> io::Result<Policies> {
        let inbox = Arc::new(Inbox::default());
        let reloader = Reloader { inbox: Arc::clone(&inbox), status: Arc::clone(&self.status) };
        let keeper = Keeper {
            places: self.settings.places(),
            settings: self.settings,
            options,
            clock: self.clock,
            live,
            status: self.status,
            watch: options.events.then(|| Watch::new(Arc::clone(&inbox))),
            inbox,
            seen: None,
            unsteady: false,
            tried: Some(self.fingerprint),
            retired: Vec::new(),
        };
        let thread = thread::Builder::new().name("regate-policies".to_owned()).stack_size(STACK_BYTES);
        thread.spawn(move || keeper.run())?;
        Ok(Policies { reloader })
    }
}

impl PolicySettings {
    fn places(&self) -> Places {
        Places { source: self.source.clone(), tests: self.tests.clone(), limits: self.limits }
    }
}

impl Policies {
    /// What others may ask.
    pub fn reloader(&self) -> &Reloader {
        &self.reloader
    }
}

impl Drop for Policies {
    /// The thread is told, and not waited for: it has nothing to finish, and may be running tests.
    fn drop(&mut self) {
        self.reloader.inbox.end();
    }
}

impl Reloader {
    /// How the policy stands.
    pub fn state(&self) -> Arc<PolicyState> {
        self.status.state()
    }

    /// Reads the files now, whether or not they seem changed, and takes them through every step. Returns
    /// how the policy stands then; `None` when the process is about to end.
    pub async fn reload(&self) -> Option<Arc<PolicyState>> {
        self.inbox.ask()?.await.ok()
    }
}

/// What the thread works with.
struct Keeper {
    settings: PolicySettings,
    places: Places,
    options: WatchOptions,
    clock: Arc<dyn Clock>,
    live: Arc<Live>,
    status: Arc<Status>,
    inbox: Arc<Inbox>,
    watch: Option<Watch>,
    /// The last look at the files.
    seen: Option<Look>,
    /// The files could not be read because somebody was writing: they are worth reading though they look alike.
    unsteady: bool,
    /// The content that went through the steps last, whatever came of it.
    tried: Option<Fingerprint>,
    /// Bundles that some worker still keeps a program of. They are freed from here: a worker should not
    /// have to free a large data file.
    retired: Vec<Arc<Bundle>>,
}

impl Keeper {
    fn run(mut self) {
        // What changed since the start was nowhere announced.
        self.look(true);
        let mut looks = 0;
        let mut due = self.clock.uptime() + self.options.interval;
        loop {
            let left = due.saturating_sub(self.clock.uptime());
            match self.inbox.wait(left, self.options.gather) {
                Woken::Ended => return,
                Woken::Changes => self.look(false),
                Woken::Asked(waiting) => self.reload(waiting),
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
        if alike && !self.unsteady {
            // Most likely nothing changed. To make sure, the files need not be understood.
            let same = || self.places.fingerprint().is_ok_and(|now| self.tried.as_ref() == Some(&now));
            if !read || (!self.load_failed() && same()) {
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
    fn reload(&mut self, waiting: Vec<Waiting>) {
        self.seen = Some(self.look_and_watch());
        match self.load() {
            Ok(candidate) => self.attempt(&candidate),
            Err(failure) => self.refuse(failure, None),
        }
        for waiting in waiting {
            // Whoever hung up does not want to know.
            let _ = waiting.send(self.status.state());
        }
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
            let watching = watch.set(self.places.paths(), folders);
            self.status.set_watching(watching);
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
                place = failure.place.map(|place| place.to_string()),
                problem = failure.message,
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

fn log_active(active: &ActivePolicy, no_folder: bool) {
    let (source, revision) = (&active.source, &active.revision);
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
