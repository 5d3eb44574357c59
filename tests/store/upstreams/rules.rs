//! Rows that another program writes and that break a rule.

use regate::{
    decision::facts::CredentialMode,
    store::{StoreError, upstreams::UpstreamChange},
};

use super::{TestDatabase, on_both_databases, tenant, upstream_with};

on_both_databases![bad_rows_are_refused_by_name, good_rows_are_taken, a_broken_rule_is_named_to_whoever_asks];

async fn bad_rows_are_refused_by_name(database: TestDatabase) {
    database.with_upstreams().await;
    let upstream = |columns: &str, values: &str| {
        format!(
            "insert into upstreams (id, url, credential, {columns}) values ('n', 'https://n', 'per_user', {values})"
        )
    };
    let held = |holder: &str, id: &str, columns: &str, values: &str| {
        format!(
            "insert into upstream_credentials (tenant, upstream_id, holder, holder_id, key_id, sealed{columns}) \
             values ('a', 'x', '{holder}', '{id}', '0123456789abcdef', 'AAAA'{values})"
        )
    };
    let shared = |columns: &str, values: &str| held("shared", "", columns, values);
    let mut bad = vec![
        ("belong_to_their_holder", held("shared", "s", "", "")),
        ("belong_to_their_holder", held("token", "a1", "", "")),
        ("belong_to_their_holder", held("token", "a1", ", token_id", ", 'a2'")),
        ("belong_to_their_holder", held("token", "a1", ", token_id, user_id", ", 'a1', 'u1'")),
        ("belong_to_their_holder", held("user", "u1", ", user_id, token_id", ", 'u1', 'a1'")),
        ("belong_to_their_holder", held("user", "", "", "")),
        ("holder_is_known", held("group", "g", "", "")),
        ("", held("token", "b1", ", token_id", ", 'b1'")),
        ("", held("user", "nobody", ", user_id", ", 'nobody'")),
        ("", shared("", "").replace("'x'", "'nowhere'")),
        ("state_is_known", shared(", state", ", 'revoked'")),
        (
            "only_of_tokens_are_orphaned",
            shared(", state, orphaned_at", ", 'orphaned', '2026-01-01T00:00:00Z'"),
        ),
        ("orphaned_ones_say_since_when", held("token", "a1", ", token_id, state", ", 'a1', 'orphaned'")),
        ("orphaned_ones_say_since_when", shared(", orphaned_at", ", '2026-01-01T00:00:00Z'")),
        ("form_is_known", shared(", form", ", 'cookie'")),
        ("header_names_is_an_array", shared(", header_names", ", '{}'")),
        ("key_id_is_16_hex_digits", shared("", "").replace("0123456789abcdef", "0123456789ABCDEF")),
        ("sealed_is_base64", shared("", "").replace("'AAAA'", "'not base64'")),
        ("sealed_is_base64", shared("", "").replace("'AAAA'", "''")),
        ("sealed_is_at_most_64_kib", shared("", "").replace("'AAAA'", &format!("'{}'", "A".repeat(87_385)))),
        ("refresh_is_whole", shared(", sealed_refresh", ", 'AAAA'")),
        ("", shared(", expires_at", ", 'soon'")),
        ("oauth_is_an_object", upstream("oauth", "'[]'")),
        ("pass_no_authorization", upstream("pass_headers", "'[\"accept\", \"authorization\"]'")),
        ("pass_none_of_its_headers", upstream("header, pass_headers", "'X-Key', '[\"x-key\"]'")),
        ("pass_none_of_its_headers", upstream("value_headers, pass_headers", "'[\"x-a\"]', '[\"x-a\"]'")),
        ("is_reached_by_http", "update upstreams set url = 'stdio:x' where id = 'x' and tenant = 'a'".into()),
        ("is_reached_by_http", "update upstreams set credential = 'per_user' where id = 'plain'".into()),
    ];
    for url in ["stdio:x", "", "ftp://x", "https:/x", "https://", "xhttps://x", "http", "http:///x"] {
        let rule = if url.is_empty() { "" } else { "is_reached_by_http" };
        bad.push((rule, upstream("header", "'X'").replace("https://n", url)));
    }
    for list in [
        "{}",
        "\"x\"",
        "[1]",
        "[null]",
        "[\"X-A\"]",
        "[\" x\"]",
        "[\"\"]",
        "[\"x\",\"\"]",
        "[\"a:b\"]",
        "[\"a,b\"]",
        "[[\"x\"]]",
        "[\"x\",[\"y\"]]",
        "[\"é\"]",
        "[\"x\\u0041\"]",
        "[\"x\\n\"]",
        "null",
        "[\"x\",true]",
        "[\"x]\"]",
    ] {
        bad.push(("value_headers_are_lower", upstream("value_headers", &format!("'{list}'"))));
        bad.push(("pass_headers_are_lower", upstream("pass_headers", &format!("'{list}'"))));
    }
    bad.push(("value_headers_are_lower", upstream("value_headers", "'[]'")));
    for (rule, row) in bad {
        let error = database.execute(&row).await.err().unwrap_or_else(|| panic!("accepted: {row}"));
        assert!(error.to_string().contains(rule), "{row} was refused for another reason: {error}");
    }
}

async fn good_rows_are_taken(database: TestDatabase) {
    database.with_upstreams().await;
    for row in [
        "insert into upstreams (id, url, credential) values ('n1', 'HTTP://n', 'shared')",
        "insert into upstreams (id, url, credential, value_headers, pass_headers) \
         values ('n2', 'https://n', 'shared', '[\"x-a\", \"x-b\"]', '[ ]')",
        "insert into upstreams (id, url, credential, value_headers, pass_headers) \
         values ('n3', 'https://n', 'shared', '[\"authorization\"]', '[\"accept\",\"x.1_`|~!#$%&''*+^-z\"]')",
        // To one that gets no credential the caller's own may go on, if it says so.
        "insert into upstreams (id, url, pass_headers) values ('n4', 'stdio:n', '[\"authorization\"]')",
        "insert into upstream_credentials (tenant, upstream_id, holder, holder_id, token_id, key_id, sealed) \
         values ('a', 'x', 'token', 'a1', 'a1', '0123456789abcdef', 'AAAA+/==')",
    ] {
        database.execute(row).await.unwrap_or_else(|error| panic!("refused: {row}: {error}"));
    }
    assert_eq!(database.seen().await.len(), 1);
}

async fn a_broken_rule_is_named_to_whoever_asks(database: TestDatabase) {
    database.with_upstreams().await;
    let change = UpstreamChange { url: Some("stdio:x".to_owned()), ..UpstreamChange::default() };
    let passing = UpstreamChange {
        pass_headers: Some(Some(vec!["authorization".to_owned()])),
        ..upstream_with(CredentialMode::Shared)
    };
    for (id, change, name) in [
        ("x", change, "upstreams_one_with_a_credential_is_reached_by_http"),
        ("new", passing, "upstreams_with_a_credential_pass_no_authorization"),
    ] {
        let refused = database.store.put_upstream(&tenant("a"), id, &change).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Rejected { rule } if rule == name), "{refused:?}");
    }
}
