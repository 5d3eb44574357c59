//! systems.md B, C3, C4 and C7 as a small model: what is granted, how each credential stands, what a question is
//! answered.

use std::collections::{BTreeMap, BTreeSet};

use regate::{
    decision::facts::{CredentialMode, CredentialState},
    types::Holder,
};

/// A credential of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub value: String,
    pub state: CredentialState,
    pub expires_at: Option<i64>,
}

/// A flow of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    pub upstream: String,
    pub holder: Holder,
    pub begun_by: String,
    pub expires_at: i64,
    pub taken: bool,
}

/// An upstream of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub allow_all: bool,
    pub mode: CredentialMode,
}

/// How a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Live,
    Revoked,
}

/// What is there.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub users: BTreeSet<String>,
    /// Each with its user.
    pub tokens: BTreeMap<String, (Option<String>, Option<Standing>)>,
    pub upstreams: BTreeMap<String, Upstream>,
    pub grants: BTreeSet<(String, String)>,
    pub credentials: BTreeMap<(String, Holder), Credential>,
    pub flows: BTreeMap<String, Flow>,
}

/// Why a credential or a flow is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NoUpstream,
    NoHolder,
    WrongHolder,
    NotLive,
    NotGranted,
    NoFlow,
    NotTheBeginner,
    Expired,
    Taken,
}

/// What a question is answered: the reason, what goes on, and whether somebody can connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub reason: &'static str,
    pub goes_on: Option<String>,
    pub connects: bool,
}

impl Model {
    pub fn live(&self, token: &str) -> bool {
        self.tokens.get(token).is_some_and(|(_, standing)| *standing == Some(Standing::Live))
    }

    /// B1.
    pub fn granted(&self, token: &str, upstream: &str) -> bool {
        self.upstreams.get(upstream).is_some_and(|record| {
            record.allow_all || self.grants.contains(&(token.to_owned(), upstream.to_owned()))
        })
    }

    /// B2 to B6, after any change of grants or marks.
    pub fn reconcile(&mut self) {
        let Self { credentials, .. } = self;
        let mut all = std::mem::take(credentials);
        for ((upstream, holder), credential) in &mut all {
            let Holder::Token(token) = holder else { continue };
            credential.state = match (credential.state, self.granted(token, upstream)) {
                (CredentialState::Active, false) => CredentialState::Orphaned,
                (CredentialState::Orphaned, true) => CredentialState::Active,
                (state, _) => state,
            };
        }
        self.credentials = all;
        let lost: Vec<String> = self
            .flows
            .iter()
            .filter(|(_, flow)| matches!(&flow.holder, Holder::Token(token) if !self.granted(token, &flow.upstream)))
            .map(|(id, _)| id.clone())
            .collect();
        for id in lost {
            self.flows.remove(&id);
        }
    }

    /// B10: what refers to something that is gone goes with it.
    pub fn clean(&mut self) {
        let Self { users, tokens, upstreams, grants, credentials, flows } = self;
        tokens.retain(|_, (user, _)| user.as_ref().is_none_or(|user| users.contains(user)));
        grants.retain(|(token, upstream)| tokens.contains_key(token) && upstreams.contains_key(upstream));
        let stays = |upstream: &str, holder: &Holder| {
            upstreams.contains_key(upstream)
                && match holder {
                    Holder::Shared => true,
                    Holder::User(user) => users.contains(user),
                    // What is revoked is gone for good.
                    Holder::Token(token) => {
                        tokens.get(token).is_some_and(|(_, standing)| *standing == Some(Standing::Live))
                    }
                }
        };
        credentials.retain(|(upstream, holder), _| stays(upstream, holder));
        flows.retain(|_, flow| stays(&flow.upstream, &flow.holder));
    }

