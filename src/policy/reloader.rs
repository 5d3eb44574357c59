//! Keeping the live policy what the folder says, on a thread of its own.

use std::{io, path::PathBuf, sync::Arc, thread, time::Duration};

use super::{
    activation::{ActivationFailure, load, pass},
    candidate::{Fingerprint, Places},
    folder::PolicySource,
    inbox::{Gather, Inbox},
    keeper::{Keeper, log_active},
    live::Live,
    status::{ActivePolicy, PolicyState, Status},
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
