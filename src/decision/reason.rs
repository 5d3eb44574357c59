//! Why: the stable dotted code of an answer.

use std::{fmt, sync::Arc};

use crate::types::SessionRefusal;

/// A reason code, given by regate or by the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// One of regate's own.
    Own(OwnReason),
    /// One that the policy gave.
    Policy(Arc<str>),
}

impl Reason {
    /// The code.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Own(own) => own.code(),
            Self::Policy(code) => code,
        }
    }
}

impl From<OwnReason> for Reason {
    fn from(own: OwnReason) -> Self {
        Self::Own(own)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! own_reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal, $message:literal;)+) => {
        /// The codes that regate itself gives. The table in `docs/reasons.md` explains each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum OwnReason { $($(#[$doc])* $variant),+ }

        impl OwnReason {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// What the gateway should answer to its client.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// Whether it says why a JWT is nobody's session.
            pub fn is_about_sessions(self) -> bool {
                SessionRefusal::ALL.into_iter().any(|refusal| Self::from(refusal) == self)
            }

            /// What the caller may be told. The answers to a dead credential are one text, so
            /// that a caller cannot learn whether a key ever existed.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message),+ }
            }
        }
    };
}

own_reasons! {
    /// The path could be read in two ways.
    AmbiguousPath = "request.ambiguous_path", 400, "the path can be read in more than one way";
    /// Two credentials, or the header twice.
    AmbiguousCredential = "request.ambiguous_credential", 400, "the request carries more than one credential";
    /// The body of an MCP request is no message.
    McpMalformed = "mcp.malformed_message", 400, "the body is not a JSON-RPC message";
    /// The gateway told only a part of a body that has to be judged.
    BodyIncomplete = "request.body_incomplete", 403, "the body is longer than the gateway may show";
    /// A path that needs no credential.
    PublicPath = "request.public_path", 200, "this path is public";
    /// Rego denied an anonymous caller.
    TokenMissing = "token.missing", 401, "a credential is needed";
    /// Not a credential.
    TokenMalformed = "token.malformed", 401, "the credential is not valid";
    /// No such token, or none that this gateway may see.
    TokenUnknown = "token.unknown", 401, "the credential is not valid";
    /// Revoked.
    TokenRevoked = "token.revoked", 401, "the credential is not valid";
    /// Expired.
    TokenExpired = "token.expired", 401, "the credential is not valid";
    /// A JWT that cannot be read.
    SessionMalformed = "session.malformed", 401, "the credential is not valid";
    /// A JWT of somebody who is no issuer of ours.
    SessionIssuerUnknown = "session.issuer_unknown", 401, "the credential is not valid";
    /// A JWT signed in a way that is not allowed, or not signed.
    SessionAlgorithmNotAllowed = "session.algorithm_not_allowed", 401, "the credential is not valid";
    /// A JWT signed with a key that its issuer does not publish.
    SessionKeyUnknown = "session.key_unknown", 401, "the credential is not valid";
    /// A JWT whose signature is wrong.
    SessionSignatureInvalid = "session.signature_invalid", 401, "the credential is not valid";
    /// A JWT that is for somebody else.
    SessionWrongAudience = "session.wrong_audience", 401, "the credential is not valid";
    /// A JWT whose time is over.
    SessionExpired = "session.expired", 401, "the credential is not valid";
    /// A JWT without an end, where one is required.
    SessionExpiryMissing = "session.expiry_missing", 401, "the credential is not valid";
    /// A JWT whose time has not come.
    SessionNotYetValid = "session.not_yet_valid", 401, "the credential is not valid";
    /// A JWT that does not say whose it is.
    SessionClaimMissing = "session.claim_missing", 401, "the credential is not valid";
    /// A JWT that nobody can check yet.
    SessionKeysUnavailable = "session.keys_unavailable", 503, "the issuer's keys are not known; try again later";
    /// The token is limited to tools, and the request calls another, or nobody knows which.
    ToolNotListed = "token.tool_not_listed", 403, "this token may not call this tool";
    /// The rules want a header set or removed, and the gateway's configuration has no place for it.
    CannotCarryOut = "gateway.cannot_carry_out", 403, "the gateway cannot carry out what the rules want of it";
    /// The policy allowed and gave no reason of its own.
    PolicyAllowed = "policy.allowed", 200, "the policy allows this";
    /// The policy denied and gave no reason of its own.
    NoRuleMatched = "policy.no_rule_matched", 403, "no rule allows this";
    /// The policy failed, or its result has no boolean `allow`.
    PolicyError = "policy.error", 403, "the policy could not be evaluated";
    /// The policy exceeded its budget of instructions or time.
    PolicyTimeout = "policy.timeout", 503, "the policy took too long";
    /// The credential is of a kind that never manages, whatever the policy says.
    ManagementTokenKind = "management.token_kind", 403, "tokens of this kind manage nothing";
    /// The policy allows with obligations of which who asks does not say that it carries them out.
    ObligationUnsupported = "obligation.unsupported", 403, "this is allowed with obligations that the gateway does not carry out";
    /// This process does not know the present data.
    DataStale = "data.stale", 503, "the data is not current; try again later";
    /// The caller asks more often than the policy lets it.
    RateLimitExceeded = "rate_limit.exceeded", 429, "too many calls; try again later";
    /// The decision log cannot take the decision.
    AuditUnavailable = "audit.unavailable", 503, "decisions cannot be recorded; try again later";
    /// The question names an upstream that the tenant does not have.
    UpstreamUnknown = "upstream.unknown", 403, "there is no such upstream";
    /// The token has no grant for the upstream.
    UpstreamNotGranted = "upstream.not_granted", 403, "this token may not reach this upstream";
    /// The answer would carry a credential to somebody who did not authenticate, or where others can read it.
    ChannelInsecure = "upstream.channel_insecure", 403, "the gateway may not be given this upstream's credential";
    /// The upstream needs a credential, and there is none to send on.
    CredentialMissing = "upstream.credential_missing", 403, "there is no usable credential for this upstream";
}

impl From<SessionRefusal> for OwnReason {
    fn from(refusal: SessionRefusal) -> Self {
        match refusal {
            SessionRefusal::Malformed => Self::SessionMalformed,
            SessionRefusal::IssuerUnknown => Self::SessionIssuerUnknown,
            SessionRefusal::AlgorithmNotAllowed => Self::SessionAlgorithmNotAllowed,
            SessionRefusal::KeyUnknown => Self::SessionKeyUnknown,
            SessionRefusal::SignatureInvalid => Self::SessionSignatureInvalid,
            SessionRefusal::WrongAudience => Self::SessionWrongAudience,
            SessionRefusal::Expired => Self::SessionExpired,
            SessionRefusal::ExpiryMissing => Self::SessionExpiryMissing,
            SessionRefusal::NotYetValid => Self::SessionNotYetValid,
            SessionRefusal::ClaimMissing => Self::SessionClaimMissing,
            SessionRefusal::KeysUnavailable => Self::SessionKeysUnavailable,
        }
    }
}
