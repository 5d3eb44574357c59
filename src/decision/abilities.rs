//! What the asking gateway can do with the headers of the request that it holds.

use std::fmt;

use thiserror::Error;

use super::outcome::HeaderChanges;

/// A gateway that cannot make every change of a request's headers.
pub trait GatewayAbilities: fmt::Debug + Sync {
    /// Whether it makes these. What it makes in part is not made: the request would go on with a header that the client
    /// wrote where the rules want it gone, or without the one that they want there.
    ///
    /// # Errors
    /// [`CannotCarryOut`], with the first that it does not make.
    fn carries_out(&self, changes: &HeaderChanges) -> Result<(), CannotCarryOut>;
}

/// The gateway has no way to do with the request's headers what the decision needs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the gateway cannot set or remove the header {header}, which the rules want")]
pub struct CannotCarryOut {
    /// The header's name, for the log.
    pub header: String,
}
