//! A few questions of each sort: to see, after the search, whether an invariant is about anything.

use std::collections::BTreeMap;

use super::case::Case;

/// So many questions are kept for each reason.
const KEPT: usize = 8;
/// And so many in all.
const MOST: usize = 200;

/// Questions by whether they were allowed, and by the reason.
#[derive(Debug, Default)]
pub(super) struct Samples {
    denied: BTreeMap<String, Vec<Case>>,
    allowed: BTreeMap<String, Vec<Case>>,
}

impl Samples {
    /// Keeps the question if there are few of its sort.
    pub(super) fn keep(&mut self, allow: bool, reason: &str, case: &Case) {
        let sort = if allow { &mut self.allowed } else { &mut self.denied };
        let kept = sort.entry(reason.to_owned()).or_default();
        if kept.len() < KEPT {
            kept.push(case.clone());
        }
    }

    /// One for each reason after the other; those that were allowed first.
    pub(super) fn mixed(&self) -> impl Iterator<Item = &Case> {
        [&self.allowed, &self.denied]
            .into_iter()
            .flat_map(|sort| (0..KEPT).flat_map(|turn| sort.values().filter_map(move |kept| kept.get(turn))))
            .take(MOST)
    }
}