    fn may_hold(&self, upstream: &str, holder: &Holder) -> Result<(), Refusal> {
        let record = self.upstreams.get(upstream).ok_or(Refusal::NoUpstream)?;
        let fits = matches!(
            (record.mode, holder),
            (CredentialMode::Shared, Holder::Shared)
                | (CredentialMode::PerUser, Holder::User(_))
                | (CredentialMode::PerToken, Holder::Token(_))
        );
        if !fits {
            return Err(Refusal::WrongHolder);
        }
        match holder {
            Holder::Shared => Ok(()),
            Holder::User(user) if self.users.contains(user) => Ok(()),
            Holder::Token(token) if self.tokens.contains_key(token) => {
                if self.live(token) {
                    Ok(())
                } else {
                    Err(Refusal::NotLive)
                }
            }
            Holder::User(_) | Holder::Token(_) => Err(Refusal::NoHolder),
        }
    }

    pub fn put(
        &mut self,
        upstream: &str,
        holder: &Holder,
        value: &str,
        expires_at: Option<i64>,
    ) -> Result<CredentialState, Refusal> {
        self.may_hold(upstream, holder)?;
        let state = match holder {
            Holder::Token(token) if !self.granted(token, upstream) => CredentialState::Orphaned,
            _ => CredentialState::Active,
        };
        let credential = Credential { value: value.to_owned(), state, expires_at };
        self.credentials.insert((upstream.to_owned(), holder.clone()), credential);
        Ok(state)
    }

    /// B12.
    pub fn remove(&mut self, upstream: &str, holder: &Holder) -> bool {
        let flows = self.flows.len();
        self.flows.retain(|_, flow| flow.upstream != upstream || flow.holder != *holder);
        self.credentials.remove(&(upstream.to_owned(), holder.clone())).is_some() || self.flows.len() < flows
    }

    pub fn begin(&mut self, id: &str, flow: Flow) -> Result<(), Refusal> {
        self.may_hold(&flow.upstream, &flow.holder)?;
        if matches!(&flow.holder, Holder::Token(token) if !self.granted(token, &flow.upstream)) {
            return Err(Refusal::NotGranted);
        }
        self.flows.insert(id.to_owned(), flow);
        Ok(())
    }

    /// B9, B11.
    pub fn complete(
        &mut self,
        id: &str,
        by: &str,
        value: &str,
        now: i64,
    ) -> Result<CredentialState, Refusal> {
        let flow = self.flows.get_mut(id).ok_or(Refusal::NoFlow)?;
        if flow.begun_by != by {
            return Err(Refusal::NotTheBeginner);
        }
        if flow.taken {
            return Err(Refusal::Taken);
        }
        if flow.expires_at <= now {
            return Err(Refusal::Expired);
        }
        flow.taken = true;
        let Flow { upstream, holder, .. } = flow.clone();
        let state = self.put(&upstream, &holder, value, None)?;
        // What is completed is gone.
        self.flows.remove(id);
        Ok(state)
    }

    pub fn ask(&self, token: &str, upstream: &str, now: i64) -> Answer {
        let no = |reason| Answer { reason, goes_on: None, connects: false };
        let Some((user, standing)) = self.tokens.get(token) else { return no("token.unknown") };
        if *standing != Some(Standing::Live) {
            return no("token.revoked");
        }
        let Some(record) = self.upstreams.get(upstream) else { return no("upstream.unknown") };
        if !self.granted(token, upstream) {
            return no("upstream.not_granted");
        }
        let holder = match record.mode {
            CredentialMode::None => {
                return Answer { reason: "policy.allowed", goes_on: None, connects: false };
            }
            CredentialMode::Shared => Some(Holder::Shared),
            CredentialMode::PerUser => user.clone().map(Holder::User),
            CredentialMode::PerToken => Some(Holder::Token(token.to_owned())),
        };
        let held =
            holder.as_ref().and_then(|holder| self.credentials.get(&(upstream.to_owned(), holder.clone())));
        match held {
            Some(held)
                if held.state == CredentialState::Active && held.expires_at.is_none_or(|at| at > now) =>
            {
                Answer { reason: "policy.allowed", goes_on: Some(held.value.clone()), connects: false }
            }
            held => {
                let orphaned = held.is_some_and(|held| held.state == CredentialState::Orphaned);
                let theirs = holder.is_some_and(|holder| holder != Holder::Shared);
                Answer { connects: theirs && !orphaned, ..no("upstream.credential_missing") }
            }
        }
    }
}
