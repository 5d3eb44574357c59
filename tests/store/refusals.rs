//! Bad rows that another program writes: each is refused by the constraint that names the reason.

use super::database::{TestDatabase, hash, on_both_databases};

on_both_databases![rows_that_join_two_tenants_are_refused, bad_values_are_refused, good_values_are_accepted];

async fn with_two_tenants(database: &TestDatabase) {
    let sql = format!(
        "insert into tenants (id) values ('a'), ('b');
         insert into users (tenant, id) values ('a', 'ua'), ('b', 'ub');
         insert into projects (tenant, id) values ('a', 'pa'), ('b', 'pb');
         insert into upstreams (tenant, id, url) values ('a', 'xa', 'https://a'), ('b', 'xb', 'https://b');
         insert into tokens (tenant, id, kind, name, sha256)
             values ('a', 'ta', 'admin', 'n', '{}'), ('b', 'tb', 'admin', 'n', '{}'), (null, 'tn', 'gateway', 'n', '{}')",
        hash(1),
        hash(2),
        hash(3)
    );
    database.execute(&sql).await.unwrap();
}

async fn rows_that_join_two_tenants_are_refused(database: TestDatabase) {
    with_two_tenants(&database).await;
    let fresh = hash(9);
    let token = |tenant: &str, user: &str, project: &str| {
        format!(
            "insert into tokens (tenant, id, kind, name, sha256, user_id, project_id) \
             values ({tenant}, 't', 'mcp', 'n', '{fresh}', {user}, {project})"
        )
    };
    let collaborator = |tenant: &str, project: &str, user: &str| {
        format!(
            "insert into collaborators (tenant, project_id, user_id, role) \
             values ('{tenant}', '{project}', '{user}', 'viewer')"
        )
    };
    let grant = |tenant: &str, token: &str, upstream: &str| {
        format!(
            "insert into grants (tenant, token_id, upstream_id) values ('{tenant}', '{token}', '{upstream}')"
        )
    };
    let joins = [
        collaborator("a", "pa", "ub"),
        collaborator("a", "pb", "ua"),
        collaborator("b", "pa", "ua"),
        collaborator("default", "pa", "ua"),
        token("'a'", "'ub'", "null"),
        token("'a'", "null", "'pb'"),
        token("'a'", "'ua'", "'pb'"),
        // Without a tenant the foreign keys are silent: the row must be refused all the same.
        token("null", "'ua'", "null"),
        token("null", "null", "'pa'"),
        token("null", "null", "null"),
        grant("a", "ta", "xb"),
        grant("a", "tb", "xa"),
        grant("b", "ta", "xa"),
        // A gateway of all tenants is of none.
        grant("a", "tn", "xa"),
        "update tokens set tenant = 'b' where id = 'ta'; update tokens set user_id = 'ua' where id = 'ta'"
            .into(),
        "update collaborators set tenant = 'b'; update users set tenant = 'b' where id = 'ua'; \
         insert into collaborators (tenant, project_id, user_id, role) values ('a', 'pa', 'ua', 'viewer')"
            .into(),
    ];
    for join in joins {
        assert!(database.execute(&join).await.is_err(), "accepted: {join}");
    }
}

