//! A token that was found where it should not be is looked up and revoked by itself, on standard input.

use serde_json::{Value, json};

use super::{Scene, on_both_databases};
use crate::harness::program::{stderr, stdout};

on_both_databases!(a_leaked_token_is_found_and_revoked_by_itself);

fn a_leaked_token_is_found_and_revoked_by_itself(scene: &Scene) {
    // A key of another system is found as well as a token of regate's own.
    let foreign = "ib_mcp_never shown, with spaces";
    let hash = regate::auth::hash(foreign).to_string();
    scene.import(&json!({
        "tenants": [{"id": "acme"}],
        "tokens": [{"id": "old key", "kind": "mcp", "name": "old", "sha256": hash}],
    }));
    let minted = scene.object(&["token", "mint", "--kind", "mcp", "--name", "new", "--only-project", "none"]);
    let own = minted["token"].as_str().unwrap();
    for (secret, id) in [(foreign, "old key"), (own, minted["id"].as_str().unwrap())] {
        let with = |arguments: &[&str], code| {
            let output = scene.output(arguments, &format!("{secret}\n"));
            assert_eq!(output.status.code(), Some(code), "{arguments:?}");
            let said = stdout(&output) + &stderr(&output);
            assert!(!said.contains(secret) && !said.contains("never shown") && !said.contains(&hash));
            said
        };
        let shown: Value = serde_json::from_str(&with(&["token", "show", "--stdin", "--json"], 0)).unwrap();
        assert_eq!((&shown["id"], &shown["state"]), (&json!(id), &json!("live")));
        let said = with(&["token", "show", "--stdin", "--tenant", "acme"], 1);
        assert!(said.contains("no token in the tenant \"acme\" has the SHA-256 of what was read"), "{said}");
        assert!(with(&["token", "revoke", "--stdin"], 0).contains(&format!("{id} revoked")));
        assert!(with(&["token", "revoke", "--stdin"], 0).contains("was revoked already"));
        let said = with(&["token", "show", "--stdin"], 0);
        assert!(
            said.lines().all(|line| line.split_once("  ").is_some_and(|(_, value)| !value.trim().is_empty()))
        );
        with(&["token", "show", id, "--stdin"], 64);
    }
    let said = scene.said(0, &["token", "show", minted["id"].as_str().unwrap()]);
    assert!(said.contains("only projects  \"none\"\n") && said.contains("user           none\n"), "{said}");
    for (input, code) in [("", 64), ("\n", 64), ("a\nb", 64), ("unknown", 1)] {
        let output = scene.output(&["token", "revoke", "--stdin"], input);
        assert_eq!((output.status.code(), stdout(&output)), (Some(code), String::new()), "{input:?}");
    }
    scene.said(64, &["token", "revoke"]);
}
