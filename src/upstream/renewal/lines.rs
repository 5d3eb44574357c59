//! Which of the renewals that were claimed begins next.
//!
//! INVARIANT: an authorization server that hangs takes no more than its own share, and a tenant's servers together no
//! more than half: others always find a place.

use std::collections::{BTreeMap, VecDeque};

use super::{Asked, keeper::Claimed, pauses::Endpoint};
use crate::{store::upstreams::CredentialKey, types::TenantId};

/// Renewals at a time with one token endpoint.
const AT_ENDPOINT: usize = 2;
/// Renewals at a time, of all and of one tenant; of those that somebody waits for as many again.
const AT_ONCE: usize = 16;
const OF_TENANT: usize = AT_ONCE / 2;
/// Renewals that wait, of all and of one tenant. What is more stays held until its hold ends, and is due again then.
const MOST_WAITING: usize = 4_096;
const MOST_OF_TENANT: usize = 512;

/// A renewal that waits for its turn.
pub(super) struct Waiting {
    pub claimed: Claimed,
    /// Whose need it is for. Nobody has to ask again while this is there.
    pub asked: Option<Asked>,
}

/// The place that a renewal has while it is under way. It is to be given back.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub endpoint: Endpoint,
    asked: bool,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    at_work: usize,
    turn: u64,
}

#[derive(Default)]
struct Share {
    waiting: usize,
    at_work: usize,
    asked_at_work: usize,
    turn: u64,
}

/// A line for each token endpoint.
#[derive(Default)]
pub(super) struct Lines {
    lines: BTreeMap<Endpoint, Line>,
    tenants: BTreeMap<TenantId, Share>,
    waiting: usize,
    at_work: usize,
    asked_at_work: usize,
    turns: u64,
}

impl Lines {
    /// Puts a renewal at the end of its line, or, if somebody waits for it, at its beginning. Drops it when there is no
    /// room.
    pub fn put(&mut self, waiting: Waiting) {
        let endpoint = waiting.claimed.endpoint();
        let share = self.tenants.entry(endpoint.tenant.clone()).or_default();
        if self.waiting >= MOST_WAITING || share.waiting >= MOST_OF_TENANT {
            return self.forget_if_idle(&endpoint);
        }
        share.waiting += 1;
        self.waiting += 1;
        let line = self.lines.entry(endpoint).or_default();
        match waiting.asked {
            Some(_) => line.waiting.push_front(waiting),
            None => line.waiting.push_back(waiting),
        }
    }

    /// Somebody waits for this credential: if it waits here it goes to the beginning of its line. Else the asking is
    /// given back.
    pub fn hurry(&mut self, key: &CredentialKey, asked: Asked) -> Result<(), Asked> {
        let lines = self.lines.iter_mut().filter(|(endpoint, _)| endpoint.tenant == key.tenant);
        for (_, line) in lines {
            if let Some(at) = line.waiting.iter().position(|waiting| waiting.claimed.key() == key)
                && let Some(waiting) = line.waiting.remove(at)
            {
                line.waiting.push_front(Waiting { asked: Some(asked), ..waiting });
                return Ok(());
            }
        }
        Err(asked)
    }

    /// The next that may begin, and the place that it has then: of the tenant, and there of the endpoint, whose last
    /// turn is longest ago.
    pub fn next(&mut self) -> Option<(Waiting, Place)> {
        let free = |line: &Line, share: &Share| {
            let asked = line.waiting.front()?.asked.is_some();
            let room = line.at_work < AT_ENDPOINT;
            let usual = self.at_work < AT_ONCE && share.at_work < OF_TENANT;
            let hurried = asked && self.asked_at_work < AT_ONCE && share.asked_at_work < OF_TENANT;
            (room && (usual || hurried)).then_some(hurried)
        };
        let candidates = self.lines.iter().filter_map(|(endpoint, line)| {
            let share = self.tenants.get(&endpoint.tenant)?;
            free(line, share).map(|asked| ((share.turn, line.turn), endpoint, asked))
        });
        let (_, endpoint, asked) = candidates.min_by_key(|(turns, ..)| *turns)?;
        let place = Place { endpoint: endpoint.clone(), asked };
        let line = self.lines.get_mut(&place.endpoint)?;
        let waiting = line.waiting.pop_front()?;
        let share = self.tenants.entry(place.endpoint.tenant.clone()).or_default();
        self.turns += 1;
        (line.turn, share.turn) = (self.turns, self.turns);
        line.at_work += 1;
        self.waiting -= 1;
        share.waiting -= 1;
        let (all, own) = match asked {
            true => (&mut self.asked_at_work, &mut share.asked_at_work),
            false => (&mut self.at_work, &mut share.at_work),
        };
        *all += 1;
        *own += 1;
        Some((waiting, place))
    }

    /// A renewal is over.
    pub fn give_back(&mut self, place: &Place) {
        let Some(line) = self.lines.get_mut(&place.endpoint) else { return };
        let Some(share) = self.tenants.get_mut(&place.endpoint.tenant) else { return };
        line.at_work -= 1;
        let (all, own) = match place.asked {
            true => (&mut self.asked_at_work, &mut share.asked_at_work),
            false => (&mut self.at_work, &mut share.at_work),
        };
        *all -= 1;
        *own -= 1;
        self.forget_if_idle(&place.endpoint);
    }

    /// Takes all that wait for this endpoint out of its line.
    pub fn clear(&mut self, endpoint: &Endpoint) -> Vec<Waiting> {
        let Some(line) = self.lines.get_mut(endpoint) else { return Vec::new() };
        let cleared: Vec<Waiting> = std::mem::take(&mut line.waiting).into();
        self.waiting -= cleared.len();
        if let Some(share) = self.tenants.get_mut(&endpoint.tenant) {
            share.waiting -= cleared.len();
        }
        self.forget_if_idle(endpoint);
        cleared
    }

    /// What nobody waits in takes no memory.
    fn forget_if_idle(&mut self, endpoint: &Endpoint) {
        if self.lines.get(endpoint).is_some_and(|line| line.at_work == 0 && line.waiting.is_empty()) {
            self.lines.remove(endpoint);
        }
        let tenant = &endpoint.tenant;
        let idle = |share: &Share| share.waiting + share.at_work + share.asked_at_work == 0;
        if self.tenants.get(tenant).is_some_and(idle) {
            self.tenants.remove(tenant);
        }
    }
}
