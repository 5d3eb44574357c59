//! What other rooms' errors are to whoever calls: without the words that are for the log.

use super::Problem;
use crate::{
    store::{InvalidField, StoreError},
    types::causes,
    upstream::{CredentialError, Misgiven},
};

impl From<InvalidField> for Problem {
    fn from(invalid: InvalidField) -> Self {
        Self::Invalid(invalid.to_string())
    }
}

impl From<Misgiven> for Problem {
    fn from(wrong: Misgiven) -> Self {
        Self::Invalid(wrong.to_string())
    }
}

impl From<StoreError> for Problem {
    /// What went wrong in the store, without its words: they are the database's, and go to the log.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound { what } => Self::NoSuch(what),
            StoreError::UnknownReference { what } => Self::Invalid(format!("there is no such {what}")),
            StoreError::WrongKind { .. } => Self::Invalid(error.to_string()),
            StoreError::NotLive { state } => Self::NotLive { state },
            StoreError::TooMany { what, limit } => Self::TooManyTokens { what, limit },
            StoreError::Rejected { rule } => Self::Rejected(rule),
            StoreError::Required { what, field } => Self::Invalid(format!("{field}: a new {what} needs one")),
            StoreError::WrongHolder { mode, holder } => Self::WrongHolder { mode, holder },
            StoreError::NotGranted => Self::NotGranted,
            StoreError::FlowOver(end) => Self::FlowOver(end),
            StoreError::Locked(_) | StoreError::Conflict(_) | StoreError::Duplicate { .. } => Self::StoreBusy,
            StoreError::Unavailable(_) => {
                tracing::warn!(error = causes(&error).join(": "), "the store cannot be reached");
                Self::StoreUnavailable
            }
            error => {
                tracing::error!(error = causes(&error).join(": "), "the store failed");
                Self::StoreFailed
            }
        }
    }
}

impl From<CredentialError> for Problem {
    fn from(error: CredentialError) -> Self {
        match error {
            CredentialError::NoKey => Self::NoKey,
            CredentialError::Invalid(invalid) => Self::Invalid(invalid.to_string()),
            CredentialError::Unsuitable(problem) => Self::Invalid(problem.to_owned()),
            CredentialError::NotTheBeginner => Self::FlowNotYours,
            CredentialError::WrongIssuer => Self::WrongIssuer,
            CredentialError::Busy => Self::ExchangesBusy,
            CredentialError::Ending => Self::Ending,
            CredentialError::Unreachable => Self::NotExchanged(error.to_string()),
            CredentialError::WrongState => Self::Invalid(format!("state: {error}")),
            CredentialError::NotExchanged(_) => Self::NotExchanged(error.to_string()),
            CredentialError::Store(error) => error.into(),
        }
    }
}
