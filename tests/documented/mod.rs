//! Every command of the documentation is run: each page by a shell of its own, in a temporary folder, from its first
//! command to its last, and what the page shows of the output is compared.
//!
//! What stands for what, which commands are not run and why: `rules.toml`. Files that a page takes for granted:
//! `before/`. A page is a line in `pages!` below.

mod blocks;
mod compare;
mod log_events;
mod rules;
mod shell;

use std::{fs, path::PathBuf};

use rules::Rules;

/// A test for each page with commands.
macro_rules! pages {
    ($($name:ident = $page:literal,)+) => {
        const PAGES: &[&str] = &[$($page),+];

        $(#[test]
        fn $name() {
            shell::run($page);
        })+
    };
}

pages! {
    readme = "README.md",
    contributing = "CONTRIBUTING.md",
    five_minutes = "docs/five-minutes.md",
    policies = "docs/policies.md",
    testing = "docs/testing.md",
    check = "docs/check.md",
    replay = "docs/replay.md",
    tokens = "docs/tokens.md",
    upstreams = "docs/upstreams.md",
    introspection = "docs/introspection.md",
    management = "docs/management.md",
    audit = "docs/audit.md",
    backup = "docs/operating/backup.md",
    upgrade = "docs/operating/upgrade.md",
    apisix = "docs/gateways/apisix.md",
    authzen = "docs/gateways/authzen.md",
    caddy = "docs/gateways/caddy.md",
    envoy = "docs/gateways/envoy.md",
    kong = "docs/gateways/kong.md",
    nginx = "docs/gateways/nginx.md",
    opa = "docs/gateways/opa.md",
    traefik = "docs/gateways/traefik.md",
    transport = "docs/gateways/transport.md",
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All pages, by their paths: the documentation, and what lies beside examples.
fn all_pages() -> Vec<String> {
    let mut pages: Vec<String> = Vec::new();
    for entry in walkdir::WalkDir::new(root()).sort_by_file_name().into_iter().filter_entry(|entry| {
        let name = entry.file_name().to_string_lossy();
        // What is built, and what other crates are built from.
        entry.depth() == 0 || !(name.starts_with('.') || name == "target" || name == "node_modules")
    }) {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        if path.ends_with(".md") && path != "CHANGELOG.md" {
            pages.push(path);
        }
    }
    pages
}

#[test]
fn every_command_is_run_or_said_not_to_be() {
    let rules = Rules::read();
    let mut with_commands = Vec::new();
    for page in all_pages() {
        let text = fs::read_to_string(root().join(&page)).unwrap();
        if !blocks::has_commands(&text) {
            continue;
        }
        let commands: Vec<String> =
            blocks::blocks(&text).into_iter().flat_map(|block| block.commands).collect();
        let run = commands.iter().filter(|command| rules.apply(&page, command).is_some()).count();
        // A page all of whose commands are on the list needs no test.
        if run > 0 {
            with_commands.push(page);
        }
    }
    let missing: Vec<_> = with_commands.iter().filter(|page| !PAGES.contains(&page.as_str())).collect();
    assert!(missing.is_empty(), "pages with commands that are neither run nor in rules.toml: {missing:?}");
    let empty: Vec<_> =
        PAGES.iter().filter(|page| !with_commands.iter().any(|other| other == *page)).collect();
    assert!(empty.is_empty(), "pages without commands that are run: {empty:?}");
    assert!(rules.unused().is_empty(), "rules.toml says what no page needs any more: {:?}", rules.unused());
    rules::check_before(&with_commands);
}
