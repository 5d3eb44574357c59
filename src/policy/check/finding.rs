//! What was found, and where.

use std::cmp::Ordering;

use serde::Serialize;

use super::{code::Code, tree::Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot be meant: a decision would be wrong, or the bundle cannot be used.
    Error,
    /// It may be meant, and then is said to be (`# regate:allow CODE`).
    Warning,
}

/// A place in a file, for people and editors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// One thing that Rego lets pass in silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, or the folder when the whole bundle is meant.
    pub file: String,
    /// `None` when the whole file or bundle is meant.
    pub place: Option<Place>,
    /// What sort of thing.
    pub code: Code,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Finding {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// The order in which a person reads them.
    pub(super) fn in_order(&self, other: &Self) -> Ordering {
        let key = |finding: &Self| (finding.file.clone(), finding.place, finding.code);
        key(self).cmp(&key(other)).then_with(|| self.message.cmp(&other.message))
    }
}

/// The text of a file, and where its lines begin.
#[derive(Debug)]
pub(super) struct Text<'t> {
    pub(super) text: &'t str,
    begins: Vec<usize>,
}

impl<'t> Text<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let begins = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, begins }
    }

    /// The place of a byte.
    pub(super) fn place(&self, at: usize) -> Place {
        let line = self.begins.partition_point(|begin| *begin <= at).max(1);
        let begin = self.begins.get(line - 1).copied().unwrap_or(0);
        Place { line, column: self.text.get(begin..at).map_or(0, |before| before.chars().count()) + 1 }
    }

    /// What is written in a range.
    pub(super) fn of(&self, span: Span) -> &'t str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }
}
