//! Upstreams, who may reach them, and the credentials that go on to them.

mod clients;
mod concurrent;
mod credentials;
mod flows;
mod followed;
mod interleaved;
mod model;
mod older;
mod owners;
mod random;
mod reconciliation;
mod renewals;
mod rows;
mod rules;

use std::collections::BTreeSet;

use regate::{
    decision::facts::{CredentialMode, CredentialState, Fact, UpstreamCredential},
    store::upstreams::{
        BegunBy, CredentialForm, CredentialKey, FlowRow, NewCredential, NewFlow, OauthSettings,
        UpstreamChange, UpstreamGrants,
    },
    types::{Holder, KeyId, Sealed, TenantId, Timestamp},
};

use super::database::{TestDatabase, hash, on_both_databases};

pub fn tenant(id: &str) -> TenantId {
    TenantId::try_from(id).unwrap()
}

/// A moment in 2026, so many seconds after the others.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_790_000_000 + seconds)
}

pub const KEY: KeyId = KeyId([1, 2, 3, 4, 5, 6, 7, 8]);

pub fn sealed(text: &str) -> Sealed {
    Sealed { key: KEY, bytes: text.as_bytes().into() }
}

pub fn ids<const N: usize>(ids: [&str; N]) -> BTreeSet<String> {
    ids.map(str::to_owned).into()
}

pub fn of(holder: Holder, upstream_id: &str) -> CredentialKey {
    CredentialKey { tenant: tenant("a"), upstream_id: upstream_id.to_owned(), holder }
}

pub fn of_token(token: &str, upstream_id: &str) -> CredentialKey {
    of(Holder::Token(token.to_owned()), upstream_id)
}

pub fn of_user(user: &str, upstream_id: &str) -> CredentialKey {
    of(Holder::User(user.to_owned()), upstream_id)
}

pub fn credential(key: CredentialKey) -> NewCredential {
    NewCredential {
        key,
        sealed: sealed("the sealed secret"),
        refresh: None,
        form: CredentialForm::Token,
        header_names: vec!["authorization".to_owned()],
        expires_at: None,
        now: at(0),
    }
}

pub fn flow(id: &str, key: CredentialKey) -> NewFlow {
    NewFlow {
        id: id.to_owned(),
        key,
        begun_by: BegunBy { kind: "session".to_owned(), id: "u1".to_owned() },
        state_sha256: Some(hash(7).parse().unwrap()),
        verifier: Some(sealed("the verifier")),
        redirect_uri: Some("https://console.example/back".to_owned()),
        created_at: at(0),
        expires_at: at(900),
    }
}

pub fn oauth() -> OauthSettings {
    OauthSettings {
        authorization_endpoint: "https://as.example/authorize".to_owned(),
        token_endpoint: "https://as.example/token".to_owned(),
        client_id: "regate".to_owned(),
        scopes: vec!["read".to_owned()],
        resource: None,
        issuer: None,
    }
}

impl TestDatabase {
    /// Two users, a token of each and one that is nobody's, three upstreams with credentials of tokens, one of users,
    /// one shared, in the tenant `a`; the same ids in the tenant `b`.
    pub async fn with_upstreams(&self) {
        let document = |tenant: &str, first: u32| {
            let hashes = [first, first + 1, first + 2].map(hash);
            format!(
                r#""users": [{{"id": "u1", "tenant": "{tenant}"}}, {{"id": "u2", "tenant": "{tenant}"}}],
                   "tokens": [
                     {{"id": "{tenant}1", "tenant": "{tenant}", "kind": "mcp", "name": "n", "user_id": "u1", "sha256": "{}"}},
                     {{"id": "{tenant}2", "tenant": "{tenant}", "kind": "mcp", "name": "n", "user_id": "u2", "sha256": "{}"}},
                     {{"id": "{tenant}3", "tenant": "{tenant}", "kind": "mcp", "name": "n", "sha256": "{}"}}],
                   "upstreams": [
                     {{"id": "x", "tenant": "{tenant}", "url": "https://x.example", "credential": "per_token"}},
                     {{"id": "y", "tenant": "{tenant}", "url": "https://y.example", "credential": "per_token"}},
                     {{"id": "z", "tenant": "{tenant}", "url": "https://z.example", "credential": "per_token"}},
                     {{"id": "people", "tenant": "{tenant}", "url": "https://p.example", "credential": "per_user"}},
                     {{"id": "all", "tenant": "{tenant}", "url": "https://s.example", "credential": "shared"}},
                     {{"id": "plain", "tenant": "{tenant}", "url": "stdio:plain"}}]"#,
                hashes[0], hashes[1], hashes[2]
            )
        };
        self.import(r#"{"tenants": [{"id": "a"}, {"id": "b"}]}"#).await;
        self.import(&format!("{{{}}}", document("a", 1))).await;
        self.import(&format!("{{{}}}", document("b", 11))).await;
    }

    pub async fn change(&self, id: &str, change: UpstreamChange) {
        self.store.put_upstream(&tenant("a"), id, &change).await.unwrap();
    }

    pub async fn grant<const N: usize>(&self, token: &str, upstreams: [&str; N]) {
        self.store.set_token_grants(&tenant("a"), token, &ids(upstreams), at(0)).await.unwrap();
    }

    pub async fn open_to(&self, upstream: &str, tokens: &[&str], allow_all: Option<bool>) {
        let tokens = tokens.iter().map(|id| (*id).to_owned()).collect();
        let grants = UpstreamGrants { tokens, allow_all };
        self.store.set_upstream_grants(&tenant("a"), upstream, &grants).await.unwrap();
    }

    pub async fn give(&self, key: CredentialKey) -> CredentialState {
        self.store.put_credential(&credential(key)).await.unwrap().state
    }

    pub async fn state(&self, key: &CredentialKey) -> CredentialState {
        self.store.credential(key).await.unwrap().value.state
    }

    /// Begins a flow; for a token that has no grant, the only way is past the store.
    pub async fn begin(&self, id: &str, key: CredentialKey) {
        self.store.begin_flow(&flow(id, key)).await.unwrap();
    }

    pub async fn has_flow(&self, id: &str) -> bool {
        self.store.flow(&tenant("a"), id).await.is_ok()
    }

    pub async fn taken(&self, id: &str) -> FlowRow {
        self.store.take_flow(&tenant("a"), id, at(1)).await.unwrap()
    }

    /// Sets what no call sets: the state that a renewal or a change of the upstream leaves.
    pub async fn set_state(&self, key: &CredentialKey, state: CredentialState) {
        let (upstream, holder) = (&key.upstream_id, key.holder.id());
        let sql = format!(
            "update upstream_credentials set state = '{}', orphaned_at = null \
             where tenant = 'a' and upstream_id = '{upstream}' and holder_id = '{holder}'",
            state.as_str()
        );
        assert_eq!(self.execute(&sql).await.unwrap(), 1);
    }

    /// The credentials that decisions see.
    pub async fn seen(&self) -> Vec<UpstreamCredential> {
        let (facts, _) = self.facts().await;
        let credentials = facts.into_iter().filter_map(|fact| match fact {
            Fact::Credential(credential) => Some(credential),
            _ => None,
        });
        credentials.collect()
    }
}

/// What an upstream is to be that may get credentials of these holders.
pub fn upstream_with(mode: CredentialMode) -> UpstreamChange {
    UpstreamChange {
        url: Some("https://new.example".to_owned()),
        credential: Some(mode),
        ..UpstreamChange::default()
    }
}
