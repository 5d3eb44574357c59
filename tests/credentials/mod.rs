//! Upstream credentials through the parts that take, renew and seal them: a real store, a real authorization server.

mod apart;
mod consent;
mod given;
mod key_file;
mod renewed;
mod resealed;
mod several;
mod stopped;
mod strange_answers;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{SeedableRng, rngs::StdRng};
use regate::{
    decision::facts::{CredentialMode, CredentialState},
    store::{
        Store, StoreError,
        upstreams::{BegunBy, CredentialKey, CredentialRow, CredentialWritten, SealedPlace, UpstreamChange},
    },
    types::{
        Clock, Holder, KeyId, OpenSealed, Sealed, SealedFor, SecretText, SystemClock, TenantId, Timestamp,
        UpstreamSecret,
    },
    upstream::{
        Begun, Completion, CredentialError, CredentialSettings, Credentials, Given, KeyRing, Loopback,
        RenewalSettings, RenewalWork, Renewals,
    },
};
use serde_json::json;

use crate::{
    harness::oauth::{CLIENT_SECRET, OauthServer},
    store::database::{TestDatabase, hash},
};

/// Where people are sent back to.
pub const BACK: &str = "https://regate.example/back";
pub const MINUTE: Duration = Duration::from_secs(60);
/// So long a test waits for something that should come at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// A clock that moves when it is told to.
pub struct HeldClock(AtomicI64);

