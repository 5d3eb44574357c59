//! Searches: exactly what the single call permits, page by page, within bounds.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::scene::{Scene, evaluation, import, message, with};

const SUBJECT: &str = "/access/v1/search/subject";
const RESOURCE: &str = "/access/v1/search/resource";
const ACTION: &str = "/access/v1/search/action";

fn ids(answer: &Value, field: &str) -> Vec<String> {
    let results = answer["results"].as_array().unwrap();
    results.iter().map(|result| result[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_found_is_exactly_what_is_permitted() {
    let scene = Scene::new("", &[]);
    let permitted = |subject: &str, action: &str, resource: &str| {
        scene.ask("/access/v1/evaluation", &evaluation(subject, action, resource))["decision"] == true
    };
    let users = ["nobody", "off", "u1", "u2", "u3"];
    let projects = ["none", "open", "p1", "p2", "p9"];
    let actions = ["administer", "delete", "read", "remove", "write"];
    let only = |all: &[&str], may: &dyn Fn(&str) -> bool| -> Vec<String> {
        all.iter().filter(|one| may(one)).map(|one| (*one).to_owned()).collect()
    };
    for action in actions {
        for project in projects {
            let found = ids(&scene.ask(SUBJECT, &evaluation("ignored", action, project)), "id");
            assert_eq!(found, only(&users, &|user| permitted(user, action, project)), "{action} {project}");
        }
        for user in users {
            let found = ids(&scene.ask(RESOURCE, &evaluation(user, action, "ignored")), "id");
            assert_eq!(
                found,
                only(&projects, &|project| permitted(user, action, project)),
                "{user} {action}"
            );
        }
    }
    for user in users {
        for project in projects {
            let found = ids(&scene.ask(ACTION, &evaluation(user, "ignored", project)), "name");
            assert_eq!(found, only(&actions, &|action| permitted(user, action, project)), "{user} {project}");
        }
    }
}

#[test]
fn what_nobody_knows_finds_nothing() {
    let scene = Scene::new("", &[]);
    let nothing = json!({"results": []});
    for (path, part, value) in [
        (SUBJECT, "subject", json!({"type": "spaceship"})),
        (SUBJECT, "resource", json!({"type": "spaceship", "id": "p1"})),
        (SUBJECT, "action", json!({"name": "fly"})),
        (RESOURCE, "resource", json!({"type": "spaceship"})),
        (RESOURCE, "subject", json!({"type": "spaceship", "id": "u1"})),
        (ACTION, "subject", json!({"type": "user", "id": "nobody"})),
        (ACTION, "resource", json!({"type": "spaceship", "id": "p1"})),
    ] {
        let asked = with(evaluation("u1", "read", "p1"), &json!({part: value}));
        assert_eq!(scene.ask(path, &asked), nothing, "{path} {asked}");
    }
}

#[test]
fn what_is_searched_has_a_type_and_the_rest_is_whole() {
    let scene = Scene::new("", &[]);
    let asked = evaluation("u1", "read", "p1");
    for (path, part, value, expected) in [
        (SUBJECT, "subject", json!({}), "subject.type: it is missing"),
        (SUBJECT, "resource", json!({"type": "project"}), "resource.id: it is missing"),
        (SUBJECT, "action", json!({}), "action.name: it is missing"),
        (RESOURCE, "resource", json!("p1"), "resource: it has to be an object"),
        (RESOURCE, "subject", json!({"type": "user"}), "subject.id: it is missing"),
        (ACTION, "subject", json!({"type": "user"}), "subject.id: it is missing"),
        (ACTION, "resource", json!({"type": "project"}), "resource.id: it is missing"),
        (SUBJECT, "page", json!(1), "page: it has to be an object"),
        (SUBJECT, "page", json!({"limit": -1}), "page.limit: it has to be a whole number, 1 or more"),
        (SUBJECT, "page", json!({"limit": 1.5}), "page.limit: it has to be a whole number, 1 or more"),
        (SUBJECT, "page", json!({"limit": "1"}), "page.limit: it has to be a whole number, 1 or more"),
        (SUBJECT, "page", json!({"token": 1}), "page.token: it has to be a text"),
    ] {
        let body = with(asked.clone(), &json!({part: value})).to_string();
        let answer = scene.post(path, &[], body.as_bytes());
        assert_eq!((answer.status, message(&answer)), (400, expected.to_owned()), "{body}");
    }
    // Of what is searched the id is not looked at, whatever it is.
    for id in [json!(1), Value::Null, json!("u3"), json!({})] {
        let mut body = asked.clone();
        body["subject"]["id"] = id;
        assert_eq!(ids(&scene.ask(SUBJECT, &body), "id"), ["u1", "u2"]);
    }
}

#[test]
fn a_page_says_where_it_goes_on() {
    let scene = Scene::new("", &[]);
    let asked = json!({
        "subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "project", "id": "open"},
    });
    let (mut found, mut token) = (Vec::new(), json!(""));
    loop {
        let page = json!({"page": {"limit": 1, "token": token}});
        let answer = scene.ask(SUBJECT, &with(asked.clone(), &page));
        assert_eq!(answer["page"]["count"], answer["results"].as_array().unwrap().len());
        found.extend(ids(&answer, "id"));
        token = answer["page"]["next_token"].clone();
        if token == "" {
            break;
        }
    }
    assert_eq!(found, ["u1", "u2", "u3"]);
    // A page of nothing would lead to itself for ever.
    let none = with(asked.clone(), &json!({"page": {"limit": 0}}));
    assert_eq!(scene.post(SUBJECT, &[], none.to_string().as_bytes()).status, 400);
    let all = scene.ask(SUBJECT, &with(asked.clone(), &json!({"page": {"limit": 9}})));
    assert_eq!(ids(&all, "id"), ["u1", "u2", "u3"]);
    assert_eq!(all["page"]["next_token"], "");
    // Whoever says nothing of pages and gets all of it hears nothing of them.
    assert!(scene.ask(SUBJECT, &asked).get("page").is_none());
}

#[test]
fn a_token_is_good_for_its_own_search_and_harmless() {
    let scene = Scene::new("", &[]);
    let asked = json!({
        "subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "project", "id": "p1"},
    });
    let first = scene.ask(SUBJECT, &with(asked.clone(), &json!({"page": {"limit": 1}})));
    assert_eq!(ids(&first, "id"), ["u1"]);
    let token = first["page"]["next_token"].as_str().unwrap();
    let page = |token: &str| json!({"page": {"token": token}});
    let go_on = |path: &str, asked: &Value, token: &str| {
        scene.post(path, &[], with(asked.clone(), &page(token)).to_string().as_bytes())
    };
    assert_eq!(ids(&go_on(SUBJECT, &asked, token).json(), "id"), ["u2"]);
    for more in [
        json!({"action": {"name": "write"}}),
        json!({"resource": {"type": "project", "id": "p2"}}),
        json!({"subject": {"type": "identity"}}),
        json!({"subject": {"type": "user", "properties": {"a": 1}}}),
        json!({"context": {"a": 1}}),
    ] {
        let answer = go_on(SUBJECT, &with(asked.clone(), &more), token);
        assert_eq!(answer.status, 400, "{more}");
        assert!(message(&answer).contains("page.token"));
    }
    let other = with(asked.clone(), &json!({"subject": {"type": "user", "id": "u1"}}));
    assert_eq!(go_on(RESOURCE, &other, token).status, 400);
    for token in ["x", "AAAA", "%%%", &token[4..], &format!("{token}="), &"A".repeat(10_000)] {
        assert_eq!(go_on(SUBJECT, &asked, token).status, 400, "{token}");
    }
    // One that is changed at its end goes on elsewhere in the same search: whoever is found there may.
    for end in ["A", "AA", "_w", "eg", "Li4v"] {
        let answer = go_on(SUBJECT, &asked, &format!("{}{end}", &token[..token.len() - 2]));
        if answer.status == 200 {
            let found = ids(&answer.json(), "id");
            assert!(found.iter().all(|id| id == "u1" || id == "u2"), "{found:?}");
        } else {
            assert_eq!(answer.status, 400);
        }
    }
}

#[test]
fn a_rule_that_fails_is_an_error_and_not_an_empty_page() {
    for rules in [
        "subjects := 1",
        "subjects := {1}",
        "subjects contains \"a\" if {\n\tsome i in numbers.range(0, 9999)\n\tsome j in numbers.range(0, 9999)\n\ti + j == 50000\n}",
    ] {
        let scene = Scene::with_policy(&format!("decision := true\n\n{rules}"), "");
        let answer =
            scene.post(SUBJECT, &[("x-request-id", "r1")], evaluation("u1", "a", "b").to_string().as_bytes());
        assert_eq!((answer.status, answer.header("x-request-id")), (500, Some("r1")), "{rules}");
        assert!(message(&answer).contains("what the search has to look at"));
        // It comes by a pipe of its own, and may be behind the answer.
        while !scene.serving.log().contains("names nothing that a search could look at") {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A candidate whose evaluation fails is none that is found.
#[test]
fn what_cannot_be_decided_is_not_found() {
    let rules = "decision := 1 if input.subject.id == \"u1\"\n\nelse := true\n\nsubjects := data.users";
    let scene = Scene::with_policy(rules, "");
    assert_eq!(ids(&scene.ask(SUBJECT, &evaluation("u1", "a", "b")), "id"), ["off", "u2", "u3"]);
}

#[test]
fn a_page_costs_no_more_than_it_may() {
    let rules = "decision if input.subject.id == \"u3\"\n\nelse := false\n\nsubjects := data.users";
    let scene = Scene::with_policy(rules, "[authzen]\nmax_page_evaluations = 2\n");
    let asked = evaluation("ignored", "a", "b");
    let first = scene.ask(SUBJECT, &asked);
    // `off` and `u1` were looked at, and are none.
    assert_eq!(first["results"], json!([]));
    let token = first["page"]["next_token"].as_str().unwrap();
    let second = scene.ask(SUBJECT, &with(asked.clone(), &json!({"page": {"token": token}})));
    assert_eq!((ids(&second, "id"), &second["page"]["next_token"]), (vec!["u3".to_owned()], &json!("")));
    let scene = Scene::with_policy(rules, "[authzen]\nmax_page_time = \"1ns\"\nmax_page_results = 1\n");
    let (mut pages, mut token) = (0, json!(""));
    let found = loop {
        let answer = scene.ask(SUBJECT, &with(asked.clone(), &json!({"page": {"token": token}})));
        pages += 1;
        token = answer["page"]["next_token"].clone();
        if token == "" {
            break ids(&answer, "id");
        }
    };
    // One evaluation each, whatever time it takes.
    assert_eq!((pages, found), (4, vec!["u3".to_owned()]));
}

/// Whoever searches a large organisation holds nobody up. Prints how long pages take.
#[test]
fn a_search_over_many_users_leaves_others_their_turn() {
    const USERS: usize = 100_000;
    let scene = Scene::new("[tokens]\n", &[]);
    let users: Vec<Value> = (0..USERS).map(|number| json!({"id": format!("m{number:06}")})).collect();
    import(scene.folder.path(), &json!({"users": users}));
    let asked = json!({
        "subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "project", "id": "open"},
        "page": {"limit": 1000},
    });
    let begun = Instant::now();
    // The import is another process's: it comes through the feed.
    while scene.ask(SUBJECT, &asked)["results"].as_array().unwrap().len() < 1_000 {
        assert!(begun.elapsed() < Duration::from_secs(120), "{}", scene.serving.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    let searching = AtomicBool::new(true);
    let (pages, found, slowest) = std::thread::scope(|scope| {
        let search = scope.spawn(|| {
            let (mut times, mut found, mut token) = (Vec::new(), 0, json!(""));
            loop {
                let mut asked = asked.clone();
                asked["page"]["token"] = token;
                let begun = Instant::now();
                let answer = scene.ask(SUBJECT, &asked);
                times.push(begun.elapsed());
                found += answer["results"].as_array().unwrap().len();
                token = answer["page"]["next_token"].clone();
                if token == "" {
                    break;
                }
            }
            searching.store(false, Ordering::Relaxed);
            (times, found)
        });
        let mut slowest = Duration::ZERO;
        while searching.load(Ordering::Relaxed) {
            let begun = Instant::now();
            scene.ask("/access/v1/evaluation", &evaluation("u1", "read", "p1"));
            slowest = slowest.max(begun.elapsed());
        }
        let (times, found) = search.join().unwrap();
        (times, found, slowest)
    });
    // All of them and the three, but for the one who is disabled.
    assert_eq!(found, USERS + 3);
    let slowest_page = pages.iter().max().unwrap();
    println!(
        "{} pages, the slowest {slowest_page:?}; the slowest evaluation meanwhile {slowest:?}",
        pages.len()
    );
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}
