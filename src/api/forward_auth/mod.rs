//! Forward authentication, as nginx, Traefik, Caddy and APISIX ask: a sub-request whose status is the answer.
//!
//! **For:** reading the request that a gateway describes in headers, from a gateway that may be believed.
//!
//! **Must never know:** how to decide, and how an answer looks: `sub_request` has that.

mod described;

use std::sync::Arc;

use axum::{
    extract::{Query, Request, State},
    http::{HeaderValue, StatusCode, Uri},
    response::Response,
    routing::any,
};
use utoipa_axum::router::OpenApiRouter;

use self::described::{NGINX, Names, X_FORWARDED};
use super::{
    Channel, Shared, call,
    held::{Asked, Asker, GATEWAY_HEADER},
    problem::Problem,
    sub_request::{self, CarriedHeaders, Manner, Removal},
};

/// What the configuration says about this face.
#[derive(Clone, Debug, Default)]
pub struct ForwardAuthOptions {
    /// Whatever comes over a loopback listener is believed, without a gateway's token.
    pub trust_loopback: bool,
    /// What gateways take over from an answer, unless the URL that they ask says otherwise.
    pub headers: CarriedHeaders,
}

/// The routes of this face.
pub(super) fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new().route("/v1/forward-auth", any(forwarded)).route("/v1/forward-auth/nginx", any(nginx))
}

/// As Traefik, Caddy and APISIX ask.
async fn forwarded(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let answered = decide(&shared, request, &X_FORWARDED).await;
    answered.unwrap_or_else(|problem| sub_request::refusal(&shared, "/v1/forward-auth", problem))
}

/// As nginx asks. It knows 2xx, 401 and 403, and makes a 500 of everything else.
async fn nginx(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let answered = decide(&shared, request, &NGINX).await;
    let refusal = |problem| sub_request::refusal(&shared, "/v1/forward-auth/nginx", problem);
    let mut response = answered.unwrap_or_else(refusal);
    let status = response.status();
    if !matches!(status, StatusCode::OK | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        *response.status_mut() = StatusCode::FORBIDDEN;
        response.headers_mut().insert(sub_request::STATUS, HeaderValue::from(status.as_u16()));
    }
    response
}

async fn decide(shared: &Shared, mut request: Request, names: &Names) -> Result<Response, Problem> {
    call::check_header(request.headers(), &shared.bounds)?;
    // Before anything that the message says.
    believe(shared, &request)?;
    let options = &shared.faces.forward_auth;
    let Parameters { upstream, json_rpc_errors, headers } = Parameters::read(request.uri())?;
    let sent = std::mem::take(request.headers_mut());
    let body = sub_request::body(request, shared).await?;
    // The body may have taken its time: who asks is made out anew.
    let gateway = sub_request::gateway(&sent, shared)?;
    let asked = Asked { upstream: sub_request::upstream(&upstream), ..Asked::default() };
    let carried = headers.as_ref().unwrap_or(&options.headers);
    let manner = Manner { sent: &sent, carried, removal: Removal::Configured, json_rpc_errors };
    let question = names.read(&sent, body)?.sent_on()?.into_question(
        asked,
        Asker::at_the_gate(names.face, gateway.as_ref(), shared.channel).able(&manner),
        &shared.bounds,
        &shared.credentials,
    )?;
    Ok(sub_request::answer(&shared.point.decide(&question).await, &question.body, &manner))
}

/// Refuses whoever may not describe a request: else a client would choose by which path it is judged.
fn believe(shared: &Shared, request: &Request) -> Result<(), Problem> {
    let by_channel = match shared.channel {
        Channel::Unix => true,
        Channel::Loopback => shared.faces.forward_auth.trust_loopback,
        Channel::Tls | Channel::Plain => false,
    };
    // A token that is there has to be good, wherever it comes from.
    let gateway = sub_request::gateway(request.headers(), shared)?;
    let presented = request.headers().contains_key(GATEWAY_HEADER);
    if by_channel || (presented && gateway.is_some()) { Ok(()) } else { Err(Problem::Unbelieved) }
}

/// What the URL says that a gateway is configured to ask.
struct Parameters {
    upstream: String,
    json_rpc_errors: bool,
    headers: Option<CarriedHeaders>,
}

impl Parameters {
    /// INVARIANT: `upstream` is always there. Where a gateway sets no query, its client could: with this, such a gateway
    /// lets nobody through, and nobody's client finds it open.
    fn read(uri: &Uri) -> Result<Self, Problem> {
        let (mut upstream, mut json_rpc_errors, mut headers) = (None, None, None);
        let invalid = |text: String| Problem::Invalid(format!("the query of the gateway's URL: {text}"));
        let Query(given) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| invalid("it cannot be read".into()))?;
        for (name, value) in given {
            let again = match name.as_str() {
                "upstream" => upstream.replace(value).is_some(),
                "json_rpc_errors" => {
                    let read =
                        value.parse().map_err(|_| invalid("json_rpc_errors is true or false".into()))?;
                    json_rpc_errors.replace(read).is_some()
                }
                "headers" => {
                    // The reader's own words repeat the name, which the log may not: it could be a client's.
                    let read = CarriedHeaders::read(value.split(',')).map_err(|_| {
                        invalid("headers has what is no header, or none that a gateway can take over".into())
                    })?;
                    headers.replace(read).is_some()
                }
                _ => {
                    return Err(invalid(
                        "it knows upstream, json_rpc_errors and headers, and nothing else".into(),
                    ));
                }
            };
            if again {
                return Err(invalid("a parameter comes twice".into()));
            }
        }
        let upstream = upstream.filter(|id| !id.is_empty());
        let upstream = upstream.ok_or_else(|| {
            invalid(
                "it has to name the upstream: upstream=ID, or upstream=- where the request goes to none"
                    .into(),
            )
        })?;
        Ok(Self { upstream, json_rpc_errors: json_rpc_errors.unwrap_or(false), headers })
    }
}
