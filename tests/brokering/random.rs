//! Thousands of sequences of random operations, each step and each decision against the model.
//!
//! Everything is as it is in `serve` but the clock and the thread that follows: the store with its triggers, the feed,
//! the snapshot brought up to date change by change, the decision with its keys.

use std::{collections::BTreeSet, sync::Arc};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use regate::{
    auth,
    decision::{
        CompileOptions, ConnectUrl, Decision, DecisionRules, Delivery, Evaluator, Moment, Question,
        SnapshotBuilder, Update, decide,
        facts::{CredentialMode, CredentialState},
    },
    policy::Live,
    store::{
        ChangeFeed, DataPosition, Since, Store, StoreError,
        upstreams::{BegunBy, CredentialKey, FlowEnd, UpstreamChange, UpstreamGrants},
    },
    types::{DataRevision, Holder, SecretText, TenantId, Timestamp},
    upstream::{Completion, CredentialError, CredentialSettings, Credentials, Given, KeyRing},
};
use serde_json::json;

use super::model::{Answer, Flow, Model, Refusal, Standing, Upstream};
use crate::{
    decisions::{compile, question},
    store::database::{TestDatabase, on_both_databases},
};

on_both_databases![random_sequences_end_as_the_model_says];

/// Sequences that went wrong once, by what was found.
const NAMED_CASES: &[(&str, u64)] = &[];

const STEPS: usize = 18;
const USERS: [&str; 2] = ["u0", "u1"];
/// Each with its user.
const TOKENS: [(&str, Option<&str>); 4] =
    [("t0", Some("u0")), ("t1", Some("u0")), ("t2", Some("u1")), ("t3", None)];
const UPSTREAMS: [(&str, CredentialMode); 5] = [
    ("a", CredentialMode::PerToken),
    ("b", CredentialMode::PerToken),
    ("c", CredentialMode::PerUser),
    ("d", CredentialMode::Shared),
    ("e", CredentialMode::None),
];

/// What follows the store, as `feed` does.
struct Following {
    feed: Box<dyn ChangeFeed>,
    position: DataPosition,
    live: Live,
}

impl Following {
    async fn start(store: &dyn Store) -> Self {
        let mut feed = store.feed(&[]);
        let mut builder = SnapshotBuilder::default();
        let position = feed.load(&mut |fact| builder.add(fact)).await.unwrap();
        let bundle =
            compile("package regate\ndecision := {\"allow\": true}", &CompileOptions::default()).unwrap();
        let live = Live::new(bundle, builder.finish(position.revision));
        Self { feed, position, live }
    }

    async fn catch_up(&mut self, revision: Option<DataRevision>) {
        let mut changes = Vec::new();
        match self.feed.changes_since(&self.position, &mut |change| changes.push(change)).await.unwrap() {
            Since::Nothing => {}
            Since::Advanced(position) => {
                self.live.publish(Update::Rows(changes.into(), position.revision));
                self.position = position;
            }
            Since::Lost(because) => panic!("lost: {}", because.as_str()),
        }
        assert!(revision.is_none_or(|revision| revision <= self.position.revision));
    }
}

/// One sequence.
struct Sequence<'a> {
    database: &'a TestDatabase,
    credentials: &'a Arc<Credentials>,
    rules: &'a DecisionRules,
    following: Following,
    evaluator: Evaluator,
    random: StdRng,
    tenant: TenantId,
    model: Model,
    now: i64,
    made: usize,
    /// Ids of flows, of any fate.
    flows: Vec<String>,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

