//! What the faces share that are asked with a copy of the request itself, and whose answer is a status and headers:
//! forward authentication, and Envoy's external authorization over HTTP.
//!
//! **For:** who asks, what of the message's headers is the caller's, whether the gateway can carry out what was decided,
//! and the answer.
//!
//! **Must never know:** in which headers a gateway describes a request: each face reads its own.

use std::{borrow::Cow, collections::BTreeSet};

use axum::{
    body::Body as MessageBody,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;
use uuid::Uuid;

use super::{Shared, call, held::GATEWAY_HEADER, json_rpc, problem::Problem, rate_headers};
use crate::{
    auth::CredentialReader,
    decision::{AskingGateway, Body, CannotCarryOut, Decision, GatewayAbilities, HeaderChanges, Reasons},
};

/// In its place for "the request goes to no upstream". Something always has to be said: what a gateway does not set itself,
/// its client could.
pub(super) const NO_UPSTREAM: &str = "-";

/// Headers that the message between gateway and regate has of its own, whatever the client's request had: rules see none
/// of them, and no answer can set them on the request.
static OWN: [HeaderName; 15] = [
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    header::EXPECT,
    header::HOST,
    header::LOCATION,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Of those, the ones that a client's request has as well, told by the gateway as they came. An `upgrade` is among them: no
/// gateway asks in another protocol, and a request that opens one must not look like one that does not.
static ALSO_THE_CLIENTS: [HeaderName; 6] = [
    header::CACHE_CONTROL,
    header::DATE,
    header::LOCATION,
    header::SET_COOKIE,
    header::UPGRADE,
    header::WWW_AUTHENTICATE,
];

/// The headers of a request that a gateway replaces by those of the answer, and removes where the answer has none: those
/// that are written in its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedHeaders(Vec<HeaderName>);

impl Default for CarriedHeaders {
    fn default() -> Self {
        Self(vec![header::AUTHORIZATION])
    }
}

impl CarriedHeaders {
    /// Reads names, in any case.
    ///
    /// # Errors
    /// A text that says which name is none, or cannot be a header of an answer that goes on.
    pub fn read<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, String> {
        let mut carried = Vec::new();
        for name in names {
            let name = name.trim();
            let Ok(read) = name.parse::<HeaderName>() else {
                return Err(format!("{name:?} is not the name of a header"));
            };
            let text = read.as_str();
            let of_the_answer = text.starts_with("x-regate-") || text.starts_with("x-envoy-");
            if OWN.contains(&read) || read == header::CONTENT_TYPE || of_the_answer {
                return Err(format!(
                    "{name:?} is a header of the answer itself: no gateway can take it over"
                ));
            }
            carried.push(read);
        }
        Ok(Self(carried))
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|carried| carried.as_str() == name)
    }
}

/// What a gateway does with an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Removal {
    /// It removes what is written in its configuration, and nothing else.
    Configured,
    /// It removes every name that it is told, but for `host`; it may show only a part of the request's headers.
    Told,
}

/// How a face asks, beside the request.
#[derive(Debug)]
pub(super) struct Manner<'a> {
    /// The headers of the message.
    pub sent: &'a HeaderMap,
    pub carried: &'a CarriedHeaders,
    pub removal: Removal,
    /// A denied MCP request is answered with a JSON-RPC error.
    pub json_rpc_errors: bool,
}

/// The gateway that asks, by its token in [`GATEWAY_HEADER`]; `None` where it need not say and did not.
///
/// # Errors
/// [`Problem::Unbelieved`] for a token that is not good, for two, and for none where one is needed. What goes back is shown
/// to the gateway's client, who could do nothing about a 401.
pub(super) fn gateway(headers: &HeaderMap, shared: &Shared) -> Result<Option<AskingGateway>, Problem> {
    let token = single(headers, &GATEWAY_HEADER).map_err(|_| Problem::Unbelieved)?;
    let credential = CredentialReader::default().read(token, std::iter::empty());
    shared.point.gateway(&credential).map_err(|problem| match problem {
        Problem::Gateway(_) => Problem::Unbelieved,
        other => other,
    })
}

/// The one value of a header that a gateway sets.
///
/// # Errors
/// [`Problem::Invalid`] when it came more than once, or is no text.
pub(super) fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(Problem::Invalid(format!("{name} is not a text"))),
        },
        (Some(_), Some(_)) => Err(Problem::Invalid(format!(
            "{name} came more than once: the gateway has to replace its client's"
        ))),
    }
}

