//! What was given for one client at one authorization server is shown to no other.

use regate::{
    decision::facts::CredentialState::Active,
    store::upstreams::{NewCredential, OauthSettings, RenewalsWanted, Renewed, UpstreamChange},
};

use super::{TestDatabase, at, credential, oauth, of_user, on_both_databases, sealed, tenant};

on_both_databases![
    another_endpoint_gets_nothing_that_was_given_for_the_one_before,
    what_leads_to_the_same_client_keeps_all,
    a_renewal_under_way_gives_the_next_client_nothing,
];

const SQL: &str = "update upstreams set oauth = ";

fn elsewhere() -> OauthSettings {
    OauthSettings { token_endpoint: "https://elsewhere.example/token".to_owned(), ..oauth() }
}

async fn set(database: &TestDatabase, oauth: Option<OauthSettings>) {
    database.change("people", UpstreamChange { oauth: Some(oauth), ..UpstreamChange::default() }).await;
}

/// Two upstreams, each with a client secret, a credential that is renewed and a flow.
async fn scene(database: &TestDatabase) {
    database.execute("delete from tenants where id in ('a', 'b')").await.unwrap();
    database.with_upstreams().await;
    let other = UpstreamChange {
        credential: Some(regate::decision::facts::CredentialMode::PerUser),
        oauth: Some(Some(oauth())),
        ..UpstreamChange::default()
    };
    database.change("x", other).await;
    set(database, Some(oauth())).await;
    for upstream in ["people", "x"] {
        let new = NewCredential {
            refresh: Some(sealed("refresh")),
            expires_at: Some(at(60)),
            ..credential(of_user("u1", upstream))
        };
        database.store.put_credential(&new).await.unwrap();
        database.store.put_client_secret(&tenant("a"), upstream, Some(&sealed("client"))).await.unwrap();
        database.begin(upstream, of_user("u1", upstream)).await;
    }
}

/// Whether the upstream has a client secret, its credential is renewed, its flow is there.
async fn kept(database: &TestDatabase, upstream: &str) -> [bool; 3] {
    let secret = database.store.client_secret(&tenant("a"), upstream).await.unwrap().is_some();
    let row = database.store.credential(&of_user("u1", upstream)).await.unwrap().value;
    // What goes on is good until it expires.
    assert_eq!((row.state, row.expires_at), (Active, Some(at(60))));
    let refresh = format!(
        "select holder_id from upstream_credentials where tenant = 'a' and upstream_id = '{upstream}' \
         and sealed_refresh is not null and refresh_key_id is not null"
    );
    let renewed = database.texts(&refresh).await == ["u1"];
    assert!(!row.renewable || renewed);
    [secret, renewed, database.has_flow(upstream).await]
}

async fn another_endpoint_gets_nothing_that_was_given_for_the_one_before(database: TestDatabase) {
    let entry = |oauth: &str| {
        format!(
            r#"{{"upstreams": [{{"id": "people", "tenant": "a", "url": "https://p.example",
                                 "credential": "per_user"{oauth}}}]}}"#
        )
    };
    let there = serde_json::to_string(&elsewhere()).unwrap();
    let imports = [entry(""), entry(&format!(r#", "oauth": {there}"#))];
    let client = OauthSettings { client_id: "somebody else".to_owned(), ..oauth() };
    let client = serde_json::to_string(&client).unwrap();
    let where_it_is = "where tenant = 'a' and id = 'people'";
    let statements = ["null", &format!("'{there}'"), &format!("'{client}'"), "'{}'"]
        .map(|value| format!("{SQL}{value} {where_it_is}"));
    for way in 0..8 {
        scene(&database).await;
        let before = database.revision().await;
        match way {
            0 => set(&database, None).await,
            1 => set(&database, Some(elsewhere())).await,
            2 | 3 => drop(database.import(&imports[way - 2]).await),
            _ => assert!(database.execute(&statements[way - 4]).await.is_ok()),
        }
        assert_eq!(database.revision().await, before, "{way}");
        assert_eq!(kept(&database, "people").await, [false; 3], "{way}");
        assert_eq!(kept(&database, "x").await, [true; 3], "{way}");
        // The way back brings nothing back.
        set(&database, Some(oauth())).await;
        assert_eq!(kept(&database, "people").await, [false; 3], "{way}");
    }
}

async fn what_leads_to_the_same_client_keeps_all(database: TestDatabase) {
    scene(&database).await;
    let same = OauthSettings {
        authorization_endpoint: "https://as.example/consent".to_owned(),
        scopes: Vec::new(),
        resource: Some("https://p.example".to_owned()),
        ..oauth()
    };
    set(&database, Some(same)).await;
    let format = Some("Token {token}".to_owned());
    database.change("people", UpstreamChange { format, ..UpstreamChange::default() }).await;
    assert_eq!(kept(&database, "people").await, [true; 3]);
    // Where there was none, what is there was given for this one.
    set(&database, None).await;
    database.store.put_client_secret(&tenant("a"), "people", Some(&sealed("new"))).await.unwrap();
    database.begin("people", of_user("u1", "people")).await;
    set(&database, Some(oauth())).await;
    assert_eq!(kept(&database, "people").await, [true, false, true]);
}

async fn a_renewal_under_way_gives_the_next_client_nothing(database: TestDatabase) {
    scene(&database).await;
    let key = of_user("u1", "people");
    let wanted = RenewalsWanted {
        only: Some(key.clone()),
        expiring_before: at(100),
        now: at(10),
        held_until: at(40),
        limit: 1,
    };
    let claim = database.store.claim_renewals(&wanted).await.unwrap();
    set(&database, Some(elsewhere())).await;
    let new = Renewed::As { sealed: sealed("new"), refresh: Some(sealed("next")), expires_at: Some(at(900)) };
    for outcome in [new, Renewed::Refused] {
        let written = database.store.finish_renewal(&key, claim[0].version, &outcome, at(11)).await.unwrap();
        assert_eq!(written, None);
    }
    assert_eq!(kept(&database, "people").await, [false; 3]);
    assert_eq!(database.store.claim_renewals(&wanted).await.unwrap(), []);
}
