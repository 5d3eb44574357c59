//! nginx, as `examples/nginx/nginx.conf` configures it.

use super::{
    expectations::{self, Edge},
    scene::{Stage, get, silent},
};
use crate::harness::{http::raw, nginx::Nginx};

const EXAMPLE: &str = include_str!("../../examples/nginx/nginx.conf");

/// The example with the addresses of a test in it.
fn start(stage: &Stage, regate: &str, parameters: &str, change: impl Fn(String) -> String) -> Nginx {
    let token = format!("proxy_set_header X-Regate-Gateway-Token {};\n", stage.gateway_token);
    let configuration = |port: u16| {
        let text = EXAMPLE
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"))
            .replace("127.0.0.1:8181", regate)
            .replace("127.0.0.1:9000", &stage.upstream.address)
            .replace("worker_processes auto", "worker_processes 1")
            .replace("upstream=-", parameters);
        change(text)
    };
    Nginx::start(configuration, &[("gateway-token.conf", &token)])
}

fn asking(stage: &Stage, parameters: &str) -> Nginx {
    start(stage, &stage.regate_address(), parameters, |text| text)
}

/// Also takes over `X-Api-Key`.
fn with_api_key(stage: &Stage) -> Nginx {
    start(stage, &stage.regate_address(), "upstream=gitlab&headers=authorization,x-api-key", |text| {
        text.replace(
            "proxy_set_header Authorization $regate_authorization;",
            "auth_request_set $regate_api_key $upstream_http_x_api_key;
            proxy_set_header Authorization $regate_authorization;
            proxy_set_header X-Api-Key $regate_api_key;",
        )
    })
}

#[test]
fn what_nginx_asks_is_what_goes_on() {
    let mut stage = Stage::new();
    let none = asking(&stage, "upstream=-");
    let github = asking(&stage, "upstream=github");
    let gitlab = with_api_key(&stage);
    let addresses = [&none, &github, &gitlab].map(Nginx::address);
    let edge = Edge { none: &addresses[0], github: &addresses[1], gitlab: &addresses[2] };
    expectations::callers_are_judged(&stage, &edge);
    expectations::bodies_go_on(&stage, &edge);
    expectations::nothing_is_tunnelled(&stage, &edge);
    expectations::credentials_are_swapped(&stage, &edge);
    expectations::what_is_smuggled_is_gone(&stage, &edge);
    expectations::clients_describe_nothing(&stage, &edge);
    expectations::paths_have_one_reading(&stage, &edge);

    // What nginx would make a 500 of has its own status.
    let ambiguous = get(edge.none, Some(&stage.global), "/api/../x", &[]);
    assert_eq!((ambiguous.status, ambiguous.header("cache-control")), (400, Some("no-store")));
    assert_eq!(ambiguous.json()["allow"], false);
    // So has what is too many calls, with when to try again; a denial for another reason has no such header.
    let ask = || get(edge.none, Some(&stage.mcp), "/api/v1/mcp/projects/p1/artifacts", &[]);
    let too_many = (0..20).map(|_| ask()).find(|answer| answer.status == 429).unwrap();
    assert_eq!(too_many.header("x-regate-reason"), Some("rate_limit.exceeded"));
    assert!(too_many.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    assert_eq!(ambiguous.header("retry-after"), None);
    stage.upstream.take();
    // HTTP/1.0 need not name a host.
    let old = format!("GET /api/v1/projects/p1 HTTP/1.0\r\nAuthorization: Bearer {}\r\n\r\n", stage.global);
    assert_eq!(raw(edge.none, old.as_bytes()).status, 200);
    stage.upstream.take_one();

    stage.stop_regate();
    expectations::nobody_is_let_through(&stage, edge.none);
    expectations::nobody_is_let_through(&stage, edge.github);
    let logs = [none.running.log(), github.running.log(), gitlab.running.log()].concat();
    let secrets = [&stage.gateway_token, &stage.global, "upstream-secret"];
    assert!(!secrets.iter().any(|secret| logs.contains(*secret)), "a secret in nginx's log");
}

#[test]
fn a_regate_that_hangs_or_does_not_know_this_nginx_denies() {
    let stage = Stage::new();
    let (_held, address) = silent();
    let hanging = start(&stage, &address, "upstream=-", |text| text);
    expectations::nobody_is_let_through(&stage, &hanging.address());
    let forgotten = start(&stage, &stage.regate_address(), "upstream=-", |text| {
        text.replace("include gateway-token.conf;", "")
    });
    expectations::nobody_is_let_through(&stage, &forgotten.address());
    let own = [("X-Regate-Gateway-Token", stage.global.as_str())];
    assert_eq!(get(&forgotten.address(), Some(&stage.global), "/api/v1/projects/p1", &own).status, 403);
    // Without its place in the configuration, what regate wants set is set nowhere.
    let unnamed = asking(&stage, "upstream=gitlab");
    assert_eq!(get(&unnamed.address(), Some(&stage.global), "/api/v1/projects/p1", &[]).status, 403);
    stage.assert_nothing_arrived();
}
