//! A few questions of each sort: to see, after the search, whether an invariant is about anything.

use std::collections::BTreeMap;

use super::case::Case;

/// So many questions are kept of each sort.
const KEPT: usize = 3;
/// And so many are shown, of those that were allowed as of those that were denied.
const MOST: usize = 200;

/// Questions by whether they were allowed, and by their sort.
#[derive(Debug, Default)]
pub(super) struct Samples {
    denied: BTreeMap<Sort, Vec<Case>>,
    allowed: BTreeMap<Sort, Vec<Case>>,
}

/// The reason of the answer, the kind of token, whether a list of projects and one of tools confine it, and the method.
type Sort = (String, Option<String>, [bool; 2], String);

impl Samples {
    /// Keeps the question if there are few of its sort.
    pub(super) fn keep(&mut self, allow: bool, reason: &str, case: &Case) {
        let kind = case.token.as_ref().map(|token| token.kind.clone());
        let token = case.token.as_ref();
        // Without a message, a list of tools makes no difference to most rules.
        let to_tools = case.mcp.is_some() && token.is_some_and(|token| token.tools.is_some());
        let confined = [token.is_some_and(|token| token.projects.is_some()), to_tools];
        let sorts = if allow { &mut self.allowed } else { &mut self.denied };
        let kept = sorts.entry((reason.to_owned(), kind, confined, case.method.clone())).or_default();
        if kept.len() < KEPT {
            kept.push(case.clone());
        }
    }

    /// One of each sort after the other; those that were allowed first.
    pub(super) fn mixed(&self) -> impl Iterator<Item = &Case> {
        [&self.allowed, &self.denied].into_iter().flat_map(|sorts| {
            let turns = (0..KEPT).flat_map(|turn| sorts.values().filter_map(move |kept| kept.get(turn)));
            turns.take(MOST)
        })
    }
}
