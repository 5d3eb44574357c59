//! Documents: those that are refused, where, and one that is large.

use regate::store::import::{self, Problems};

use super::database::{TestDatabase, hash, on_both_databases};

on_both_databases![a_large_import_reports_progress_and_is_repeatable];

/// The problems of a document before any store has seen it.
fn problems(document: &str) -> Problems {
    match import::parse(document.as_bytes()) {
        Err(problems) => problems,
        Ok(document) => import::check(&document).err().unwrap_or_default(),
    }
}

fn places(document: &str) -> Vec<String> {
    problems(document).shown().iter().map(|problem| problem.place.clone()).collect()
}

/// A document of one good token with `fields` besides or instead.
fn token(fields: &str) -> String {
    let mut token = serde_json::json!({"id": "t", "kind": "mcp", "name": "n", "sha256": hash(1)});
    let fields: serde_json::Value = serde_json::from_str(&format!("{{{fields}}}")).unwrap();
    for (field, value) in fields.as_object().unwrap() {
        token[field] = value.clone();
    }
    serde_json::json!({"tokens": [token]}).to_string()
}

#[test]
fn a_bad_document_is_refused_with_the_place() {
    let long = "x".repeat(257);
    let table = [
        // Not the shape of a document at all.
        ("", "document"),
        ("[", "document"),
        ("[]", "document"),
        ("{} x", "document"),
        (r#"{"users": [}"#, "users[0]"),
        (r#"{"user": []}"#, "user"),
        (r#"{"users": {}}"#, "users"),
        (r#"{"users": [["default", "u"]]}"#, "users[0]"),
        (r#"{"users": [null]}"#, "users[0]"),
        (r#"{"users": [{"id": 5}]}"#, "users[0].id"),
        (r#"{"users": [{"id": "u"}, {}]}"#, "users[1]"),
        (r#"{"users": [{"id": "u", "rol": "user"}]}"#, "users[0].rol"),
        (r#"{"users": [{"id": "u", "disabled": "yes"}]}"#, "users[0].disabled"),
        // Ids, names and roles.
        (r#"{"tenants": [{"id": "_a"}]}"#, "tenants[0].id"),
        (r#"{"users": [{"id": ""}]}"#, "users[0].id"),
        (&format!(r#"{{"users": [{{"id": "{long}"}}]}}"#), "users[0].id"),
        (r#"{"users": [{"id": "a\nb"}]}"#, "users[0].id"),
        (r#"{"users": [{"id": "a\u0000"}]}"#, "users[0].id"),
        (r#"{"users": [{"id": "u", "tenant": "A"}]}"#, "users[0].tenant"),
        (r#"{"users": [{"id": "u", "role": "owner"}]}"#, "users[0].role"),
        (r#"{"projects": [{"id": "p", "name": "a\tb"}]}"#, "projects[0].name"),
        (r#"{"projects": [{"id": "p", "public": 1}]}"#, "projects[0].public"),
        (
            r#"{"collaborators": [{"project_id": "p", "user_id": "u", "role": "admin"}]}"#,
            "collaborators[0].role",
        ),
        (r#"{"collaborators": [{"project_id": "p", "user_id": "u"}]}"#, "collaborators[0]"),
        // Upstreams and grants.
        (r#"{"upstreams": [{"id": "x", "url": ""}]}"#, "upstreams[0].url"),
        (r#"{"upstreams": [{"id": "x", "url": "u", "credential": "own"}]}"#, "upstreams[0].credential"),
        (r#"{"upstreams": [{"id": "x", "url": "u", "header": "a b"}]}"#, "upstreams[0].header"),
        (r#"{"upstreams": [{"id": "x", "url": "u", "format": "Bearer"}]}"#, "upstreams[0].format"),
        (r#"{"upstreams": [{"id": "x", "url": "u", "format": "{token}\n"}]}"#, "upstreams[0].format"),
        (r#"{"upstreams": [{"id": "x", "url": "stdio:x", "credential": "shared"}]}"#, "upstreams[0].url"),
        (r#"{"upstreams": [{"id": "x", "url": "u", "value_headers": []}]}"#, "upstreams[0].value_headers"),
        (
            r#"{"upstreams": [{"id": "x", "url": "u", "value_headers": ["a", "b c"]}]}"#,
            "upstreams[0].value_headers[1]",
        ),
        (r#"{"upstreams": [{"id": "x", "url": "u", "value_headers": "a"}]}"#, "upstreams[0].value_headers"),
        (r#"{"upstreams": [{"id": "x", "url": "u", "pass_headers": [""]}]}"#, "upstreams[0].pass_headers[0]"),
        (
            r#"{"upstreams": [{"id": "x", "url": "http://u", "credential": "per_user",
                               "pass_headers": ["accept", " Authorization "]}]}"#,
            "upstreams[0].pass_headers[1]",
        ),
        (
            r#"{"upstreams": [{"id": "x", "url": "http://u", "credential": "per_user", "header": "X-Key",
                               "pass_headers": ["x-key"]}]}"#,
            "upstreams[0].pass_headers[0]",
        ),
        (r#"{"upstreams": [{"id": "x", "url": "u", "oauth": {}}]}"#, "upstreams[0].oauth"),
        (r#"{"upstreams": [{"id": "x", "url": "u", "oauth": ["a", "b", "c"]}]}"#, "upstreams[0].oauth"),
        (r#"{"upstreams": [{"id": "x", "url": "u", "header": "Content-Length"}]}"#, "upstreams[0].header"),
        (r#"{"upstreams": [{"id": "x", "url": "u", "format": "{token} {token}"}]}"#, "upstreams[0].format"),
        (r#"{"upstreams": [{"id": "x", "url": "https://ada:secret@u"}]}"#, "upstreams[0].url"),
        (
            r#"{"upstreams": [{"id": "x", "url": "u", "value_headers": ["a", "Transfer-Encoding"]}]}"#,
            "upstreams[0].value_headers[1]",
        ),
        (
            r#"{"upstreams": [{"id": "x", "url": "u", "oauth": {"authorization_endpoint": "https://a",
                               "token_endpoint": "https://a", "client_id": "c"}}]}"#,
            "upstreams[0].oauth",
        ),
        (
            r#"{"upstreams": [{"id": "x", "url": "http://u", "credential": "shared", "value_headers": ["a"],
                               "oauth": {"authorization_endpoint": "https://a", "token_endpoint": "https://a",
                                         "client_id": "c"}}]}"#,
            "upstreams[0].oauth",
        ),
        (
            r#"{"upstreams": [{"id": "x", "url": "http://u", "credential": "shared", "oauth": {
                               "authorization_endpoint": "https://a", "token_endpoint": "http://a", "client_id": "c"}}]}"#,
            "upstreams[0].oauth.token_endpoint",
        ),
        (
            r#"{"upstreams": [{"id": "x", "url": "http://u", "credential": "shared", "oauth": {
                               "authorization_endpoint": "https://a@b", "token_endpoint": "https://a", "client_id": "c"}}]}"#,
            "upstreams[0].oauth.authorization_endpoint",
        ),
        (
            r#"{"upstreams": [{"id": "x", "url": "http://u", "credential": "shared", "oauth": {"authorization_endpoint": "https://a",
                               "token_endpoint": "ftp://a", "client_id": "c"}}]}"#,
            "upstreams[0].oauth.token_endpoint",
        ),
        (
            r#"{"upstreams": [{"id": "x", "url": "http://u", "credential": "shared", "oauth": {"authorization_endpoint": "https://a",
                               "token_endpoint": "https://a", "client_id": "c", "scopes": ["a b"]}}]}"#,
            "upstreams[0].oauth.scopes[0]",
        ),
        (r#"{"grants": [{"token_id": "", "upstream_id": "x"}]}"#, "grants[0].token_id"),
        // Tokens.
        (&token(r#""kind": "root""#), "tokens[0].kind"),
        (&token(r#""name": """#), "tokens[0].name"),
        (&token(&format!(r#""name": "{}""#, &long[..129])), "tokens[0].name"),
        (&token(r#""sha256": "rgt_global_secret""#), "tokens[0].sha256"),
        (&token(r#""sha256": null"#), "tokens[0].sha256"),
        (&token(r#""prefix": "1234567890123""#), "tokens[0].prefix"),
        (&token(r#""kind": "global""#), "tokens[0].user_id"),
        (&token(r#""kind": "project""#), "tokens[0].project_id"),
        (&token(r#""kind": "gateway", "user_id": "u""#), "tokens[0].user_id"),
        (&token(r#""kind": "gateway", "project_id": "p""#), "tokens[0].project_id"),
        (&token(r#""tenant": null"#), "tokens[0].tenant"),
        (&token(r#""token": "rgt_mcp_raw""#), "tokens[0].token"),
        (&token(r#""expires_at": "2030-01-01""#), "tokens[0].expires_at"),
        (&token(r#""expires_at": "2030-01-01T00:00:00""#), "tokens[0].expires_at"),
        (&token(r#""expires_at": "never""#), "tokens[0].expires_at"),
        (&token(r#""expires_at": 4102444800"#), "tokens[0].expires_at"),
        (&token(r#""revoked_at": """#), "tokens[0].revoked_at"),
        (&token(r#""revoked_at": false"#), "tokens[0].revoked_at"),
        (&token(r#""created_at": "yesterday""#), "tokens[0].created_at"),
        (&token(r#""projects": "p""#), "tokens[0].projects"),
        (&token(r#""projects": [5]"#), "tokens[0].projects[0]"),
        (&token(r#""projects": [""]"#), "tokens[0].projects"),
        (&token(r#""projects": {"p": "soon"}"#), "tokens[0].projects.p"),
        (&token(r#""projects": {"p": 5}"#), "tokens[0].projects.p"),
        (&token(r#""tools": "search""#), "tokens[0].tools"),
        (&token(r#""tools": ["a", ""]"#), "tokens[0].tools[1]"),
        (
            r#"{"tokens": [{"id": "t", "projects": {"p": "2030-01-01T00:00:00Z", "p": null}}]}"#,
            "tokens[0].projects",
        ),
        // Twice the same.
        (r#"{"tenants": [{"id": "a"}, {"id": "a"}]}"#, "tenants[1].id"),
        (r#"{"users": [{"id": "u"}, {"id": "u", "tenant": "default"}]}"#, "users[1].id"),
        (r#"{"projects": [{"id": "p"}, {"id": "q"}, {"id": "p"}]}"#, "projects[2].id"),
        (
            r#"{"collaborators": [{"project_id": "p", "user_id": "u", "role": "viewer"},
                                  {"project_id": "p", "user_id": "u", "role": "owner"}]}"#,
            "collaborators[1].user_id",
        ),
        (
            r#"{"grants": [{"token_id": "t", "upstream_id": "x"}, {"token_id": "t", "upstream_id": "x"}]}"#,
            "grants[1].upstream_id",
        ),
    ];
    for (document, place) in table {
        let found = problems(document);
        let shown: Vec<_> = found.shown().iter().map(|problem| problem.place.as_str()).collect();
        assert_eq!(shown, [place], "{document}\n{found}");
    }
}

#[test]
fn all_problems_are_found_at_once() {
    let (one, two) = (hash(0xab), hash(0xab).to_uppercase());
    let document = format!(
        r#"{{"users": [{{"id": "", "role": "x", "tenant": "?"}}],
             "tokens": [{{"id": "t", "kind": "admin", "name": "", "sha256": "{one}", "expires_at": "x"}},
                        {{"id": "t", "kind": "admin", "name": "n", "sha256": "{two}", "tenant": "other"}}]}}"#
    );
    assert_eq!(
        places(&document),
        [
            "tokens[1].id",
            "tokens[1].sha256",
            "users[0].tenant",
            "users[0].id",
            "users[0].role",
            "tokens[0].name",
            "tokens[0].expires_at",
        ]
    );
    let found = problems(&document);
    assert_eq!(found.count(), 7);
    let shown = format!("{found} {found:?} {:?}", import::parse(document.as_bytes()));
    assert!(!shown.contains(&one) && !shown.contains(&two), "{shown}");
    // The place of both.
    assert!(found.shown()[0].text.contains("tokens[0]"), "{found}");
}

#[test]
fn many_problems_are_shown_in_part_and_counted_in_full() {
    let users = vec![r#"{"id": ""}"#; 80];
    // 80 empty ids, 79 of which come again.
    let found = problems(&format!(r#"{{"users": [{}]}}"#, users.join(",")));
    assert_eq!((found.shown().len(), found.count()), (50, 159));
    assert!(found.to_string().ends_with("… and 109 more"), "{found}");
}

#[test]
fn a_document_that_is_deep_or_huge_in_one_value_is_refused_without_harm() {
    let deep = format!(r#"{{"users": {}"#, "[".repeat(100_000));
    assert_eq!(problems(&deep).count(), 1);
    let huge = token(&format!(r#""name": "{}""#, "x".repeat(1_000_000)));
    let found = problems(&huge);
    assert_eq!(found.count(), 1);
    assert!(found.to_string().len() < 200);
}

#[test]
fn what_is_left_out_has_a_meaning() {
    assert!(problems("{}").is_empty());
    assert!(problems(&token(r#""projects": null, "tools": null, "expires_at": null"#)).is_empty());
    assert!(problems(&token(r#""kind": "gateway", "tenant": null"#)).is_empty());
    assert!(problems(&token(r#""expires_at": "9999-12-31T23:59:59Z""#)).is_empty());
    assert!(problems(&token(r#""projects": ["p", "p"]"#)).is_empty());
}

async fn a_large_import_reports_progress_and_is_repeatable(database: TestDatabase) {
    let users = (0..1_000).map(|n| serde_json::json!({"id": format!("u{n}"), "disabled": n % 2 == 0}));
    let tokens = (0..100_000).map(|n| {
        serde_json::json!({"id": format!("t{n}"), "kind": "global", "name": "n", "sha256": hash(n),
            "user_id": format!("u{}", n % 1_000), "expires_at": "2030-01-01T00:00:00Z"})
    });
    let document = serde_json::json!({
        "users": users.collect::<Vec<_>>(),
        "tokens": tokens.collect::<Vec<_>>(),
    });
    let document = import::parse(document.to_string().as_bytes()).unwrap();
    let document = import::check(&document).unwrap();
    assert_eq!(document.rows(), 101_000);

    let mut steps = Vec::new();
    let first = database.store.import(&document, &mut |step| steps.push(step)).await.unwrap();
    assert_eq!(first.changed(), 101_000);
    let of_tokens: Vec<_> = steps.iter().filter(|step| step.table == "tokens").collect();
    let mut done = 0;
    for step in &of_tokens {
        assert!(step.done > done && step.done - done <= 10_000 && step.total == 100_000, "{step:?}");
        done = step.done;
    }
    assert_eq!(done, 100_000);
    assert_eq!(steps.iter().rfind(|step| step.table == "users").map(|step| step.done), Some(1_000));

    let second = database.store.import(&document, &mut |_| {}).await.unwrap();
    assert_eq!((second.changed(), second.revision), (0, first.revision));
    assert_eq!(database.facts().await.0.len(), 101_001);
}
