//! `/v1/data` and `/v0/data`: the value of a rule over an input that the client made up.

use std::{borrow::Cow, sync::Arc};

use axum::{
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::Response,
};
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::{
    DataPath,
    error::OpaError,
    message::{DataMessage, Provenance, Stopwatch, Warning, response},
    parameters::Parameters,
    path, plugin,
};
use crate::{
    api::{Shared, bounds::HttpBounds, call, nesting, problem::Problem, question::read},
    auth::CredentialReader,
    decision::{AskFault, Asking, AskingGateway, Document, document},
    types::PresentedCredential,
};

/// `POST /v1/data/<path>`, the input below `input`.
pub(super) async fn post_v1(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, OpaError> {
    let call = Call::open(&shared, &request)?;
    let (body, mut watch) = (receive(&shared, request).await?, Stopwatch::start());
    let input = input_below(&body, &shared.bounds)?;
    watch.input_is_read();
    call.answer(&shared, input, true, &watch)
}

/// `GET /v1/data/<path>?input=<JSON>`.
pub(super) async fn get_v1(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, OpaError> {
    let call = Call::open(&shared, &request)?;
    let mut watch = Stopwatch::start();
    let text = call.parameters.input.as_deref();
    let input = text.map(|text| value(text.as_bytes(), &shared.bounds)).transpose()?;
    watch.input_is_read();
    call.answer(&shared, input.map(document), false, &watch)
}

/// `POST /v0/data/<path>`: the body is the input, and the answer is the bare value.
pub(super) async fn post_v0(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, OpaError> {
    let call = Call::open(&shared, &request)?;
    let body = receive(&shared, request).await?;
    // To OPA no body is `null` here.
    let input = if is_blank(&body) { Document::Null } else { document(value(&body, &shared.bounds)?) };
    let gateway = call.gateway(&shared)?;
    let asking = Asking { path: call.path.rule(), input, gateway: gateway.as_ref() };
    let (id, result) = shared.point.ask(asking);
    match result.map_err(|fault| failed(fault, &call.path, id))? {
        Document::Undefined => {
            Err(OpaError::Undefined(format!("document missing or undefined: {}", call.path.rule())))
        }
        result => response(&result, call.parameters.pretty).ok_or(OpaError::Evaluation),
    }
}

/// The answer to what can only be meant for a plugin, and is not one of its paths: a plugin reads `result` and little else.
pub(super) async fn misdirected(request: Request, next: Next) -> Response {
    let plugin = path::plugin_of(&asked(&request)).filter(|_| request.method() == Method::POST);
    match plugin {
        Some(plugin) => plugin::misdirected(plugin),
        None => next.run(request).await,
    }
}

/// What a URL asks for, decoded.
fn asked(request: &Request) -> Cow<'_, str> {
    let asked = request.uri().path().get("/v1/data".len()..).unwrap_or_default();
    percent_decode_str(asked).decode_utf8_lossy()
}

/// Whatever would write.
pub(super) async fn read_only() -> OpaError {
    OpaError::ReadOnly
}

/// The parts of OPA's API that regate does not have.
pub(super) async fn absent() -> OpaError {
    OpaError::NotFound("regate answers the data API alone, below /v1/data and /v0/data")
}

/// What its paths begin with, for the log: the rest is the asker's.
const FACE: &str = "/v1/data";

/// A call whose header is good.
struct Call {
    path: DataPath,
    parameters: Parameters,
    /// It was good before the body was read: who asks is made out from it anew.
    credential: PresentedCredential,
}

impl Call {
    fn open(shared: &Shared, request: &Request) -> Result<Self, OpaError> {
        call::check_header(request.headers(), &shared.bounds)?;
        let credential = call::presented(request.headers(), &CredentialReader::default());
        // Before anything is said about paths or the body is read.
        shared.gateway(FACE, &credential)?;
        let asked = asked(request);
        // One answer for what is not listed, whether there is such a rule or not.
        let listed = shared.faces.opa.paths.iter().find(|path| path.is_asked_by(&asked));
        let path = listed.cloned().ok_or(OpaError::NotFound("[opa] paths does not list this path"))?;
        Ok(Self { path, parameters: Parameters::read(request.uri().query())?, credential })
    }

    fn gateway(&self, shared: &Shared) -> Result<Option<AskingGateway>, OpaError> {
        Ok(shared.gateway(FACE, &self.credential)?)
    }

    fn answer(
        &self,
        shared: &Shared,
        input: Option<Document>,
        warn: bool,
        watch: &Stopwatch,
    ) -> Result<Response, OpaError> {
        let warning = (warn && input.is_none()).then_some(Warning::NO_INPUT);
        let gateway = self.gateway(shared)?;
        let input = input.unwrap_or(Document::Undefined);
        let (decision_id, result) =
            shared.point.ask(Asking { path: self.path.rule(), input, gateway: gateway.as_ref() });
        let result = result.map_err(|fault| failed(fault, &self.path, decision_id))?;
        let Parameters { pretty, metrics, provenance, .. } = self.parameters;
        let basis = shared.point.live().basis();
        let message = DataMessage {
            provenance: provenance.then(|| Provenance::of(basis.bundle().revision())),
            metrics: metrics.then(|| watch.stop()),
            result: Some(&result).filter(|result| !matches!(result, Document::Undefined)),
            warning,
            decision_id,
        };
        response(&message, pretty).ok_or(OpaError::Evaluation)
    }
}

fn failed(fault: AskFault, path: &DataPath, id: uuid::Uuid) -> OpaError {
    match fault {
        AskFault::Stale => OpaError::Call(Problem::Stale),
        AskFault::Evaluation(fault) => {
            tracing::warn!(decision_id = %id, path = path.rule(), %fault, "the policy gave no usable result: no answer");
            OpaError::Evaluation
        }
    }
}

/// The body of a call that asks.
async fn receive(shared: &Shared, request: Request) -> Result<Bytes, OpaError> {
    let refuse = |text: &str| Err(OpaError::Invalid(text.to_owned()));
    if says(request.headers(), &header::CONTENT_ENCODING, |value| !value.eq_ignore_ascii_case("identity")) {
        return refuse("could not decompress the body: regate takes bodies as they are");
    }
    if says(request.headers(), &header::CONTENT_TYPE, |value| value.to_ascii_lowercase().contains("yaml")) {
        return refuse("body contains malformed input document: regate takes JSON, not YAML");
    }
    Ok(call::body(request, &shared.bounds).await?)
}

fn says(headers: &HeaderMap, name: &header::HeaderName, is: impl Fn(&str) -> bool) -> bool {
    // What is no text is nothing that we know.
    headers.get_all(name).iter().any(|value| value.to_str().is_ok_and(&is) || value.to_str().is_err())
}

/// A question with its input. Other members mean nothing to OPA.
#[derive(Deserialize)]
struct InputMessage {
    #[serde(default)]
    input: Option<serde_json::Value>,
}

/// The input below `input`. To OPA `null` there is none.
fn input_below(body: &[u8], bounds: &HttpBounds) -> Result<Option<Document>, OpaError> {
    if is_blank(body) {
        return Ok(None);
    }
    let message: InputMessage = read(body, bounds)?;
    Ok(message.input.map(document))
}

fn is_blank(body: &[u8]) -> bool {
    body.iter().all(u8::is_ascii_whitespace)
}

/// Any JSON value.
fn value(json: &[u8], bounds: &HttpBounds) -> Result<serde_json::Value, OpaError> {
    if nesting::is_deeper_than(json, bounds.nesting) {
        return Err(Problem::TooDeep(bounds.nesting).into());
    }
    // The reader's own words may repeat a value.
    serde_json::from_slice(json)
        .map_err(|_| OpaError::Invalid("body contains malformed input document: it is not JSON".to_owned()))
}
