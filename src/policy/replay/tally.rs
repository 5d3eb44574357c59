//! The counts of a replay.

use std::collections::BTreeMap;

use super::{
    Comparison,
    case::{Change, Undecided},
};

/// So many different reason changes, and so many things that records lack, are counted apart; a policy that puts
/// ids into its reasons could have any number of them.
const MOST_GROUPS: usize = 10_000;

/// What was counted. Its size does not grow with the number of lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All lines that are not blank.
    pub lines: u64,
    /// Lines that are no question.
    pub unreadable: u64,
    /// Records of what no gateway asked: calls of the management API, evaluations (AuthZEN), and those that say that
    /// another could not be read.
    pub no_questions: u64,
    /// Lines outside the time that was asked for.
    pub not_selected: u64,
    /// Lines without an old answer.
    pub cannot_compare: u64,
    /// Lines that do not say enough to be decided again.
    pub cannot_decide: u64,
    /// Compared with an answer that was given over other data.
    pub other_data: u64,
    changes: [u64; 4],
    reasons: BTreeMap<(String, String), u64>,
    reasons_beyond: u64,
    lacks: BTreeMap<String, u64>,
}

/// So many answers have another reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonChange<'a> {
    /// The old first reason.
    pub before: &'a str,
    /// The new one.
    pub after: &'a str,
    /// How many.
    pub count: u64,
}

impl Tally {
    /// Counts two answers.
    pub fn compared(&mut self, comparison: &Comparison) {
        if let Some(count) = self.changes.get_mut(comparison.change() as usize) {
            *count += 1;
        }
        self.other_data += u64::from(comparison.other_data);
        let (before, after) = (comparison.before.reason(), comparison.after.reasons.first.as_str());
        if before != after {
            let key = (before.to_owned(), after.to_owned());
            if self.reasons.len() < MOST_GROUPS || self.reasons.contains_key(&key) {
                *self.reasons.entry(key).or_default() += 1;
            } else {
                self.reasons_beyond += 1;
            }
        }
    }

    /// Counts a case that has no two answers.
    pub fn undecided(&mut self, why: &Undecided) {
        match why {
            Undecided::NothingToCompare => self.cannot_compare += 1,
            Undecided::Lacks(lack) => {
                self.cannot_decide += 1;
                let lack = lack.to_string();
                if self.lacks.len() < MOST_GROUPS || self.lacks.contains_key(&lack) {
                    *self.lacks.entry(lack).or_default() += 1;
                }
            }
        }
    }

    /// How many answers changed like this, or stayed so.
    pub fn count(&self, change: Change) -> u64 {
        self.changes.get(change as usize).copied().unwrap_or_default()
    }

    /// How many cases have two answers.
    pub fn compared_count(&self) -> u64 {
        self.changes.iter().sum()
    }

    /// How many answers are another now.
    pub fn flips(&self) -> u64 {
        self.count(Change::AllowToDeny) + self.count(Change::DenyToAllow)
    }

    /// The reasons that changed, the most frequent first.
    pub fn reason_changes(&self) -> Vec<ReasonChange<'_>> {
        let changes = self.reasons.iter();
        let mut changes: Vec<ReasonChange<'_>> =
            changes.map(|((before, after), count)| ReasonChange { before, after, count: *count }).collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.count));
        changes
    }

    /// How many reason changes are not in [`reason_changes`](Self::reason_changes), which has an end.
    pub fn reason_changes_beyond(&self) -> u64 {
        self.reasons_beyond
    }

    /// What records lacked, the most frequent first.
    pub fn lacks(&self) -> Vec<(&str, u64)> {
        let mut lacks: Vec<(&str, u64)> =
            self.lacks.iter().map(|(lack, count)| (lack.as_str(), *count)).collect();
        lacks.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        lacks
    }
}
