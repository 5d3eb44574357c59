//! Bodies that a gateway tells, as they come.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use rand::{SeedableRng, rngs::StdRng};
use regate::{
    decision::{
        Body, CompileOptions, Decision, Delivery, Headers,
        facts::{CredentialMode, CredentialState, Fact, Grant, Upstream, UpstreamCredential},
    },
    types::{Holder, OpenSealed, Sealed, SealedFor, SecretText, TokenKind, UpstreamSecret},
    upstream::KeyRing,
};

use crate::decisions::{World, compile, question, tenant, token, user};

/// A bundle that allows everything that comes to it, anonymous callers alone excepted.
const SIGNED_IN: &str = "package regate\n\ndecision := {\"allow\": input.token != null}";

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const SEARCH: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"}}"#;
const DELETE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete"}}"#;

/// Tokens `free` and `listed`, which may call `search`; `dead` is revoked.
fn world(rules: &str) -> World {
    let free = token("default", "free", TokenKind::Mcp);
    let mut listed = token("default", "listed", TokenKind::Mcp);
    listed.tools = Some(vec!["search".to_owned()]);
    let mut dead = token("default", "dead", TokenKind::Mcp);
    dead.revoked = true;
    let facts = [user("default", "u1"), Fact::Token(free), Fact::Token(listed), Fact::Token(dead)];
    World::new(compile(rules, &CompileOptions::default()).unwrap(), facts)
}

struct Sent<'a> {
    key: Option<&'a str>,
    method: &'a str,
    path: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: Body<'a>,
}

const POST: Sent<'_> =
    Sent { key: Some("listed"), method: "POST", path: "/mcp", headers: &[], body: Body::Untold };

fn ask(world: &mut World, sent: Sent<'_>) -> Decision {
    let mut asked = question(sent.key, sent.path);
    asked.request.method = sent.method.into();
    asked.request.headers =
        Headers::new(sent.headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
    asked.body = sent.body;
    world.ask(&asked)
}

fn whole(text: &str) -> Body<'_> {
    Body::Whole(text.as_bytes().into())
}

/// The reason, or nothing of an allow.
fn reason(world: &mut World, sent: Sent<'_>) -> String {
    let decision = ask(world, sent);
    if decision.allow { String::new() } else { decision.reasons.first.as_str().to_owned() }
}

#[test]
fn a_body_is_read_whatever_type_it_says_it_has() {
    let world = &mut world(SIGNED_IN);
    for content_type in [
        "application/json",
        "application/json; charset=utf-8",
        "application/json; charset=\"UTF-8\"",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
    ] {
        let headers = [("Content-Type", content_type)];
        let mut ask = |text| reason(world, Sent { headers: &headers, body: whole(text), ..POST });
        assert_eq!(ask(SEARCH), "", "{content_type}");
        assert_eq!(ask(DELETE), "token.tool_not_listed", "{content_type}");
        assert_eq!(ask("name=delete"), "mcp.malformed_message", "{content_type}");
    }
}

/// Whoever believes such a header reads other bytes than we do.
#[test]
fn a_body_that_is_said_to_be_encoded_is_refused() {
    let world = &mut world(SIGNED_IN);
    for header in [
        ("content-encoding", "gzip"),
        ("Content-Encoding", "br, gzip"),
        ("content-encoding", "identity, gzip"),
        ("content-encoding", "x"),
        ("content-type", "application/json; charset=utf-16"),
        ("content-type", "application/json;charset = UTF-7"),
        ("content-type", "application/json; a=b; CHARSET=\"iso-8859-1\""),
    ] {
        for key in ["free", "listed"] {
            let sent = Sent { key: Some(key), headers: &[header], body: whole(PING), ..POST };
            let decision = ask(world, sent);
            assert_eq!(
                (decision.allow, decision.status, decision.reasons.first.as_str()),
                (false, 400, "mcp.malformed_message"),
                "{header:?}"
            );
            assert!(decision.message.as_str().contains("compressed"), "{header:?}");
        }
    }
    let identity = [("content-encoding", "Identity")];
    assert_eq!(reason(world, Sent { headers: &identity, body: whole(PING), ..POST }), "");
    // Elsewhere nobody reads it.
    let elsewhere = Sent {
        key: Some("free"),
        path: "/x",
        headers: &[("content-encoding", "gzip")],
        body: whole("x"),
        ..POST
    };
    assert_eq!(reason(world, elsewhere), "");
}

