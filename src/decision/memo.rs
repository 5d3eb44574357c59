//! What the rules said lately: the same question, over the same data and by the same rules, in the same second, has the same
//! verdict, and need not be put to them again.
//!
//! **Must never know:** who may do what; a credential; the text of what was asked: only its hash is kept.
//!
//! INVARIANT: the key says all that the rules can see ([`InputReads`]): two questions that they could tell apart never have
//! the same one. What is not in the key is the same for all that is kept at a time: the policy and the data (by the basis'
//! [`generation`](super::Basis::generation)) and, where rules look at it, the second. When one of these changes, all is forgotten.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::{
    Document, bundle::InputReads, caller::Caller, input::InputParts, question::Mcp, verdict::Verdict,
};
use crate::types::{PresentedCredential, TenantId};

/// So many verdicts are kept by each worker, until all of them are forgotten at the next second or the next change.
const MOST_VERDICTS: usize = 8_192;
/// A question that takes more bytes to say is not worth keeping.
const LONGEST_QUESTION: usize = 4 * 1_024;
/// Nor is a verdict that takes more: callers may have a say in how long it is.
const LONGEST_VERDICT: usize = 1_024;

/// What a question is found by: a hash of all that rules can see of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct MemoKey([u8; 32]);

/// The verdicts of one policy, one state of the data, and one second.
#[derive(Debug, Default)]
pub(super) struct Memo {
    generation: u64,
    second: Option<i64>,
    verdicts: HashMap<MemoKey, Verdict>,
    /// Where questions are said, one after the other.
    said: Vec<u8>,
}

impl Memo {
    /// What this question of a caller, in this tenant, is found by; `None` for one that is put to the rules each time. What
    /// belongs to another moment is forgotten.
    pub fn key(
        &mut self,
        (generation, reads): (u64, &InputReads),
        tenant: &TenantId,
        parts: &InputParts<'_>,
    ) -> Option<MemoKey> {
        if !reads.repeatable || parts.management.is_some() || parts.question.explain {
            return None;
        }
        let second = reads.now.then_some(parts.now);
        if (self.generation, self.second) != (generation, second) {
            self.verdicts.clear();
            (self.generation, self.second) = (generation, second);
        }
        let is_said = Said(&mut self.said).question(reads, tenant, parts).is_some();
        let is_kept = is_said && self.said.len() <= LONGEST_QUESTION;
        let key = is_kept.then(|| MemoKey(Sha256::digest(&self.said).into()));
        // Nothing that a caller sent stays behind, and no more room than usual.
        self.said.clear();
        self.said.shrink_to(LONGEST_QUESTION);
        key
    }

    /// What the rules said to it.
    pub fn find(&self, key: Option<MemoKey>) -> Option<&Verdict> {
        self.verdicts.get(&key?)
    }

    /// Keeps what they said.
    pub fn keep(&mut self, key: Option<MemoKey>, verdict: &Verdict) {
        let Some(key) = key.filter(|_| self.verdicts.len() < MOST_VERDICTS) else { return };
        if verdict.text_bytes() <= LONGEST_VERDICT {
            self.verdicts.insert(key, verdict.clone());
        }
    }
}

/// A question, said so that no two are said alike: each text with its length before it, each choice with a number.
struct Said<'s>(&'s mut Vec<u8>);

impl Said<'_> {
    fn number(&mut self, number: usize) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn choice(&mut self, choice: u8) {
        self.0.push(choice);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        self.choice(u8::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }

    fn question(&mut self, reads: &InputReads, tenant: &TenantId, parts: &InputParts<'_>) -> Option<()> {
        // Taken apart, so that whoever adds a part has to think of this.
        let InputParts { question, mcp, rules, method, path, caller, user, upstream, management: _, now: _ } =
            parts;
        let request = &question.request;
        self.text(tenant.as_str());
        self.text(method);
        self.number(path.segments.len());
        path.segments.iter().for_each(|segment| self.text(segment));
        match caller {
            None => self.choice(0),
            // Its row is the data's, and so is its user's.
            Some(Caller::Token(token)) => {
                self.choice(1);
                self.text(&token.id);
            }
            // What it claims is what was signed, and that is in the hash; whose it is, the configuration reads out of it.
            Some(Caller::Session(session)) => {
                let PresentedCredential::Session { sha256, .. } = &question.credential else { return None };
                self.choice(2);
                self.0.extend_from_slice(&sha256.0);
                self.text(&session.user_id);
                self.optional(session.token_id.as_deref());
                self.optional(user.and_then(|user| user.claimed).map(|role| role.as_str()));
            }
        }
        match upstream {
            None => self.choice(0),
            Some(upstream) => {
                self.choice(1);
                self.text(upstream.id);
                self.choice(u8::from(upstream.granted));
                self.text(upstream.credential);
            }
        }
        self.message(reads, *mcp)?;
        // Whoever says much beside the request says something else each time.
        if reads.context && !is_empty_object(&question.context) {
            return None;
        }
        if reads.gateway {
            self.optional(question.gateway.map(|gateway| &*gateway.id));
        }
        if reads.host {
            self.optional(request.host.as_deref());
        }
        if reads.query {
            self.optional(path.query);
        }
        if reads.raw_path {
            self.text(path.raw);
        }
        if reads.source_ip {
            self.optional(request.source_ip.as_deref());
        }
        let hidden = &rules.credential_headers;
        for (name, value) in request.headers.iter() {
            if reads.headers.has(name) && !hidden.iter().any(|hidden| hidden == name) {
                self.text(name);
                self.text(value);
            }
        }
        Some(())
    }

    fn message(&mut self, reads: &InputReads, message: Option<&Mcp<'_>>) -> Option<()> {
        let Some(message) = message else {
            self.choice(0);
            return Some(());
        };
        if reads.params && message.params != Document::Null {
            return None;
        }
        self.choice(1);
        self.optional(message.method.as_deref());
        match message.tool() {
            None => self.choice(0),
            Some(Document::String(tool)) => {
                self.choice(1);
                self.text(tool);
            }
            // Nothing that anybody means.
            Some(_) => return None,
        }
        Some(())
    }
}

fn is_empty_object(document: &Document) -> bool {
    document.as_object().is_ok_and(|members| members.is_empty())
}