/// What the store or the service says, in the model's words.
fn refusal(error: &CredentialError) -> Refusal {
    match error {
        CredentialError::NotTheBeginner => Refusal::NotTheBeginner,
        CredentialError::Store(error) => match error {
            StoreError::NotFound { what: "upstream" } => Refusal::NoUpstream,
            StoreError::NotFound { .. } => Refusal::NoFlow,
            StoreError::UnknownReference { .. } => Refusal::NoHolder,
            StoreError::WrongHolder { .. } => Refusal::WrongHolder,
            StoreError::NotLive { .. } => Refusal::NotLive,
            StoreError::NotGranted => Refusal::NotGranted,
            StoreError::FlowOver(FlowEnd::Expired) => Refusal::Expired,
            StoreError::FlowOver(FlowEnd::Taken) => Refusal::Taken,
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    }
}

impl Sequence<'_> {
    fn store(&self) -> &dyn Store {
        &*self.database.store
    }

    /// The id of a token is unique everywhere, so it names the tenant; the model leaves that out.
    fn token_id(&self, token: &str) -> String {
        format!("{}-{token}", self.tenant)
    }

    fn any_token(&mut self) -> &'static str {
        TOKENS.choose(&mut self.random).unwrap().0
    }

    fn any_upstream(&mut self) -> &'static str {
        UPSTREAMS.choose(&mut self.random).unwrap().0
    }

    fn some<'t>(&mut self, of: impl IntoIterator<Item = &'t str>) -> BTreeSet<String> {
        of.into_iter().filter(|_| self.random.random_bool(0.5)).map(str::to_owned).collect()
    }

    /// Mostly one that fits.
    fn any_holder(&mut self, upstream: &str) -> Holder {
        let mode = UPSTREAMS.iter().find(|(id, _)| *id == upstream).unwrap().1;
        let mode =
            if self.random.random_bool(0.05) { UPSTREAMS[self.random.random_range(0..5)].1 } else { mode };
        match mode {
            CredentialMode::None | CredentialMode::Shared => Holder::Shared,
            CredentialMode::PerUser => Holder::User((*USERS.choose(&mut self.random).unwrap()).to_owned()),
            CredentialMode::PerToken => Holder::Token(self.any_token().to_owned()),
        }
    }

    fn key(&self, upstream: &str, holder: &Holder) -> CredentialKey {
        let holder = match holder {
            Holder::Token(token) => Holder::Token(self.token_id(token)),
            other => other.clone(),
        };
        CredentialKey { tenant: self.tenant.clone(), upstream_id: upstream.to_owned(), holder }
    }

    fn new_value(&mut self) -> String {
        self.made += 1;
        format!("upstream-secret-{}", self.made)
    }

    async fn begin(&mut self) {
        let tokens: Vec<_> = TOKENS
            .iter()
            .map(|(id, user)| {
                let own = self.token_id(id);
                json!({
                    "id": own, "kind": "mcp", "name": id, "user_id": user, "tenant": self.tenant,
                    "sha256": auth::hash(&own).to_string(),
                })
            })
            .collect();
        let upstreams: Vec<_> = UPSTREAMS
            .iter()
            .map(|(id, mode)| {
                json!({"id": id, "url": "https://x.example", "credential": mode, "tenant": self.tenant})
            })
            .collect();
        let users: Vec<_> = USERS.iter().map(|id| json!({"id": id, "tenant": self.tenant})).collect();
        let document = json!({"tenants": [{"id": self.tenant}], "users": users, "tokens": tokens, "upstreams": upstreams});
        self.database.import(&document.to_string()).await;
        let text = |id: &str| id.to_owned();
        self.model = Model {
            users: USERS.iter().map(|id| text(id)).collect(),
            tokens: TOKENS
                .iter()
                .map(|(id, user)| (text(id), (user.map(str::to_owned), Some(Standing::Live))))
                .collect(),
            upstreams: UPSTREAMS
                .iter()
                .map(|(id, mode)| (text(id), Upstream { allow_all: false, mode: *mode }))
                .collect(),
            ..Model::default()
        };
    }

    async fn step(&mut self) {
        let (token, upstream) = (self.any_token(), self.any_upstream());
        let tenant = self.tenant.clone();
        match self.random.random_range(0..100) {
            0..15 => self.set_token_grants(token).await,
            15..28 => self.set_upstream_grants(upstream).await,
            28..33 => self.mark(upstream).await,
            33..36 => {
                // A rename does nothing.
                let url = Some(format!("https://{}.example", self.random.random::<u16>()));
                let change = UpstreamChange { url, ..UpstreamChange::default() };
                if self.model.upstreams.contains_key(upstream) {
                    self.store().put_upstream(&tenant, upstream, &change).await.unwrap();
                }
            }
            36..56 => self.put(upstream).await,
            56..61 => {
                let holder = self.any_holder(upstream);
                let removed = self.store().remove_credential(&self.key(upstream, &holder)).await;
                let gone = matches!(removed, Err(StoreError::NotFound { .. }));
                assert_eq!(!gone, self.model.remove(upstream, &holder), "{removed:?}");
            }
            61..66 => self.set_state(upstream).await,
            66..77 => self.begin_flow(upstream).await,
            77..88 => self.complete_flow().await,
            88..92 => self.now += self.random.random_range(1..1_200),
            92..94 => {
                let swept = self.store().sweep_credentials(at(0), at(self.now)).await.unwrap();
                let before = self.model.flows.len();
                let now = self.now;
                self.model.flows.retain(|_, flow| flow.expires_at > now);
                // Other sequences have flows of their own in this database.
                assert!(swept.flows >= (before - self.model.flows.len()) as u64);
            }
            94..95 => {
                let revoked = self.store().revoke_token(&self.token_id(token), None, at(self.now)).await;
                assert_eq!(revoked.is_ok(), self.model.tokens.contains_key(token));
                if let Some((_, standing)) = self.model.tokens.get_mut(token) {
                    *standing = Some(Standing::Revoked);
                }
                self.model.clean();
            }
            95..96 => {
                let user = *USERS.choose(&mut self.random).unwrap();
                let removed = self.store().remove_user(&tenant, user).await;
                assert_eq!(removed.is_ok(), self.model.users.remove(user));
                self.model.clean();
            }
            96..97 => {
                let removed = self.store().remove_upstream(&tenant, upstream).await;
                assert_eq!(removed.is_ok(), self.model.upstreams.remove(upstream).is_some());
                self.model.clean();
            }
            _ => self.following = Following::start(&*self.database.store).await,
        }
        self.model.reconcile();
    }

    async fn set_token_grants(&mut self, token: &str) {
        let upstreams = self.some(UPSTREAMS.map(|(id, _)| id));
        let id = self.token_id(token);
        // By regate, or by another program: row by row, in one transaction.
        if self.random.random_bool(0.3) && self.model.tokens.contains_key(token) {
            let there = upstreams.iter().filter(|id| self.model.upstreams.contains_key(*id));
            let rows: String = there
                .clone()
                .map(|upstream| {
                    format!("insert into grants (tenant, token_id, upstream_id) values ('{}', '{id}', '{upstream}');", self.tenant)
                })
                .collect();
            let there: Vec<String> = there.cloned().collect();
            self.database
                .execute(&format!("begin; delete from grants where token_id = '{id}'; {rows} commit;"))
                .await
                .unwrap();
            self.model.grants.retain(|(of, _)| of != token);
            // A flow does not outlive the moment in between.
            self.model.reconcile();
            self.model.grants.extend(there.into_iter().map(|upstream| (token.to_owned(), upstream)));
            return;
        }
        let set = self.store().set_token_grants(&self.tenant, &id, &upstreams, at(self.now)).await;
        let all_there = upstreams.iter().all(|id| self.model.upstreams.contains_key(id));
        assert_eq!(set.is_ok(), self.model.live(token) && all_there, "{set:?}");
        if set.is_ok() {
            self.model.grants.retain(|(of, _)| of != token);
            self.model.grants.extend(upstreams.into_iter().map(|upstream| (token.to_owned(), upstream)));
        }
    }

    async fn set_upstream_grants(&mut self, upstream: &str) {
        let tokens = self.some(TOKENS.map(|(id, _)| id));
        let allow_all = [None, None, Some(true), Some(false)][self.random.random_range(0..4)];
        let ids = tokens.iter().map(|token| self.token_id(token)).collect();
        let grants = UpstreamGrants { tokens: ids, allow_all };
        let set = self.store().set_upstream_grants(&self.tenant, upstream, &grants).await;
        let all_there = tokens.iter().all(|id| self.model.tokens.contains_key(id));
        assert_eq!(set.is_ok(), self.model.upstreams.contains_key(upstream) && all_there, "{set:?}");
        if set.is_ok() {
            self.model.grants.retain(|(_, of)| of != upstream);
            self.model.grants.extend(tokens.into_iter().map(|token| (token, upstream.to_owned())));
            let record = self.model.upstreams.get_mut(upstream).unwrap();
            record.allow_all = allow_all.unwrap_or(record.allow_all);
        }
    }

    async fn mark(&mut self, upstream: &str) {
        let allow_all = self.random.random_bool(0.5);
        let Some(record) = self.model.upstreams.get_mut(upstream) else { return };
        record.allow_all = allow_all;
        let change = UpstreamChange { allow_all: Some(allow_all), ..UpstreamChange::default() };
        self.store().put_upstream(&self.tenant, upstream, &change).await.unwrap();
    }

    async fn put(&mut self, upstream: &str) {
        let holder = self.any_holder(upstream);
        let value = self.new_value();
        let expires_at = self.random.random_bool(0.3).then(|| self.now + self.random.random_range(1..2_000));
        let given = Given::Token(SecretText::new(value.clone()));
        let key = self.key(upstream, &holder);
        let put = self.credentials.put(&key, given, expires_at.map(at), at(self.now)).await;
        let put = put.map(|written| written.state).map_err(|error| refusal(&error));
        assert_eq!(put, self.model.put(upstream, &holder, &value, expires_at));
    }

    /// As regate does when a renewal is refused, or an operator by hand.
    async fn set_state(&mut self, upstream: &str) {
        let holder = self.any_holder(upstream);
        let state =
            [CredentialState::NeedsReauth, CredentialState::NeedsUpdate][self.random.random_range(0..2)];
        let CredentialKey { tenant, upstream_id, holder: stored } = self.key(upstream, &holder);
        let sql = format!(
            "update upstream_credentials set state = '{}', orphaned_at = null \
             where tenant = '{tenant}' and upstream_id = '{upstream_id}' and holder = '{}' and holder_id = '{}'",
            state.as_str(),
            stored.kind().as_str(),
            stored.id(),
        );
        self.database.execute(&sql).await.unwrap();
        if let Some(credential) = self.model.credentials.get_mut(&(upstream.to_owned(), holder)) {
            credential.state = state;
        }
    }

    async fn begin_flow(&mut self, upstream: &str) {
        let holder = self.any_holder(upstream);
        let by = (*USERS.choose(&mut self.random).unwrap()).to_owned();
        let begun_by = BegunBy { kind: "session".into(), id: by.clone() };
        let key = self.key(upstream, &holder);
        let begun = self.credentials.begin(&key, begun_by, None, at(self.now)).await;
        let flow = Flow {
            upstream: upstream.to_owned(),
            holder,
            begun_by: by,
            expires_at: self.now + 900,
            taken: false,
        };
        match begun {
            Ok(begun) => {
                let id = begun.flow.flow.id;
                assert_eq!(self.model.begin(&id, flow), Ok(()));
                self.flows.push(id);
            }
            Err(error) => assert_eq!(self.model.begin("none", flow), Err(refusal(&error))),
        }
    }

    async fn complete_flow(&mut self) {
        let Some(id) = self.flows.choose(&mut self.random).cloned() else { return };
        // Mostly who began it.
        let by = match self.model.flows.get(&id) {
            Some(flow) if self.random.random_bool(0.8) => flow.begun_by.clone(),
            _ => (*USERS.choose(&mut self.random).unwrap()).to_owned(),
        };
        let value = self.new_value();
        let with = Completion::Given(Given::Token(SecretText::new(value.clone())));
        let begun_by = BegunBy { kind: "session".into(), id: by.clone() };
        let done = self.credentials.complete(&self.tenant, &id, &begun_by, with, at(self.now)).await;
        let done = done.map(|(_, written)| written.state).map_err(|error| refusal(&error));
        assert_eq!(done, self.model.complete(&id, &by, &value, self.now));
    }

    fn decide(&mut self, token: &str, upstream: &str) -> Decision {
        let id = self.token_id(token);
        let asked = Question {
            upstream: Some(upstream.into()),
            delivery: Delivery::Given,
            ..question(Some(&id), "/x")
        };
        let moment = Moment { now: at(self.now), data_is_stale: false };
        let basis = self.following.live.basis();
        decide(&mut self.evaluator, &basis, self.rules, &asked, uuid::Uuid::nil(), moment)
    }

    fn check(&mut self, token: &str, upstream: &str) {
        let decision = self.decide(token, upstream);
        assert!(decision.fault.is_none(), "{:?}", decision.fault);
        let set: Vec<(&str, &str)> = decision.headers.all_set().collect();
        let goes_on = match set[..] {
            [] => None,
            [("authorization", value)] => Some(value.strip_prefix("Bearer ").unwrap().to_owned()),
            _ => panic!("{} headers are set", set.len()),
        };
        let told = (decision.reasons.first.as_str(), goes_on, decision.connect_url.is_some());
        let Answer { reason, goes_on, connects } = self.model.ask(token, upstream, self.now);
        assert!(
            told == (reason, goes_on, connects),
            "{token} to {upstream}: {} {} instead of {reason} {connects}",
            told.0,
            told.2
        );
        assert_eq!(decision.allow, reason == "policy.allowed");
    }

    async fn run(mut self) {
        self.begin().await;
        for _ in 0..STEPS {
            self.step().await;
            self.following.catch_up(None).await;
            for _ in 0..3 {
                let (token, upstream) = (self.any_token(), self.any_upstream());
                self.check(token, upstream);
            }
        }
        for (token, _) in TOKENS {
            for (upstream, _) in UPSTREAMS {
                self.check(token, upstream);
            }
        }
    }
}