#[test]
fn what_has_two_readings_is_refused() {
    let world = &mut world(SIGNED_IN);
    let deep =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","x":{}{}}}"#, "[".repeat(64), "]".repeat(64));
    let bytes: [(&str, &[u8]); 15] = [
        ("nothing", b""),
        ("white space", b" \n"),
        ("a byte order mark", b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"),
        ("UTF-16", b"\xff\xfe{\0}\0"),
        ("invalid UTF-8", b"{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}"),
        ("a lone surrogate", br#"{"jsonrpc":"2.0","id":"\ud800","method":"ping"}"#),
        ("trailing data", br#"{"jsonrpc":"2.0","id":1,"method":"ping"} {"#),
        (
            "two messages",
            br#"{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        ),
        ("a NUL behind it", b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\0"),
        ("a comment", br#"{"jsonrpc":"2.0","id":1,"method":"ping"/*,"method":"tools/call"*/}"#),
        ("a member twice", br#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#),
        (
            "a member twice, escaped",
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"tools/call"}"#,
        ),
        ("deep within", br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[{"b":1,"b":2}]}}"#),
        ("a number beyond all", br#"{"jsonrpc":"2.0","id":1e999,"method":"ping"}"#),
        ("nested too deep", deep.as_bytes()),
    ];
    for (what, body) in bytes {
        for key in ["free", "listed"] {
            let decision = ask(world, Sent { key: Some(key), body: Body::Whole(body.into()), ..POST });
            let told = (decision.allow, decision.status, decision.reasons.first.as_str());
            assert_eq!(told, (false, 400, "mcp.malformed_message"), "{what}");
        }
    }
    let large = r#"{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"ping"}"#;
    assert_eq!(reason(world, Sent { body: whole(large), ..POST }), "");
}

#[test]
fn a_body_that_was_cut_is_refused() {
    let world = &mut world(SIGNED_IN);
    for method in ["POST", "GET", "PUT"] {
        assert_eq!(reason(world, Sent { method, body: Body::Cut, ..POST }), "request.body_incomplete");
    }
    let elsewhere = Sent { key: Some("free"), path: "/x", body: Body::Cut, ..POST };
    assert_eq!(reason(world, elsewhere), "");
}

/// Some servers take whatever comes with a body.
#[test]
fn no_other_method_is_a_way_round_the_list() {
    let world = &mut world(SIGNED_IN);
    for path in ["/mcp", "/mcp/", "/%6dcp", "/mcp?x=1"] {
        for method in ["POST", "post", "GET", "DELETE", "PUT", "PATCH", "QUERY", "X"] {
            let mut ask = |text| reason(world, Sent { method, path, body: whole(text), ..POST });
            assert_eq!(ask(DELETE), "token.tool_not_listed", "{method} {path}");
            assert_eq!(ask(SEARCH), "", "{method} {path}");
            assert_eq!(ask("x"), "mcp.malformed_message", "{method} {path}");
        }
    }
    // Without a body: streams are opened, and sessions ended.
    for (method, goes_on) in
        [("GET", true), ("DELETE", true), ("HEAD", true), ("PUT", false), ("PATCH", false)]
    {
        for body in [Body::Untold, whole("")] {
            let expected = if goes_on { "" } else { "token.tool_not_listed" };
            assert_eq!(reason(world, Sent { method, body, ..POST }), expected, "{method}");
        }
    }
    // Unless a header says that there is one, or makes another method of it.
    for header in [
        ("X-HTTP-Method-Override", "POST"),
        ("x-http-method", "GET"),
        ("x-method-override", ""),
        ("X_HTTP_Method_Override", "POST"),
        ("content-length", "70"),
        ("content-length", "0, 70"),
        ("transfer-encoding", "chunked"),
    ] {
        for method in ["GET", "DELETE"] {
            let sent = Sent { method, headers: &[header], ..POST };
            assert_eq!(reason(world, sent), "token.tool_not_listed", "{method} {header:?}");
            let free = Sent { key: Some("free"), method, headers: &[header], ..POST };
            assert_eq!(reason(world, free), "", "{method} {header:?}");
        }
    }
    assert_eq!(reason(world, Sent { method: "GET", headers: &[("content-length", "0")], ..POST }), "");
    // Headers that repeat what the body says are nobody's word for it.
    let headers = [("mcp-method", "tools/call"), ("mcp-name", "search"), ("mcp-session-id", "x")];
    assert_eq!(
        reason(world, Sent { headers: &headers, body: whole(DELETE), ..POST }),
        "token.tool_not_listed"
    );
}

/// The credential first (systems.md E2).
#[test]
fn who_asks_comes_before_what_is_asked() {
    let world = &mut world(SIGNED_IN);
    for (key, status, expected) in [
        (None, 401, "token.missing"),
        (Some("dead"), 401, "token.revoked"),
        (Some("nobody"), 401, "token.unknown"),
        (Some("free"), 400, "mcp.malformed_message"),
    ] {
        for body in ["x", "", "[]"] {
            let decision = ask(world, Sent { key, body: whole(body), ..POST });
            let told = (decision.allow, decision.status, decision.reasons.first.as_str());
            assert_eq!(told, (false, status, expected), "{body}");
            assert_eq!(decision.challenge.is_some(), status == 401, "{body}");
        }
    }
    let cut = Sent { key: None, body: Body::Cut, ..POST };
    assert_eq!(reason(world, cut), "token.missing");
    // Where anybody may come, a body that is no message is still none.
    let open = &mut self::world("package regate\n\ndecision := true");
    assert_eq!(reason(open, Sent { key: None, body: whole("x"), ..POST }), "mcp.malformed_message");
    assert_eq!(reason(open, Sent { key: None, body: Body::Cut, ..POST }), "request.body_incomplete");
    assert_eq!(reason(open, Sent { key: None, body: whole(PING), ..POST }), "");
}

/// Counts how often a credential is opened.
#[derive(Debug)]
struct Counting(KeyRing, AtomicUsize);

impl OpenSealed for Counting {
    fn open(&self, place: SealedFor<'_>, sealed: &Sealed) -> Option<UpstreamSecret> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.open(place, sealed)
    }
}

#[test]
fn one_credential_goes_on_with_a_batch_and_none_with_a_denied_one() {
    let random = &mut StdRng::seed_from_u64(1);
    let ring = || KeyRing::from_text(&KeyRing::generate(&mut StdRng::seed_from_u64(1))).unwrap();
    let holder = Holder::User("u1".into());
    let place = tenant("default");
    let secret = UpstreamSecret::Token(SecretText::new("upstream-secret-of-u1".to_owned()));
    let sealed = ring().seal_credential(SealedFor::credential(&place, "github", &holder), &secret, random);
    let credential = UpstreamCredential {
        upstream_id: "github".to_owned(),
        state: CredentialState::Active,
        expires_at: None,
        sealed,
        tenant: tenant("default"),
        holder,
    };
    let upstream =
        Upstream { credential: CredentialMode::PerUser, ..Upstream::new(tenant("default"), "github") };
    let mut listed = token("default", "listed", TokenKind::Mcp);
    listed.tools = Some(vec!["search".to_owned()]);
    let grant = Grant { tenant: tenant("default"), token_id: "listed".into(), upstream_id: "github".into() };
    let facts = vec![
        user("default", "u1"),
        Fact::Token(listed),
        Fact::Upstream(upstream),
        Fact::Grant(grant),
        Fact::Credential(credential),
    ];
    let mut world = World::new(compile(SIGNED_IN, &CompileOptions::default()).unwrap(), facts);
    let counting = Arc::new(Counting(ring(), AtomicUsize::new(0)));
    world.rules.keys = Arc::<Counting>::clone(&counting);
    let mut ask = |body: String| {
        let mut asked = question(Some("listed"), "/mcp");
        asked.request.method = "POST".into();
        asked.body = Body::Whole(body.into_bytes().into());
        asked.upstream = Some("github".into());
        asked.delivery = Delivery::Given;
        let decision = world.ask(&asked);
        (decision.allow, decision.headers.credential.len(), counting.1.swap(0, Ordering::Relaxed))
    };
    assert_eq!(ask(format!("[{}]", [SEARCH; 20].join(","))), (true, 1, 1));
    assert_eq!(ask(format!("[{SEARCH},{DELETE}]")), (false, 0, 0));
    assert_eq!(ask("x".to_owned()), (false, 0, 0));
}
