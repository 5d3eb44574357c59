//! regate's own management API: tokens, users, projects, collaborators, upstreams and their credentials, and what the
//! operators of the process ask.
//!
//! **For:** who may make a call, and the calls. Each is a decision of the bundle at its management entrypoint.
//!
//! **Must never know:** a rule, SQL, another tenant's rows. What a call reads and writes it reaches through an
//! [`Operator`], which only the bundle's decision gives, and which knows one tenant.
//!
//! **To add one more** call: its name in [`Operation`], a handler that takes a [`Caller`] and asks
//! [`Caller::may`] before anything else, its line in `openapi`, its row in `docs/api.md`. Where the call is about a
//! token, ask about that token as well ([`Operator::may_on`]); where it is about a credential, about its holder
//! (`holder::asked`).

mod caller;
pub(super) mod collaborators;
pub(super) mod credentials;
pub(super) mod decisions;
pub(super) mod flows;
pub(super) mod grants;
mod holder;
pub(super) mod import;
mod message;
mod operation;
mod page;
mod path;
mod presented;
pub(super) mod projects;
pub(super) mod tokens;
pub(super) mod upstreams;
pub(super) mod users;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rand::rngs::StdRng;
use tokio::sync::Semaphore;

pub(super) use self::{
    caller::{Caller, Operator, recognise},
    operation::Operation,
    presented::Revoked,
};
use super::point::NewIds;
use crate::{
    store::{Store, TokenLimits},
    types::{Clock, Timestamp},
    upstream::Credentials,
};

/// What the calls work with.
pub struct Management {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    new_ids: NewIds,
    random: Mutex<StdRng>,
    limits: TokenLimits,
    credentials: Arc<Credentials>,
    /// Places for tokens that may be stored and were not shown.
    unshown: Arc<Semaphore>,
}

/// Tokens that are looked for at a time.
const UNSHOWN: usize = 256;

impl fmt::Debug for Management {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Management").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Management {
    /// Over a store whose writes this process decides from when they return (`feed::LiveStore`), with a source of
    /// randomness for tokens that the operating system seeded. `credentials` are over the same store.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        new_ids: NewIds,
        random: StdRng,
        limits: TokenLimits,
        credentials: Arc<Credentials>,
    ) -> Self {
        Self {
            store,
            clock,
            new_ids,
            random: Mutex::new(random),
            limits,
            credentials,
            unshown: Arc::new(Semaphore::new(UNSHOWN)),
        }
    }
}

impl Management {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn new_id(&self) -> String {
        (self.new_ids)().next_id(self.now()).to_string()
    }

    /// Makes something of randomness.
    fn with_random<T>(&self, make: impl FnOnce(&mut StdRng) -> T) -> T {
        // A generator is good in whatever state a panic left it.
        make(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