async fn bad_values_are_refused(database: TestDatabase) {
    with_two_tenants(&database).await;
    let long = "x".repeat(257);
    let sha = hash(99);
    let token = |column: &str, value: &str| {
        format!(
            "insert into tokens (id, kind, name, sha256, {column}) values ('t', 'mcp', 'n', '{sha}', {value})"
        )
    };
    let kind = |kind: &str, columns: &str, values: &str| {
        format!(
            "insert into tokens (tenant, id, kind, name, sha256{columns}) \
             values ('a', 't', '{kind}', 'n', '{sha}'{values})"
        )
    };
    let hash_of = |value: &str| {
        format!("insert into tokens (id, kind, name, sha256) values ('t', 'mcp', 'n', '{value}')")
    };
    let upstream = |column: &str, value: &str| {
        format!("insert into upstreams (id, url, {column}) values ('x', 'https://x', '{value}')")
    };
    let user = |columns: &str, values: &str| format!("insert into users ({columns}) values ({values})");
    let tenant = |id: &str| format!("insert into tenants (id) values ('{id}')");

    // The name of the constraint that must refuse it (or nothing in particular), and the row.
    let mut bad: Vec<(&str, String)> = vec![
        ("users_id_has_1_to_256_characters", user("id", "''")),
        ("users_id_has_1_to_256_characters", user("id", &format!("'{long}'"))),
        ("", user("id", "null")),
        ("users_role_is_known", user("id, role", "'u', 'owner'")),
        ("", user("id, role", "'u', null")),
        ("", user("id, disabled", "'u', null")),
        ("", user("tenant, id", "'nowhere', 'u'")),
        ("", user("tenant, id", "null, 'u'")),
        ("", user("tenant, id", "'a', 'ua'")),
        ("projects_id_has_1_to_256_characters", "insert into projects (id) values ('')".into()),
        ("", "insert into projects (id, name) values ('p', null)".into()),
        (
            "collaborators_role_is_known",
            "insert into collaborators (tenant, project_id, user_id, role) values ('a', 'pa', 'ua', 'admin')"
                .into(),
        ),
        ("", "insert into collaborators (tenant, project_id, user_id) values ('a', 'pa', 'ua')".into()),
        ("tokens_kind_is_known", kind("root", "", "")),
        ("tokens_kind_is_known", kind("Global", ", user_id", ", 'ua'")),
        ("tokens_global_needs_a_user", kind("global", "", "")),
        ("tokens_project_needs_a_project", kind("project", "", "")),
        ("tokens_gateway_has_neither_user_nor_project", kind("gateway", ", user_id", ", 'ua'")),
        ("tokens_gateway_has_neither_user_nor_project", kind("gateway", ", project_id", ", 'pa'")),
        ("tokens_sha256_is_64_lower_case_hex_digits", hash_of("")),
        ("tokens_sha256_is_64_lower_case_hex_digits", hash_of(&sha[1..])),
        ("tokens_sha256_is_64_lower_case_hex_digits", hash_of(&format!("{sha}0"))),
        ("tokens_sha256_is_64_lower_case_hex_digits", hash_of(&"AB".repeat(32))),
        ("tokens_sha256_is_64_lower_case_hex_digits", hash_of(&"g0".repeat(32))),
        ("tokens_sha256_is_64_lower_case_hex_digits", hash_of(&format!("{}\n", &sha[1..]))),
        ("", hash_of(&hash(1))),
        ("tokens_id_has_1_to_256_characters", hash_of(&sha).replace("'t'", "''")),
        ("", hash_of(&sha).replace("'t'", "'ta'")),
        ("tokens_name_has_1_to_128_characters", hash_of(&sha).replace("'n'", "''")),
        ("tokens_name_has_1_to_128_characters", hash_of(&sha).replace("'n'", &format!("'{}'", &long[..129]))),
        ("tokens_prefix_has_1_to_12_characters", token("prefix", "'1234567890123'")),
        ("tokens_projects_is_an_array_or_an_object", token("projects", "'null'")),
        ("tokens_projects_is_an_array_or_an_object", token("projects", "'\"a\"'")),
        ("tokens_projects_is_an_array_or_an_object", token("projects", "'1'")),
        ("", token("projects", "'not json'")),
        ("", token("projects", "''")),
        ("tokens_tools_is_an_array", token("tools", "'{}'")),
        ("tokens_tools_is_an_array", token("tools", "'null'")),
        ("", token("created_at", "null")),
        ("upstreams_credential_is_known", upstream("credential", "own")),
        ("upstreams_header_is_a_header_name", upstream("header", "")),
        ("upstreams_header_is_a_header_name", upstream("header", "a b")),
        ("upstreams_header_is_a_header_name", upstream("header", "a:")),
        ("upstreams_header_is_a_header_name", upstream("header", "a\r\nb")),
        ("upstreams_header_is_a_header_name", upstream("header", "é")),
        ("upstreams_format_has_a_place_for_the_token", upstream("format", "Bearer")),
        ("upstreams_format_has_a_place_for_the_token", upstream("format", "Bearer {TOKEN}")),
        ("upstreams_format_is_one_line", upstream("format", "{token}\nX: y")),
        ("", "insert into upstreams (id, url) values ('x', '')".into()),
        ("", "insert into upstreams (id) values ('x')".into()),
        ("data_revision_has_one_row", "insert into data_revision (only_row, revision) values (2, 5)".into()),
        ("", "insert into data_revision (revision) values (5)".into()),
        ("data_revision_counts_upwards_from_0", "update data_revision set revision = -1".into()),
    ];
    for id in ["", "_a", "-a", "A", "a b", "a/b", "é", "a\n", &long[..64]] {
        bad.push(("tenants_id_is_a_tenant_id", tenant(id)));
    }
    for column in ["expires_at", "revoked_at", "created_at", "last_used_at"] {
        for value in ["soon", "", "infinity", "-infinity", "2030-13-01T00:00:00Z", "2030-01-01T25:00:00Z"] {
            bad.push(("", token(column, &format!("'{value}'"))));
        }
        if !database.is_postgres() {
            // Postgres reads these as times; to SQLite they would be mere text.
            for value in
                ["now", "2460000.5", "12:00", "2030-01-01", "2030-01-01T00:00:00", "2030-01-01 00:00:00Z"]
            {
                bad.push(("", token(column, &format!("'{value}'"))));
            }
        }
    }
    if !database.is_postgres() {
        for column in ["scope_pull", "scope_push", "allow_trigger"] {
            bad.push(("_is_0_or_1", token(column, "2")));
            bad.push(("", token(column, "'yes'")));
        }
        // length() and glob stop at a NUL, and must not be all there is.
        bad.push(("tenants_id", "insert into tenants (id) values ('a' || char(0) || '/')".into()));
        bad.push((
            "tokens_sha256",
            hash_of(&sha).replace(&format!("'{sha}'"), &format!("'{sha}' || char(0) || 'g'")),
        ));
    }
    for (rule, row) in bad {
        let error = database.execute(&row).await.err().unwrap_or_else(|| panic!("accepted: {row}"));
        assert!(error.to_string().contains(rule), "{row} was refused for another reason: {error}");
    }
}

