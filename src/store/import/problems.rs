//! What is wrong with a document.

use std::fmt;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place in the document, such as `tokens[3].expires_at`.
    pub place: String,
    /// What is wrong there, and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// All that is wrong with a document: the first [`Problems::SHOWN`] in full, the others counted.
/// `Display` gives a line for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    shown: Vec<Problem>,
    more: usize,
}

impl Problems {
    /// How many are kept in full. Who made one mistake made it a million times.
    pub const SHOWN: usize = 50;

    /// Exactly one.
    pub(super) fn one(place: String, text: String) -> Self {
        Self { shown: vec![Problem { place, text }], more: 0 }
    }

    /// Adds one. The texts are made only if they are kept.
    pub(super) fn add(&mut self, place: impl FnOnce() -> String, text: impl FnOnce() -> String) {
        if self.shown.len() < Self::SHOWN {
            self.shown.push(Problem { place: place(), text: text() });
        } else {
            self.more += 1;
        }
    }

    /// Those kept in full.
    pub fn shown(&self) -> &[Problem] {
        &self.shown
    }

    /// How many there are in all.
    pub fn count(&self) -> usize {
        self.shown.len() + self.more
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.shown.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        if self.more > 0 {
            write!(f, "\n… and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
