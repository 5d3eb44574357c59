//! Traefik, by its messages: what its `forwardAuth` sends, in the form that Go's client gives it, and what it does with
//! the answer.
//!
//! As Traefik 3 does (`pkg/middlewares/auth/forward.go`): all of the client's headers but those that are hop-by-hop or named
//! in `Connection`, and the `X-Forwarded-…` of its own in place of the client's; from an answer of 200 to 299, each of
//! `authResponseHeaders` is deleted from the request and then set if the answer has it; any other answer goes to the client.

use std::collections::BTreeMap;

use super::{
    forward_auth::ask,
    scene::{GITLAB_SECRET, Stage, UPSTREAM_SECRET},
};
use crate::harness::http::Answer;

const DYNAMIC: &str = include_str!("../../examples/traefik/dynamic.yml");
const STATIC: &str = include_str!("../../examples/traefik/traefik.yml");

/// Headers as Go has them: each name once, in its canonical form, with its values.
type Headers = BTreeMap<String, Vec<String>>;

fn canonical(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

fn headers(sent: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in sent {
        headers.entry(canonical(name)).or_default().push((*value).to_owned());
    }
    headers
}

/// The value behind a key of the example.
fn setting<'y>(yaml: &'y str, key: &str) -> &'y str {
    let line = yaml.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("the example has no {key}")).trim_matches('"')
}

/// The names below `authResponseHeaders` in the example.
fn taken_over() -> Vec<String> {
    let below = DYNAMIC.split_once("authResponseHeaders:\n").unwrap().1;
    let items = below.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    items.map_while(|line| line.strip_prefix("- ")).map(canonical).collect()
}

/// The names in `customRequestHeaders` that have no value in the example.
fn emptied() -> Vec<String> {
    let below = DYNAMIC.split_once("customRequestHeaders:\n").unwrap().1.split_once("\n\n").unwrap().0;
    below.lines().filter_map(|line| line.trim().strip_suffix(": \"\"")).map(canonical).collect()
}

/// Asks as Traefik does; an allowed request comes back with the headers that would go on.
fn traefik(
    stage: &Stage,
    url: &str,
    more: &[&str],
    method: &str,
    target: &str,
    sent: &[(&str, &str)],
) -> Result<Headers, Answer> {
    let mut request = headers(sent);
    // The middleware before it: `headers.customRequestHeaders`, where an empty value removes.
    for name in emptied() {
        request.remove(&name);
    }
    request.insert("X-Regate-Gateway-Token".into(), vec![stage.gateway_token.clone()]);
    let mut asked = request.clone();
    let named: Vec<String> = asked
        .get("Connection")
        .into_iter()
        .flatten()
        .flat_map(|value| value.split(','))
        .map(|name| canonical(name.trim()))
        .collect();
    let hop = ["Connection", "Keep-Alive", "Te", "Trailers", "Transfer-Encoding", "Upgrade"];
    asked.retain(|name, _| !hop.contains(&name.as_str()) && !named.contains(name));
    asked.retain(|name, _| !name.starts_with("X-Forwarded-") && name != "X-Real-Ip");
    for (name, value) in [
        ("X-Forwarded-For", "192.0.2.7"),
        ("X-Forwarded-Method", method),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Port", "80"),
        ("X-Forwarded-Host", "api.example"),
        ("X-Forwarded-Uri", target),
    ] {
        asked.insert(name.into(), vec![value.into()]);
    }
    // Go writes the host first, the rest in the order of the alphabet, and asks for gzip.
    let mut lines = vec![("Host".to_owned(), stage.regate_address())];
    for (name, values) in asked {
        lines.extend(values.into_iter().map(|value| (name.clone(), value)));
    }
    lines.push(("Accept-Encoding".into(), "gzip".into()));
    let lines: Vec<(&str, &str)> =
        lines.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = ask(stage, &format!("GET {url}"), &lines, b"");
    if !(200..300).contains(&answer.status) {
        return Err(answer);
    }
    for name in taken_over().into_iter().chain(more.iter().map(|name| canonical(name))) {
        request.remove(&name);
        if let Some(value) = answer.header(&name.to_ascii_lowercase()) {
            request.insert(name, vec![value.to_owned()]);
        }
    }
    Ok(request)
}

