//! What sub-requests say, straight to regate.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::scene::{GITLAB_SECRET, Stage, upstream_authorization};
use crate::harness::{
    http::{Answer, raw},
    program::Serving,
};

const OWN: &str = "/api/v1/projects/p1";
const PLAIN: &str = "/v1/forward-auth?upstream=-";
const NGINX: &str = "/v1/forward-auth/nginx?upstream=-";

/// Rules that show what they see, and want headers changed.
const RULES: &str = r#"package regate

first := input.request.path[0]

decision := {"allow": true, "headers": {"set": {"x-user": "u1"}}} if first == "set"

else := {"allow": true, "headers": {"remove": ["x-user"]}} if first == "remove"

else := {"allow": true, "headers": {"set": {"content-length": "7"}}} if first == "framing"

else := {"allow": true, "reasons": ["ä, b\n"]} if first == "odd"

else := {"allow": false, "status": 429} if first == "busy"

else := {"allow": false, "status": 503} if first == "later"

else := {"allow": false, "message": json.marshal(input.request)}
"#;

/// regate with those rules, and the folder that they are in.
pub fn with_rules(settings: &str) -> (Stage, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules.rego"), RULES).unwrap();
    (Stage::with(&format!("{settings}\n[policy]\nfolder = {:?}\n", folder.path().to_str().unwrap())), folder)
}

/// A request to regate, as it is.
pub fn ask(stage: &Stage, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut message = format!("{line} HTTP/1.1\r\n");
    for (name, value) in headers {
        message.push_str(&format!("{name}: {value}\r\n"));
    }
    message.push_str("\r\n");
    raw(&stage.regate_address(), &[message.as_bytes(), body].concat())
}

/// What a gateway sends about a request, this caller's and with more headers.
struct Described<'a> {
    method: &'a str,
    target: &'a str,
    token: &'a str,
    more: &'a [(&'a str, &'a str)],
}

impl Described<'_> {
    fn forwarded(&self, stage: &Stage, url: &str) -> Answer {
        self.send(
            stage,
            url,
            ["X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host", "X-Forwarded-For"],
        )
    }

    fn nginx(&self, stage: &Stage, url: &str) -> Answer {
        self.send(stage, url, ["X-Original-Method", "X-Original-URI", "X-Original-Host", "X-Original-For"])
    }

    fn send(&self, stage: &Stage, url: &str, names: [&str; 4]) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        let mut headers = vec![
            ("Host", "regate"),
            ("X-Regate-Gateway-Token", stage.gateway_token.as_str()),
            (names[0], self.method),
            (names[1], self.target),
            (names[2], "api.example"),
            (names[3], "192.0.2.7"),
        ];
        if !self.token.is_empty() {
            headers.push(("Authorization", &authorization));
        }
        headers.extend(self.more);
        ask(stage, &format!("GET {url}"), &headers, b"")
    }
}

/// A read of one's own project.
fn read<'a>(token: &'a str, more: &'a [(&'a str, &'a str)]) -> Described<'a> {
    Described { method: "GET", target: OWN, token, more }
}

/// Waits until regate has logged these words, and gives the whole log.
pub fn until_logged(stage: &Stage, words: &str) -> String {
    let regate = stage.regate();
    regate.until(|| Some(regate.serving.log()).filter(|log| log.contains(words)))
}

fn assert_code(answer: &Answer, status: u16, code: &str) {
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["code"], &body["allow"]),
        (status, &json!(code), &json!(false)),
        "{body}"
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-regate-reason"), Some(code));
}

