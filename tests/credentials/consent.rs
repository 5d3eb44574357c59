//! Consent flows through an authorization server.

use std::{sync::Arc, time::Duration};

use rand::{SeedableRng, rngs::StdRng};
use regate::{
    decision::facts::CredentialState,
    store::{
        StoreError,
        upstreams::{BegunBy, FlowEnd, OauthSettings, UpstreamChange},
    },
    types::TokenHash,
    upstream::{Completion, CredentialError, CredentialSettings, Credentials, RenewalSettings, Renewals},
};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::{
    BACK, MINUTE, Scene, ada, credentials, eventually, of_token, of_user, secret, shows_no_secret, tenant,
    token,
};
use crate::store::database::{TestDatabase, on_both_databases};

on_both_databases!(
    who_consents_has_a_credential_that_can_be_renewed,
    the_state_is_the_flows_own,
    of_many_that_complete_a_flow_one_does,
    a_flow_is_completed_by_who_began_it,
    a_flow_goes_with_its_grant,
    a_grant_that_is_lost_while_the_code_is_exchanged_leaves_nothing,
    a_credential_that_is_removed_takes_its_flows_along,
    a_flow_ends_after_fifteen_minutes,
    people_are_sent_back_where_regate_may_send_them,
    a_public_client_names_itself,
    a_code_that_is_not_taken_ends_the_flow,
    a_flow_is_nothing_for_an_upstream_that_has_changed,
    a_code_is_for_the_issuer_that_the_upstream_names,
    each_upstream_may_have_an_address_of_its_own,
    a_caller_who_hangs_up_loses_no_consent,
    a_server_on_this_machine_is_asked_only_where_that_is_allowed,
);

fn is_over(error: &CredentialError, end: FlowEnd) -> bool {
    matches!(error, CredentialError::Store(StoreError::FlowOver(found)) if *found == end)
}

fn is_unknown(error: &CredentialError) -> bool {
    matches!(error, CredentialError::Store(StoreError::NotFound { .. }))
}

async fn who_consents_has_a_credential_that_can_be_renewed(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    let begun = scene.begin(&key).await;
    assert!(begun.header_names.is_empty());
    let flow = &begun.flow.flow;
    assert_eq!((&flow.key, &flow.begun_by), (&key, &ada()));
    assert_eq!(flow.redirect_uri.as_deref(), Some(BACK));
    assert_eq!(flow.expires_at, flow.created_at.later_by(15 * MINUTE));
    let (code, state) = scene.server.consent(begun.authorization_url.as_ref().unwrap(), BACK);
    // Of the state its hash is kept, and the verifier is sealed.
    assert!(flow.state_sha256 == Some(TokenHash(Sha256::digest(&state).into())));
    assert_eq!(flow.verifier.as_ref().unwrap().key, scene.keys.sealing());
    let with = Completion::Code { code: secret(&code), state: secret(&state), iss: None };
    let (given, written) = scene.complete(&flow.id, with).await.unwrap();
    assert_eq!((given, written.state, written.created), (key.clone(), CredentialState::Active, true));
    assert_eq!(scene.server.last("code_verifier").map(|verifier| verifier.len()), Some(43));
    assert_eq!(scene.server.last("client_id"), None);
    let row = scene.row(&key).await.unwrap();
    assert!(row.renewable);
    assert_eq!(row.expires_at, Some(scene.now().later_by(60 * MINUTE)));
    assert!(scene.is_token(&key, "hunter2-access-2").await);
    // Each flow has a name, a state and a verifier of its own.
    let (one, other) = (scene.begin(&key).await, scene.begin(&key).await);
    assert_ne!(one.flow.flow.id, other.flow.flow.id);
    assert!(one.flow.flow.state_sha256 != other.flow.flow.state_sha256);
    assert_ne!(one.authorization_url, other.authorization_url);
}

async fn the_state_is_the_flows_own(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    let (begun, other) = (scene.begin(&key).await, scene.begin(&key).await);
    let (code, state) = scene.server.consent(begun.authorization_url.as_ref().unwrap(), BACK);
    let (_, foreign) = scene.server.consent(other.authorization_url.as_ref().unwrap(), BACK);
    let id = &begun.flow.flow.id;
    for wrong in [foreign.as_str(), "", "hunter2", &state[1..]] {
        let with = Completion::Code { code: secret(&code), state: secret(wrong), iss: None };
        let error = scene.complete(id, with).await.unwrap_err();
        assert!(matches!(error, CredentialError::WrongState));
    }
    assert_eq!(scene.server.calls(), 0);
    let with = Completion::Given(token("hunter2"));
    assert!(matches!(scene.complete(id, with).await, Err(CredentialError::Unsuitable(_))));
    // None of it cost the flow.
    let with = Completion::Code { code: secret(&code), state: secret(&state), iss: None };
    scene.complete(id, with).await.unwrap();
}

