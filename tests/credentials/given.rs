//! Credentials that are given by hand.

use regate::{
    decision::facts::CredentialState,
    store::{StoreError, upstreams::CredentialKey},
    types::{Holder, UpstreamSecret},
    upstream::{Completion, CredentialError, Given, InvalidSecret},
};

use super::{BACK, Scene, ada, credentials, of_token, of_user, ring, secret, shows_no_secret, tenant, token};
use crate::store::database::{TestDatabase, on_both_databases};

on_both_databases!(
    a_token_is_sealed_for_its_holder_and_replaced_by_the_next,
    values_of_headers_are_those_that_the_upstream_declares,
    what_is_no_credential_is_refused_and_nothing_is_stored,
    without_a_key_nothing_is_taken,
    a_row_that_is_moved_to_another_holder_does_not_open,
    a_flow_without_an_authorization_server_is_completed_with_what_is_given,
    regates_own_secret_is_sealed_too,
);

fn headers(given: &[(&str, &str)]) -> Given {
    Given::Headers(given.iter().map(|(name, value)| ((*name).to_owned(), secret(value))).collect())
}

async fn a_token_is_sealed_for_its_holder_and_replaced_by_the_next(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("plain", "ada");
    let written = scene.put(&key, token("hunter2-a")).await.unwrap();
    assert_eq!((written.created, written.state), (true, CredentialState::Active));
    assert!(scene.is_token(&key, "hunter2-a").await);
    assert!(!scene.put(&key, token("hunter2-b")).await.unwrap().created);
    assert!(scene.is_token(&key, "hunter2-b").await);
    let row = scene.row(&key).await.unwrap();
    assert_eq!(row.header_names, ["authorization"]);
    assert_eq!((row.sealed_by, row.renewable), (scene.keys.sealing(), false));
    // Nothing of it is anywhere in the database.
    for (_, sealed) in scene.sealed().await {
        assert!(!sealed.bytes.windows(7).any(|window| window == b"hunter2"));
    }
    assert!(scene.stored_with(&ring(&[2]), &key).await.is_none());
}

async fn values_of_headers_are_those_that_the_upstream_declares(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("jira", "ada");
    let given =
        headers(&[(" X-API-Key ", "hunter2-k"), ("x-account", "hunter2-a"), ("x-other", "hunter2-o")]);
    assert_eq!(scene.put(&key, given).await.unwrap().state, CredentialState::Active);
    let Some(UpstreamSecret::Headers(stored)) = scene.stored(&key).await else { panic!("no headers") };
    assert_eq!(stored.keys().collect::<Vec<_>>(), ["x-account", "x-api-key"]);
    assert!(stored["x-api-key"].expose() == "hunter2-k");
    assert_eq!(scene.row(&key).await.unwrap().header_names, ["x-account", "x-api-key"]);
}

async fn what_is_no_credential_is_refused_and_nothing_is_stored(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let (plain, jira) = (of_user("plain", "ada"), of_user("jira", "ada"));
    for (key, given) in [
        (&plain, token("hunter2\r\nx-admin: 1")),
        (&plain, token("hunter2\n")),
        (&plain, token("")),
        (&plain, headers(&[("x-other", "hunter2")])),
        (&plain, headers(&[("authorization", "hunter2\r\nx-admin: 1")])),
        (&jira, headers(&[("x-api-key", "hunter2")])),
        (&jira, headers(&[("x-api-key", "hunter2"), ("x-account", "a\nb")])),
        (&jira, headers(&[("x-api-key", "hunter2"), ("x-account", "a"), ("X-Account", "b")])),
        (&jira, token("hunter2")),
    ] {
        let error = scene.put(key, given).await.unwrap_err();
        shows_no_secret(&error);
        assert!(matches!(error, CredentialError::Invalid(_) | CredentialError::Unsuitable(_)), "{error}");
    }
    for wrong in [of_token("plain", "t1"), of_user("github", "ada"), of_user("open", "ada")] {
        let error = scene.put(&wrong, token("hunter2")).await.unwrap_err();
        assert!(matches!(error, CredentialError::Store(StoreError::WrongHolder { .. })), "{error:?}");
    }
    let shared = CredentialKey { holder: Holder::Shared, ..of_user("plain", "") };
    let error = scene.put(&shared, token("hunter2")).await.unwrap_err();
    assert!(matches!(error, CredentialError::Store(StoreError::WrongHolder { .. })), "{error:?}");
    let error = scene.put(&of_user("plain", "nobody"), token("hunter2")).await.unwrap_err();
    assert!(matches!(error, CredentialError::Store(StoreError::UnknownReference { .. })), "{error:?}");
    let error = scene.put(&of_user("nowhere", "ada"), token("hunter2")).await.unwrap_err();
    assert!(matches!(error, CredentialError::Store(StoreError::NotFound { .. })), "{error:?}");
    assert!(scene.row(&plain).await.is_none() && scene.row(&jira).await.is_none());
}

