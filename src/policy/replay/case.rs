//! One recorded question, and its two answers.

use thiserror::Error;

use crate::{
    decision::{Decision, Question},
    types::{DataRevision, Timestamp},
};

/// A question to decide again.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// The question.
    pub question: Question<'a>,
    /// The moment of the decision, if it is known.
    pub now: Option<Timestamp>,
    /// What was answered, if that was recorded.
    pub recorded: Option<Recorded>,
}

/// An answer as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Whether the request could go on.
    pub allow: bool,
    /// The first reason.
    pub reason: String,
    /// The text for the caller.
    pub message: String,
    /// The caller's token, if it had one that was known.
    pub token_id: Option<String>,
    /// The caller was a user's session.
    pub by_session: bool,
    /// The decision's id, if it had one.
    pub decision_id: Option<String>,
    /// The data that it was decided over.
    pub data_revision: Option<DataRevision>,
}

/// The old answer.
#[derive(Clone, Debug)]
pub enum Before {
    /// The one that was recorded.
    Recorded(Recorded),
    /// The old bundle's.
    Decided(Box<Decision>),
}

impl Before {
    /// Whether the request could go on.
    pub fn allow(&self) -> bool {
        match self {
            Self::Recorded(recorded) => recorded.allow,
            Self::Decided(decision) => decision.allow,
        }
    }

    /// The first reason.
    pub fn reason(&self) -> &str {
        match self {
            Self::Recorded(recorded) => &recorded.reason,
            Self::Decided(decision) => decision.reasons.first.as_str(),
        }
    }

    /// The text for the caller.
    pub fn message(&self) -> &str {
        match self {
            Self::Recorded(recorded) => &recorded.message,
            Self::Decided(decision) => decision.message.as_str(),
        }
    }
}

/// The old answer and the new one.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The old answer.
    pub before: Before,
    /// The new one.
    pub after: Decision,
    /// The id of the recorded decision, if there is one.
    pub decision_id: Option<String>,
    /// The old answer is a recorded one, and was given over other data.
    pub other_data: bool,
}

impl Comparison {
    /// What became of the answer.
    pub fn change(&self) -> Change {
        match (self.before.allow(), self.after.allow) {
            (true, true) => Change::AllowToAllow,
            (true, false) => Change::AllowToDeny,
            (false, true) => Change::DenyToAllow,
            (false, false) => Change::DenyToDeny,
        }
    }
}

/// The old and the new answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Allowed, and still is.
    AllowToAllow,
    /// Denied from now on.
    AllowToDeny,
    /// Allowed from now on.
    DenyToAllow,
    /// Denied, and still is.
    DenyToDeny,
}

impl Change {
    /// All four, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::AllowToAllow, Self::AllowToDeny, Self::DenyToAllow, Self::DenyToDeny];

    /// Whether the answer is another.
    pub fn is_flip(self) -> bool {
        matches!(self, Self::AllowToDeny | Self::DenyToAllow)
    }

    /// Its name for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllowToAllow => "allow_to_allow",
            Self::AllowToDeny => "allow_to_deny",
            Self::DenyToAllow => "deny_to_allow",
            Self::DenyToDeny => "deny_to_deny",
        }
    }
}

/// Why a case has no two answers.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Undecided {
    /// No answer was recorded, and there is no old bundle to ask.
    #[error("there is no old answer to compare with")]
    NothingToCompare,
    /// The record does not say enough.
    #[error(transparent)]
    Lacks(#[from] Lack),
}

/// What a record, or the data, lacks for the record to be decided again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Lack {
    /// The caller's token is gone, or this is other data.
    #[error("the token {id} is not in the data")]
    Token {
        /// Its id.
        id: String,
    },
    /// The caller was a user's session, and what its JWT said is not in the record.
    #[error("the record does not say what the user's session claimed")]
    Session,
    /// There may have been a credential, and whose it was is not in the record.
    #[error("the record does not say whose credential it was ({reason})")]
    Credential {
        /// The recorded reason.
        reason: String,
    },
    /// The answer was not the rules' alone, and what they said is not in the record.
    #[error("the recorded answer was not the rules' ({reason})")]
    NotTheRules {
        /// The recorded reason.
        reason: String,
    },
    /// When it was decided is not in the record.
    #[error("the record has no time")]
    Time,
}