async fn of_many_that_complete_a_flow_one_does(database: TestDatabase) {
    let scene = Arc::new(Scene::new(database).await);
    let key = of_user("gitlab", "ada");
    let begun = scene.begin(&key).await;
    let with = scene.agreed(&begun);
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let (scene, id, with) = (Arc::clone(&scene), begun.flow.flow.id.clone(), with.clone());
        tasks.spawn(async move { scene.complete(&id, with).await });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(is_over(error, FlowEnd::Taken) || is_unknown(error), "{error:?}");
    }
    assert_eq!(scene.server.calls(), 1);
    // It went with the credential that it gave.
    let error = scene.complete(&begun.flow.flow.id, with).await.unwrap_err();
    assert!(is_unknown(&error), "{error:?}");
}

async fn a_flow_is_completed_by_who_began_it(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    let begun = scene.begin(&key).await;
    let (id, good) = (&begun.flow.flow.id, scene.agreed(&begun));
    let foreign = Completion::Code { code: secret("hunter2"), state: secret("hunter2"), iss: None };
    // Whatever somebody else has, and whatever became of the flow, the answer is the same.
    let refused = async |with: &Completion| {
        for (kind, name) in [("session", "bob"), ("admin", "ada"), ("session", ""), ("session", "ada ")] {
            let by = BegunBy { kind: kind.to_owned(), id: name.to_owned() };
            let done = scene.credentials.complete(&tenant(), id, &by, with.clone(), scene.now()).await;
            assert!(matches!(done, Err(CredentialError::NotTheBeginner)));
        }
    };
    refused(&foreign).await;
    refused(&good).await;
    assert_eq!(scene.server.calls(), 0);
    scene.clock.passes(16 * MINUTE);
    refused(&good).await;
    let other = "other".try_into().unwrap();
    let elsewhere = scene.credentials.complete(&other, id, &ada(), good.clone(), scene.now()).await;
    assert!(is_unknown(&elsewhere.unwrap_err()));
    assert!(is_unknown(&scene.complete("nothing", good).await.unwrap_err()));
}

async fn a_flow_goes_with_its_grant(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_token("github", "t1");
    let begun = scene.begin(&key).await;
    let with = scene.agreed(&begun);
    scene.grants(&[]).await;
    let error = scene.complete(&begun.flow.flow.id, with.clone()).await.unwrap_err();
    assert!(is_unknown(&error), "{error:?}");
    // Without the grant none begins, and the grant brings none back.
    let error = scene.credentials.begin(&key, ada(), None, scene.now()).await.unwrap_err();
    assert!(matches!(error, CredentialError::Store(StoreError::NotGranted)), "{error:?}");
    scene.grants(&["github"]).await;
    assert!(is_unknown(&scene.complete(&begun.flow.flow.id, with).await.unwrap_err()));
    assert_eq!(scene.server.calls(), 0);
    assert!(scene.row(&key).await.is_none());
    // From here on it is the usual.
    assert_eq!(scene.consented(&key).await.state, CredentialState::Active);
}

async fn a_grant_that_is_lost_while_the_code_is_exchanged_leaves_nothing(database: TestDatabase) {
    let scene = Arc::new(Scene::new(database).await);
    let key = of_token("github", "t1");
    let begun = scene.begin(&key).await;
    let with = scene.agreed(&begun);
    scene.server.holds(true);
    let (completing, id) = (Arc::clone(&scene), begun.flow.flow.id.clone());
    let completing = tokio::spawn(async move { completing.complete(&id, with).await });
    eventually(async || scene.server.calls(), |calls| *calls == 1).await;
    scene.grants(&[]).await;
    scene.server.holds(false);
    let error = completing.await.unwrap().unwrap_err();
    assert!(is_unknown(&error), "{error:?}");
    assert!(scene.row(&key).await.is_none());
    scene.grants(&["github"]).await;
    assert!(scene.row(&key).await.is_none());
}

async fn a_credential_that_is_removed_takes_its_flows_along(database: TestDatabase) {
    let scene = Arc::new(Scene::new(database).await);
    let key = of_user("gitlab", "ada");
    scene.consented(&key).await;
    let begun = scene.begin(&key).await;
    let with = scene.agreed(&begun);
    scene.server.holds(true);
    let (completing, id) = (Arc::clone(&scene), begun.flow.flow.id.clone());
    let completing = tokio::spawn(async move { completing.complete(&id, with).await });
    eventually(async || scene.server.calls(), |calls| *calls == 2).await;
    scene.store().remove_credential(&key).await.unwrap();
    scene.server.holds(false);
    assert!(is_unknown(&completing.await.unwrap().unwrap_err()));
    assert!(scene.row(&key).await.is_none());
}