#[test]
fn a_whole_answer() {
    let stage = Stage::new();
    for (url, is_nginx) in [("/v1/forward-auth", false), ("/v1/forward-auth/nginx", true)] {
        let send = |described: Described<'_>, url: &str| match is_nginx {
            true => described.nginx(&stage, url),
            false => described.forwarded(&stage, url),
        };
        let allowed = send(read(&stage.global, &[]), &format!("{url}?upstream=github"));
        assert_eq!((allowed.status, allowed.body.len()), (200, 0));
        assert!(allowed.header("authorization") == Some(&upstream_authorization()));
        for (name, value) in [
            ("x-regate-remove", "authorization"),
            ("x-regate-reason", "global_token.read"),
            ("x-regate-connection-key", "default/user/u1/github"),
            ("x-regate-user", "u1"),
            ("x-regate-tenant", "default"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(allowed.header(name), Some(value), "{name}");
        }
        assert!(allowed.header("x-regate-token-id").is_some());
        assert_eq!(allowed.header("x-regate-decision-id").unwrap().len(), 36);

        let denied = send(read(&stage.unconnected, &[]), &format!("{url}?upstream=github"));
        let told = denied.json();
        assert_eq!((denied.status, &told["reason"]), (403, &json!("upstream.credential_missing")));
        assert_eq!((&told["allow"], &told["status"]), (&json!(false), &json!(403)));
        assert_eq!(denied.header("x-regate-remove"), Some("authorization"));
        assert_eq!(denied.header("x-regate-connect-url"), told["connect_url"].as_str());
        assert_eq!(
            (denied.header("cache-control"), denied.header("x-regate-user")),
            (Some("no-store"), None)
        );

        let nobody = send(read("", &[]), &format!("{url}?upstream=-"));
        assert_eq!((nobody.status, nobody.header("www-authenticate")), (401, Some("Bearer")));
        assert_eq!(nobody.header("x-regate-reason"), Some("token.missing"));
        let refused = send(read(&stage.global, &[]), &format!("{url}?upstream=none"));
        assert_eq!((refused.status, refused.header("x-regate-reason")), (403, Some("upstream.unknown")));
    }
}

#[test]
fn only_a_gateway_describes_requests() {
    let stage = Stage::new();
    let ask_with = |stage: &Stage, url: &str, tokens: &[&str]| {
        let authorization = format!("Bearer {}", stage.global);
        let mut headers = vec![
            ("Host", "regate"),
            ("Authorization", authorization.as_str()),
            ("X-Forwarded-Method", "GET"),
            ("X-Forwarded-Uri", OWN),
            ("X-Forwarded-Host", "api.example"),
            ("X-Forwarded-For", "192.0.2.7"),
        ];
        headers.extend(tokens.iter().map(|token| ("X-Regate-Gateway-Token", *token)));
        ask(stage, &format!("GET {url}"), &headers, b"")
    };
    let good = stage.gateway_token.as_str();
    assert_eq!(ask_with(&stage, PLAIN, &[good]).status, 200);
    let bad: [&[&str]; 7] =
        [&[], &[""], &["nobody"], &[&stage.global], &[good, good], &[good, "x"], &["Bearer x"]];
    for tokens in bad {
        let answer = ask_with(&stage, PLAIN, tokens);
        assert_code(&answer, 403, "gateway.unauthenticated");
        // Its client is shown this, and could do nothing about a challenge.
        assert_eq!(answer.header("www-authenticate"), None);
        assert_code(&ask_with(&stage, NGINX, tokens), 403, "gateway.unauthenticated");
    }
    let trusting = Stage::with("[forward_auth]\ntrust_loopback = true");
    assert_eq!(ask_with(&trusting, PLAIN, &[]).status, 200);
    for tokens in [&["nobody"][..], &[&trusting.gateway_token, &trusting.gateway_token]] {
        assert_code(&ask_with(&trusting, PLAIN, tokens), 403, "gateway.unauthenticated");
    }
    // Believed is not authenticated: a secret is told to nobody without a name.
    let nameless = ask_with(&trusting, "/v1/forward-auth?upstream=github", &[]);
    assert_eq!(nameless.header("x-regate-reason"), Some("upstream.channel_insecure"));
    assert_eq!((nameless.status, nameless.header("authorization")), (403, None));
    for face in ["/v1/forward-auth", "/v1/forward-auth/nginx"] {
        let words = [
            "WARN",
            "a gateway's call was refused",
            &format!("face=\"{face}\" code=\"gateway.unauthenticated\""),
            "X-Regate-Gateway-Token",
        ];
        let log = until_logged(&stage, words[2]);
        let told = log.lines().filter(|line| words.iter().all(|words| line.contains(words))).count();
        assert!((1..bad.len()).contains(&told), "{face}: {log}");
    }
}

/// It would mean nothing: somebody who wants both has to choose.
#[test]
fn loopback_is_not_trusted_where_gateways_must_authenticate() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("regate.toml"), "[forward_auth]\ntrust_loopback = true\n").unwrap();
    let arguments = ["--demo", "--config", "regate.toml", "--gateways-must-authenticate"];
    let (code, log) = Serving::try_start(folder.path(), &arguments).err().unwrap();
    assert!(code == Some(1) && log.contains("forward_auth.trust_loopback: it has no effect"), "{log}");
}

