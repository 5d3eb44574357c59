//! The paths that the OPA plugins of APISIX and Kong ask: the request that the gateway holds, and a decision about it as
//! `/v1/decide` would give it.
//!
//! Such a plugin reads `result` and little else, so every answer has one, with the HTTP status 200: also when the gateway did
//! not authenticate, or what it sent cannot be read. Then it denies.

mod apisix;
mod carried;
mod kong;
mod query;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Path, Request, State, rejection::PathRejection},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use serde::Serialize;
use uuid::Uuid;

use self::carried::PluginHeaders;
use crate::{
    api::{
        Shared, answer, call,
        held::{Asked, Asker, GATEWAY_HEADER, HeldRequest},
        problem::Problem,
        rate_headers,
    },
    auth::CredentialReader,
    decision::Decision,
    types::PresentedCredential,
};

type Upstream = Result<Path<String>, PathRejection>;

/// `POST /v1/data/regate/apisix`
pub(super) async fn apisix(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answered(&shared, request, Ok(None), Plugin::Apisix).await
}

/// `POST /v1/data/regate/apisix/<upstream>`
pub(super) async fn apisix_upstream(
    upstream: Upstream,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Response {
    answered(&shared, request, upstream.map(|Path(id)| Some(id)), Plugin::Apisix).await
}

/// `POST /v1/data/regate/kong`
pub(super) async fn kong(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answered(&shared, request, Ok(None), Plugin::Kong).await
}

/// `POST /v1/data/regate/kong/<upstream>`
pub(super) async fn kong_upstream(
    upstream: Upstream,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Response {
    answered(&shared, request, upstream.map(|Path(id)| Some(id)), Plugin::Kong).await
}

/// The answer where a plugin's URL has more behind it than an upstream's id, or another version before it.
pub(super) fn misdirected(plugin: &str) -> Response {
    let plugin = if plugin.ends_with("apisix") { Plugin::Apisix } else { Plugin::Kong };
    plugin.problem(&Problem::NotFound)
}

/// Whose plugin asks.
#[derive(Clone, Copy)]
enum Plugin {
    Apisix,
    Kong,
}

/// Lua's own bound on the headers that a plugin is shown, unless it asks for more: of a request with as many, some may not
/// have been told, the credential among them.
const HEADERS_TOLD: usize = 100;

async fn answered(
    shared: &Shared,
    request: Request,
    upstream: Result<Option<String>, PathRejection>,
    plugin: Plugin,
) -> Response {
    match decided(shared, request, upstream, plugin).await {
        Ok(response) => response,
        Err(problem) => {
            shared.point.refused(plugin.face(), &problem);
            plugin.problem(&problem)
        }
    }
}

async fn decided(
    shared: &Shared,
    request: Request,
    upstream: Result<Option<String>, PathRejection>,
    plugin: Plugin,
) -> Result<Response, Problem> {
    call::check_header(request.headers(), &shared.bounds)?;
    let presented = call::presented(request.headers(), &CredentialReader::default());
    if presented != PresentedCredential::Absent {
        // Who says something wrong is not listened to any longer.
        shared.point.gateway(&presented)?;
    }
    let malformed = |text: &str| Problem::Malformed(text.to_owned());
    let upstream = upstream.map_err(|_| malformed("the upstream's id in the path is not UTF-8"))?;
    let body = call::body(request, &shared.bounds).await?;
    let mut held = match plugin {
        Plugin::Apisix => apisix::read(&body, &shared.bounds)?,
        Plugin::Kong => kong::read(&body, &shared.bounds)?,
    };
    if held.headers.len() >= HEADERS_TOLD {
        return Err(malformed("request.headers: as many as the gateway tells at most: some may be missing"));
    }
    let told: Vec<String> = held.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    // These plugins cannot send a header of their own: the gateway puts its token into the request that it holds.
    let credential = match presented {
        PresentedCredential::Absent => of_gateway(&held),
        presented => presented,
    };
    held.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(GATEWAY_HEADER.as_str()));
    let gateway = shared.point.gateway(&credential)?;
    let asked = Asked { upstream: upstream.map(Into::into), ..Asked::default() };
    let able = plugin.abilities(shared, told);
    let asker = Asker::at_the_gate(plugin.face(), gateway.as_ref(), shared.channel).able(&able);
    let question = held.into_question(asked, asker, &shared.bounds, &shared.credentials)?;
    Ok(plugin.answer(shared.point.decide(&question).await, &able))
}

/// The gateway's token in the request that it holds.
fn of_gateway(held: &HeldRequest<'_>) -> PresentedCredential {
    let named = |name: &str| name.eq_ignore_ascii_case(GATEWAY_HEADER.as_str());
    let mut values = held.headers.iter().filter(|(name, _)| named(name)).map(|(_, value)| value.as_ref());
    match (values.next(), values.next()) {
        (None, _) => PresentedCredential::Absent,
        (Some(token), None) => CredentialReader::default().read(Some(token), []),
        (Some(_), Some(_)) => PresentedCredential::Ambiguous,
    }
}

/// Why a request does not go on.
struct Denial<'a> {
    status: u16,
    code: &'a str,
    message: &'a str,
    challenge: Option<&'a str>,
    decision_id: Option<Uuid>,
    /// How often the client may.
    rates: Vec<(HeaderName, String)>,
}

