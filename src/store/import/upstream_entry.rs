//! From an upstream of the document to a row: by the rules that hold for a management call as well.

use super::{document::UpstreamEntry, entries::UpstreamRecord, rules::Looking};
use crate::{
    decision::facts::CredentialMode,
    store::upstreams::OauthSettings,
    types::upstream_rules::{
        MOST_PASS_HEADERS, MOST_SCOPES, MOST_VALUE_HEADERS, UpstreamProblem, check_client_id, check_consent,
        check_credential_header, check_format, check_header_name, check_issuer, check_oauth_endpoint,
        check_passing, check_resource, check_scope, check_upstream_url,
    },
};

/// A rule for a name.
type Rule = fn(&str) -> Result<(), UpstreamProblem>;

// All fields are looked at before the first `?`, so that all problems are found.
pub(super) fn upstream(entry: &UpstreamEntry, at: &mut Looking<'_>) -> Option<UpstreamRecord> {
    let tenant = at.tenant(entry.tenant.as_deref());
    let id = at.id("id", &entry.id);
    let mode = entry.credential.as_deref();
    let credential = mode.map_or(Some(CredentialMode::default()), CredentialMode::from_name);
    let credential = at.name("credential", credential, "none, shared, per_user, per_token");
    // What cannot be read is said already; more about it would be a guess.
    let brokered = credential.is_some_and(|mode| mode != CredentialMode::None);
    let url = good("url", check_upstream_url(&entry.url, brokered), at);
    let header = entry.header.as_deref().unwrap_or("Authorization");
    let header_is_good = good("header", check_credential_header(header), at);
    let format = entry.format.as_deref().unwrap_or("Bearer {token}");
    let format_is_good = good("format", check_format(format), at);
    let value_headers = optional(entry.value_headers.as_deref(), |list| {
        if list.is_empty() {
            at.refuse("value_headers", "it must name a header; leave it out to use `header` and `format`");
            return None;
        }
        header_names("value_headers", list, MOST_VALUE_HEADERS, check_credential_header, at)
    });
    let pass_headers = optional(entry.pass_headers.as_deref(), |list| {
        header_names("pass_headers", list, MOST_PASS_HEADERS, check_header_name, at)
    });
    let oauth = optional(entry.oauth.as_ref(), |oauth| {
        let values = entry.value_headers.is_some();
        let consent = credential.is_none() || good("oauth", check_consent(brokered, values), at);
        (check_oauth(oauth, at) && consent).then(|| oauth.clone())
    });
    let record = UpstreamRecord {
        tenant: tenant?,
        id: id?,
        url: url.then(|| entry.url.clone())?,
        allow_all: entry.allow_all,
        credential: credential?,
        header: header_is_good.then(|| header.to_owned())?,
        format: format_is_good.then(|| format.to_owned())?,
        value_headers: value_headers?,
        pass_headers: pass_headers?,
        oauth: oauth?,
    };
    passing(record, at)
}

/// Whether a value is good; if not, the problem is added.
fn good(field: &str, outcome: Result<(), UpstreamProblem>, at: &mut Looking<'_>) -> bool {
    outcome.map_err(|problem| at.refuse(field, &problem.to_string())).is_ok()
}

/// What may be left out; `None` when it is there and wrong.
fn optional<T: ?Sized, U>(value: Option<&T>, check: impl FnOnce(&T) -> Option<U>) -> Option<Option<U>> {
    value.map_or(Some(None), |value| check(value).map(Some))
}

/// Names of headers, trimmed and in lower case, each once.
fn header_names(
    field: &str,
    list: &[String],
    most: usize,
    rule: Rule,
    at: &mut Looking<'_>,
) -> Option<Vec<String>> {
    if list.len() > most {
        at.refuse(field, &format!("at most {most} headers are taken"));
        return None;
    }
    let mut read = Vec::with_capacity(list.len());
    let mut all = true;
    for (place, name) in list.iter().enumerate() {
        let name = name.trim().to_ascii_lowercase();
        all &= good(&format!("{field}[{place}]"), rule(&name), at);
        if !read.contains(&name) {
            read.push(name);
        }
    }
    all.then_some(read)
}

fn check_oauth(oauth: &OauthSettings, at: &mut Looking<'_>) -> bool {
    let OauthSettings { authorization_endpoint, token_endpoint, client_id, scopes, resource, issuer } = oauth;
    let mut all = good("oauth.authorization_endpoint", check_oauth_endpoint(authorization_endpoint), at);
    all &= good("oauth.token_endpoint", check_oauth_endpoint(token_endpoint), at);
    all &= good("oauth.client_id", check_client_id(client_id), at);
    if let Some(resource) = resource {
        all &= good("oauth.resource", check_resource(resource), at);
    }
    if let Some(issuer) = issuer {
        all &= good("oauth.issuer", check_issuer(issuer), at);
    }
    if scopes.len() > MOST_SCOPES {
        at.refuse("oauth.scopes", &format!("at most {MOST_SCOPES} scopes are taken"));
        all = false;
    }
    for (place, scope) in scopes.iter().enumerate().take(MOST_SCOPES) {
        all &= good(&format!("oauth.scopes[{place}]"), check_scope(scope), at);
    }
    all
}

/// What may pass to an upstream that gets credentials from regate.
fn passing(record: UpstreamRecord, at: &mut Looking<'_>) -> Option<UpstreamRecord> {
    if record.credential == CredentialMode::None {
        return Some(record);
    }
    let mut all = true;
    for (place, name) in record.pass_headers.iter().flatten().enumerate() {
        let outcome = check_passing(name, &record.header, record.value_headers.as_deref());
        all &= good(&format!("pass_headers[{place}]"), outcome, at);
    }
    all.then_some(record)
}
