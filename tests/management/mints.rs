//! Many mints at once, and a database that goes away in the middle of them.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use serde_json::json;

use super::{on_both_databases, scene::Scene};
use crate::harness::{postgres::Postgres, program::Serving};

on_both_databases![fifty_mints_at_once_make_twenty_tokens];

fn fifty_mints_at_once_make_twenty_tokens(scene: Scene) {
    let me = scene.session("new");
    let body = json!({"kind": "mcp", "name": "one of many"});
    // Two processes over one database.
    let arguments = ["--config", "regate.toml", "--database-url", scene.url.as_str()];
    let other = Serving::start(scene.folder.path(), &arguments);
    let made = AtomicU32::new(0);
    thread::scope(|threads| {
        for number in 0..50 {
            let address = if number % 2 == 0 { &scene.serving.address } else { &other.address };
            let (me, body, made) = (&me, &body, &made);
            threads.spawn(move || {
                let authorization = format!("Bearer {me}");
                let headers = [("authorization", authorization.as_str())];
                let sent = body.to_string();
                // One that another write came in between is to be tried again.
                let answer = loop {
                    let answer =
                        crate::harness::http::send(address, "POST", "/v1/tokens", &headers, sent.as_bytes());
                    if answer.status != 503 {
                        break answer;
                    }
                };
                match answer.status {
                    201 => made.fetch_add(1, Ordering::Relaxed),
                    409 => 0,
                    status => panic!("{status}"),
                };
            });
        }
    });
    assert_eq!(made.load(Ordering::Relaxed), 20);
    let live = scene.expect(200, &me, "GET", "/v1/tokens?state=live", None);
    assert_eq!(live["tokens"].as_array().unwrap().len(), 20);
}

#[test]
fn a_token_whose_mint_failed_is_not_there() {
    let mut postgres = Postgres::start();
    let scene = Scene::over(&postgres.url("postgres"), "");
    let ended = AtomicU32::new(0);
    let mut shown: BTreeSet<String> = BTreeSet::new();
    let mut refused = 0;
    for _ in 0..3 {
        thread::scope(|threads| {
            let minting: Vec<_> = (0..4)
                .map(|_| {
                    let (scene, ended) = (&scene, &ended);
                    threads.spawn(move || {
                        let (mut shown, mut refused) = (Vec::new(), 0);
                        let body = json!({"kind": "mcp", "name": "in the middle"});
                        while refused == 0 {
                            let answer = scene.call(&scene.admin, "POST", "/v1/tokens", Some(&body));
                            match answer.status {
                                201 => shown.push(answer.json()["id"].as_str().unwrap().to_owned()),
                                503 => refused += 1,
                                status => panic!("{status}"),
                            }
                        }
                        ended.fetch_add(1, Ordering::Relaxed);
                        (shown, refused)
                    })
                })
                .collect();
            thread::sleep(std::time::Duration::from_millis(200));
            postgres.kill();
            for minted in minting {
                let (ids, times) = minted.join().unwrap();
                shown.extend(ids);
                refused += times;
            }
        });
        postgres.start_again();
        // What is kept is what was shown, as soon as the database is back.
        let listed = || -> Option<BTreeSet<String>> {
            let mut ids = BTreeSet::new();
            let mut after = String::new();
            loop {
                let path = format!("/v1/tokens?kind=mcp&limit=1000{after}");
                let answer = scene.call(&scene.admin, "GET", &path, None);
                let page = (answer.status == 200).then(|| answer.json())?;
                let rows = page["tokens"].as_array().unwrap().iter();
                ids.extend(rows.map(|row| row["id"].as_str().unwrap().to_owned()));
                match page["next"].as_str() {
                    Some(next) => after = format!("&after={next}"),
                    None => break,
                }
            }
            ids.remove("foreign");
            Some(ids)
        };
        scene.until(|| (listed()? == shown).then_some(()));
    }
    assert!(refused >= 12 && !shown.is_empty(), "{refused} {}", shown.len());
}