#[test]
fn what_traefik_asks_is_what_goes_on() {
    let stage = Stage::new();
    let address = setting(DYNAMIC, "address");
    let url = address.strip_prefix("http://127.0.0.1:8181").unwrap();
    let github = url.replace("upstream=-", "upstream=github");
    let token = format!("Bearer {}", stage.global);
    let own = "/api/v1/projects/p1";
    let smuggled = [
        ("AUTHORIZATION", token.as_str()),
        ("x-forwarded-uri", "/api/v1/projects/p2"),
        ("X-Forwarded-Method", "DELETE"),
        ("x-regate-gateway-token", "mine"),
        ("X-Trace", "1"),
        ("X-Regate-User", "mine"),
        ("X-Regate-Tenant", "mine"),
        ("Forwarded", "for=mine"),
        ("X-Original-Uri", "/mine"),
        ("Upgrade", "h2c"),
    ];
    let plain = traefik(&stage, url, &[], "GET", own, &smuggled).unwrap();
    assert!(!plain.contains_key("Authorization") && !plain.contains_key("X-Regate-Gateway-Token"));
    assert_eq!(plain["X-Trace"], ["1"]);
    let wire = format!("{plain:?}");
    assert!(!wire.contains("mine") && !wire.contains("Upgrade") && !wire.contains("X-Regate"), "it went on");
    let swapped = traefik(&stage, &github, &[], "GET", own, &smuggled).unwrap();
    assert!(swapped["Authorization"] == [format!("Bearer {UPSTREAM_SECRET}")]);

    let gitlab = url.replace("upstream=-", "upstream=gitlab&headers=authorization,x-api-key");
    let copies = [("Authorization", token.as_str()), ("X-API-KEY", "mine"), ("x-api-key", "mine too")];
    let swapped = traefik(&stage, &gitlab, &["x-api-key"], "GET", own, &copies).unwrap();
    assert!(
        swapped["X-Api-Key"] == [format!("token {GITLAB_SECRET}")] && !swapped.contains_key("Authorization")
    );
    let denied = |url: &str, method: &str, target: &str, sent: &[(&str, &str)]| {
        let answer = traefik(&stage, url, &[], method, target, sent).unwrap_err();
        assert!(answer.header("authorization").is_none());
        assert_eq!(answer.json()["allow"], false);
        (answer.status, answer.header("www-authenticate").map(str::to_owned))
    };
    let caller = [("Authorization", token.as_str())];
    assert_eq!(denied(url, "GET", "/api/v1/projects/p2", &caller), (403, None));
    assert_eq!(denied(url, "DELETE", own, &caller), (403, None));
    assert_eq!(denied(url, "GET", "/mcp/../api/v1/projects/p1", &caller), (400, None));
    assert_eq!(denied(url, "GET", own, &[]), (401, Some("Bearer".to_owned())));
    assert_eq!(denied(url, "GET", own, &[caller[0], ("authorization", "Bearer other")]).0, 400);
    // `Connection` takes the credential out of the question: nobody's request.
    assert_eq!(denied(url, "GET", own, &[caller[0], ("Connection", "authorization")]).0, 401);
    // What the configuration does not take away, Traefik cannot.
    assert_eq!(denied(url, "GET", own, &[caller[0], ("X-Regate-New", "mine")]).0, 403);
    assert_eq!(denied(url, "GET", own, &[caller[0], ("X_Regate_User", "mine")]).0, 403);
    // A look-alike that no line of the configuration takes away.
    assert_eq!(denied(&gitlab, "GET", own, &[caller[0], ("x_api_key", "mine")]).0, 403);
}

#[test]
fn the_example_leaves_nothing_open() {
    assert_eq!(setting(DYNAMIC, "trustForwardHeader"), "false");
    assert!(taken_over().contains(&"Authorization".to_owned()));
    assert!(taken_over().contains(&"X-Regate-Gateway-Token".to_owned()));
    assert!(
        !DYNAMIC.contains("authResponseHeadersRegex:") && !DYNAMIC.contains("\n        authRequestHeaders")
    );
    assert!(!STATIC.contains("insecure: true"));
}
