//! Users' sessions: JWTs of the organisation's issuers, verified with keys that are kept up to date.
//!
//! Nothing on the way of a decision waits for the network: a JWT whose key is not known is refused at once,
//! and the key is asked for in the background.

mod claims;
mod issuer;
mod jwt;
mod key_set;
mod refresh;
mod settings;
mod source;
mod strict;
mod verified;

use std::{fmt, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::task::JoinSet;

use self::{
    issuer::Issuer,
    jwt::Jwt,
    verified::{Verified, VerifiedSessions},
};
use crate::types::{Clock, Session, SessionRefusal, TokenHash};

/// How an issuer signs (RFC 7518 section 3.1, RFC 8037).
pub use jsonwebtoken::Algorithm;
pub use key_set::InvalidKeySet;
pub use settings::{InvalidIssuer, IssuerSettings, KeysFrom, KeysUrl, RoleFrom, TenantFrom};
pub use source::SourceError;

/// All issuers, and the sessions of theirs that were seen last.
pub struct Sessions {
    issuers: Vec<Arc<Issuer>>,
    clock: Arc<dyn Clock>,
    most_bytes: usize,
    verified: VerifiedSessions,
}

/// The background work on the keys. It ends when this is dropped.
#[derive(Debug)]
#[must_use = "keys are kept up to date for as long as this is held"]
pub struct KeyRefresh {
    _tasks: JoinSet<()>,
}

/// How the keys of one issuer stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// How long ago they were known to be the issuer's; `None` before they were read once.
    pub age: Option<Duration>,
    /// How often they could not be read.
    pub failures: u64,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuers = self.issuers.iter().map(|issuer| &issuer.settings.issuer);
        f.debug_list().entries(issuers).finish()
    }
}

impl Sessions {
    /// Checks the settings and reads keys that are in files. A JWT of more than `most_bytes` is refused.
    ///
    /// # Errors
    /// The issuer's name, and what is wrong with it: [`InvalidIssuer`].
    pub fn new(
        issuers: Vec<IssuerSettings>,
        most_bytes: usize,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, (String, InvalidIssuer)> {
        let mut known: Vec<Arc<Issuer>> = Vec::with_capacity(issuers.len());
        for settings in issuers {
            let name = settings.issuer.clone();
            if known.iter().any(|other| other.settings.issuer == name) {
                let problem = "there are two of this name: whose keys would be asked?";
                return Err((name, InvalidIssuer::Setting { key: "issuer", problem }));
            }
            known.push(Arc::new(Issuer::new(settings, &*clock).map_err(|error| (name, error))?));
        }
        Ok(Self { issuers: known, clock, most_bytes, verified: VerifiedSessions::default() })
    }

    /// Begins to keep the keys up to date. Needs a runtime of several threads.
    pub fn keep_keys(&self) -> KeyRefresh {
        let mut tasks = JoinSet::new();
        for issuer in &self.issuers {
            tasks.spawn(refresh::keep(Arc::clone(issuer), Arc::clone(&self.clock)));
        }
        KeyRefresh { _tasks: tasks }
    }

    /// Reads all keys once, for a command that ends. Gives the issuers whose keys cannot be read, and why.
    pub async fn read_keys(&self) -> Vec<(&str, String)> {
        let mut problems = Vec::new();
        for issuer in &self.issuers {
            let mut said = None;
            refresh::refresh(issuer, &*self.clock, &mut said).await;
            problems.extend(said.map(|problem| (issuer.settings.issuer.as_str(), problem)));
        }
        problems
    }

    /// The names of the issuers, in the order of [`status`](Self::status).
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.issuers.iter().map(|issuer| issuer.settings.issuer.as_str())
    }

    /// How the keys of the issuer at this place stand.
    pub fn status(&self, place: usize) -> Option<KeyStatus> {
        let issuer = self.issuers.get(place)?;
        Some(KeyStatus { age: issuer.age(self.clock.reading()), failures: issuer.failures() })
    }

    /// The session of a JWT, or why it is none; `None` for what is no JWT by its form. `sha256` is its hash.
    pub(super) fn read(
        &self,
        text: &str,
        sha256: &TokenHash,
    ) -> Option<Result<Arc<Session>, SessionRefusal>> {
        let in_force = |place: usize, generation| {
            self.issuers.get(place).is_some_and(|issuer| issuer.generation() == generation)
        };
        if let Some(session) = self.verified.get(sha256, in_force) {
            return Some(Ok(session));
        }
        let jwt = Jwt::recognise(text)?;
        if text.len() > self.most_bytes {
            return Some(Err(SessionRefusal::Malformed));
        }
        Some(self.verify(&jwt).map(|(issuer, session, generation)| {
            let session = Arc::new(session);
            let verified = Verified { issuer, generation, session: Arc::clone(&session), bytes: text.len() };
            self.verified.put(*sha256, verified);
            session
        }))
    }

    fn verify(&self, jwt: &Jwt<'_>) -> Result<(usize, Session, u64), SessionRefusal> {
        let header = jwt.header()?;
        let claims = jwt.unverified_claims()?;
        // Whom to ask for the key is all that is taken from claims before the signature is verified.
        let named = claims.get("iss").and_then(Value::as_str).ok_or(SessionRefusal::IssuerUnknown)?;
        let mut issuers = self.issuers.iter().enumerate();
        let (place, issuer) = issuers
            .find(|(_, issuer)| issuer.settings.issuer == named)
            .ok_or(SessionRefusal::IssuerUnknown)?;
        let (session, generation) = issuer.verify(jwt, &header, claims)?;
        Ok((place, session, generation))
    }
}
