//! Errors of a call, as problem documents (RFC 9457) with a stable `code` and `"allow": false`, so
//! that a careless client still denies.

mod document;
mod from_errors;

pub(super) use document::retold;

use std::borrow::Cow;

use axum::http::StatusCode;
use thiserror::Error;

use crate::{
    decision::GatewayRefusal,
    policy::{ActivationFailure, RevisionTimeout},
    store::{import::Problems, upstreams::FlowEnd},
};

/// Why a call was not answered with a decision.
#[derive(Debug, Error)]
pub enum Problem {
    /// The body is not UTF-8, not JSON, or not a question.
    #[error("{0}")]
    Malformed(String),
    /// The body is nested too deep.
    #[error("the body is nested deeper than {0} levels")]
    TooDeep(usize),
    /// A part of the question is too long.
    #[error("{part} is longer than {limit} bytes")]
    PartTooLong {
        /// Which part, as a path into the message.
        part: Cow<'static, str>,
        /// The bound.
        limit: usize,
    },
    /// A batch is too long.
    #[error("the batch has {length} questions; at most {limit} are taken")]
    BatchTooLong {
        /// How many came.
        length: usize,
        /// The bound.
        limit: usize,
    },
    /// The body is too large.
    #[error("the body is larger than {0} bytes")]
    BodyTooLarge(usize),
    /// The header is too large.
    #[error("the header is larger than {0} bytes")]
    HeaderTooLarge(usize),
    /// The body did not arrive, or not in time.
    #[error("the body did not arrive in time")]
    BodyNotReceived,
    /// The gateway did not authenticate.
    #[error(transparent)]
    Gateway(#[from] GatewayRefusal),
    /// Whoever describes a request here did not authenticate as a gateway.
    #[error(
        "what describes the request is believed only from a gateway that authenticates: it has to send the live token of a \
         gateway, once, in X-Regate-Gateway-Token"
    )]
    Unbelieved,
    /// The data has not been loaded yet.
    #[error("the data is still being loaded")]
    NotLoaded,
    /// Whether the token of who asks is good is not known, because the data is stale.
    #[error("the data is not current: whether the caller may ask is not known")]
    Stale,
    /// Whether the session of who asks is good is not known, because its issuer's keys are not.
    #[error("the keys of the session's issuer are not known yet: whether the caller may ask is not known")]
    KeysUnavailable,
    /// The request can be read in two ways, or has no place to go. The text says why.
    #[error("the request is not one that can be read in one way only: {0}")]
    Form(&'static str),
    /// There is nothing at this path.
    #[error("there is nothing at this path")]
    NotFound,
    /// The path takes another method.
    #[error("this path takes another method")]
    MethodNotAllowed,
    /// A management call came without a credential, or with one that is not good.
    #[error("this call needs the live token or session of an operator, as `Authorization: Bearer …`")]
    Unauthenticated(Unauthenticated),
    /// The caller of a management call may not make it.
    #[error("{}", if .message.is_empty() { "the policy does not allow this call" } else { .message.as_str() })]
    ManagementDenied {
        /// The reason's code, of the policy or of regate.
        reason: String,
        /// The policy's words.
        message: String,
    },
    /// The caller of a management call makes more of them than the policy lets it.
    #[error("too many calls; try again in {0} s")]
    TooManyCalls(u64),
    /// The decision about a call cannot be recorded.
    #[error("decisions cannot be recorded; nothing was done")]
    Unrecorded,
    /// A management call is not as it should be: its path, its query or its body.
    #[error("{0}")]
    Invalid(String),
    /// There is no such row in the caller's tenant, or none that the caller may see.
    #[error("there is no such {0}")]
    NoSuch(&'static str),
    /// The token is revoked or has expired: it does not change any more.
    #[error("the token is {state}: it cannot be changed; mint a new one")]
    NotLive {
        /// `revoked` or `expired`.
        state: &'static str,
    },
    /// The user, or the project, has as many live tokens as may be.
    #[error("the {what} has {limit} live tokens, which is the most: revoke one that is not used")]
    TooManyTokens {
        /// `user` or `project`.
        what: &'static str,
        /// The limit.
        limit: u32,
    },
    /// The upstream has no credentials of such holders.
    #[error("{}", right_holder(.mode, .holder))]
    WrongHolder {
        /// Which credential goes on there.
        mode: &'static str,
        /// What kind of holder was named.
        holder: &'static str,
    },
    /// Consent would help nothing: the token may not reach the upstream.
    #[error("the token has no grant for this upstream: grant it first (PUT /v1/tokens/{{id}}/grants)")]
    NotGranted,
    /// There is no key to seal a credential with.
    #[error(
        "regate has no key to seal credentials with: make one (regate credentials new-key) and name its file, key_file \
         in [credentials]"
    )]
    NoKey,
    /// The consent flow cannot be completed any more.
    #[error("the flow {0}: begin another one")]
    FlowOver(FlowEnd),
    /// Somebody else began the flow.
    #[error("only who began this flow can complete it")]
    FlowNotYours,
    /// The authorization server gave no token.
    #[error("{0}")]
    NotExchanged(String),
    /// `iss` is not the upstream's issuer.
    #[error(
        "iss: it has to be the issuer that the upstream names, as the authorization server sent it with the code"
    )]
    WrongIssuer,
    /// Too many codes are being exchanged; the flow is as it was.
    #[error("too many codes are being exchanged: complete the flow again in a moment")]
    ExchangesBusy,
    /// Something of the document is refused, and nothing was written.
    #[error("nothing was written: {} thing(s) of the document are refused", .0.count())]
    ImportRefused(Box<Problems>),
    /// What was sent breaks a rule that the database holds.
    #[error("the store refuses it: the rule {0}")]
    Rejected(String),
    /// The database does not answer.
    #[error("the store cannot be reached; nothing was changed")]
    StoreUnavailable,
    /// Another write came in between.
    #[error("another write came in between; nothing was changed")]
    StoreBusy,
    /// The database answered something that it should not have.
    #[error("the store failed; the log says how")]
    StoreFailed,
    /// The files that are there now were not activated.
    #[error("the last good policy keeps deciding: {}", .0.without_lines())]
    NotActivated(Box<ActivationFailure>),
    /// The process is about to end.
    #[error("this process is about to end")]
    Ending,
    /// The data that the question asks for is not here yet.
    #[error(transparent)]
    Revision(#[from] RevisionTimeout),
}