/// What the client of the gateway gets to read.
#[derive(Serialize)]
struct Why<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<Uuid>,
}

impl Denial<'_> {
    fn why(&self) -> Why<'_> {
        Why { code: self.code, message: self.message, decision_id: self.decision_id }
    }

    /// What the gateway puts into the answer to its client.
    fn headers(&self) -> BTreeMap<&str, &str> {
        let challenge = self.challenge.map(|challenge| ("www-authenticate", challenge));
        let later = (self.status == 503).then_some(("retry-after", "1"));
        let rates = self.rates.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        challenge.into_iter().chain(later).chain(rates).collect()
    }
}

/// The answer as OPA would give it.
#[derive(Serialize)]
struct Message<R> {
    result: R,
    #[serde(skip_serializing_if = "Option::is_none")]
    decision_id: Option<Uuid>,
}

impl Plugin {
    /// The path that it asks, but for the upstream.
    const fn face(self) -> &'static str {
        match self {
            Self::Apisix => "/v1/data/regate/apisix",
            Self::Kong => "/v1/data/regate/kong",
        }
    }

    /// A denial, since the call could not be understood.
    fn problem(self, problem: &Problem) -> Response {
        let (code, status, _) = problem.kind();
        let status = match problem {
            // It is not the caller's credential that is wrong, nor the caller who was slow or asked at the wrong place.
            Problem::Gateway(_) | Problem::BodyNotReceived | Problem::NotFound => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => status,
        };
        let message = problem.to_string();
        let denial = Denial {
            status: status.as_u16(),
            code,
            message: &message,
            challenge: None,
            decision_id: None,
            rates: Vec::new(),
        };
        let mut response = call::json(&self.denied(&denial));
        // The rest of the message may still be on its way: nothing after it can be understood.
        if matches!(problem, Problem::BodyTooLarge(_) | Problem::HeaderTooLarge(_) | Problem::BodyNotReceived)
        {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn denied(self, denial: &Denial<'_>) -> Message<serde_json::Value> {
        let result = match self {
            Self::Apisix => serde_json::to_value(apisix::ApisixResult::denied(denial)),
            Self::Kong => serde_json::to_value(kong::KongResult::denied(denial)),
        };
        // A structure of texts and numbers always serialises; without a result both plugins deny as well.
        Message { result: result.unwrap_or(false.into()), decision_id: denial.decision_id }
    }

    /// What it can set of a request with these headers.
    fn abilities(self, shared: &Shared, told: Vec<String>) -> PluginHeaders<'_> {
        let spelt = match self {
            Self::Apisix => Some(shared.faces.opa.apisix_headers.as_slice()),
            Self::Kong => None,
        };
        PluginHeaders { told, spelt }
    }

    fn answer(self, decision: Decision, able: &PluginHeaders<'_>) -> Response {
        if !decision.allow {
            return self.refuse(&decision);
        }
        let Ok(headers) = carried::headers(&decision.headers, &able.told, able.spelt) else {
            return self.refuse(&decision.not_carried_out());
        };
        let allowed = Allowed { allow: true, headers };
        answer::response(&[&decision], &Message { result: allowed, decision_id: Some(decision.id) })
    }

    fn refuse(self, decision: &Decision) -> Response {
        let denial = Denial {
            status: decision.status,
            code: decision.reasons.first.as_str(),
            message: decision.message.as_str(),
            challenge: decision.challenge.as_deref(),
            decision_id: Some(decision.id),
            rates: rate_headers::of(decision),
        };
        call::json(&self.denied(&denial))
    }
}

/// What both plugins read of an allow.
#[derive(Serialize)]
struct Allowed<'a> {
    allow: bool,
    headers: BTreeMap<&'a str, &'a str>,
}
