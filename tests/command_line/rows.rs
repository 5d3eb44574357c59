//! `regate user`, `project` and `collaborator`.

use serde_json::{Value, json};

use super::{Scene, on_both_databases};

on_both_databases!(
    a_user_is_added_changed_shown_listed_and_removed,
    a_project_is_added_changed_shown_listed_and_removed,
    a_collaborator_is_added_changed_shown_listed_and_removed,
    pages_go_on_where_the_one_before_ended,
);

fn done(answer: &Value) -> (&Value, &Value) {
    (&answer["created"], &answer["changed"])
}

fn a_user_is_added_changed_shown_listed_and_removed(scene: &Scene) {
    assert_eq!(scene.said(0, &["user", "put", "u1"]), "user u1 was added, revision 1\n");
    assert_eq!(
        scene.said(0, &["user", "put", "u1"]),
        "user u1 is so already: nothing was changed, revision 1\n"
    );
    let put = scene.object(&["user", "put", "u1", "--disabled"]);
    let expected = json!({
        "id": "u1", "tenant": "default", "role": "user", "disabled": true, "created": false, "changed": true, "revision": 2,
    });
    assert_eq!(put, expected);
    // What is left out stays.
    let put = scene.object(&["user", "put", "u1", "--role", "admin"]);
    assert_eq!((&put["role"], &put["disabled"]), (&json!("admin"), &json!(true)));
    let shown = scene.object(&["user", "show", "u1"]);
    assert_eq!((&shown["role"], &shown["revision"]), (&json!("admin"), &json!(3)));
    let said = scene.said(0, &["user", "show", "u1"]);
    assert!(said.contains("role      admin\n") && said.contains("disabled  yes\n"), "{said}");
    scene.said(0, &["user", "put", "u1", "--disabled=false"]);
    scene.said(0, &["user", "put", "u2"]);
    let ids = |filter: &[&str]| -> Vec<Value> {
        scene.objects(&[&["user", "list"], filter].concat()).iter().map(|row| row["id"].clone()).collect()
    };
    assert_eq!(ids(&[]), ["u1", "u2"]);
    assert_eq!(ids(&["--role", "admin"]), ["u1"]);
    assert_eq!(ids(&["--disabled"]), [] as [&str; 0]);
    assert_eq!(ids(&["--disabled=false", "--limit", "1", "--after", "u1"]), ["u2"]);
    assert!(scene.said(0, &["user", "list"]).contains("ROLE"));
    // A tenant of its own: nothing of the other one is there.
    scene.import(&json!({"tenants": [{"id": "acme"}]}));
    for action in ["show", "remove"] {
        let said = scene.said(1, &["user", action, "u1", "--tenant", "acme"]);
        assert!(said.contains("there is no user \"u1\" in the tenant \"acme\""), "{said}");
    }
    assert_eq!(scene.said(0, &["user", "list", "--tenant", "acme"]), "no users\n");
    assert!(scene.said(1, &["user", "put", "u1", "--tenant", "nobody"]).contains("no tenant \"nobody\""));
    let removed = scene.object(&["user", "remove", "u1"]);
    assert!(removed["revision"].as_u64() > put["revision"].as_u64(), "{removed}");
    let said = scene.said(1, &["user", "remove", "u1"]);
    assert!(said.starts_with("regate: nothing was removed\n  there is no user \"u1\""), "{said}");
    assert_eq!(ids(&[]), ["u2"]);
    for wrong in [&["user", "put", ""][..], &["user", "put", &"x".repeat(257)], &["user", "put", "a\nb"]] {
        scene.said(64, wrong);
    }
    scene.said(64, &["user", "put", "u1", "--role", "owner"]);
    let said = scene.said(64, &["user", "put", "u1", "--disabled", "false"]);
    assert!(said.contains("tip: write --disabled=false") && !said.contains("-- false"), "{said}");
    scene.said(64, &["user", "put", "u1", "--tenant", "_x"]);
}