/// Why the caller of a management call is nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unauthenticated {
    /// No credential came.
    Absent,
    /// One that is not good. Which of the reasons it was is not told: whoever guesses learns nothing.
    Token,
    /// A JWT that is nobody's session, and the code that says why: it tells nothing that is kept here.
    Session(&'static str),
}

impl Problem {
    /// The stable code, the HTTP status of the call, and the title that goes with the code.
    pub fn kind(&self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::Malformed(_) => ("question.malformed", StatusCode::BAD_REQUEST, "Not a valid question"),
            Self::TooDeep(_) => {
                ("question.too_deep", StatusCode::BAD_REQUEST, "The question is nested too deep")
            }
            Self::PartTooLong { .. } => {
                ("question.part_too_long", StatusCode::BAD_REQUEST, "A part of the question is too long")
            }
            Self::BatchTooLong { .. } => ("batch.too_long", StatusCode::BAD_REQUEST, "The batch is too long"),
            Self::BodyTooLarge(_) => {
                ("body.too_large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large")
            }
            Self::HeaderTooLarge(_) => {
                ("header.too_large", StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The header is too large")
            }
            Self::BodyNotReceived => {
                ("body.not_received", StatusCode::REQUEST_TIMEOUT, "The body did not arrive")
            }
            Self::Gateway(_) => {
                ("gateway.unauthenticated", StatusCode::UNAUTHORIZED, "The gateway did not authenticate")
            }
            // Shown to the gateway's own client, who could do nothing about a 401.
            Self::Unbelieved => {
                ("gateway.unauthenticated", StatusCode::FORBIDDEN, "The gateway did not authenticate")
            }
            Self::NotLoaded => {
                ("data.not_loaded", StatusCode::SERVICE_UNAVAILABLE, "The data is not loaded yet")
            }
            Self::Stale => ("data.stale", StatusCode::SERVICE_UNAVAILABLE, "The data is not current"),
            Self::KeysUnavailable => (
                "session.keys_unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "The keys of the session's issuer are not known",
            ),
            Self::Form(_) => ("request.malformed", StatusCode::BAD_REQUEST, "Not a valid request"),
            Self::NotFound => ("route.not_found", StatusCode::NOT_FOUND, "Not found"),
            Self::MethodNotAllowed => {
                ("route.method_not_allowed", StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
            }
            Self::Unauthenticated(_) => {
                ("management.unauthenticated", StatusCode::UNAUTHORIZED, "The caller did not authenticate")
            }
            Self::ManagementDenied { .. } => {
                ("management.denied", StatusCode::FORBIDDEN, "The caller may not make this call")
            }
            Self::TooManyCalls(_) => ("rate_limit.exceeded", StatusCode::TOO_MANY_REQUESTS, "Too many calls"),
            Self::Unrecorded => {
                ("audit.unavailable", StatusCode::SERVICE_UNAVAILABLE, "Decisions cannot be recorded")
            }
            Self::Invalid(_) => ("request.invalid", StatusCode::BAD_REQUEST, "Not a valid call"),
            Self::NoSuch(_) => ("resource.not_found", StatusCode::NOT_FOUND, "There is no such thing"),
            Self::NotLive { .. } => ("token.not_live", StatusCode::CONFLICT, "The token is dead"),
            Self::TooManyTokens { .. } => ("token.too_many", StatusCode::CONFLICT, "Too many live tokens"),
            Self::WrongHolder { .. } => {
                ("credential.wrong_holder", StatusCode::CONFLICT, "The upstream has no such credentials")
            }
            Self::NotGranted => ("credential.not_granted", StatusCode::CONFLICT, "The token has no grant"),
            Self::NoKey => (
                "credential.no_key",
                StatusCode::SERVICE_UNAVAILABLE,
                "There is no key to seal credentials with",
            ),
            Self::FlowOver(FlowEnd::Expired) => {
                ("credential_flow.expired", StatusCode::GONE, "The flow has expired")
            }
            Self::FlowOver(FlowEnd::Taken) => {
                ("credential_flow.completed", StatusCode::CONFLICT, "The flow was completed")
            }
            Self::FlowNotYours => {
                ("credential_flow.not_yours", StatusCode::FORBIDDEN, "Somebody else began the flow")
            }
            Self::WrongIssuer => (
                "credential_flow.wrong_issuer",
                StatusCode::FORBIDDEN,
                "Another authorization server sent the person back",
            ),
            Self::ExchangesBusy => (
                "credential_flow.busy",
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many codes are being exchanged",
            ),
            Self::NotExchanged(_) => (
                "credential_flow.not_exchanged",
                StatusCode::BAD_GATEWAY,
                "The authorization server gave no token",
            ),
            Self::ImportRefused(_) => ("import.refused", StatusCode::BAD_REQUEST, "The import was refused"),
            Self::Rejected(_) => ("request.invalid", StatusCode::BAD_REQUEST, "Not a valid call"),
            Self::StoreUnavailable => {
                ("store.unavailable", StatusCode::SERVICE_UNAVAILABLE, "The store cannot be reached")
            }
            Self::StoreBusy => {
                ("store.busy", StatusCode::SERVICE_UNAVAILABLE, "Another write came in between")
            }
            Self::StoreFailed => ("store.failed", StatusCode::INTERNAL_SERVER_ERROR, "The store failed"),
            Self::NotActivated(_) => {
                ("policy.not_activated", StatusCode::CONFLICT, "The policy was not activated")
            }
            Self::Ending => {
                ("process.ending", StatusCode::SERVICE_UNAVAILABLE, "The process is about to end")
            }
            Self::Revision(_) => (
                "data.revision_not_reached",
                StatusCode::SERVICE_UNAVAILABLE,
                "The data revision has not been reached",
            ),
        }
    }
}

/// Who holds a credential at an upstream whose credential is `mode`, told to whoever named another holder.
fn right_holder(mode: &str, holder: &str) -> String {
    let right = match mode {
        "per_user" => "its holder is a user",
        "per_token" => "its holder is a token",
        "shared" => "the holder is `shared`",
        _ => return format!("the upstream's credential is {mode}: nobody holds one there"),
    };
    let named = if holder == "shared" {
        "and there is no shared credential".to_owned()
    } else {
        format!("not a {holder}")
    };
    format!("the upstream's credential is {mode}: {right}, {named}")
}

pub(super) async fn not_found() -> Problem {
    Problem::NotFound
}

pub(super) async fn method_not_allowed() -> Problem {
    Problem::MethodNotAllowed
}
