//! A token that is managed by whoever has it: found by its hash, not by its id (RFC 7009).

use super::{super::problem::Problem, Management};
use crate::{
    store::{StoreError, TokenFilter, TokenRow},
    types::{TenantId, TokenHash, TokenKind},
};

/// What became of a token that was to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Revoked {
    /// It is revoked, and the next decision of this process knows it.
    Gone,
    /// There is none with this hash that is not revoked, or it is another tenant's.
    Unknown,
    /// It is an operator's or a gateway's own, which is revoked by its id.
    NotByItself,
}

impl Management {
    /// Revokes the token with this hash, in one tenant or, without one, in any.
    ///
    /// # Errors
    /// What went wrong in the store.
    pub(in crate::api) async fn revoke_presented(
        &self,
        hash: TokenHash,
        tenant: Option<&TenantId>,
    ) -> Result<Revoked, Problem> {
        // The store itself is asked: what another process minted a moment ago is known there.
        let filter = TokenFilter {
            tenant: tenant.cloned(),
            sha256: Some(hash),
            now: self.now(),
            limit: 1,
            ..TokenFilter::default()
        };
        let found = self.store.list_tokens(&filter).await?.value;
        let Some(TokenRow { id, kind, .. }) = found.first() else { return Ok(Revoked::Unknown) };
        if !may_go(*kind) {
            return Ok(Revoked::NotByItself);
        }
        match self.store.revoke_token(id, tenant, self.now()).await {
            Ok(revocation) => {
                if revocation.changed {
                    tracing::info!(token = id, "a token was revoked by whoever has it");
                }
                Ok(Revoked::Gone)
            }
            Err(StoreError::NotFound { .. }) => Ok(Revoked::Unknown),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a token of this kind is a client's own. Those who run the gateways revoke theirs by id.
const fn may_go(kind: TokenKind) -> bool {
    match kind {
        TokenKind::Global | TokenKind::Project | TokenKind::Mcp => true,
        TokenKind::Admin | TokenKind::Gateway => false,
    }
}
