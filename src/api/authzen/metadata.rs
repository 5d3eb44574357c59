//! `GET /.well-known/authzen-configuration` (section 9): where the endpoints are.

use std::{fmt, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Uri, header, uri::Authority},
    response::Response,
};
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

use super::{
    super::{Channel, Shared, call},
    failure::Failure,
    message::OBLIGATION,
    schema::Failures,
};

/// Where gateways reach the process: `https://pdp.example`, with or without a path, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

/// A text is no base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a base URL is https://HOST[:PORT][/PATH], without a query, a fragment or a slash at its end")]
pub struct InvalidBaseUrl;

impl TryFrom<&str> for BaseUrl {
    type Error = InvalidBaseUrl;

    fn try_from(text: &str) -> Result<Self, InvalidBaseUrl> {
        let rest = text.strip_prefix("https://").ok_or(InvalidBaseUrl)?;
        let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
        let plain = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}?#".contains(&b);
        let path_is_one =
            path.is_none_or(|path| !path.is_empty() && !path.ends_with('/') && path.bytes().all(plain));
        (authority(host).is_some() && path_is_one).then(|| Self(text.to_owned())).ok_or(InvalidBaseUrl)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the endpoints are.
#[derive(Serialize, ToSchema)]
#[schema(as = AuthzenMetadata)]
pub(super) struct MetadataMessage {
    policy_decision_point: String,
    access_evaluation_endpoint: String,
    access_evaluations_endpoint: String,
    search_subject_endpoint: String,
    search_resource_endpoint: String,
    search_action_endpoint: String,
    supported_obligations: [&'static str; 1],
}

/// Where the endpoints of AuthZEN are
///
/// For everybody: it says nothing of rules and data.
#[utoipa::path(
    get, path = "/.well-known/authzen-configuration", operation_id = "authzen_configuration", tag = "authzen",
    responses((status = 200, description = "The metadata of the policy decision point", body = MetadataMessage), Failures),
    security(()),
)]
pub(in crate::api) async fn show(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Response, Failure> {
    call::check_header(request.headers(), &shared.bounds)?;
    let (base, kept) = match &shared.faces.authzen.base_url {
        Some(base) => (base.to_string(), "public, max-age=300"),
        // Another caller's host is none of ours.
        None => (of_call(request.uri(), request.headers(), shared.channel)?, "no-store"),
    };
    let at = |path: &str| format!("{base}/access/v1/{path}");
    let mut response = call::json(&MetadataMessage {
        access_evaluation_endpoint: at("evaluation"),
        access_evaluations_endpoint: at("evaluations"),
        search_subject_endpoint: at("search/subject"),
        search_resource_endpoint: at("search/resource"),
        search_action_endpoint: at("search/action"),
        policy_decision_point: base,
        supported_obligations: [OBLIGATION],
    });
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    Ok(response)
}

/// Where the caller reached the process, by its own word.
fn of_call(uri: &Uri, headers: &HeaderMap, channel: Channel) -> Result<String, Failure> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (uri.authority(), hosts.next()) {
        (Some(authority), _) => Some(authority.as_str()),
        (None, host) => host.and_then(|host| host.to_str().ok()),
    };
    let host = host.filter(|_| hosts.next().is_none()).and_then(authority);
    let host = host.ok_or_else(|| {
        Failure::malformed("Host: it is missing or no host; base_url in [authzen] says it once and for all")
    })?;
    let scheme = match channel {
        Channel::Tls => "https",
        Channel::Loopback | Channel::Unix | Channel::Plain => "http",
    };
    Ok(format!("{scheme}://{host}"))
}

/// A host, with or without a port, and nothing else.
fn authority(text: &str) -> Option<Authority> {
    let authority: Authority = text.parse().ok()?;
    let named = authority.host().bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    let port = match authority.port() {
        // A colon without a number behind it.
        None => authority.as_str().len() == authority.host().len(),
        Some(_) => authority.port_u16().is_some(),
    };
    (named && port && !authority.host().is_empty() && !text.contains('@')).then_some(authority)
}

#[cfg(test)]
mod tests {
    use super::BaseUrl;

    #[test]
    fn a_base_url_is_https_and_ends_without_a_slash() {
        for text in
            ["https://pdp.example", "https://pdp.example:8443", "https://[::1]:1", "https://a.example/t/1"]
        {
            assert!(BaseUrl::try_from(text).is_ok(), "{text}");
        }
        for text in [
            "http://pdp.example",
            "https://",
            "https://pdp.example/",
            "https://pdp.example/a/",
            "https://pdp.example?x",
            "https://pdp.example/a?x",
            "https://pdp.example/#x",
            "https://me@pdp.example",
            "https://pdp.example:",
            "https://pdp.example:99999",
            "https://pdp example",
            "pdp.example",
        ] {
            assert!(BaseUrl::try_from(text).is_err(), "{text}");
        }
    }
}
