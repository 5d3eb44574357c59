//! What an upstream may be: the rules that hold for a change of one, whoever asks for it.

mod given;
mod missing;

use std::collections::BTreeSet;

use http::Uri;

pub use self::{
    given::{Misgiven, check_given_form, not_asked_for},
    missing::{missing_tokens, missing_upstreams},
};
use super::check_endpoint;
use crate::{
    decision::facts::CredentialMode,
    store::{
        InvalidField,
        upstreams::{OauthSettings, UpstreamChange, UpstreamRow},
    },
    types::check_text,
};

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

const LONGEST_URL: usize = 2_048;
const LONGEST_NAME: usize = 128;
const LONGEST_FORMAT: usize = 256;
const LONGEST_TEXT: usize = 512;
const MOST_HEADERS: usize = 32;
const MOST_PASSED: usize = 256;
const MOST_SCOPES: usize = 64;
/// The place of the credential in a format.
const PLACE: &str = "{token}";

fn wrong(field: &'static str, problem: impl Into<String>) -> InvalidField {
    InvalidField { field: field.into(), problem: problem.into() }
}

/// Checks a change of an upstream that is so at present, if it is there; gives the change as it is stored, with names
/// of headers in lower case, each once.
///
/// # Errors
/// Which field is wrong, and what would be right.
pub fn check_upstream(
    present: Option<&UpstreamRow>,
    change: UpstreamChange,
) -> Result<UpstreamChange, InvalidField> {
    let change = UpstreamChange {
        value_headers: change
            .value_headers
            .map(|names| names.map(credential_headers).transpose())
            .transpose()?,
        pass_headers: change.pass_headers.map(|names| names.map(passed_headers).transpose()).transpose()?,
        ..change
    };
    if let Some(url) = &change.url {
        check_text(url, LONGEST_URL).map_err(|error| wrong("url", error.to_string()))?;
    }
    if let Some(header) = &change.header {
        credential_header("header", header)?;
    }
    if let Some(format) = &change.format {
        check_format(format)?;
    }
    if let Some(Some(oauth)) = &change.oauth {
        check_oauth(oauth)?;
    }
    // What is left as it is was taken before: it is not for this caller to mend.
    if change != UpstreamChange::default() {
        check_together(&After::new(present, &change))?;
    }
    Ok(change)
}

/// What the upstream is with the change.
struct After<'a> {
    url: Option<&'a str>,
    credential: CredentialMode,
    header: &'a str,
    value_headers: Option<&'a Vec<String>>,
    pass_headers: Option<&'a Vec<String>>,
    oauth: Option<&'a OauthSettings>,
}

impl<'a> After<'a> {
    fn new(present: Option<&'a UpstreamRow>, change: &'a UpstreamChange) -> Self {
        fn changed<'a, T>(change: &'a Option<Option<T>>, present: Option<&'a T>) -> Option<&'a T> {
            change.as_ref().map_or(present, Option::as_ref)
        }
        Self {
            url: change.url.as_deref().or(present.map(|row| row.url.as_str())),
            credential: change
                .credential
                .or(present.map(|row| row.credential))
                .unwrap_or(CredentialMode::None),
            header: change
                .header
                .as_deref()
                .or(present.map(|row| row.header.as_str()))
                .unwrap_or("authorization"),
            value_headers: changed(&change.value_headers, present.and_then(|row| row.value_headers.as_ref())),
            pass_headers: changed(&change.pass_headers, present.and_then(|row| row.pass_headers.as_ref())),
            oauth: changed(&change.oauth, present.and_then(|row| row.oauth.as_ref())),
        }
    }
}

fn check_together(after: &After<'_>) -> Result<(), InvalidField> {
    let brokered = after.credential != CredentialMode::None;
    if let Some(url) = after.url {
        check_url(url, brokered)?;
    }
    if brokered && let Some(passed) = after.pass_headers {
        let header = after.header.to_ascii_lowercase();
        let own = |name: &&String| {
            **name == "authorization"
                || after.value_headers.map_or(**name == header, |headers| headers.contains(name))
        };
        if let Some(name) = passed.iter().find(own) {
            let problem = format!(
                "{name}: the caller's own does not pass where a credential of the upstream's takes its place"
            );
            return Err(wrong("pass_headers", problem));
        }
    }
    match after.oauth {
        Some(_) if !brokered => Err(wrong(
            "oauth",
            "nobody consents where the upstream's credential is none: set credential to per_user, per_token or shared",
        )),
        Some(_) if after.value_headers.is_some() => Err(wrong(
            "oauth",
            "consent gives a token, for header and format: set value_headers to null, or leave oauth out",
        )),
        _ => Ok(()),
    }
}

