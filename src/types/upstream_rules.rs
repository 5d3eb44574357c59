//! What an upstream may be, whoever says so: a management call or an import.

use std::{borrow::Cow, net::IpAddr};

use http::Uri;
use thiserror::Error;

use super::check_text;

/// What is wrong with a value, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct UpstreamProblem(pub Cow<'static, str>);

impl UpstreamProblem {
    fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }
}

/// Headers that belong to a connection or say where a message ends and for whom it is (RFC 9110 section 7.6.1,
/// RFC 9112 section 6, RFC 9113 section 8.2.2): a gateway that set one of them would break the message, or smuggle one.
const NOT_FOR_CREDENTIALS: [&str; 16] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Characters of a URL.
const LONGEST_URL: usize = 2_048;
const LONGEST_NAME: usize = 128;
const LONGEST_FORMAT: usize = 256;
/// Characters of a client's id, and bytes of a scope.
const LONGEST_TEXT: usize = 512;
/// The most names in `value_headers`.
pub const MOST_VALUE_HEADERS: usize = 32;
/// The most names in `pass_headers`.
pub const MOST_PASS_HEADERS: usize = 64;
/// The most scopes that are asked for.
pub const MOST_SCOPES: usize = 64;
/// The place of the credential in a format.
pub const PLACE: &str = "{token}";

/// An upstream's address. One without a credential may be anything that its gateway understands, such as a command.
///
/// # Errors
/// What is wrong with it.
pub fn check_upstream_url(url: &str, brokered: bool) -> Result<(), UpstreamProblem> {
    check_text(url, LONGEST_URL).map_err(|error| UpstreamProblem::new(error.to_string()))?;
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let http = scheme.as_deref().is_some_and(|scheme| matches!(scheme, "http" | "https"));
    if !http {
        let problem = "it must be an http or https URL; a stdio upstream cannot be brokered";
        return if brokered { Err(UpstreamProblem::new(problem)) } else { Ok(()) };
    }
    let address: Option<Uri> = url.parse().ok().filter(|address: &Uri| address.scheme().is_some());
    let Some(authority) = address.as_ref().and_then(Uri::authority).filter(|it| !it.host().is_empty()) else {
        return Err(UpstreamProblem::new("it must be an http or https URL with a host"));
    };
    // It is shown to whoever may see the upstream.
    if authority.as_str().contains('@') {
        return Err(UpstreamProblem::new("it must not hold a user or a password"));
    }
    Ok(())
}

/// A header's name (RFC 9110 section 5.1).
///
/// # Errors
/// What is wrong with it.
pub fn check_header_name(name: &str) -> Result<(), UpstreamProblem> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(token) {
        let problem = format!("it must be the name of a header, of 1 to {LONGEST_NAME} characters");
        return Err(UpstreamProblem::new(problem));
    }
    Ok(())
}

/// The name of a header that carries a credential.
///
/// # Errors
/// What is wrong with it.
pub fn check_credential_header(name: &str) -> Result<(), UpstreamProblem> {
    check_header_name(name)?;
    if NOT_FOR_CREDENTIALS.contains(&name.to_ascii_lowercase().as_str()) {
        let problem = format!("{name} belongs to the message or the connection and carries no credential");
        return Err(UpstreamProblem::new(problem));
    }
    Ok(())
}

/// What stands in the header, with a place for the token.
///
/// # Errors
/// What is wrong with it.
pub fn check_format(format: &str) -> Result<(), UpstreamProblem> {
    let visible = format.bytes().all(|b| (b' '..=b'~').contains(&b)) && format.trim() == format;
    if format.len() > LONGEST_FORMAT || !visible || format.matches(PLACE).count() != 1 {
        return Err(UpstreamProblem::new(format!(
            "it must hold {PLACE} once, and be one line of at most {LONGEST_FORMAT} visible ASCII characters, such as \
             \"Bearer {PLACE}\""
        )));
    }
    Ok(())
}

