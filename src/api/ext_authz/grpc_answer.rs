//! From a decision to Envoy's `CheckResponse`. An OK status and a `denied_response` never stand in one answer, and
//! anything but an allow has a `denied_response`.

use axum::http::{HeaderValue, StatusCode};
use envoy_types::pb::envoy::config::core::v3::{
    HeaderValue as EnvoyHeader, HeaderValueOption, header_value_option::HeaderAppendAction,
};
use envoy_types::pb::envoy::service::auth::v3::{
    CheckResponse, DeniedHttpResponse, OkHttpResponse, check_response::HttpResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::{
    protobuf::{BoolValue, Struct, value::Kind},
    rpc,
};
use tonic::Code;

use super::{
    super::{json_rpc, problem::Problem, rate_headers, sub_request},
    grpc_values,
};
use crate::decision::{CannotCarryOut, Decision, GatewayAbilities, HeaderChanges};

/// The answer to a request that could not be read: denied.
pub(super) fn unread(problem: &Problem) -> CheckResponse {
    let (code, status, _) = problem.kind();
    let headers = vec![
        set("content-type", "application/problem+json"),
        set("cache-control", "no-store"),
        set("x-regate-reason", code),
    ];
    denied(status.as_u16(), headers, problem.document(), None)
}

/// The answer to a request that was decided. A denial is said as a JSON-RPC error to `json_rpc_to`, the body of the
/// request, if that is given.
pub(super) fn decided(decision: &Decision, json_rpc_to: Option<&[u8]>) -> CheckResponse {
    if !decision.allow {
        return refused(decision, json_rpc_to);
    }
    let changes = &decision.headers;
    let is_set = |name: &str| changes.set.contains_key(name) || changes.credential.contains_key(name);
    let removed = changes.remove.iter().map(AsRef::as_ref).filter(|name| !is_set(name));
    let mut headers_to_remove: Vec<String> = removed.map(str::to_owned).collect();
    if changes.pass.is_some() {
        // The one header of a client that Envoy does not tell.
        headers_to_remove.push("x-envoy-auth-partial-body".to_owned());
    }
    // Envoy sets first and removes then: what is set must not be removed. Setting takes all the client's copies away.
    let headers = changes.all_set().map(|(name, value)| set(name, value)).collect();
    // These reach the client, whatever the upstream answers.
    let told = rate_headers::of(decision);
    let response_headers_to_add = told.iter().map(|(name, value)| set(name.as_str(), value)).collect();
    let ok =
        OkHttpResponse { headers, headers_to_remove, response_headers_to_add, ..OkHttpResponse::default() };
    CheckResponse {
        status: Some(rpc::Status { code: Code::Ok as i32, ..rpc::Status::default() }),
        dynamic_metadata: Some(metadata(decision)),
        http_response: Some(HttpResponse::OkResponse(ok)),
    }
}

/// It sets every header, and removes all but a few.
#[derive(Debug)]
pub(super) struct Envoy;

impl GatewayAbilities for Envoy {
    fn carries_out(&self, changes: &HeaderChanges) -> Result<(), CannotCarryOut> {
        let is_set = |name: &str| changes.all_set().any(|(set, _)| set == name);
        // Envoy leaves these standing, whoever asks: `HeaderUtility::isRemovableHeader` in its source.
        let stands = |name: &&str| (name.starts_with(':') || *name == "host") && !is_set(name);
        match changes.remove.iter().map(AsRef::as_ref).find(stands) {
            None => Ok(()),
            Some(header) => Err(CannotCarryOut { header: header.to_owned() }),
        }
    }
}

fn refused(decision: &Decision, json_rpc_to: Option<&[u8]>) -> CheckResponse {
    // Whatever a policy says: what is denied is never told with a status that is no error.
    let is_error = (400..600).contains(&decision.status);
    let status = if is_error { decision.status } else { StatusCode::FORBIDDEN.as_u16() };
    let reason = decision.reasons.first.as_str();
    let decision_id = decision.id.to_string();
    let connect_url = decision.connect_url.as_deref();
    let mut headers = vec![set("content-type", "application/json"), set("cache-control", "no-store")];
    for (name, value) in [
        ("www-authenticate", decision.challenge.as_deref()),
        ("x-regate-reason", Some(reason)),
        ("x-regate-decision-id", Some(decision_id.as_str())),
        ("x-regate-connect-url", connect_url),
    ] {
        // A policy's code may be any text.
        if let Some(value) = value.filter(|value| is_field_value(value)) {
            headers.push(set(name, value));
        }
    }
    headers.extend(rate_headers::of(decision).iter().map(|(name, value)| set(name.as_str(), value)));
    let body = match json_rpc_to {
        Some(body) => json_rpc::error_body(decision, body),
        None => sub_request::denial(decision),
    };
    denied(status, headers, String::from_utf8(body).unwrap_or_default(), Some(metadata(decision)))
}

fn is_field_value(value: &str) -> bool {
    HeaderValue::from_str(value).is_ok_and(|value| value.to_str().is_ok())
}

fn denied(
    status: u16,
    headers: Vec<HeaderValueOption>,
    body: String,
    dynamic_metadata: Option<Struct>,
) -> CheckResponse {
    let code = if status == 401 { Code::Unauthenticated } else { Code::PermissionDenied };
    let denied = DeniedHttpResponse { status: Some(HttpStatus { code: i32::from(status) }), headers, body };
    CheckResponse {
        status: Some(rpc::Status { code: code as i32, ..rpc::Status::default() }),
        dynamic_metadata,
        http_response: Some(HttpResponse::DeniedResponse(denied)),
    }
}

/// Sets a header to this one value, in the words of new and of old versions of Envoy.
fn set(name: &str, value: &str) -> HeaderValueOption {
    #[expect(deprecated, reason = "older versions of Envoy know nothing else")]
    HeaderValueOption {
        header: Some(EnvoyHeader { key: name.to_owned(), value: value.to_owned(), raw_value: Vec::new() }),
        append: Some(BoolValue { value: false }),
        append_action: HeaderAppendAction::OverwriteIfExistsOrAdd as i32,
        keep_empty_value: true,
    }
}

/// For later filters and access logs: `envoy.filters.http.ext_authz`. Never a secret.
fn metadata(decision: &Decision) -> Struct {
    let subject = decision.subject.as_ref().map(|subject| {
        Kind::StructValue(grpc_values::structure([
            ("kind", Some(grpc_values::text(subject.kind.as_str()))),
            ("token_id", subject.token_id.as_deref().map(grpc_values::text)),
            ("user_id", subject.user_id.as_deref().map(grpc_values::text)),
            ("tenant", subject.tenant.as_ref().map(|tenant| grpc_values::text(tenant.as_str()))),
        ]))
    });
    #[expect(clippy::cast_precision_loss, reason = "a Struct has doubles alone")]
    let data_revision = decision.data_revision.0 as f64;
    grpc_values::structure([
        ("decision_id", Some(grpc_values::text(&decision.id.to_string()))),
        ("reasons", Some(grpc_values::texts(decision.reasons.codes()))),
        ("subject", subject),
        ("connection_key", decision.connection_key.as_deref().map(grpc_values::text)),
        ("policy_revision", Some(grpc_values::text(decision.policy_revision.as_str()))),
        ("data_revision", Some(Kind::NumberValue(data_revision))),
    ])
}
