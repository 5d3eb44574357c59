//! Who asks: the gateway's own token.

use std::sync::Arc;

use thiserror::Error;

use super::{caller::is_expired, question::AskingGateway, snapshot::Snapshot};
use crate::types::{PresentedCredential, Timestamp, TokenKind};

/// The gateway presented something that is not a live gateway token. One text for all: whoever
/// guesses learns nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the gateway did not authenticate: a live token of kind `gateway` is needed")]
pub struct GatewayRefusal;

/// The gateway that presented `credential`.
///
/// # Errors
/// [`GatewayRefusal`] for a credential that is not a live gateway token, and for none.
pub fn recognise_gateway(
    snapshot: &Snapshot,
    credential: &PresentedCredential,
    now: Timestamp,
) -> Result<AskingGateway, GatewayRefusal> {
    // A user's session is no gateway: its hash is that of no token.
    let token = credential.token_hash().and_then(|hash| snapshot.token(hash)).ok_or(GatewayRefusal)?;
    if token.kind != TokenKind::Gateway || token.revoked || is_expired(token, now) {
        return Err(GatewayRefusal);
    }
    Ok(AskingGateway { id: Arc::clone(&token.id), tenant: token.tenant.clone() })
}
