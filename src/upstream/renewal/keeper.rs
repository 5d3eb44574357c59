//! One renewal: is it time, what does the server say, what is written.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{RngExt, rngs::StdRng};

use super::{
    RenewalCounts, RenewalSettings,
    lines::Waiting,
    pauses::{Endpoint, Pauses},
};
use crate::{
    store::{
        StoreError,
        upstreams::{CredentialKey, Renewal, RenewalsWanted, Renewed, UpstreamStore},
    },
    types::{Clock, ClockReading, SealedFor, SecretText, TenantId, Timestamp, UpstreamSecret, causes},
    upstream::{KeyRing, OauthClient, OauthError, Refusal, Tokens, secret},
};

/// How long nobody else is given a credential that is being renewed: longer than the store, the server (10 s) and
/// [`WRITE_TIME`] take together.
const HOLD_TIME: Duration = Duration::from_secs(60);
/// How long to try to write what the server gave: the old refresh token may be worth nothing any more.
const WRITE_TIME: Duration = Duration::from_secs(25);
/// How long after it was claimed a credential may still be shown to its server: with all that follows it is less than
/// [`HOLD_TIME`]. A process that stood still for longer (it was stopped, its machine slept) may not be the only one.
const ASK_TIME: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

pub(super) struct Keeper {
    pub settings: RenewalSettings,
    store: Arc<dyn UpstreamStore>,
    keys: Arc<KeyRing>,
    clock: Arc<dyn Clock>,
    random: Mutex<StdRng>,
    oauth: OauthClient,
    /// What was said last of an upstream whose credentials are not renewed, or, without one, of the store.
    said: Mutex<BTreeMap<Option<(TenantId, String)>, String>>,
    pauses: Mutex<Pauses>,
    /// What is being renewed now.
    under_way: Mutex<BTreeSet<CredentialKey>>,
    renewed: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

/// A credential that is this process's to renew.
pub(super) struct Claimed {
    renewal: Renewal,
    at: ClockReading,
}

impl Claimed {
    pub fn key(&self) -> &CredentialKey {
        &self.renewal.key
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::of(&self.renewal)
    }
}

/// While this is there, a credential is being renewed.
struct UnderWay<'a> {
    keeper: &'a Keeper,
    key: &'a CredentialKey,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(&self.keeper.under_way).remove(self.key);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a credential was not renewed.
enum NotRenewed {
    /// By the server, for good.
    Refused,
    /// For now, as no other is that this server renews.
    Unreachable(String),
    /// For now.
    Failed(String),
}

impl Keeper {
    pub fn new(
        store: Arc<dyn UpstreamStore>,
        keys: Arc<KeyRing>,
        clock: Arc<dyn Clock>,
        settings: RenewalSettings,
        random: StdRng,
    ) -> Self {
        Self {
            settings,
            store,
            keys,
            clock,
            random: Mutex::new(random),
            oauth: OauthClient::new(settings.loopback),
            said: Mutex::default(),
            pauses: Mutex::new(Pauses::new(settings.pause)),
            under_way: Mutex::default(),
            renewed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    pub fn counts(&self) -> RenewalCounts {
        RenewalCounts {
            renewed: self.renewed.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    pub fn uptime(&self) -> Duration {
        self.clock.uptime()
    }

    /// What is being renewed now.
    pub fn under_way(&self) -> Vec<CredentialKey> {
        lock(&self.under_way).iter().cloned().collect()
    }

    /// For how long this endpoint is left alone, if it is.
    pub fn pause_of(&self, endpoint: &Endpoint) -> Option<Duration> {
        lock(&self.pauses).remaining(endpoint, self.clock.uptime())
    }

    /// Gives back what was claimed of an endpoint that is left alone, to be due when that is over.
    pub async fn let_go(&self, waiting: Vec<Waiting>) {
        for Waiting { claimed: Claimed { renewal, .. }, asked } in waiting {
            // What is not written is due when the hold is over.
            if let Some(pause) = self.pause_of(&Endpoint::of(&renewal)) {
                let moment = self.clock.now().later_by(pause);
                let outcome = Renewed::NotBefore { moment, held_until: renewal.held_until };
                self.write(&renewal, &outcome).await;
            }
            drop(asked);
        }
    }

    /// Takes this credential, or so many of all, if they are due and nobody else has them; `None` when the store could
    /// not be asked.
    pub async fn claim(&self, only: Option<&CredentialKey>, limit: usize) -> Option<Vec<Claimed>> {
        let at = self.clock.reading();
        let now = at.now;
        let wanted = RenewalsWanted {
            only: only.cloned(),
            expiring_before: now.later_by(self.settings.margin),
            now,
            held_until: now.later_by(HOLD_TIME),
            limit: u32::try_from(limit).unwrap_or(u32::MAX),
        };
        match self.store.claim_renewals(&wanted).await {
            Ok(renewals) => {
                self.said().remove(&None);
                Some(renewals.into_iter().map(|renewal| Claimed { renewal, at }).collect())
            }
            Err(error) => {
                self.say(None, causes(&error).join(": "));
                None
            }
        }
    }

    /// Renews one that was claimed.
    pub async fn renew(&self, Claimed { renewal, at }: &Claimed) {
        let now = at.now;
        let held_for = || self.clock.reading().since(*at);
        // It waited for its turn for too long. When its hold is over it is due again.
        if held_for() > ASK_TIME {
            return;
        }
        lock(&self.under_way).insert(renewal.key.clone());
        let _under_way = UnderWay { keeper: self, key: &renewal.key };
        let outcome = match self.not_yet(renewal, now).await {
            Ok(Some(due)) => Renewed::NotBefore { moment: due, held_until: renewal.held_until },
            Ok(None) if held_for() > ASK_TIME => return,
            Ok(None) => match self.ask(renewal, now).await {
                Ok(outcome) => outcome,
                Err(NotRenewed::Refused) => Renewed::Refused,
                Err(NotRenewed::Unreachable(problem)) => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    self.say(Some(&renewal.key), problem);
                    let (chance, reading) = (self.chance(), self.clock.reading());
                    let pause = lock(&self.pauses).failed(&Endpoint::of(renewal), reading.uptime, chance);
                    let moment = reading.now.later_by(pause);
                    Renewed::NotBefore { moment, held_until: renewal.held_until }
                }
                Err(NotRenewed::Failed(problem)) => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    self.say(Some(&renewal.key), problem);
                    let moment = now.later_by(self.pause());
                    Renewed::NotBefore { moment, held_until: renewal.held_until }
                }
            },
            // It is gone, or the store is: what the server would give now might have no place.
            Err(StoreError::NotFound { .. }) => return,
            Err(error) => return self.say(None, causes(&error).join(": ")),
        };
        match tokio::time::timeout(WRITE_TIME, self.write(renewal, &outcome)).await {
            Ok(true) => self.written(renewal, &outcome),
            Ok(false) => {}
            Err(_) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                let CredentialKey { tenant, upstream_id, holder } = &renewal.key;
                tracing::warn!(
                    %tenant, upstream = upstream_id, holder = holder.kind().as_str(), holder_id = holder.id(),
                    "a renewed credential could not be stored"
                );
            }
        }
    }

    /// When it is due, if that is later: one that lives for less than three margins is left for two thirds of its life.
    async fn not_yet(&self, renewal: &Renewal, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let row = self.store.credential(&renewal.key).await?.value;
        // Somebody nudged who has not seen that it is another by now.
        let Some(expires_at) = row.expires_at else { return Ok(Some(now.later_by(self.settings.pause))) };
        let life = expires_at.unix_millis().saturating_sub(row.updated_at.unix_millis());
        let last_third = Duration::from_millis(u64::try_from(life / 3).unwrap_or(0));
        let due = expires_at.earlier_by(last_third.min(self.settings.margin));
        Ok((now < due).then_some(due))
    }

    async fn ask(&self, renewal: &Renewal, now: Timestamp) -> Result<Renewed, NotRenewed> {
        let CredentialKey { tenant, upstream_id, holder } = &renewal.key;
        let place = SealedFor::refresh_token(tenant, upstream_id, holder);
        let refresh = self.open(place, &renewal.refresh, "what it is renewed with")?;
        let client_secret = match &renewal.client_secret {
            Some(sealed) => {
                let place = SealedFor::ClientSecret { tenant, upstream_id };
                Some(self.open(place, sealed, "regate's client secret there")?)
            }
            None => None,
        };
        let tokens = self.oauth.refresh(&renewal.oauth, client_secret.as_ref(), &refresh).await;
        if !matches!(tokens, Err(OauthError::Unreachable(_))) {
            lock(&self.pauses).answered(&Endpoint::of(renewal));
        }
        let Tokens { access, refresh, expires_in } = tokens.map_err(|error| match error {
            // Nothing else says that it is the grant that is not good any more. A client that the server does not
            // know (`invalid_client`) is a mistake in regate's settings there, which no holder's consent mends, and
            // which would cost the credentials of all.
            OauthError::Refused(Refusal::InvalidGrant) => NotRenewed::Refused,
            OauthError::Unreachable(why) => {
                NotRenewed::Unreachable(format!("the authorization server cannot be reached: {why}"))
            }
            error => NotRenewed::Failed(error.to_string()),
        })?;
        let mut random = lock(&self.random);
        let plain = secret::to_plain(&UpstreamSecret::Token(access));
        let sealed = self.keys.seal(SealedFor::credential(tenant, upstream_id, holder), &plain, &mut *random);
        let refresh = refresh.map(|text| self.keys.seal(place, text.expose().as_bytes(), &mut *random));
        // From when it was asked for: the server's clock may have begun then.
        Ok(Renewed::As { sealed, refresh, expires_at: expires_in.map(|time| now.later_by(time)) })
    }

    fn open(
        &self,
        place: SealedFor<'_>,
        sealed: &crate::types::Sealed,
        what: &str,
    ) -> Result<SecretText, NotRenewed> {
        self.keys
            .unseal_text(place, sealed)
            .map_err(|why| NotRenewed::Failed(format!("{what} does not open: {why}")))
    }

    /// Writes what came of it. Gives whether it was written; else the credential is another by now.
    async fn write(&self, renewal: &Renewal, outcome: &Renewed) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            let (key, now) = (&renewal.key, self.clock.now());
            match self.store.finish_renewal(key, renewal.version, outcome, now).await {
                Ok(written) => return written.is_some(),
                Err(StoreError::NotFound { .. }) => return false,
                Err(error) => self.say(None, causes(&error).join(": ")),
            }
            if matches!(outcome, Renewed::NotBefore { .. }) {
                return false;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn written(&self, renewal: &Renewal, outcome: &Renewed) {
        let CredentialKey { tenant, upstream_id, holder } = &renewal.key;
        match outcome {
            Renewed::As { .. } => {
                self.renewed.fetch_add(1, Ordering::Relaxed);
                if self.said().remove(&Some((tenant.clone(), upstream_id.clone()))).is_some() {
                    tracing::info!(%tenant, upstream = upstream_id, "credentials can be renewed again");
                }
            }
            Renewed::Refused => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    %tenant, upstream = upstream_id, holder = holder.kind().as_str(), holder_id = holder.id(),
                    "the authorization server renews a credential no more: its holder has to consent anew"
                );
            }
            Renewed::NotBefore { .. } => {}
        }
    }

    fn pause(&self) -> Duration {
        self.settings.pause.mul_f64(1.0 + self.chance())
    }

    /// By how large a part a pause is longer than it has to be, so that not all are over at once.
    fn chance(&self) -> f64 {
        lock(&self.random).random_range(0.0..0.5)
    }

    fn said(&self) -> MutexGuard<'_, BTreeMap<Option<(TenantId, String)>, String>> {
        lock(&self.said)
    }

    /// Says a problem, unless it is what was said last.
    fn say(&self, key: Option<&CredentialKey>, problem: String) {
        let about = key.map(|key| (key.tenant.clone(), key.upstream_id.clone()));
        let mut said = self.said();
        if said.get(&about) == Some(&problem) {
            return;
        }
        match &about {
            Some((tenant, upstream)) => {
                tracing::warn!(%tenant, upstream, %problem, "credentials are not renewed; they are used until they expire");
            }
            None => tracing::warn!(%problem, "renewals wait for the store"),
        }
        said.insert(about, problem);
    }
}
