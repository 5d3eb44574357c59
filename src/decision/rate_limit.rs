//! How often a caller may: the limits that a policy names beside its answer, and what became of them.
//!
//! **Must never know:** how calls are counted, or where.

use std::{sync::Arc, time::Duration};

use regorus::Value;

use super::{
    Document,
    outcome::{Decision, HeaderChanges, Message, Reasons},
    reason::OwnReason,
};

/// At most so many calls in a window, for whoever has this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Its name, such as `mcp.logs`. Callers see it.
    pub name: Arc<str>,
    /// Who shares a window. Keys of two tenants, or of two names, are never the same.
    pub key: Arc<str>,
    /// So many calls: 1 to 1,000,000.
    pub limit: u32,
    /// Of whole seconds: 1 to 86,400.
    pub window: Duration,
    /// So many calls this is: each message of a batch is one.
    pub count: u32,
    /// What became of it, once it has been counted.
    pub state: Option<LimitState>,
}

/// How a limit stands after a call was counted, or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitState {
    /// The call was within it.
    pub allowed: bool,
    /// So many more calls would be, at this moment.
    pub remaining: u32,
    /// After this there is room for more than now; of a refused call: room for it.
    pub reset: Duration,
}

impl LimitState {
    /// [`reset`](Self::reset) in whole seconds, rounded up, as headers say it.
    pub fn reset_seconds(&self) -> u64 {
        self.reset.as_secs() + u64::from(self.reset.subsec_nanos() > 0)
    }
}

/// The longest name, and the longest key, in bytes.
const LONGEST_NAME: usize = 128;
const LONGEST_KEY: usize = 1024;
const MOST_CALLS: u32 = 1_000_000;
const LONGEST_WINDOW: u64 = 86_400;

impl RateLimit {
    /// Reads `{"name", "key", "limit", "window_seconds"}`. A member too many, or of another type, is none: a limit that
    /// was meant otherwise must not be left out.
    pub(super) fn read(value: &Document) -> Option<Self> {
        let Value::Object(object) = value else { return None };
        let (mut name, mut key, mut limit, mut window) = (None, None, None, None);
        for (member, value) in object.iter() {
            let Value::String(member) = member else { return None };
            match member.as_ref() {
                "name" => name = text(value, LONGEST_NAME),
                "key" => key = text(value, LONGEST_KEY),
                "limit" => limit = value.as_u32().ok().filter(|limit| (1..=MOST_CALLS).contains(limit)),
                "window_seconds" => {
                    window = value.as_u64().ok().filter(|window| (1..=LONGEST_WINDOW).contains(window));
                }
                _ => return None,
            }
        }
        Some(Self {
            name: name.filter(|name| is_name(name))?,
            key: key?,
            limit: limit?,
            window: Duration::from_secs(window?),
            count: 1,
            state: None,
        })
    }

    /// Adds a limit to those of the messages before: what two messages of one batch are counted by is counted twice.
    pub(super) fn gather(all: &mut Vec<Self>, more: Vec<Self>) {
        for limit in more {
            let same = |other: &&mut Self| {
                (&other.name, &other.key, other.limit, other.window)
                    == (&limit.name, &limit.key, limit.limit, limit.window)
            };
            match all.iter_mut().find(same) {
                Some(counted) => counted.count = counted.count.saturating_add(limit.count),
                None => all.push(limit),
            }
        }
    }
}

/// A name stands in a header (a String of RFC 9651), a label, a column: plain ASCII.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\".contains(&b))
}

fn text(value: &Document, longest: usize) -> Option<Arc<str>> {
    match value {
        Value::String(text) if text.len() <= longest => Some(Arc::clone(text)),
        _ => None,
    }
}

impl Decision {
    /// The limit that matters most to the caller: one that is exhausted, else the one with the least left.
    pub fn tightest_limit(&self) -> Option<(&RateLimit, LimitState)> {
        let counted = self.limits.iter().filter_map(|limit| Some((limit, limit.state?)));
        counted.min_by_key(|(_, state)| {
            let waits = if state.allowed { Duration::ZERO } else { state.reset };
            (state.allowed, std::cmp::Reverse(waits), state.remaining)
        })
    }