async fn without_a_key_nothing_is_taken(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let keyless = credentials(&scene.database.store, None, &[BACK]);
    let key = of_user("plain", "ada");
    let now = scene.now();
    let error = keyless.put(&key, token("hunter2"), None, now).await.unwrap_err();
    assert!(matches!(error, CredentialError::NoKey));
    let error = keyless.begin(&key, ada(), None, now).await.unwrap_err();
    assert!(matches!(error, CredentialError::NoKey));
    let error = keyless.put_client_secret(&tenant(), "plain", Some(secret("hunter2"))).await.unwrap_err();
    assert!(matches!(error, CredentialError::NoKey));
    let flow = scene.begin(&key).await.flow.flow.id;
    let with = Completion::Given(token("hunter2"));
    let error = keyless.complete(&tenant(), &flow, &ada(), with, now).await.unwrap_err();
    assert!(matches!(error, CredentialError::NoKey));
    // To take one away needs none.
    keyless.put_client_secret(&tenant(), "github", None).await.unwrap();
    assert!(scene.row(&key).await.is_none());
}

async fn a_row_that_is_moved_to_another_holder_does_not_open(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let (of_ada, of_bob) = (of_user("plain", "ada"), of_user("plain", "bob"));
    scene.put(&of_ada, token("hunter2-ada")).await.unwrap();
    scene.put(&of_bob, token("hunter2-bob")).await.unwrap();
    let swap = "create temporary table swapped as select holder_id, sealed from upstream_credentials \
                    where upstream_id = 'plain'; \
                update upstream_credentials set sealed = (select o.sealed from swapped as o \
                    where o.holder_id <> upstream_credentials.holder_id) where upstream_id = 'plain'; \
                drop table swapped";
    scene.database.execute(swap).await.unwrap();
    assert!(scene.stored(&of_ada).await.is_none() && scene.stored(&of_bob).await.is_none());
    scene.database.execute(swap).await.unwrap();
    assert!(scene.is_token(&of_ada, "hunter2-ada").await && scene.is_token(&of_bob, "hunter2-bob").await);
}

async fn a_flow_without_an_authorization_server_is_completed_with_what_is_given(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("jira", "ada");
    let begun = scene.begin(&key).await;
    assert_eq!((begun.header_names.len(), begun.authorization_url), (2, None));
    assert_eq!(begun.flow.user_id.as_deref(), Some("ada"));
    let id = begun.flow.flow.id;
    assert!(id.len() >= 22);
    let missing = Completion::Given(headers(&[("x-api-key", "hunter2")]));
    let error = scene.complete(&id, missing).await.unwrap_err();
    assert!(matches!(error, CredentialError::Invalid(InvalidSecret::Missing(_))), "{error:?}");
    let code = Completion::Code { code: secret("hunter2"), state: secret("hunter2"), iss: None };
    let error = scene.complete(&id, code).await.unwrap_err();
    assert!(matches!(error, CredentialError::Unsuitable(_)), "{error:?}");
    // It is as it was.
    let good = || Completion::Given(headers(&[("x-api-key", "hunter2"), ("x-account", "hunter2")]));
    let (given, written) = scene.complete(&id, good()).await.unwrap();
    assert_eq!((given, written.state), (key.clone(), CredentialState::Active));
    let error = scene.complete(&id, good()).await.unwrap_err();
    assert!(matches!(error, CredentialError::Store(StoreError::NotFound { .. })), "{error:?}");
    let somewhere = scene.credentials.begin(&key, ada(), Some(BACK.to_owned()), scene.now()).await;
    assert!(matches!(somewhere, Err(CredentialError::Unsuitable(_))));
    // Of a token it is known what is to be given.
    assert!(scene.begin(&of_user("plain", "ada")).await.header_names.is_empty());
}

async fn regates_own_secret_is_sealed_too(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let upstream =
        async || scene.store().upstream(&tenant(), "github").await.unwrap().value.has_client_secret;
    scene.credentials.put_client_secret(&tenant(), "github", None).await.unwrap();
    assert!(!upstream().await);
    scene.client_secret("github", "hunter2-own").await;
    assert!(upstream().await);
    let sealed = scene.store().client_secret(&tenant(), "github").await.unwrap().unwrap();
    assert!(!sealed.bytes.windows(7).any(|window| window == b"hunter2"));
    scene.credentials.put_client_secret(&tenant(), "github", None).await.unwrap();
    assert!(!upstream().await);
    let error = scene.credentials.put_client_secret(&tenant(), "nowhere", Some(secret("hunter2"))).await;
    assert!(matches!(error, Err(CredentialError::Store(StoreError::NotFound { .. }))), "{error:?}");
    let error = scene.credentials.put_client_secret(&tenant(), "github", Some(secret("a\nb"))).await;
    assert!(matches!(error, Err(CredentialError::Invalid(_))), "{error:?}");
    // Where nobody consents it has no place to go to, and would go to the first that somebody names.
    let error = scene.credentials.put_client_secret(&tenant(), "plain", Some(secret("hunter2"))).await;
    assert!(matches!(error, Err(CredentialError::Unsuitable(_))), "{error:?}");
}