/// A header of the caller's that passes, in lower case, to an upstream with a credential in `header` or `value_headers`.
///
/// # Errors
/// It is the caller's own credential, or one of these.
pub fn check_passing(
    name: &str,
    header: &str,
    value_headers: Option<&[String]>,
) -> Result<(), UpstreamProblem> {
    let listed = value_headers.is_some_and(|names| names.iter().any(|own| own == name));
    let own = listed || header.eq_ignore_ascii_case(name);
    if own || name == "authorization" {
        return Err(UpstreamProblem::new(format!(
            "{name}: the caller's own does not pass where a credential of the upstream's takes its place"
        )));
    }
    Ok(())
}

/// Whether people may consent at an upstream like this.
///
/// # Errors
/// Why they cannot.
pub fn check_consent(brokered: bool, values: bool) -> Result<(), UpstreamProblem> {
    if !brokered {
        return Err(UpstreamProblem::new(
            "nobody consents where the upstream's credential is none: set credential to per_user, per_token or shared",
        ));
    }
    if values {
        return Err(UpstreamProblem::new(
            "consent gives a token, for header and format: set value_headers to null, or leave oauth out",
        ));
    }
    Ok(())
}

/// An endpoint of an authorization server: codes and secrets go there by TLS, or without leaving the machine.
///
/// # Errors
/// What is wrong with it.
pub fn check_oauth_endpoint(url: &str) -> Result<(), UpstreamProblem> {
    check_text(url, LONGEST_URL).map_err(|error| UpstreamProblem::new(error.to_string()))?;
    let address = absolute(url).ok_or_else(|| UpstreamProblem::new("it must be a URL without a fragment"))?;
    let authority = address.authority().map_or("", |it| it.as_str());
    if authority.contains('@') {
        return Err(UpstreamProblem::new("it must not hold a user or a password"));
    }
    let host = address.host().unwrap_or_default();
    let number = host.trim_start_matches('[').trim_end_matches(']');
    let loopback =
        host.eq_ignore_ascii_case("localhost") || number.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    match address.scheme_str() {
        Some("https") if !host.is_empty() => Ok(()),
        Some("http") if loopback => Ok(()),
        _ => Err(UpstreamProblem::new(
            "the authorization server's endpoints take https; http is for this machine (127.0.0.1, ::1, localhost) alone",
        )),
    }
}

/// Who regate is at an authorization server.
///
/// # Errors
/// What is wrong with it.
pub fn check_client_id(id: &str) -> Result<(), UpstreamProblem> {
    check_text(id, LONGEST_TEXT).map_err(|error| UpstreamProblem::new(error.to_string()))
}

/// A scope (RFC 6749 section 3.3).
///
/// # Errors
/// What is wrong with it.
pub fn check_scope(scope: &str) -> Result<(), UpstreamProblem> {
    let word = (1..=LONGEST_TEXT).contains(&scope.len())
        && scope.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'));
    if word {
        Ok(())
    } else {
        Err(UpstreamProblem::new("each must be one word of visible ASCII without quotes"))
    }
}

/// What a token is for (RFC 8707).
///
/// # Errors
/// What is wrong with it.
pub fn check_resource(url: &str) -> Result<(), UpstreamProblem> {
    match absolute(url) {
        Some(_) => Ok(()),
        None => Err(UpstreamProblem::new("it must be a URL without a fragment (RFC 8707)")),
    }
}

/// Who an authorization server says that it is (RFC 8414 section 2).
///
/// # Errors
/// What is wrong with it.
pub fn check_issuer(url: &str) -> Result<(), UpstreamProblem> {
    match absolute(url).filter(|_| !url.contains('?')).as_ref().and_then(Uri::scheme_str) {
        Some("http" | "https") => Ok(()),
        _ => Err(UpstreamProblem::new("it must be an https URL without a query or a fragment (RFC 8414)")),
    }
}

fn absolute(url: &str) -> Option<Uri> {
    if url.len() > LONGEST_URL || url.contains('#') {
        return None;
    }
    url.parse().ok().filter(|address: &Uri| address.scheme().is_some() && address.authority().is_some())
}