#[test]
fn what_describes_no_request_is_refused() {
    let stage = Stage::new();
    let base = |names: [&'static str; 4]| {
        let values = ["GET", OWN, "api.example", "192.0.2.7"];
        names.into_iter().zip(values).collect::<Vec<(&str, &str)>>()
    };
    let authorization = format!("Bearer {}", stage.global);
    let send = |url: &str, described: &[(&str, &str)]| {
        let own = [
            ("Host", "regate"),
            ("X-Regate-Gateway-Token", stage.gateway_token.as_str()),
            ("Authorization", authorization.as_str()),
        ];
        ask(&stage, &format!("GET {url}"), &[&own[..], described].concat(), b"")
    };
    let sets = [
        (PLAIN, ["X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host", "X-Forwarded-For"]),
        (NGINX, ["X-Original-Method", "X-Original-URI", "X-Original-Host", "X-Original-For"]),
    ];
    for (number, (url, names)) in sets.into_iter().enumerate() {
        let refused = |described: &[(&str, &str)]| {
            let answer = send(url, described);
            let status = if number == 1 { 403 } else { 400 };
            assert_code(&answer, status, "request.invalid");
            assert_eq!(answer.header("x-regate-status"), (number == 1).then_some("400"), "{described:?}");
        };
        assert_eq!(send(url, &base(names)).status, 200);
        for index in 0..4 {
            let mut missing = base(names);
            missing.remove(index);
            refused(&missing);
            let mut empty = base(names);
            empty[index].1 = "";
            refused(&empty);
            let mut twice = base(names);
            twice.push(twice[index]);
            refused(&twice);
            let mut no_text = base(names);
            no_text[index].1 = "\u{e4}";
            refused(&no_text);
        }
        for (index, wrong) in [
            (0, "GET /x"),
            (0, "G,ET"),
            (0, "GET, GET"),
            (3, "unknown"),
            (3, "192.0.2.7, evil"),
            (3, ","),
            (3, "192.0.2.7:80"),
            (3, "unix:/x"),
        ] {
            let mut described = base(names);
            described[index].1 = wrong;
            refused(&described);
        }
        // The other set, contradicting.
        let other = sets[1 - number].1;
        for (index, value) in [(0, "DELETE"), (1, "/api/v1/projects/p2")] {
            let mut both = base(names);
            both.push((other[index], value));
            refused(&both);
        }
        let both = [base(names), base(other)].concat();
        assert_eq!(send(url, &both).status, 200);
        // What is a method to nobody is one to the rules: a change of the project.
        let mut unknown = base(names);
        unknown[0].1 = "FOO";
        assert_eq!(send(url, &unknown).status, 403);
        // Never a default.
        refused(&[]);
        refused(&base(other));
        for target in ["*", "http://api.example/api/v1/projects/p1", "api/v1/projects/p1", "/mcp/../api"] {
            let mut described = base(names);
            described[1].1 = target;
            let answer = send(url, &described);
            let status = if number == 1 { 403 } else { 400 };
            let reason = answer.header("x-regate-reason");
            assert_eq!((answer.status, reason), (status, Some("request.ambiguous_path")), "{target}");
        }
    }
    let mut broken = base(sets[0].1);
    broken[1].1 = "/api/v1/projects/p1\r\nX-Forwarded-Uri: /api/v1/projects/p2";
    assert_code(&send(PLAIN, &broken), 400, "request.invalid");
    let long = format!("/{}", "a".repeat(20_000));
    let mut described = base(sets[0].1);
    described[1].1 = &long;
    assert_code(&send(PLAIN, &described), 400, "question.part_too_long");
    let huge = "a".repeat(40_000);
    described[1].1 = &huge;
    assert_code(&send(PLAIN, &described), 431, "header.too_large");
}