/// Those headers of a message that are not the caller's.
pub(super) fn not_the_callers<'n>(of_the_face: impl IntoIterator<Item = &'n HeaderName>) -> Vec<HeaderName> {
    let own = OWN.iter().filter(|name| !ALSO_THE_CLIENTS.contains(name));
    own.chain(of_the_face).cloned().chain([GATEWAY_HEADER]).collect()
}

/// An upstream's id, or [`NO_UPSTREAM`].
pub(super) fn upstream(id: &str) -> Option<Cow<'_, str>> {
    (id != NO_UPSTREAM).then_some(Cow::Borrowed(id))
}

/// The body that came with a question: whole, or nobody knows whether the request has one. The headers that would say so are
/// those of the message that asks.
pub(super) async fn body(request: Request, shared: &Shared) -> Result<Body<'static>, Problem> {
    let bytes = call::body(request, &shared.bounds).await?;
    Ok(if bytes.is_empty() { Body::Unseen } else { Body::Whole(Cow::Owned(bytes.into())) })
}

impl GatewayAbilities for Manner<'_> {
    fn carries_out(&self, changes: &HeaderChanges) -> Result<(), CannotCarryOut> {
        let not_set = changes.all_set().map(|(name, _)| name).find(|name| !self.carried.has(name));
        let not_removed = || {
            changes.remove.iter().map(AsRef::as_ref).find(|name| match self.removal {
                // Another `host` is another request: no gateway removes it.
                // It may take over what regate says of the caller, or not: then the client's own would be left, or what is
                // removed is gone with it.
                Removal::Told => {
                    *name == "host"
                        || name.starts_with(':')
                        || OF_ALLOWED.iter().any(|said| said == name) && self.sent.contains_key(*name)
                }
                Removal::Configured => !self.carried.has(name) && self.sent.contains_key(*name),
            })
        };
        // Such a gateway may tell a part of the headers: nobody here can name the others that must not pass.
        let not_told = || changes.pass.as_ref().map(|_| "any but the upstream's pass_headers");
        match not_set.or_else(not_removed).or_else(not_told) {
            None => Ok(()),
            Some(header) => Err(CannotCarryOut { header: header.to_owned() }),
        }
    }
}

const REMOVE: HeaderName = HeaderName::from_static("x-regate-remove");
const DECISION_ID: HeaderName = HeaderName::from_static("x-regate-decision-id");
const REASON: HeaderName = HeaderName::from_static("x-regate-reason");
const CONNECTION_KEY: HeaderName = HeaderName::from_static("x-regate-connection-key");
const CONNECT_URL: HeaderName = HeaderName::from_static("x-regate-connect-url");
const USER: HeaderName = HeaderName::from_static("x-regate-user");
const TENANT: HeaderName = HeaderName::from_static("x-regate-tenant");
const TOKEN_ID: HeaderName = HeaderName::from_static("x-regate-token-id");
/// The true status of an answer that nginx would make a 500 of.
pub(super) const STATUS: HeaderName = HeaderName::from_static("x-regate-status");

/// What an answer says of an allowed request and its caller.
static OF_ALLOWED: [HeaderName; 6] = [CONNECTION_KEY, DECISION_ID, REASON, TENANT, TOKEN_ID, USER];
/// What else an answer says.
static OF_ANSWERS: [HeaderName; 3] = [CONNECT_URL, REMOVE, STATUS];

/// What is not plain text in a header, and what would make two values of one.
const NOT_PLAIN: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%').add(b',').add(b';').add(b'\\');

/// What a denied client is told.
#[derive(Serialize)]
struct Denial<'a> {
    allow: bool,
    status: u16,
    reason: &'a str,
    reasons: Vec<&'a str>,
    message: &'a str,
    decision_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    connect_url: Option<&'a str>,
}

/// The body that tells a client why it is denied, and with which status: JSON.
pub(super) fn denial(decision: &Decision) -> Vec<u8> {
    let Reasons { first, .. } = &decision.reasons;
    let denial = Denial {
        allow: false,
        status: decision.status,
        reason: first.as_str(),
        reasons: decision.reasons.codes().collect(),
        message: decision.message.as_str(),
        decision_id: decision.id,
        connect_url: decision.connect_url.as_deref(),
    };
    // A structure of texts and numbers always serialises; an empty body is no allow either.
    serde_json::to_vec(&denial).unwrap_or_default()
}