/// An upstream's address. One without a credential may be anything that its gateway understands, such as a command.
fn check_url(url: &str, brokered: bool) -> Result<(), InvalidField> {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let http = scheme.as_deref().is_some_and(|scheme| matches!(scheme, "http" | "https"));
    if !http {
        let problem = "it must be an http or https URL; a stdio upstream cannot be brokered";
        return if brokered { Err(wrong("url", problem)) } else { Ok(()) };
    }
    let address: Option<Uri> = url.parse().ok().filter(|address: &Uri| address.scheme().is_some());
    let Some(authority) = address.as_ref().and_then(Uri::authority).filter(|it| !it.host().is_empty()) else {
        return Err(wrong("url", "it must be an http or https URL with a host"));
    };
    // It is shown to whoever may see the upstream.
    if authority.as_str().contains('@') {
        return Err(wrong("url", "it must not hold a user or a password"));
    }
    Ok(())
}

/// A header's name (RFC 9110 section 5.1).
fn header_name(field: &'static str, name: &str) -> Result<(), InvalidField> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(token) {
        let problem = format!("it must be the name of a header, of 1 to {LONGEST_NAME} characters");
        return Err(wrong(field, problem));
    }
    Ok(())
}

fn credential_header(field: &'static str, name: &str) -> Result<(), InvalidField> {
    header_name(field, name)?;
    if NOT_FOR_CREDENTIALS.contains(&name.to_ascii_lowercase().as_str()) {
        let problem = format!("{name} belongs to the message or the connection and carries no credential");
        return Err(wrong(field, problem));
    }
    Ok(())
}

/// Names in lower case, each once, in their order.
fn lower(
    names: Vec<String>,
    check: impl Fn(&str) -> Result<(), InvalidField>,
) -> Result<Vec<String>, InvalidField> {
    let mut seen = BTreeSet::new();
    let mut kept = Vec::with_capacity(names.len());
    for name in names {
        check(&name)?;
        let name = name.to_ascii_lowercase();
        if seen.insert(name.clone()) {
            kept.push(name);
        }
    }
    Ok(kept)
}

fn credential_headers(names: Vec<String>) -> Result<Vec<String>, InvalidField> {
    if names.is_empty() {
        let problem = "it must name a header; null goes back to header and format";
        return Err(wrong("value_headers", problem));
    }
    if names.len() > MOST_HEADERS {
        return Err(wrong("value_headers", format!("at most {MOST_HEADERS} are taken")));
    }
    lower(names, |name| credential_header("value_headers", name))
}

fn passed_headers(names: Vec<String>) -> Result<Vec<String>, InvalidField> {
    if names.len() > MOST_PASSED {
        return Err(wrong("pass_headers", format!("at most {MOST_PASSED} are taken")));
    }
    lower(names, |name| header_name("pass_headers", name))
}

fn check_format(format: &str) -> Result<(), InvalidField> {
    let visible = format.bytes().all(|b| (b' '..=b'~').contains(&b)) && format.trim() == format;
    if format.len() > LONGEST_FORMAT || !visible || format.matches(PLACE).count() != 1 {
        let problem = format!(
            "it must hold {PLACE} once, and be one line of at most {LONGEST_FORMAT} visible ASCII characters, such as \
             \"Bearer {PLACE}\""
        );
        return Err(wrong("format", problem));
    }
    Ok(())
}

fn check_oauth(oauth: &OauthSettings) -> Result<(), InvalidField> {
    let OauthSettings { authorization_endpoint, token_endpoint, client_id, scopes, resource } = oauth;
    let endpoint = |field, url: &String| {
        let bounded = check_text(url, LONGEST_URL).map_err(|error| wrong(field, error.to_string()));
        bounded.and_then(|()| check_endpoint(url).map_err(|error| wrong(field, error.to_string())))
    };
    endpoint("oauth.authorization_endpoint", authorization_endpoint)?;
    endpoint("oauth.token_endpoint", token_endpoint)?;
    check_text(client_id, LONGEST_TEXT).map_err(|error| wrong("oauth.client_id", error.to_string()))?;
    if scopes.len() > MOST_SCOPES {
        return Err(wrong("oauth.scopes", format!("at most {MOST_SCOPES} are taken")));
    }
    // RFC 6749 section 3.3.
    let scope = |scope: &String| {
        (1..=LONGEST_TEXT).contains(&scope.len())
            && scope.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
    };
    if !scopes.iter().all(scope) {
        return Err(wrong("oauth.scopes", "each must be one word of visible ASCII without quotes"));
    }
    match resource {
        Some(resource) if absolute(resource).is_none() => {
            Err(wrong("oauth.resource", "it must be a URL without a fragment (RFC 8707)"))
        }
        _ => Ok(()),
    }
}

fn absolute(url: &str) -> Option<Uri> {
    if url.len() > LONGEST_URL || url.contains('#') {
        return None;
    }
    url.parse().ok().filter(|address: &Uri| address.scheme().is_some() && address.authority().is_some())
}

#[cfg(test)]
mod tests;
