//! Tokens one at a time: made, read, changed, revoked; and when they were last used.

use std::collections::BTreeMap;

use crate::types::{DataRevision, TenantId, Timestamp, TokenHash, TokenKind};

pub(super) mod change;
pub(super) mod live;
pub(super) mod mint;
pub(super) mod read;
pub(super) mod revoke;
mod specification;
pub(super) mod trigger;
pub(super) mod unshown;
pub(super) mod uses;

pub use change::TokenChange;
pub use specification::{
    InvalidField, TokenLimits, TokenSpecification, token_expiry, token_name, token_projects, token_tools,
};
pub use uses::TokenUse;

/// A token to be stored. The raw token stays with the caller. The right to trigger is not here: it
/// is granted by a call of its own, never at minting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Unique everywhere; 1 to 256 characters.
    pub id: String,
    /// `None` is a gateway of all tenants; every other token has a tenant.
    pub tenant: Option<TenantId>,
    /// What it is for.
    pub kind: TokenKind,
    /// For people; 1 to 128 characters.
    pub name: String,
    /// What it will be found by.
    pub sha256: TokenHash,
    /// Its first characters, at most 12, shown in lists.
    pub prefix: Option<String>,
    /// Whose it is; a global token needs one, a gateway has none.
    pub user_id: Option<String>,
    /// The one project of a project token.
    pub project_id: Option<String>,
    /// May read (project tokens).
    pub scope_pull: bool,
    /// May write.
    pub scope_push: bool,
    /// `None` is not limited to a list; else project id → its own expiry, or `None` for none.
    pub projects: Option<BTreeMap<String, Option<Timestamp>>>,
    /// `None` is not limited to a list of tools.
    pub tools: Option<Vec<String>>,
    /// When it expires, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Which tokens to list. The default is the first 100 of all tenants, revoked ones too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFilter {
    /// Only this tenant's; `None` is everybody's, for operators.
    pub tenant: Option<TenantId>,
    /// Only of this kind.
    pub kind: Option<TokenKind>,
    /// Only this user's.
    pub user_id: Option<String>,
    /// Only this project's own tokens.
    pub project_id: Option<String>,
    /// Only the one with this hash.
    pub sha256: Option<TokenHash>,
    /// Revoked ones too.
    pub include_revoked: bool,
    /// Only those in this state at `now`; one of [`Revoked`](TokenState::Revoked) contradicts leaving those out.
    pub state: Option<TokenState>,
    /// The moment of `state`.
    pub now: Timestamp,
    /// Only those that were last used before this moment, as far as is known; of one that was never used it counts
    /// when it was made.
    pub unused_since: Option<Timestamp>,
    /// The id of the last token of the page before. It must be the id of a token of `tenant`.
    pub after: Option<String>,
    /// The most rows to give.
    pub limit: u32,
}

impl Default for TokenFilter {
    fn default() -> Self {
        Self {
            tenant: None,
            kind: None,
            user_id: None,
            project_id: None,
            sha256: None,
            include_revoked: true,
            state: None,
            now: Timestamp::from_unix_seconds(0),
            unused_since: None,
            after: None,
            limit: 100,
        }
    }
}

/// What may be shown of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id.
    pub id: String,
    /// Its tenant; `None` is a gateway of all tenants.
    pub tenant: Option<TenantId>,
    /// What it is for.
    pub kind: TokenKind,
    /// For people.
    pub name: String,
    /// Its first characters, if they were kept.
    pub prefix: Option<String>,
    /// Whose it is.
    pub user_id: Option<String>,
    /// The one project of a project token.
    pub project_id: Option<String>,
    /// May read (project tokens).
    pub scope_pull: bool,
    /// May write.
    pub scope_push: bool,
    /// May trigger (MCP tokens).
    pub allow_trigger: bool,
    /// As in [`Token::projects`](crate::decision::facts::Token::projects).
    pub projects: Option<BTreeMap<String, Option<i64>>>,
    /// `None` is not limited to a list of tools.
    pub tools: Option<Vec<String>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it expires, if ever.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, as far as is known.
    pub last_used_at: Option<Timestamp>,
}

/// Whether a token can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It can.
    Live,
    /// Its time is over.
    Expired,
    /// It was revoked, whatever its expiry says.
    Revoked,
}

impl TokenState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Live, Self::Expired, Self::Revoked];

    /// The name shown in lists.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// The state with that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Of a token that is revoked, or not, and expires then, if ever.
    fn of(revoked: bool, expires_at: Option<Timestamp>, now: Timestamp) -> Self {
        if revoked {
            Self::Revoked
        } else if expires_at.is_some_and(|expiry| expiry.unix_seconds() <= now.unix_seconds()) {
            Self::Expired
        } else {
            Self::Live
        }
    }
}

impl TokenRow {
    /// Its state at `now`; by whole seconds, as decisions see it.
    pub fn state(&self, now: Timestamp) -> TokenState {
        TokenState::of(self.revoked_at.is_some(), self.expires_at, now)
    }
}

/// What a revocation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The revision that has it: a new one, or the current one when nothing changed.
    pub revision: DataRevision,
    /// When the token was revoked first.
    pub revoked_at: Timestamp,
    /// Whether this call did it.
    pub changed: bool,
}
