//! What is good is taken, and each thing that is wrong is named.

use super::check_upstream;
use crate::upstream::Loopback;
use crate::{
    decision::facts::CredentialMode,
    store::upstreams::{OauthSettings, UpstreamChange},
};

fn brokered() -> UpstreamChange {
    UpstreamChange {
        url: Some("https://mcp.example/github".to_owned()),
        credential: Some(CredentialMode::PerUser),
        ..UpstreamChange::default()
    }
}

fn oauth() -> OauthSettings {
    OauthSettings {
        authorization_endpoint: "https://login.example/authorize".to_owned(),
        token_endpoint: "http://127.0.0.1:9/token".to_owned(),
        client_id: "regate".to_owned(),
        scopes: vec!["repo:read".to_owned()],
        resource: Some("https://mcp.example".to_owned()),
        issuer: Some("https://login.example".to_owned()),
    }
}

/// What is refused of the change that this makes; empty if nothing is.
fn refused(change: impl FnOnce(&mut UpstreamChange)) -> String {
    let mut whole = brokered();
    change(&mut whole);
    check_upstream(None, whole, Loopback::Allowed).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn what_is_good_is_taken() {
    for good in ["X-Api-Key", "authorization", "cookie"] {
        assert_eq!(refused(|change| change.header = Some(good.to_owned())), "");
    }
    for good in ["{token}", "Bearer {token}", "token=\"{token}\""] {
        assert_eq!(refused(|change| change.format = Some(good.to_owned())), "");
    }
    assert_eq!(refused(|change| change.oauth = Some(Some(oauth()))), "");
    assert_eq!(refused(|change| change.pass_headers = Some(Some(Vec::new()))), "");
    let names = ["X-Key", "x-key", "X-Other"].map(str::to_owned).to_vec();
    let change = UpstreamChange { value_headers: Some(Some(names)), ..brokered() };
    let taken = check_upstream(None, change, Loopback::Allowed).unwrap();
    assert_eq!(taken.value_headers, Some(Some(vec!["x-key".to_owned(), "x-other".to_owned()])));
    // Without a credential an upstream is whatever its gateway understands, and may have the caller's.
    let stdio = UpstreamChange {
        url: Some("stdio:npx server".to_owned()),
        pass_headers: Some(Some(vec!["authorization".to_owned()])),
        ..UpstreamChange::default()
    };
    assert!(check_upstream(None, stdio, Loopback::Allowed).is_ok());
}

#[test]
fn endpoints_are_elsewhere_unless_that_is_allowed() {
    let change = UpstreamChange { oauth: Some(Some(oauth())), ..brokered() };
    let said = check_upstream(None, change, Loopback::Refused).unwrap_err().to_string();
    assert!(said.starts_with("oauth.token_endpoint: ") && said.contains("loopback_endpoints"), "{said}");
}

#[test]
fn headers_that_frame_a_message_carry_no_credential() {
    for bad in
        ["", "a b", "a:b", "é", "a\r\nb", "Host", "content-length", "TE", "Connection", "transfer-encoding"]
    {
        assert!(refused(|change| change.header = Some(bad.to_owned())).starts_with("header: "), "{bad}");
        let names = Some(Some(vec![bad.to_owned()]));
        assert!(refused(|change| change.value_headers = names).starts_with("value_headers: "), "{bad}");
    }
    assert!(refused(|change| change.value_headers = Some(Some(Vec::new()))).starts_with("value_headers: "));
}

#[test]
fn a_format_has_one_place_on_one_line() {
    let long = format!("{}{{token}}", "x".repeat(256));
    for bad in ["", "Bearer", "{token} {token}", "a\n{token}", " {token}", "{token} ", "é{token}", &long] {
        assert!(refused(|change| change.format = Some(bad.to_owned())).starts_with("format: "), "{bad:?}");
    }
}

#[test]
fn a_credential_goes_to_a_server_and_the_callers_own_does_not() {
    for bad in ["stdio:npx", "npx server", "ftp://x", "https://", "https:///x", "https://u:p@x/", "http:x"] {
        assert!(refused(|change| change.url = Some(bad.to_owned())).starts_with("url: "), "{bad}");
    }
    let stdio = refused(|change| change.url = Some("stdio:npx".to_owned()));
    assert!(
        stdio.contains("it must be an http or https URL; a stdio upstream cannot be brokered"),
        "{stdio}"
    );
    for bad in ["Authorization", "X-Api-Key"] {
        let said = refused(|change| {
            change.header = Some("x-api-key".to_owned());
            change.pass_headers = Some(Some(vec!["accept".to_owned(), bad.to_owned()]));
        });
        assert!(said.starts_with("pass_headers: "), "{said}");
    }
    let said = refused(|change| {
        change.value_headers = Some(Some(vec!["X-Key".to_owned()]));
        change.pass_headers = Some(Some(vec!["x-key".to_owned()]));
    });
    assert!(said.starts_with("pass_headers: "), "{said}");
}

#[test]
fn consent_is_for_tokens_and_over_safe_ways() {
    assert!(
        refused(|change| {
            change.credential = None;
            change.oauth = Some(Some(oauth()));
        })
        .starts_with("oauth: nobody consents")
    );
    assert!(
        refused(|change| {
            change.value_headers = Some(Some(vec!["x-key".to_owned()]));
            change.oauth = Some(Some(oauth()));
        })
        .starts_with("oauth: consent gives a token")
    );
    for (field, change) in [
        (
            "authorization_endpoint",
            (|o| o.authorization_endpoint = "http://x".into()) as fn(&mut OauthSettings),
        ),
        ("token_endpoint", |o| o.token_endpoint = "https://x/#a".into()),
        ("token_endpoint", |o| o.token_endpoint = "/token".into()),
        ("client_id", |o| o.client_id = String::new()),
        ("scopes", |o| o.scopes = vec!["a b".into()]),
        ("scopes", |o| o.scopes = vec![String::new()]),
        ("issuer", |o| o.issuer = Some("login.example".into())),
        ("issuer", |o| o.issuer = Some("http://login.example".into())),
        ("issuer", |o| o.issuer = Some("https://login.example?a".into())),
        ("resource", |o| o.resource = Some("https://x#y".into())),
    ] {
        let mut settings = oauth();
        change(&mut settings);
        let said = refused(|change| change.oauth = Some(Some(settings)));
        assert!(said.starts_with(&format!("oauth.{field}: ")), "{said}");
    }
}
