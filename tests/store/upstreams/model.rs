//! What upstreams, grants, credentials and flows are, in memory: the rules of systems.md B and nothing of SQL.

use std::collections::{BTreeMap, BTreeSet};

use regate::decision::facts::{CredentialMode, CredentialState};

/// Users, tokens and upstreams are numbers.
pub type Number = u8;
/// A set of them, a bit for each.
pub type Set = u64;

/// Whose a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    Shared,
    User(Number),
    Token(Number),
}

/// One thing that somebody does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    PutUser(Number),
    RemoveUser(Number),
    /// The second is whose it is.
    Mint(Number, Option<Number>),
    RemoveToken(Number),
    Revoke(Number),
    PutUpstream(Number, CredentialMode),
    RemoveUpstream(Number),
    /// Which of two headers it wants the values of; `None` for one header with a token.
    Want(Number, Option<Set>),
    Mark(Number, bool),
    Rename(Number),
    TokenGrants(Number, Set),
    UpstreamGrants(Number, Set, Option<bool>),
    Put(Owner, Number),
    /// With the values of these headers.
    PutValues(Owner, Number, Set),
    Remove(Owner, Number),
    Begin(Number, Owner, Number),
    Take(Number),
    Complete(Number),
    RemoveFlow(Number),
    /// To one of the states that grants do not touch.
    SetState(Owner, Number, CredentialState),
    SweepOrphans,
    SweepFlows,
    /// As another program does: SQL past the store.
    RawGrant(Number, Number),
    RawUngrant(Number, Number),
    RawUngrantToken(Number),
    RawUngrantAll,
    RawMark(Number, bool),
    RawMarkAll(bool),
    RawRevokeAll,
    RawRemoveToken(Number),
    RawRemoveUser(Number),
    RawRemoveUpstream(Number),
    RawRemoveTenant,
    /// The store is closed and opened again.
    Restart,
}

#[derive(Clone, Debug, Default)]
pub struct Upstream {
    pub mode: CredentialMode,
    pub allow_all: bool,
    pub wants: Option<Set>,
}

#[derive(Clone, Debug)]
pub struct Credential {
    pub state: CredentialState,
    /// Which headers it has the values of; `None` for a token.
    pub values: Option<Set>,
}

#[derive(Clone, Debug)]
pub struct Flow {
    pub owner: Owner,
    pub upstream: Number,
    pub taken: bool,
}

/// All there is.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub users: BTreeSet<Number>,
    /// Whose it is, and whether it is revoked.
    pub tokens: BTreeMap<Number, (Option<Number>, bool)>,
    pub upstreams: BTreeMap<Number, Upstream>,
    pub grants: BTreeSet<(Number, Number)>,
    pub credentials: BTreeMap<(Owner, Number), Credential>,
    pub flows: BTreeMap<Number, Flow>,
    /// What flows were begun for, also those that are gone: a link in somebody's hand.
    pub links: BTreeMap<Number, (Owner, Number)>,
}

/// The numbers in a set.
pub fn members(set: Set) -> impl Iterator<Item = Number> {
    (0..64).filter(move |number| set & (1 << number) != 0)
}

