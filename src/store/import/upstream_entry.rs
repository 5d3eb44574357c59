//! From an upstream of the document to a row.

use super::{document::UpstreamEntry, entries::UpstreamRecord, rules::Looking};
use crate::{decision::facts::CredentialMode, store::upstreams::OauthSettings};

/// Names of headers in a list.
const MOST_VALUE_HEADERS: usize = 32;
const MOST_PASS_HEADERS: usize = 64;
/// Characters of each text in `oauth`, which are as many as of a URL; and its scopes.
const LONGEST_OAUTH: usize = 2048;
const MOST_SCOPES: usize = 64;

// All fields are looked at before the first `?`, so that all problems are found.
pub(super) fn upstream(entry: &UpstreamEntry, at: &mut Looking<'_>) -> Option<UpstreamRecord> {
    let tenant = at.tenant(entry.tenant.as_deref());
    let id = at.id("id", &entry.id);
    let url = at.text("url", &entry.url, 2048);
    let mode = entry.credential.as_deref();
    let credential = mode.map_or(Some(CredentialMode::default()), CredentialMode::from_name);
    let credential = at.name("credential", credential, "none, shared, per_user, per_token");
    let header = entry.header.as_deref().unwrap_or("Authorization");
    let header = at.text("header", header, 256).filter(|header| {
        let is_name = is_header_name(header);
        if !is_name {
            at.refuse("header", "it must be the name of a header, without a colon or a space");
        }
        is_name
    });
    let format = entry.format.as_deref().unwrap_or("Bearer {token}");
    let format = at.text("format", format, 1024).filter(|format| {
        let has_place = format.contains("{token}");
        if !has_place {
            at.refuse("format", "it must hold {token}, where the credential goes");
        }
        has_place
    });
    let value_headers = optional(entry.value_headers.as_deref(), |list| {
        if list.is_empty() {
            at.refuse("value_headers", "it must name a header; leave it out to use `header` and `format`");
            return None;
        }
        header_names("value_headers", list, MOST_VALUE_HEADERS, at)
    });
    let pass_headers = optional(entry.pass_headers.as_deref(), |list| {
        header_names("pass_headers", list, MOST_PASS_HEADERS, at)
    });
    let oauth = optional(entry.oauth.as_ref(), |oauth| check_oauth(oauth, at));
    let record = UpstreamRecord {
        tenant: tenant?,
        id: id?,
        url: url?,
        allow_all: entry.allow_all,
        credential: credential?,
        header: header?,
        format: format?,
        value_headers: value_headers?,
        pass_headers: pass_headers?,
        oauth: oauth?,
    };
    brokered(record, at)
}

/// What may be left out; `None` when it is there and wrong.
fn optional<T: ?Sized, U>(value: Option<&T>, check: impl FnOnce(&T) -> Option<U>) -> Option<Option<U>> {
    value.map_or(Some(None), |value| check(value).map(Some))
}

/// RFC 9110's rule for a header's name.
fn is_header_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Names of headers, trimmed and in lower case, each once.
fn header_names(field: &str, list: &[String], most: usize, at: &mut Looking<'_>) -> Option<Vec<String>> {
    if list.len() > most {
        at.refuse(field, &format!("at most {most} headers are taken"));
        return None;
    }
    let mut read = Vec::with_capacity(list.len());
    let mut good = true;
    for (place, name) in list.iter().enumerate() {
        let name = name.trim().to_ascii_lowercase();
        if !is_header_name(&name) || name.len() > 256 {
            let text = "it must be the name of a header, without a colon or a space";
            at.refuse(&format!("{field}[{place}]"), text);
            good = false;
        } else if !read.contains(&name) {
            read.push(name);
        }
    }
    good.then_some(read)
}

fn check_oauth(oauth: &OauthSettings, at: &mut Looking<'_>) -> Option<OauthSettings> {
    let OauthSettings { authorization_endpoint, token_endpoint, client_id, scopes, resource, issuer } = oauth;
    let mut good = true;
    for (field, url) in
        [("authorization_endpoint", authorization_endpoint), ("token_endpoint", token_endpoint)]
    {
        let field = format!("oauth.{field}");
        good &= at.text(&field, url, LONGEST_OAUTH).is_some();
        if !is_http(url) {
            at.refuse(&field, "it must be an http or https URL");
            good = false;
        }
    }
    good &= at.text("oauth.client_id", client_id, LONGEST_OAUTH).is_some();
    if let Some(resource) = resource {
        good &= at.text("oauth.resource", resource, LONGEST_OAUTH).is_some();
    }
    if let Some(issuer) = issuer {
        good &= at.text("oauth.issuer", issuer, LONGEST_OAUTH).is_some();
        if !is_http(issuer) {
            at.refuse("oauth.issuer", "it must be an https URL");
            good = false;
        }
    }
    if scopes.len() > MOST_SCOPES {
        at.refuse("oauth.scopes", &format!("at most {MOST_SCOPES} scopes are taken"));
        good = false;
    }
    for (place, scope) in scopes.iter().enumerate() {
        let field = format!("oauth.scopes[{place}]");
        good &= at.text(&field, scope, 128).is_some();
        if scope.contains(' ') {
            at.refuse(&field, "a scope holds no space; list each by itself");
            good = false;
        }
    }
    good.then(|| oauth.clone())
}

fn is_http(url: &str) -> bool {
    let url = url.to_ascii_lowercase();
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

/// What an upstream must be that gets credentials from regate.
fn brokered(record: UpstreamRecord, at: &mut Looking<'_>) -> Option<UpstreamRecord> {
    if record.credential == CredentialMode::None {
        return Some(record);
    }
    let mut good = true;
    if !is_http(&record.url) {
        let text = "an upstream that gets a credential is reached by http:// or https://; put a server that speaks \
                    over stdio behind such an address, or leave `credential` out";
        at.refuse("url", text);
        good = false;
    }
    let own = record.value_headers.iter().flatten().cloned().chain([record.header.to_ascii_lowercase()]);
    let own: Vec<String> = own.collect();
    for (place, name) in record.pass_headers.iter().flatten().enumerate() {
        if name == "authorization" {
            let text = "the caller's own credential never goes on to an upstream that gets one; leave it out";
            at.refuse(&format!("pass_headers[{place}]"), text);
            good = false;
        } else if own.contains(name) {
            at.refuse(&format!("pass_headers[{place}]"), "regate sets this header there; leave it out");
            good = false;
        }
    }
    good.then_some(record)
}
