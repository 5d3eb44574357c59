//! `last_used_at` never delays or fails a decision.

use std::time::{Duration, Instant};

use serde_json::json;

use super::scene::Scene;
use crate::harness::postgres::Postgres;

#[test]
fn a_database_that_hangs_holds_up_no_decision_and_loses_no_use() {
    let mut postgres = Postgres::start();
    let scene =
        Scene::over(&postgres.url("postgres"), "[data]\nmax_staleness = \"1h\"\nanswer_time = \"2s\"");
    let (id, key) = scene.mint(&json!({"kind": "mcp", "name": "x", "user_id": "u3"}));
    let path = format!("/v1/tokens/{id}");
    scene.decide(&key, "POST", "/mcp");
    let used = |after: &str| {
        scene.until(|| {
            let answer = scene.call(&scene.admin, "GET", &path, None);
            let shown = (answer.status == 200).then(|| answer.json())?;
            shown["last_used_at"].as_str().filter(|used| *used > after).map(str::to_owned)
        })
    };
    let first = used("");
    postgres.freeze();
    let began = Instant::now();
    for _ in 0..200 {
        assert!(scene.decide(&key, "POST", "/mcp").0);
    }
    // Far below the time for which the database hangs, and in no relation to it.
    let took = began.elapsed();
    postgres.thaw();
    assert!(took < Duration::from_secs(30), "{took:?}");
    used(&first);
}