async fn good_values_are_accepted(database: TestDatabase) {
    with_two_tenants(&database).await;
    let good = [
        "insert into users (id) values ('u')".to_owned(),
        format!("insert into users (id) values ('{}')", "é".repeat(256)),
        "insert into projects (id) values ('p/1 {x}')".to_owned(),
        "insert into collaborators (project_id, user_id, role) values ('p/1 {x}', 'u', 'owner')".to_owned(),
        "insert into upstreams (id, url) values ('x', 'https://x')".to_owned(),
        "insert into upstreams (id, url, header, format) values ('y', 'https://y', 'X-API-Key', '{token}')"
            .to_owned(),
        format!(
            "insert into tokens (id, kind, name, sha256, user_id, projects, tools, expires_at, last_used_at) \
             values ('t', 'global', 'n', '{}', 'u', '[\"a\"]', '[]', '2030-01-01T00:00:00+02:00', \
                     '2030-01-01T00:00:00.123456Z')",
            hash(9)
        ),
        "insert into grants (token_id, upstream_id) values ('t', 'x')".to_owned(),
        format!("insert into tenants (id) values ('0{}')", "_-".repeat(31)),
    ];
    for row in good {
        database.execute(&row).await.unwrap_or_else(|error| panic!("refused: {row}: {error}"));
    }
    assert_eq!(database.text("select tenant from tokens where id = 't'").await, "default");
    assert_eq!(database.text("select header from upstreams where id = 'x'").await, "Authorization");
    assert_eq!(database.text("select format from upstreams where id = 'x'").await, "Bearer {token}");
    database.facts().await;
}