async fn a_flow_ends_after_fifteen_minutes(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    let (in_time, late) = (scene.begin(&key).await, scene.begin(&key).await);
    let (good, too_late) = (scene.agreed(&in_time), scene.agreed(&late));
    scene.clock.passes(15 * MINUTE - Duration::from_millis(1));
    scene.complete(&in_time.flow.flow.id, good).await.unwrap();
    scene.clock.passes(Duration::from_millis(1));
    let error = scene.complete(&late.flow.flow.id, too_late).await.unwrap_err();
    assert!(is_over(&error, FlowEnd::Expired), "{error:?}");
    assert_eq!(scene.server.calls(), 1);
}

async fn people_are_sent_back_where_regate_may_send_them(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    let begin = async |back: &[&str], wanted: Option<&str>| {
        let credentials = credentials(&scene.database.store, Some(&scene.keys), back);
        let begun = credentials.begin(&key, ada(), wanted.map(str::to_owned), scene.now()).await;
        begun.map(|begun| begun.flow.flow.redirect_uri.unwrap())
    };
    let other = "http://127.0.0.1:9/back";
    assert_eq!(begin(&[BACK], Some(BACK)).await.unwrap(), BACK);
    assert_eq!(begin(&[BACK, other], Some(other)).await.unwrap(), other);
    for (back, wanted) in [
        (&[][..], None),
        (&[], Some(BACK)),
        (&[BACK, other], None),
        (&[BACK], Some(other)),
        (&[BACK], Some("https://regate.example/back/")),
        (&[BACK], Some("https://regate.example/BACK")),
        (&[BACK], Some("https://regate.example/back?x")),
        (&[BACK], Some("")),
    ] {
        let error = begin(back, wanted).await.unwrap_err();
        assert!(matches!(error, CredentialError::Unsuitable(_)), "{error:?}");
    }
}

async fn a_public_client_names_itself(database: TestDatabase) {
    let scene = Scene::new(database).await;
    scene.server.is_public();
    scene.credentials.put_client_secret(&tenant(), "gitlab", None).await.unwrap();
    scene.consented(&of_user("gitlab", "ada")).await;
    assert!(scene.server.last("client_id").is_some() && scene.server.last("client_secret").is_none());
}

async fn a_code_that_is_not_taken_ends_the_flow(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    let (begun, other) = (scene.begin(&key).await, scene.begin(&key).await);
    let (code, state) = scene.server.consent(begun.authorization_url.as_ref().unwrap(), BACK);
    let (foreign, _) = scene.server.consent(other.authorization_url.as_ref().unwrap(), BACK);
    let id = &begun.flow.flow.id;
    // Another flow's code, which its verifier does not fit.
    let with = Completion::Code { code: secret(&foreign), state: secret(&state), iss: None };
    let error = scene.complete(id, with).await.unwrap_err();
    shows_no_secret(&error);
    assert!(
        matches!(&error, CredentialError::NotExchanged(why) if why.contains("invalid_grant")),
        "{error:?}"
    );
    let with = Completion::Code { code: secret(&code), state: secret(&state), iss: None };
    let error = scene.complete(id, with).await.unwrap_err();
    assert!(is_over(&error, FlowEnd::Taken), "{error:?}");
    assert_eq!(scene.server.calls(), 1);
    assert!(scene.row(&key).await.is_none());
}

async fn a_flow_is_nothing_for_an_upstream_that_has_changed(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    let begun = scene.begin(&key).await;
    let with = scene.agreed(&begun);
    let oauth = |oauth| UpstreamChange { oauth: Some(oauth), ..UpstreamChange::default() };
    let change = async |change| scene.store().put_upstream(&tenant(), "gitlab", &change).await.unwrap();
    change(oauth(None)).await;
    let error = scene.complete(&begun.flow.flow.id, with.clone()).await.unwrap_err();
    assert!(is_unknown(&error), "{error:?}");
    // Codes go to nobody who could read them on the way.
    let mut settings = scene.server.settings();
    settings.token_endpoint = "http://login.example/token".to_owned();
    change(oauth(Some(settings))).await;
    let error = scene.credentials.begin(&key, ada(), None, scene.now()).await.unwrap_err();
    assert!(matches!(error, CredentialError::Unsuitable(_)), "{error:?}");
    // Nor to the server that they are of, by way of another: who is asked again has to consent anew.
    change(oauth(Some(scene.server.settings()))).await;
    let error = scene.complete(&begun.flow.flow.id, with).await.unwrap_err();
    assert!(is_unknown(&error), "{error:?}");
    assert_eq!(scene.server.calls(), 0);
}

