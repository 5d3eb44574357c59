//! What goes on to an upstream, in the clear: for as long as a decision needs it.

use std::{collections::BTreeMap, fmt};

use super::{Sealed, SealedFor, SecretText};

/// A credential that was opened. `Debug` shows nothing of it, and dropping it wipes it.
#[derive(Clone)]
pub enum UpstreamSecret {
    /// A token, to be put in the place that the upstream's header has for it.
    Token(SecretText),
    /// Values of headers as they are, by name in lower case.
    Headers(BTreeMap<String, SecretText>),
}

impl fmt::Debug for UpstreamSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(…)",
            Self::Headers(_) => "Headers(…)",
        })
    }
}

/// Opens what goes on to upstreams: pure, given its keys.
pub trait OpenSealed: fmt::Debug + Send + Sync {
    /// What was sealed for this place; `None` when no key of ours opens it there.
    fn open(&self, place: SealedFor<'_>, sealed: &Sealed) -> Option<UpstreamSecret>;
}

/// Has no key.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeys;

impl OpenSealed for NoKeys {
    fn open(&self, _: SealedFor<'_>, _: &Sealed) -> Option<UpstreamSecret> {
        None
    }
}