#[test]
fn the_url_is_read_strictly() {
    let stage = Stage::new();
    for query in [
        "",
        "?",
        "?upstream",
        "?upstream=",
        "?upstream=-&upstream=-",
        "?upstream=-&upstream=github",
        "?upstream=-&json_rpc_errors=yes",
        "?upstream=-&json_rpc_errors=",
        "?upstream=-&headers=",
        "?upstream=-&headers=a%20b",
        "?upstream=-&headers=authorization,connection",
        "?upstream=-&headers=x-regate-remove",
        "?upstream=-&headers=a&headers=b",
        "?upstream=-&Upstream=github",
        "?upstream=-&other=1",
    ] {
        assert_code(
            &read(&stage.global, &[]).forwarded(&stage, &format!("/v1/forward-auth{query}")),
            400,
            "request.invalid",
        );
    }
    until_logged(
        &stage,
        "face=\"/v1/forward-auth\" code=\"request.invalid\" why=the query of the gateway's URL: it has to name",
    );
    // Whoever is no gateway does not learn that much.
    let nobody = ask(&stage, "GET /v1/forward-auth?other=1", &[("Host", "regate")], b"");
    assert_code(&nobody, 403, "gateway.unauthenticated");
}

#[test]
fn what_the_gateway_cannot_carry_out_is_a_deny() {
    let stage = Stage::new();
    let gitlab = |headers: &str| format!("/v1/forward-auth?upstream=gitlab{headers}");
    let refused = |answer: Answer| {
        assert_eq!(
            (answer.status, answer.header("x-regate-reason")),
            (403, Some("gateway.cannot_carry_out"))
        );
        assert_eq!(answer.json()["reasons"], json!(["gateway.cannot_carry_out", "global_token.read"]));
        assert!(answer.header("x-api-key").is_none() && answer.header("authorization").is_none());
        assert!(answer.header("x-regate-connection-key").is_none());
    };
    let token = stage.global.as_str();
    refused(read(token, &[]).forwarded(&stage, &gitlab("")));
    refused(read(token, &[]).forwarded(&stage, &gitlab("&headers=x-api-key")));
    refused(
        read(token, &[("x_api_key", "mine")]).forwarded(&stage, &gitlab("&headers=authorization,x-api-key")),
    );
    let good =
        read(token, &[("x-api-key", "mine")]).forwarded(&stage, &gitlab("&headers=authorization,X-Api-Key"));
    assert!(good.status == 200 && good.header("x-api-key") == Some(&format!("token {GITLAB_SECRET}")));
    assert_eq!(good.header("x-regate-remove"), Some("authorization,x-api-key"));
    assert!(good.header("authorization").is_none());
    // What regate says of callers is not theirs to say, and such a gateway takes nothing away.
    refused(read(token, &[("X_Regate_User", "mine")]).forwarded(&stage, PLAIN));
    assert_eq!(read("", &[("X-Regate-User", "mine")]).forwarded(&stage, PLAIN).status, 401);
    let public =
        Described { method: "GET", target: "/health", token: "", more: &[("X-Regate-User", "mine")] };
    assert_eq!(public.forwarded(&stage, PLAIN).status, 403);
    // Only some of the caller's headers may pass, and nobody knows which others there are.
    let narrow = json!({
        "url": "https://mcp.example/n", "credential": "none", "allow_all": true, "pass_headers": ["accept"],
    });
    stage.regate().upstream("narrow", &narrow);
    refused(read(token, &[]).forwarded(&stage, "/v1/forward-auth?upstream=narrow"));
    stage.regate().until(|| {
        let log = stage.regate().serving.log();
        let parts = ["an allowed request is denied", "cannot set or remove the header x-api-key"];
        parts.iter().all(|part| log.contains(part)).then_some(())
    });

    let (stage, _rules) = with_rules("");
    let send = |target: &str, url: &str, more: &[(&str, &str)]| {
        Described { method: "GET", target, token: &stage.global, more }.forwarded(&stage, url).status
    };
    let both = "/v1/forward-auth?upstream=-&headers=authorization,x-user";
    assert_eq!((send("/set", PLAIN, &[]), send("/set", both, &[])), (403, 200));
    // To remove what is not there is done already.
    assert_eq!((send("/remove", PLAIN, &[]), send("/remove", PLAIN, &[("X-User", "")])), (200, 403));
    assert_eq!(send("/remove", both, &[("X-User", "mine")]), 200);
    assert_eq!(send("/framing", both, &[]), 403);
    assert_eq!(send("/odd", PLAIN, &[]), 200);
}