impl Model {
    /// Does it, or says why not in the words of `StoreError::code`.
    pub fn apply(&mut self, operation: Operation) -> Result<(), &'static str> {
        let done = self.begin_to_apply(operation);
        self.settle();
        done
    }

    pub fn reaches(&self, token: Number, upstream: Number) -> bool {
        self.grants.contains(&(token, upstream))
            || self.upstreams.get(&upstream).is_some_and(|it| it.allow_all)
    }

    fn fits(&self, upstream: Number, values: Option<Set>) -> bool {
        match (self.upstreams.get(&upstream).and_then(|it| it.wants), values) {
            (None, None) => true,
            (Some(wanted), Some(given)) => wanted & !given == 0,
            _ => false,
        }
    }

    /// What holds after each operation, whatever it was.
    fn settle(&mut self) {
        let Self { users, tokens, upstreams, .. } = self.clone();
        let lives = |owner: Owner| match owner {
            Owner::Shared => true,
            Owner::User(user) => users.contains(&user),
            Owner::Token(token) => tokens.get(&token).is_some_and(|(_, revoked)| !revoked),
        };
        self.tokens.retain(|_, (user, _)| user.is_none_or(|user| users.contains(&user)));
        self.grants
            .retain(|(token, upstream)| tokens.contains_key(token) && upstreams.contains_key(upstream));
        self.credentials.retain(|(owner, upstream), _| lives(*owner) && upstreams.contains_key(upstream));
        self.flows.retain(|_, flow| lives(flow.owner) && upstreams.contains_key(&flow.upstream));
        let model = self.clone();
        let granted = |owner: Owner, upstream| match owner {
            Owner::Token(token) => model.reaches(token, upstream),
            Owner::Shared | Owner::User(_) => true,
        };
        self.flows.retain(|_, flow| granted(flow.owner, flow.upstream));
        for ((owner, upstream), credential) in &mut self.credentials {
            if matches!(credential.state, CredentialState::Active | CredentialState::Orphaned) {
                credential.state = if !model.fits(*upstream, credential.values) {
                    CredentialState::NeedsUpdate
                } else if granted(*owner, *upstream) {
                    CredentialState::Active
                } else {
                    CredentialState::Orphaned
                };
            }
        }
    }

    /// Whether this owner may hold something for the upstream.
    fn hold(&self, owner: Owner, upstream: Number) -> Result<(), &'static str> {
        let mode = self.upstreams.get(&upstream).ok_or("not_found")?.mode;
        match (mode, owner) {
            (CredentialMode::Shared, Owner::Shared) => Ok(()),
            (CredentialMode::PerUser, Owner::User(user)) => {
                self.users.contains(&user).then_some(()).ok_or("unknown_reference")
            }
            (CredentialMode::PerToken, Owner::Token(token)) => match self.tokens.get(&token) {
                None => Err("unknown_reference"),
                Some((_, true)) => Err("not_live"),
                Some((_, false)) => Ok(()),
            },
            _ => Err("wrong_holder"),
        }
    }

    fn put(&mut self, owner: Owner, upstream: Number, values: Option<Set>) {
        // What it is follows from the rest.
        self.credentials.insert((owner, upstream), Credential { state: CredentialState::Active, values });
    }

    fn begin_to_apply(&mut self, operation: Operation) -> Result<(), &'static str> {
        use Operation as O;
        match operation {
            O::PutUser(user) => {
                self.users.insert(user);
            }
            O::RemoveUser(user) => self.users.remove(&user).then_some(()).ok_or("not_found")?,
            O::Mint(token, user) => {
                if user.is_some_and(|user| !self.users.contains(&user)) {
                    return Err("unknown_reference");
                }
                if self.tokens.contains_key(&token) {
                    return Err("duplicate");
                }
                self.tokens.insert(token, (user, false));
            }
            O::Revoke(token) => self.tokens.get_mut(&token).ok_or("not_found")?.1 = true,
            O::PutUpstream(upstream, mode) => self.upstreams.entry(upstream).or_default().mode = mode,
            O::RemoveUpstream(upstream) => {
                self.upstreams.remove(&upstream).ok_or("not_found")?;
            }
            O::Want(upstream, wants) => self.upstreams.get_mut(&upstream).ok_or("required")?.wants = wants,
            O::Mark(upstream, mark) => self.upstreams.get_mut(&upstream).ok_or("required")?.allow_all = mark,
            O::TokenGrants(token, upstreams) => {
                match self.tokens.get(&token) {
                    None => return Err("not_found"),
                    Some((_, true)) => return Err("not_live"),
                    Some((_, false)) => {}
                }
                if members(upstreams).any(|upstream| !self.upstreams.contains_key(&upstream)) {
                    return Err("unknown_reference");
                }
                self.grants.retain(|(of, _)| *of != token);
                self.grants.extend(members(upstreams).map(|upstream| (token, upstream)));
            }
            O::UpstreamGrants(upstream, tokens, mark) => {
                let found = self.upstreams.get_mut(&upstream).ok_or("not_found")?;
                if members(tokens).any(|token| !self.tokens.contains_key(&token)) {
                    return Err("unknown_reference");
                }
                found.allow_all = mark.unwrap_or(found.allow_all);
                self.grants.retain(|(_, of)| *of != upstream);
                self.grants.extend(members(tokens).map(|token| (token, upstream)));
            }
            O::Put(owner, upstream) => {
                self.hold(owner, upstream)?;
                self.put(owner, upstream, None);
            }
            O::PutValues(owner, upstream, values) => {
                self.hold(owner, upstream)?;
                self.put(owner, upstream, Some(values));
            }
            O::Remove(owner, upstream) => {
                let before = self.flows.len();
                self.flows.retain(|_, flow| (flow.owner, flow.upstream) != (owner, upstream));
                let gone = self.credentials.remove(&(owner, upstream)).is_some();
                (gone || self.flows.len() < before).then_some(()).ok_or("not_found")?;
            }
            O::Begin(flow, owner, upstream) => {
                self.links.entry(flow).or_insert((owner, upstream));
                self.hold(owner, upstream)?;
                if let Owner::Token(token) = owner
                    && !self.reaches(token, upstream)
                {
                    return Err("not_granted");
                }
                if self.flows.contains_key(&flow) {
                    return Err("duplicate");
                }
                self.links.insert(flow, (owner, upstream));
                self.flows.insert(flow, Flow { owner, upstream, taken: false });
            }
            O::Take(flow) => {
                let flow = self.flows.get_mut(&flow).ok_or("not_found")?;
                if std::mem::replace(&mut flow.taken, true) {
                    return Err("flow_over");
                }
            }
            O::Complete(flow) => {
                let (owner, upstream) = self.link(flow);
                if self.hold(owner, upstream) == Err("wrong_holder") {
                    return Err("wrong_holder");
                }
                if !self.flows.get(&flow).is_some_and(|flow| flow.taken) {
                    return Err("not_found");
                }
                self.flows.remove(&flow);
                self.put(owner, upstream, None);
            }
            O::RemoveFlow(flow) => {
                self.flows.remove(&flow).ok_or("not_found")?;
            }
            O::SetState(owner, upstream, state) => {
                if let Some(credential) = self.credentials.get_mut(&(owner, upstream)) {
                    credential.state = state;
                }
            }
            O::SweepOrphans => self.credentials.retain(|_, it| it.state != CredentialState::Orphaned),
            O::SweepFlows => self.flows.clear(),
            O::RawGrant(token, upstream) => {
                // `settle` takes away what has no rows to refer to.
                self.grants.insert((token, upstream));
            }
            O::RawUngrant(token, upstream) => drop(self.grants.remove(&(token, upstream))),
            O::RawUngrantToken(token) => self.grants.retain(|(of, _)| *of != token),
            O::RawUngrantAll => self.grants.clear(),
            O::RawMark(upstream, mark) => {
                if let Some(upstream) = self.upstreams.get_mut(&upstream) {
                    upstream.allow_all = mark;
                }
            }
            O::RawMarkAll(mark) => self.upstreams.values_mut().for_each(|upstream| upstream.allow_all = mark),
            O::RawRevokeAll => self.tokens.values_mut().for_each(|(_, revoked)| *revoked = true),
            O::RemoveToken(token) | O::RawRemoveToken(token) => drop(self.tokens.remove(&token)),
            O::RawRemoveUser(user) => drop(self.users.remove(&user)),
            O::RawRemoveUpstream(upstream) => drop(self.upstreams.remove(&upstream)),
            O::RawRemoveTenant => {
                let links = std::mem::take(&mut self.links);
                *self = Self { links, ..Self::default() };
            }
            O::Rename(upstream) => {
                self.upstreams.get(&upstream).ok_or("required")?;
            }
            O::Restart => {}
        }
        // Tokens whose user is gone, before what refers to them.
        let users = self.users.clone();
        self.tokens.retain(|_, (user, _)| user.is_none_or(|user| users.contains(&user)));
        Ok(())
    }

    /// What a flow was begun for; some key for one that never was.
    pub fn link(&self, flow: Number) -> (Owner, Number) {
        self.links.get(&flow).copied().unwrap_or((Owner::Token(0), 0))
    }

    /// Everything, a line for each row, as [`LINES`] gives it.
    pub fn lines(&self) -> Vec<String> {
        let owner = |owner: &Owner| match owner {
            Owner::Shared => "shared ".to_owned(),
            Owner::User(user) => format!("user u{user}"),
            Owner::Token(token) => format!("token t{token}"),
        };
        let mut lines: Vec<String> = Vec::new();
        lines.extend(self.users.iter().map(|user| format!("user u{user}")));
        lines.extend(
            self.tokens.iter().map(|(id, (_, revoked))| format!("token t{id} {}", u8::from(*revoked))),
        );
        lines.extend(
            self.upstreams
                .iter()
                .map(|(id, it)| format!("upstream x{id} {} {}", it.mode.as_str(), u8::from(it.allow_all))),
        );
        lines.extend(self.grants.iter().map(|(token, upstream)| format!("grant t{token} x{upstream}")));
        lines.extend(self.credentials.iter().map(|((of, upstream), it)| {
            let form = if it.values.is_some() { "headers" } else { "token" };
            let orphaned = u8::from(it.state == CredentialState::Orphaned);
            format!("credential x{upstream} {} {form} {} {orphaned}", owner(of), it.state.as_str())
        }));
        lines.extend(self.flows.iter().map(|(id, it)| {
            format!("flow f{id} x{} {} {}", it.upstream, owner(&it.owner), u8::from(it.taken))
        }));
        lines.sort_unstable();
        lines
    }
}

/// The query for [`Model::lines`], for the tenant `a`.
pub const LINES: &str = "
    select 'user ' || id from users where tenant = 'a'
    union all select 'token ' || id || ' ' || case when revoked_at is null then 0 else 1 end from tokens where tenant = 'a'
    union all select 'upstream ' || id || ' ' || credential || ' ' || case when allow_all then 1 else 0 end
        from upstreams where tenant = 'a'
    union all select 'grant ' || token_id || ' ' || upstream_id from grants where tenant = 'a'
    union all select 'credential ' || upstream_id || ' ' || holder || ' ' || holder_id || ' ' || form || ' ' || state
        || ' ' || case when orphaned_at is null then 0 else 1 end from upstream_credentials where tenant = 'a'
    union all select 'flow ' || id || ' ' || upstream_id || ' ' || holder || ' ' || holder_id || ' '
        || case when taken_at is null then 0 else 1 end from credential_flows where tenant = 'a'";