    /// After so many seconds a call that was refused for its frequency would be let through.
    pub fn retry_after(&self) -> Option<u64> {
        let (_, state) = self.tightest_limit()?;
        (!state.allowed).then(|| state.reset_seconds().max(1))
    }

    /// The same with what counting gave: a call beyond a limit is denied for that, whatever the rules said.
    #[must_use]
    pub fn counted(mut self, states: impl IntoIterator<Item = LimitState>) -> Self {
        for (limit, state) in self.limits.iter_mut().zip(states) {
            limit.state = Some(state);
        }
        // What was not counted at all is no less of a limit.
        let is_within = |limit: &RateLimit| limit.state.is_some_and(|state| state.allowed);
        if self.limits.iter().all(is_within) { self } else { self.denied_for(OwnReason::RateLimitExceeded) }
    }

    /// The same as a deny, since it cannot be recorded and no decision goes unrecorded.
    #[must_use]
    pub fn not_recorded(self) -> Self {
        Self { limits: Vec::new(), ..self.denied_for(OwnReason::AuditUnavailable) }
    }

    /// The same as a deny for a reason that comes before all others. Nothing is set any more, and no upstream credential
    /// is told.
    pub(super) fn denied_for(self, reason: OwnReason) -> Self {
        let Self { reasons, headers, .. } = self;
        // What allowed does not stand among the reasons of a deny's record twice.
        let rest = std::iter::once(reasons.first).chain(reasons.rest).collect();
        Self {
            allow: false,
            status: reason.status(),
            reasons: Reasons { first: reason.into(), rest },
            message: Message::Own(reason.message().into()),
            headers: HeaderChanges {
                set: std::collections::BTreeMap::new(),
                credential: std::collections::BTreeMap::new(),
                ..headers
            },
            connection_key: None,
            connect_url: None,
            challenge: None,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RateLimit;
    use crate::decision::Document;

    fn read(json: &str) -> Option<RateLimit> {
        RateLimit::read(&Document::from_json_str(json).unwrap())
    }

    #[test]
    fn a_limit_says_all_four_and_nothing_else() {
        let limit =
            read(r#"{"name": "mcp.logs", "key": "user:u1", "limit": 10, "window_seconds": 60}"#).unwrap();
        assert_eq!((limit.limit, limit.window.as_secs(), limit.count), (10, 60, 1));
        for json in [
            "null",
            "[]",
            "{}",
            r#"{"name": "n", "key": "k", "limit": 10}"#,
            r#"{"name": "", "key": "k", "limit": 10, "window_seconds": 60}"#,
            r#"{"name": "a b", "key": "k", "limit": 10, "window_seconds": 60}"#,
            r#"{"name": "a\"b", "key": "k", "limit": 10, "window_seconds": 60}"#,
            r#"{"name": "n", "key": null, "limit": 10, "window_seconds": 60}"#,
            r#"{"name": "n", "key": "k", "limit": 0, "window_seconds": 60}"#,
            r#"{"name": "n", "key": "k", "limit": 1.5, "window_seconds": 60}"#,
            r#"{"name": "n", "key": "k", "limit": "10", "window_seconds": 60}"#,
            r#"{"name": "n", "key": "k", "limit": 10, "window_seconds": 0}"#,
            r#"{"name": "n", "key": "k", "limit": 10, "window_seconds": 86401}"#,
            r#"{"name": "n", "key": "k", "limit": 1000001, "window_seconds": 60}"#,
            r#"{"name": "n", "key": "k", "limit": 10, "window_seconds": 60, "burst": 3}"#,
        ] {
            assert_eq!(read(json), None, "{json}");
        }
    }

    #[test]
    fn messages_of_one_batch_are_counted_each() {
        let limit = |key: &str| {
            let json = format!(r#"{{"name": "n", "key": "{key}", "limit": 10, "window_seconds": 60}}"#);
            vec![read(&json).unwrap()]
        };
        let mut all = limit("a");
        RateLimit::gather(&mut all, limit("a"));
        RateLimit::gather(&mut all, limit("b"));
        RateLimit::gather(&mut all, limit("a"));
        assert_eq!(
            all.iter().map(|limit| (&*limit.key, limit.count)).collect::<Vec<_>>(),
            [("a", 3), ("b", 1)]
        );
    }
}
