//! Caddy, as `examples/caddy/Caddyfile` configures it.

use super::{
    expectations::{self, Edge},
    scene::{Stage, get, silent, through},
};
use crate::harness::caddy::Caddy;

const EXAMPLE: &str = include_str!("../../examples/caddy/Caddyfile");

/// The example with the addresses of a test in it.
fn start(stage: &Stage, regate: &str, parameters: &str, change: impl Fn(String) -> String) -> Caddy {
    let caddyfile = |port: u16| {
        let text = EXAMPLE
            .replace("http://:8080 {", &format!("http://:{port} {{"))
            .replace("127.0.0.1:8181", regate)
            .replace("127.0.0.1:9000", &stage.upstream.address)
            .replace("upstream=-", parameters);
        change(text)
    };
    Caddy::start(caddyfile, &[("GATEWAY_TOKEN", &stage.gateway_token)])
}

fn asking(stage: &Stage, parameters: &str) -> Caddy {
    start(stage, &stage.regate_address(), parameters, |text| text)
}

/// Also takes over `X-Api-Key`.
fn with_api_key(stage: &Stage) -> Caddy {
    start(stage, &stage.regate_address(), "upstream=gitlab&headers=authorization,x-api-key", |text| {
        text.replace("copy_headers Authorization", "copy_headers Authorization X-Api-Key").replace(
            "request_header @no_authorization -Authorization",
            "request_header @no_authorization -Authorization
		@no_key not vars_regexp {http.reverse_proxy.header.X-Api-Key} ^[^<]
		request_header @no_key -X-Api-Key",
        )
    })
}

#[test]
fn what_caddy_asks_is_what_goes_on() {
    let mut stage = Stage::new();
    let none = asking(&stage, "upstream=-");
    let github = asking(&stage, "upstream=github");
    let gitlab = with_api_key(&stage);
    let addresses = [&none, &github, &gitlab].map(Caddy::address);
    let edge = Edge { none: &addresses[0], github: &addresses[1], gitlab: &addresses[2] };
    expectations::callers_are_judged(&stage, &edge);
    expectations::bodies_go_on(&stage, &edge);
    expectations::nothing_is_tunnelled(&stage, &edge);
    expectations::credentials_are_swapped(&stage, &edge);
    expectations::what_is_smuggled_is_gone(&stage, &edge);
    expectations::clients_describe_nothing(&stage, &edge);
    expectations::paths_have_one_reading(&stage, &edge);

    // Methods are told apart behind, and not by the rules.
    assert_eq!(through(edge.none, Some(&stage.global), "get", "/api/v1/projects/p1", &[], b"").status, 400);
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "h2c")];
    assert_eq!(get(edge.none, Some(&stage.global), "/api/v1/projects/p1", &upgrade).status, 400);
    stage.assert_nothing_arrived();
    let denied = get(edge.none, Some(&stage.global), "/api/v1/projects/p2", &[]);
    assert_eq!(denied.json()["reason"], "global_token.not_a_collaborator");
    stage.stop_regate();
    expectations::nobody_is_let_through(&stage, edge.none);
    expectations::nobody_is_let_through(&stage, edge.github);
    let logs = [none.running.log(), github.running.log(), gitlab.running.log()].concat();
    let secrets = [&stage.gateway_token, &stage.global, "upstream-secret"];
    assert!(!secrets.iter().any(|secret| logs.contains(*secret)), "a secret in Caddy's log");
}

#[test]
fn a_regate_that_hangs_or_does_not_know_this_caddy_denies() {
    let stage = Stage::new();
    let (_held, address) = silent();
    let hanging = start(&stage, &address, "upstream=-", |text| text);
    expectations::nobody_is_let_through(&stage, &hanging.address());
    let forgotten = start(&stage, &stage.regate_address(), "upstream=-", |text| {
        text.replace("header_up X-Regate-Gateway-Token {$GATEWAY_TOKEN}", "")
    });
    expectations::nobody_is_let_through(&stage, &forgotten.address());
    // A URL without a query of its own would take the client's: it asks nothing that regate answers.
    let open = start(&stage, &stage.regate_address(), "upstream=-", |text| text.replace("?upstream=-", ""));
    expectations::nobody_is_let_through(&stage, &open.address());
}

#[test]
fn a_caddy_that_copies_nothing_still_takes_the_callers_token_away() {
    // What some versions leave standing stands here in any of them: nothing takes its place.
    let stage = Stage::new();
    let without = |lines: &[&str]| {
        let change = |text: String| lines.iter().fold(text, |text, line| text.replace(line, ""));
        let caddy = start(&stage, &stage.regate_address(), "upstream=-", change);
        assert_eq!(get(&caddy.address(), Some(&stage.global), "/api/v1/projects/p1", &[]).status, 200);
        stage.upstream.take_one().all("authorization").len()
    };
    let (copies, removes) = ("copy_headers Authorization", "request_header @no_authorization -Authorization");
    assert_eq!(without(&[copies]), 0);
    // So it is this line that does it.
    assert_eq!(without(&[copies, removes]), 1);
}