async fn random_sequences_end_as_the_model_says(database: TestDatabase) {
    let keys = Arc::new(KeyRing::from_text(&KeyRing::generate(&mut StdRng::seed_from_u64(1))).unwrap());
    let rules = DecisionRules {
        keys: Arc::clone(&keys) as _,
        connect_url: Some(ConnectUrl::new("https://console.example/{upstream}")),
        ..DecisionRules::default()
    };
    let store = Arc::clone(&database.store);
    let settings = CredentialSettings::default();
    let credentials = Arc::new(Credentials::new(store, Some(keys), settings, StdRng::seed_from_u64(2)));
    let sequences = if database.is_postgres() { 60 } else { 700 };
    let named = NAMED_CASES.iter().map(|(name, seed)| (*name, *seed));
    for (number, (name, seed)) in named.chain((0..sequences).map(|seed| ("", seed))).enumerate() {
        // Shown when it fails: the seed makes a case of its own.
        println!("sequence {number}: {name} seed {seed}");
        let sequence = Sequence {
            database: &database,
            credentials: &credentials,
            rules: &rules,
            following: Following::start(&*database.store).await,
            evaluator: Evaluator::new(0),
            random: StdRng::seed_from_u64(seed),
            tenant: TenantId::try_from(format!("s{number}").as_str()).unwrap(),
            model: Model::default(),
            now: 1_800_000_000,
            made: 0,
            flows: Vec::new(),
        };
        let tenant = sequence.tenant.clone();
        sequence.run().await;
        database.execute(&format!("delete from tenants where id = '{tenant}'")).await.unwrap();
    }
}