/// The answer to a decision that the gateway can carry out. 200 allows, and nothing else does.
pub(super) fn answer(decision: &Decision, body: &Body<'_>, manner: &Manner<'_>) -> Response {
    let mut headers = HeaderMap::new();
    let mut all_good = true;
    for (name, value) in decision.headers.all_set() {
        all_good &= match (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                headers.insert(name, value);
                true
            }
            _ => false,
        };
    }
    let id = decision.id.to_string();
    let subject = decision.subject.as_ref().filter(|_| decision.allow);
    let texts = [
        (DECISION_ID, Some(id.as_str())),
        (REASON, Some(decision.reasons.first.as_str())),
        (CONNECTION_KEY, decision.connection_key.as_deref()),
        (USER, subject.and_then(|subject| subject.user_id.as_deref())),
        (TENANT, subject.and_then(|subject| subject.tenant.as_ref()).map(|tenant| tenant.as_str())),
        (TOKEN_ID, subject.and_then(|subject| subject.token_id.as_deref())),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            // What is encoded already stays as it is.
            let is_encoded = name == CONNECTION_KEY;
            let text: Cow<'_, str> =
                if is_encoded { text.into() } else { utf8_percent_encode(text, NOT_PLAIN).into() };
            all_good &= put(&mut headers, name, &text);
        }
    }
    let removed = decision.headers.remove.iter().map(AsRef::as_ref);
    let told = match manner.removal {
        Removal::Configured => (REMOVE, removed.collect::<Vec<_>>().join(",")),
        // Nobody promises in which order such a gateway works: what is set is replaced, and so needs no removal. What regate
        // has not said the client may have, in a header that the gateway does not tell.
        Removal::Told => {
            let of_answers = OF_ALLOWED.iter().chain(&OF_ANSWERS).map(HeaderName::as_str);
            let names: BTreeSet<&str> =
                removed.chain(of_answers).filter(|name| !headers.contains_key(*name)).collect();
            let names = names.into_iter().collect::<Vec<_>>().join(",");
            (super::ext_authz::HEADERS_TO_REMOVE, names)
        }
    };
    all_good &= put(&mut headers, told.0, &told.1);
    match (decision.allow, all_good) {
        (true, true) => return finish(StatusCode::OK, headers, Vec::new()),
        // Nothing of this can be missing from an allow.
        (true, false) => return answer(&decision.clone().not_carried_out(), body, manner),
        (false, _) => {}
    }
    if let Some(url) = &decision.connect_url {
        put(&mut headers, CONNECT_URL, url);
    }
    if let Some(challenge) = &decision.challenge {
        put(&mut headers, header::WWW_AUTHENTICATE, challenge);
    }
    for (name, value) in rate_headers::of(decision) {
        put(&mut headers, name, &value);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let status = match StatusCode::from_u16(decision.status) {
        Ok(status) if status.is_client_error() || status.is_server_error() => status,
        _ => StatusCode::FORBIDDEN,
    };
    let told = match body {
        Body::Whole(bytes) if manner.json_rpc_errors => json_rpc::error_body(decision, bytes),
        Body::Untold | Body::Unseen | Body::Cut if manner.json_rpc_errors => {
            json_rpc::error_body(decision, b"")
        }
        _ => denial(decision),
    };
    finish(status, headers, told)
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) -> bool {
    match HeaderValue::from_str(value) {
        Ok(value) => {
            headers.insert(name, value);
            true
        }
        Err(_) => false,
    }
}

fn finish(status: StatusCode, mut headers: HeaderMap, body: Vec<u8>) -> Response {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    (status, headers, MessageBody::from(body)).into_response()
}

/// A problem as the gateway's client may see it, with its code where a decision has its reason. `face`: the path that the
/// gateway asks, for the log.
pub(super) fn refusal(shared: &Shared, face: &'static str, problem: Problem) -> Response {
    shared.point.refused(face, &problem);
    let (code, _, _) = problem.kind();
    let mut response = problem.into_response();
    let headers = response.headers_mut();
    headers.insert(REASON, HeaderValue::from_static(code));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::CarriedHeaders;

    #[test]
    fn names_that_an_answer_has_of_its_own_cannot_be_taken_over() {
        let read = |names: &[&str]| CarriedHeaders::read(names.iter().copied());
        let good = read(&["Authorization", " X-Api-Key "]).unwrap();
        assert!(good.has("authorization") && good.has("x-api-key") && !good.has("x-user"));
        for name in
            ["", "a b", "a:b", "Connection", "content-length", "Content-Type", "X-Regate-Remove", "Host"]
        {
            assert!(read(&["authorization", name]).is_err(), "{name}");
        }
    }
}