async fn a_code_is_for_the_issuer_that_the_upstream_names(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    let named = |issuer: Option<&str>| {
        let oauth = OauthSettings { issuer: issuer.map(str::to_owned), ..scene.server.settings() };
        UpstreamChange { oauth: Some(Some(oauth)), ..UpstreamChange::default() }
    };
    let own = "https://login.example";
    scene.store().put_upstream(&tenant(), "gitlab", &named(Some(own))).await.unwrap();
    let begun = scene.begin(&key).await;
    let (code, state) = scene.server.consent(begun.authorization_url.as_ref().unwrap(), BACK);
    let with = |iss: Option<&str>| Completion::Code {
        code: secret(&code),
        state: secret(&state),
        iss: iss.map(str::to_owned),
    };
    let id = &begun.flow.flow.id;
    for wrong in [None, Some(""), Some("https://login.example/"), Some("https://evil.example")] {
        let error = scene.complete(id, with(wrong)).await.unwrap_err();
        assert!(matches!(error, CredentialError::WrongIssuer), "{error:?}");
    }
    assert_eq!(scene.server.calls(), 0);
    // It cost the flow nothing.
    scene.complete(id, with(Some(own))).await.unwrap();
    // Where the upstream names none, nothing is compared.
    scene.store().put_upstream(&tenant(), "gitlab", &named(None)).await.unwrap();
    let begun = scene.begin(&key).await;
    let Completion::Code { code, state, .. } = scene.agreed(&begun) else { panic!("no code") };
    let with = Completion::Code { code, state, iss: Some("https://evil.example".to_owned()) };
    scene.complete(&begun.flow.flow.id, with).await.unwrap();
}

async fn each_upstream_may_have_an_address_of_its_own(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let template = "https://regate.example/back/{upstream}";
    let own = credentials(&scene.database.store, Some(&scene.keys), &[template]);
    let begin = async |wanted: Option<&str>| {
        let key = of_user("gitlab", "ada");
        let begun = own.begin(&key, ada(), wanted.map(str::to_owned), scene.now()).await;
        begun.map(|begun| begun.flow.flow.redirect_uri.unwrap())
    };
    let expected = "https://regate.example/back/gitlab";
    assert_eq!(begin(None).await.unwrap(), expected);
    assert_eq!(begin(Some(expected)).await.unwrap(), expected);
    for wrong in [template, "https://regate.example/back/github", "https://regate.example/back/"] {
        let error = begin(Some(wrong)).await.unwrap_err();
        assert!(matches!(error, CredentialError::Unsuitable(_)), "{error:?}");
    }
}

async fn a_caller_who_hangs_up_loses_no_consent(database: TestDatabase) {
    let scene = Arc::new(Scene::new(database).await);
    let key = of_user("gitlab", "ada");
    let begun = scene.begin(&key).await;
    let with = scene.agreed(&begun);
    scene.server.holds(true);
    let (completing, id) = (Arc::clone(&scene), begun.flow.flow.id.clone());
    let completing = tokio::spawn(async move { completing.complete(&id, with).await });
    eventually(async || scene.server.calls(), |calls| *calls == 1).await;
    completing.abort();
    assert!(completing.await.unwrap_err().is_cancelled());
    scene.server.holds(false);
    eventually(async || scene.row(&key).await.is_some(), |there| *there).await;
    assert!(scene.is_token(&key, "hunter2-access-2").await);
}

async fn a_server_on_this_machine_is_asked_only_where_that_is_allowed(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let key = of_user("gitlab", "ada");
    scene.consented(&key).await;
    let begun = scene.begin(&key).await;
    let with = scene.agreed(&begun);
    let (store, keys) = (Arc::clone(&scene.database.store), Arc::clone(&scene.keys));
    let settings =
        CredentialSettings { redirect_uris: vec![BACK.to_owned()], ..CredentialSettings::default() };
    let random = StdRng::seed_from_u64(77);
    let strict = Arc::new(Credentials::new(store.clone(), Some(Arc::clone(&keys)), settings, random));
    let error = strict.begin(&key, ada(), None, scene.now()).await.unwrap_err();
    assert!(matches!(error, CredentialError::Unsuitable(_)), "{error:?}");
    let done = strict.complete(&tenant(), &begun.flow.flow.id, &ada(), with, scene.now()).await;
    assert!(matches!(done, Err(CredentialError::Unsuitable(_))), "{done:?}");
    // Nor is anything renewed there.
    scene.clock.passes(56 * MINUTE);
    let settings = RenewalSettings { interval: Duration::from_millis(20), ..RenewalSettings::default() };
    let random = StdRng::seed_from_u64(78);
    let (renewals, work) = Renewals::begin(store, keys, Arc::clone(&scene.clock) as _, settings, random);
    eventually(async || renewals.counts().failed, |failed| *failed == 1).await;
    work.finish().await;
    assert_eq!(scene.server.calls(), 1);
}
