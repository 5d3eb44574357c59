//! What an upstream may be: the rules that hold for a change of one, whoever asks for it.

mod given;
mod missing;

use std::collections::BTreeSet;

pub use self::{
    given::{Misgiven, check_given_form, not_asked_for},
    missing::{missing_tokens, missing_upstreams},
};
use super::{Loopback, check_endpoint};
use crate::{
    decision::facts::CredentialMode,
    store::{
        InvalidField,
        upstreams::{OauthSettings, UpstreamChange, UpstreamRow},
    },
    types::upstream_rules::{
        MOST_PASS_HEADERS, MOST_SCOPES, MOST_VALUE_HEADERS, UpstreamProblem, check_client_id, check_consent,
        check_credential_header, check_format, check_header_name, check_issuer, check_oauth_endpoint,
        check_passing, check_resource, check_scope, check_upstream_url,
    },
};

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
    loopback: Loopback,
) -> Result<UpstreamChange, InvalidField> {
    let change = UpstreamChange {
        value_headers: change
            .value_headers
            .map(|names| names.map(credential_headers).transpose())
            .transpose()?,
        pass_headers: change.pass_headers.map(|names| names.map(passed_headers).transpose()).transpose()?,
        ..change
    };
    if let Some(header) = &change.header {
        of("header", check_credential_header(header))?;
    }
    if let Some(format) = &change.format {
        of("format", check_format(format))?;
    }
    if let Some(Some(oauth)) = &change.oauth {
        check_oauth(oauth, loopback)?;
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
        of("url", check_upstream_url(url, brokered))?;
    }
    let values = after.value_headers.map(Vec::as_slice);
    for name in after.pass_headers.iter().filter(|_| brokered).copied().flatten() {
        of("pass_headers", check_passing(name, after.header, values))?;
    }
    match after.oauth {
        Some(_) => of("oauth", check_consent(brokered, values.is_some())),
        None => Ok(()),
    }
}

/// The problem of a field.
fn of(field: &'static str, outcome: Result<(), UpstreamProblem>) -> Result<(), InvalidField> {
    outcome.map_err(|problem| wrong(field, problem.to_string()))
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
    if names.len() > MOST_VALUE_HEADERS {
        return Err(wrong("value_headers", format!("at most {MOST_VALUE_HEADERS} are taken")));
    }
    lower(names, |name| of("value_headers", check_credential_header(name)))
}

fn passed_headers(names: Vec<String>) -> Result<Vec<String>, InvalidField> {
    if names.len() > MOST_PASS_HEADERS {
        return Err(wrong("pass_headers", format!("at most {MOST_PASS_HEADERS} are taken")));
    }
    lower(names, |name| of("pass_headers", check_header_name(name)))
}

fn check_oauth(oauth: &OauthSettings, loopback: Loopback) -> Result<(), InvalidField> {
    let OauthSettings { authorization_endpoint, token_endpoint, client_id, scopes, resource, issuer } = oauth;
    let endpoint = |field, url: &String| {
        of(field, check_oauth_endpoint(url))?;
        // As the client that goes there reads it.
        check_endpoint(url, loopback).map_err(|error| wrong(field, error.to_string()))
    };
    endpoint("oauth.authorization_endpoint", authorization_endpoint)?;
    endpoint("oauth.token_endpoint", token_endpoint)?;
    of("oauth.client_id", check_client_id(client_id))?;
    if scopes.len() > MOST_SCOPES {
        return Err(wrong("oauth.scopes", format!("at most {MOST_SCOPES} are taken")));
    }
    for scope in scopes {
        of("oauth.scopes", check_scope(scope))?;
    }
    if let Some(issuer) = issuer {
        of("oauth.issuer", check_issuer(issuer))?;
        check_endpoint(issuer, loopback).map_err(|error| wrong("oauth.issuer", error.to_string()))?;
    }
    resource.as_ref().map_or(Ok(()), |resource| of("oauth.resource", check_resource(resource)))
}

#[cfg(test)]
mod tests;