fn a_project_is_added_changed_shown_listed_and_removed(scene: &Scene) {
    let put = scene.object(&["project", "put", "p1", "--name", "One"]);
    assert_eq!(done(&put), (&json!(true), &json!(true)));
    let put = scene.object(&["project", "put", "p1", "--public"]);
    assert_eq!((&put["name"], &put["public"], done(&put).0), (&json!("One"), &json!(true), &json!(false)));
    let put = scene.object(&["project", "put", "p1", "--public"]);
    assert_eq!((&put["changed"], &put["revision"]), (&json!(false), &json!(2)));
    scene.said(0, &["project", "put", "p2"]);
    scene.said(0, &["user", "put", "u1"]);
    scene.said(0, &["collaborator", "put", "p2", "u1", "--role", "viewer"]);
    let ids = |filter: &[&str]| -> Vec<Value> {
        scene.objects(&[&["project", "list"], filter].concat()).iter().map(|row| row["id"].clone()).collect()
    };
    assert_eq!(ids(&[]), ["p1", "p2"]);
    assert_eq!(ids(&["--public"]), ["p1"]);
    assert_eq!(ids(&["--public=false"]), ["p2"]);
    assert_eq!(ids(&["--user", "u1"]), ["p2"]);
    assert_eq!(scene.object(&["project", "show", "p1"])["name"], "One");
    assert!(scene.said(0, &["project", "remove", "p1"]).starts_with("project p1 was removed, revision "));
    assert!(scene.said(1, &["project", "remove", "p1"]).contains("there is no project \"p1\""));
    assert!(scene.said(1, &["project", "show", "p1"]).contains("nothing to show"));
    scene.said(64, &["project", "put", "p1", "--name", "a\u{7}b"]);
}

fn a_collaborator_is_added_changed_shown_listed_and_removed(scene: &Scene) {
    for (noun, id) in [("user", "u1"), ("user", "u2"), ("project", "p1")] {
        scene.said(0, &[noun, "put", id]);
    }
    let put = scene.object(&["collaborator", "put", "p1", "u1", "--role", "viewer"]);
    assert_eq!(done(&put), (&json!(true), &json!(true)));
    let put = scene.object(&["collaborator", "put", "p1", "u1", "--role", "owner"]);
    assert_eq!((&put["role"], done(&put)), (&json!("owner"), (&json!(false), &json!(true))));
    assert_eq!(
        scene.object(&["collaborator", "put", "p1", "u1", "--role", "owner"])["revision"],
        put["revision"]
    );
    scene.said(0, &["collaborator", "put", "p1", "u2", "--role", "developer"]);
    assert_eq!(scene.object(&["collaborator", "show", "p1", "u1"])["role"], "owner");
    let users = |filter: &[&str]| -> Vec<Value> {
        let rows = scene.objects(&[&["collaborator", "list", "p1"], filter].concat());
        rows.iter().map(|row| row["user_id"].clone()).collect()
    };
    assert_eq!(users(&[]), ["u1", "u2"]);
    assert_eq!(users(&["--role", "developer"]), ["u2"]);
    assert_eq!(users(&["--after", "u1"]), ["u2"]);
    for (arguments, expected) in [
        (&["put", "p9", "u1", "--role", "viewer"][..], "add it with regate project put"),
        (&["put", "p1", "u9", "--role", "viewer"], "add it with regate user put"),
        (&["list", "p9"], "there is no project \"p9\""),
        (&["show", "p1", "u9"], "\"u9\" is no collaborator"),
        (&["remove", "p1", "u9"], "nothing was removed"),
    ] {
        let said = scene.said(1, &[&["collaborator"], arguments].concat());
        assert!(said.contains(expected), "{said}");
    }
    let removed = scene.said(0, &["collaborator", "remove", "p1", "u1"]);
    assert!(removed.starts_with("collaborator u1 on p1 was removed"), "{removed}");
    scene.said(1, &["collaborator", "remove", "p1", "u1"]);
    scene.said(64, &["collaborator", "put", "p1", "u1"]);
}

fn pages_go_on_where_the_one_before_ended(scene: &Scene) {
    let users: Vec<Value> = (0..5).map(|n| json!({"id": format!("u{n}")})).collect();
    scene.import(&json!({"users": users}));
    let first = scene.said(0, &["user", "list", "--limit", "3"]);
    assert!(first.ends_with("There are more: --after u2\n"), "{first}");
    let last = scene.said(0, &["user", "list", "--limit", "3", "--after", "u2"]);
    assert!(last.contains("u4") && !last.contains("u2") && !last.contains("more"), "{last}");
    // A page that is full and the last one does not promise more.
    assert!(!scene.said(0, &["user", "list", "--limit", "5"]).contains("more"));
    // Programs find nothing but objects in standard output.
    assert_eq!(scene.objects(&["user", "list", "--limit", "3"]).len(), 3);
    for limit in ["0", "1001"] {
        scene.said(64, &["user", "list", "--limit", limit]);
    }
    // What is told can be pasted.
    scene.import(&json!({"users": [{"id": "a b"}, {"id": "-x"}]}));
    let said = scene.said(0, &["user", "list", "--limit", "1"]);
    assert!(said.ends_with("There are more: --after=-x\n") || said.ends_with("--after 'a b'\n"), "{said}");
}