impl HeldClock {
    pub fn passes(&self, time: Duration) {
        self.0.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for HeldClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

/// A store with people, tokens and upstreams, an authorization server, and what takes credentials.
///
/// Of the upstreams, `github` is consented to for each token, `gitlab` for each user; `jira` wants values of headers,
/// `plain` a token, `open` nothing. The token `t1` is the user `ada`'s and may reach `github`.
pub struct Scene {
    pub database: TestDatabase,
    pub server: OauthServer,
    pub keys: Arc<KeyRing>,
    pub clock: Arc<HeldClock>,
    pub credentials: Arc<Credentials>,
}

pub fn secret(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

pub fn tenant() -> TenantId {
    TenantId::default_tenant()
}

pub fn ring(seeds: &[u64]) -> Arc<KeyRing> {
    Arc::new(KeyRing::from_text(&ring_text(seeds)).unwrap())
}

pub fn ring_text(seeds: &[u64]) -> SecretText {
    let line = |seed: &u64| KeyRing::generate(&mut StdRng::seed_from_u64(*seed)).expose().to_owned();
    SecretText::new(seeds.iter().map(line).collect::<Vec<_>>().join("\n"))
}

pub fn of_token(upstream: &str, id: &str) -> CredentialKey {
    CredentialKey { tenant: tenant(), upstream_id: upstream.to_owned(), holder: Holder::Token(id.to_owned()) }
}

pub fn of_user(upstream: &str, id: &str) -> CredentialKey {
    CredentialKey { tenant: tenant(), upstream_id: upstream.to_owned(), holder: Holder::User(id.to_owned()) }
}

pub fn ada() -> BegunBy {
    BegunBy { kind: "session".to_owned(), id: "ada".to_owned() }
}

pub fn token(text: &str) -> Given {
    Given::Token(secret(text))
}

/// Asks until `wanted` says yes, and gives what it said yes to.
pub async fn eventually<T: std::fmt::Debug>(
    mut ask: impl AsyncFnMut() -> T,
    wanted: impl Fn(&T) -> bool,
) -> T {
    let begun = Instant::now();
    loop {
        let answer = ask().await;
        if wanted(&answer) {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "it did not come: {answer:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Scene {
    pub async fn new(database: TestDatabase) -> Self {
        let server = OauthServer::start();
        let token = |number: u32, id: &str, user: &str| {
            json!({"id": id, "kind": "global", "name": id, "user_id": user, "sha256": hash(number),
                   "scope_pull": true, "scope_push": false})
        };
        let document = json!({
            "tenants": [{"id": "default"}],
            "users": [{"id": "ada"}, {"id": "bob"}],
            "tokens": [token(1, "t1", "ada"), token(2, "t2", "bob")],
        });
        database.import(&document.to_string()).await;
        let upstream = |credential| UpstreamChange {
            url: Some("https://mcp.example/x".to_owned()),
            credential: Some(credential),
            ..UpstreamChange::default()
        };
        let consented =
            |credential| UpstreamChange { oauth: Some(Some(server.settings())), ..upstream(credential) };
        let headers = vec!["x-api-key".to_owned(), "x-account".to_owned()];
        for (id, change) in [
            ("github", consented(CredentialMode::PerToken)),
            ("gitlab", consented(CredentialMode::PerUser)),
            (
                "jira",
                UpstreamChange { value_headers: Some(Some(headers)), ..upstream(CredentialMode::PerUser) },
            ),
            ("plain", upstream(CredentialMode::PerUser)),
            ("open", upstream(CredentialMode::None)),
        ] {
            database.store.put_upstream(&tenant(), id, &change).await.unwrap();
        }
        let keys = ring(&[1]);
        let clock = Arc::new(HeldClock(AtomicI64::new(SystemClock.now().unix_millis())));
        let credentials = credentials(&database.store, Some(&keys), &[BACK]);
        let scene = Self { database, server, keys, clock, credentials };
        scene.grants(&["github"]).await;
        for upstream in ["github", "gitlab"] {
            scene.client_secret(upstream, CLIENT_SECRET).await;
        }
        scene
    }

    pub fn store(&self) -> &dyn Store {
        &*self.database.store
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What `t1` may reach from now on.
    pub async fn grants(&self, upstreams: &[&str]) {
        let upstreams: BTreeSet<String> = upstreams.iter().map(|id| (*id).to_owned()).collect();
        self.store().set_token_grants(&tenant(), "t1", &upstreams, self.now()).await.unwrap();
    }

    pub async fn client_secret(&self, upstream: &str, text: &str) {
        self.credentials.put_client_secret(&tenant(), upstream, Some(secret(text))).await.unwrap();
    }

    pub async fn put(&self, key: &CredentialKey, given: Given) -> Result<CredentialWritten, CredentialError> {
        self.credentials.put(key, given, None, self.now()).await
    }

    pub async fn begin(&self, key: &CredentialKey) -> Begun {
        self.credentials.begin(key, ada(), None, self.now()).await.unwrap()
    }

    pub async fn complete(
        &self,
        flow: &str,
        with: Completion,
    ) -> Result<(CredentialKey, CredentialWritten), CredentialError> {
        self.credentials.complete(&tenant(), flow, &ada(), with, self.now()).await
    }

    /// A person consents to a flow: what to complete it with.
    pub fn agreed(&self, begun: &Begun) -> Completion {
        let (code, state) = self.server.consent(begun.authorization_url.as_ref().unwrap(), BACK);
        Completion::Code { code: SecretText::new(code), state: SecretText::new(state), iss: None }
    }

    /// The whole way to a credential by consent.
    pub async fn consented(&self, key: &CredentialKey) -> CredentialWritten {
        let begun = self.begin(key).await;
        let agreed = self.agreed(&begun);
        let (given, written) = self.complete(&begun.flow.flow.id, agreed).await.unwrap();
        assert_eq!(given, *key);
        written
    }

    pub async fn row(&self, key: &CredentialKey) -> Option<CredentialRow> {
        match self.store().credential(key).await {
            Ok(row) => Some(row.value),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    pub async fn state(&self, key: &CredentialKey) -> CredentialState {
        self.row(key).await.unwrap().state
    }

    /// All that is sealed.
    pub async fn sealed(&self) -> Vec<(SealedPlace, Sealed)> {
        self.store().sealed_by_others(KeyId([0; 8]), None, 10_000).await.unwrap()
    }

    /// What is stored for a credential, opened.
    pub async fn stored_with(&self, keys: &KeyRing, key: &CredentialKey) -> Option<UpstreamSecret> {
        let place = SealedPlace::Credential(key.clone());
        let sealed = self.sealed().await.into_iter().find(|(found, _)| *found == place)?.1;
        keys.open(SealedFor::credential(&key.tenant, &key.upstream_id, &key.holder), &sealed)
    }

    pub async fn stored(&self, key: &CredentialKey) -> Option<UpstreamSecret> {
        self.stored_with(&self.keys, key).await
    }

    /// Whether a credential is this token. The assertion is the caller's, so that none shows a secret.
    pub async fn is_token(&self, key: &CredentialKey, text: &str) -> bool {
        matches!(self.stored(key).await, Some(UpstreamSecret::Token(token)) if token.expose() == text)
    }

    pub fn renewals(&self) -> (Renewals, RenewalWork) {
        renewals(&self.database.store, &self.keys, &self.clock, Duration::from_millis(20))
    }
}

pub fn credentials(store: &Arc<dyn Store>, keys: Option<&Arc<KeyRing>>, back: &[&str]) -> Arc<Credentials> {
    let settings = CredentialSettings {
        redirect_uris: back.iter().map(|uri| (*uri).to_owned()).collect(),
        loopback: Loopback::Allowed,
    };
    // Two that are random in the same way would give two flows one name.
    static SEED: AtomicU64 = AtomicU64::new(1000);
    let random = StdRng::seed_from_u64(SEED.fetch_add(1, Ordering::Relaxed));
    let store = Arc::clone(store);
    Arc::new(Credentials::new(store, keys.cloned(), settings, random))
}

pub fn renewal_settings(interval: Duration) -> RenewalSettings {
    RenewalSettings { interval, loopback: Loopback::Allowed, ..RenewalSettings::default() }
}

pub fn renewals(
    store: &Arc<dyn Store>,
    keys: &Arc<KeyRing>,
    clock: &Arc<HeldClock>,
    interval: Duration,
) -> (Renewals, RenewalWork) {
    let settings = renewal_settings(interval);
    let (store, keys, clock) = (Arc::clone(store), Arc::clone(keys), Arc::clone(clock));
    Renewals::begin(store, keys, clock, settings, StdRng::seed_from_u64(9))
}

/// Nothing that the tests made a secret of is in what somebody may read.
pub fn shows_no_secret(error: &CredentialError) {
    let said = format!("{error} {error:?}");
    assert!(!said.contains("hunter2"), "an error shows a secret");
}