#[test]
fn rules_see_the_request_and_nothing_of_the_way() {
    let (stage, _rules) = with_rules("");
    let more = [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "443"),
        ("Connection", "close"),
        ("Keep-Alive", "1"),
        ("TE", "trailers"),
        ("Cookie", "a=b"),
        ("Cookie", "c=d"),
        ("X-Seen", "1"),
        ("Upgrade", "h2c"),
    ];
    let described =
        Described { method: "GET", target: "/show/a%2db?x=%2F", token: &stage.global, more: &more };
    for answer in [described.forwarded(&stage, PLAIN), described.nginx(&stage, NGINX)] {
        assert_eq!(answer.status, 403);
        let seen: Value = serde_json::from_str(answer.json()["message"].as_str().unwrap()).unwrap();
        assert_eq!(seen["headers"], json!({"cookie": "a=b; c=d", "upgrade": "h2c", "x-seen": "1"}));
        assert_eq!((&seen["method"], &seen["raw_path"]), (&json!("GET"), &json!("/show/a%2db")));
        assert_eq!((&seen["host"], &seen["source_ip"]), (&json!("api.example"), &json!("192.0.2.7")));
        assert_eq!(seen["query"], json!({"x": ["/"]}));
    }
    // A method is sent on as it is: in lower case it is another one to a server.
    let lower = Described { method: "get", ..described };
    assert_code(&lower.forwarded(&stage, PLAIN), 400, "question.malformed");
    assert_code(&lower.nginx(&stage, NGINX), 403, "question.malformed");
    // Of a list, the entry that the gateway wrote itself.
    let headers = [
        ("Host", "regate"),
        ("X-Regate-Gateway-Token", stage.gateway_token.as_str()),
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Uri", "/show"),
        ("X-Forwarded-Host", "api.example"),
        ("X-Forwarded-For", "10.0.0.1, 2001:db8::1"),
    ];
    let answer = ask(&stage, &format!("GET {PLAIN}"), &headers, b"");
    // An anonymous caller is told that a credential is needed, and not what the rules said.
    assert_eq!(answer.status, 401);
    // nginx knows no 429 and no 503.
    for (target, status) in [("/busy", 429), ("/later", 503)] {
        let described = Described { method: "GET", target, token: &stage.global, more: &[] };
        assert_eq!(described.forwarded(&stage, PLAIN).status, status);
        let nginx = described.nginx(&stage, NGINX);
        assert_eq!((nginx.status, nginx.header("x-regate-status")), (403, Some(status.to_string().as_str())));
        assert_eq!(nginx.json()["status"], status);
    }
}

#[test]
fn a_body_that_is_told_is_judged() {
    let stage = Stage::new();
    let send = |url: &str, token: &str, body: &str| {
        let authorization = format!("Bearer {token}");
        let length = body.len().to_string();
        let headers = [
            ("Host", "regate"),
            ("X-Regate-Gateway-Token", stage.gateway_token.as_str()),
            ("Authorization", &authorization),
            ("Content-Length", &length),
            ("X-Forwarded-Method", "POST"),
            ("X-Forwarded-Uri", "/mcp"),
            ("X-Forwarded-Host", "api.example"),
            ("X-Forwarded-For", "192.0.2.7"),
        ];
        ask(&stage, &format!("POST {url}"), &headers, body.as_bytes())
    };
    let call = |tool: &str| {
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool}}).to_string()
    };
    let searches = stage.mcp_search.as_str();
    assert_eq!(send(PLAIN, searches, &call("search")).status, 200);
    assert_eq!(
        send(PLAIN, searches, &call("delete")).header("x-regate-reason"),
        Some("token.tool_not_listed")
    );
    let batch = format!("[{},{}]", call("search"), call("delete"));
    assert_eq!(send(PLAIN, searches, &batch).status, 403);
    // Nobody knows whether a request has a body when none is told.
    assert_eq!(send(PLAIN, searches, "").header("x-regate-reason"), Some("token.tool_not_listed"));
    let malformed = send(PLAIN, &stage.mcp, "{");
    assert_eq!((malformed.status, malformed.header("x-regate-reason")), (400, Some("mcp.malformed_message")));
    let large = "a".repeat(2 * 1024 * 1024);
    assert_eq!(send(PLAIN, &stage.mcp, &large).status, 413);
    let errors = format!("{PLAIN}&json_rpc_errors=true");
    let denied = send(&errors, searches, &call("delete"));
    let error = denied.json();
    assert_eq!(
        (denied.status, &error["id"], &error["error"]["data"]["reason"]),
        (403, &json!(7), &json!("token.tool_not_listed"))
    );
}
