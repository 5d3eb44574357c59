//! The names of metrics: those that the program shows, those in `docs/operating/metrics.md`, and those that the dashboard and the
//! alert rules use are the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    sync::LazyLock,
};

use regex::Regex;
use serde_json::{Value, json};

use super::{metrics, question};
use crate::{
    harness::{
        http::{exchange, request},
        program::Serving,
    },
    transport::certificates::Authority,
};

/// Labels of series that are not there yet, or only when something goes wrong, and those that Prometheus adds.
const OTHER_LABELS: &[&str] = &["why", "result", "job", "instance", "le"];

/// Names of families and their types, and the labels that any of them has.
struct Shown {
    types: BTreeMap<String, String>,
    labels: BTreeSet<String>,
}

/// All that a process shows in which everything is configured.
static SHOWN: LazyLock<Shown> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    Authority::new("ours").certify().write(folder.path());
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("keys", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n");
    write("shared", "0123456789012345678901234567890123456789");
    for secret in ["keys", "shared"] {
        fs::set_permissions(folder.path().join(secret), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let toml = r#"
        [http]
        listen = "unix:regate.sock"
        [tls]
        certificate = "certificate.pem"
        key = "key.pem"
        [credentials]
        key_file = "keys"
        [[issuers]]
        issuer = "i"
        audience = "a"
        shared_secret_file = "shared"
        [[documents]]
        path = "company.teams"
        query = "select 'red' as name"
        key = "name"
        [traces]
        otlp_endpoint = "http://127.0.0.1:1"
        [metrics]
        listen = "127.0.0.1:0"
    "#;
    write("regate.toml", toml);
    let socket = folder.path().join("regate.sock");
    let listen = format!("unix:{}", socket.display());
    let arguments = ["--demo", "--config", "regate.toml", "--listen", &listen];
    let serving = Serving::start(folder.path(), &arguments);
    let asked = question(json!({})).to_string();
    let message = request("localhost", "POST", "/v1/decide", &[], asked.as_bytes());
    assert_eq!(exchange(UnixStream::connect(&socket).unwrap(), &message).json()["allow"], true);
    read(&metrics(&serving.metrics_address()))
});

fn read(text: &str) -> Shown {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE regate_")?.split_once(' '));
    let label = Regex::new(r#"[{,]([a-z_]+)=""#).unwrap();
    Shown {
        types: types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect(),
        labels: label.captures_iter(text).map(|found| found[1].to_owned()).collect(),
    }
}

/// The names of a family's series.
fn series(name: &str, kind: &str) -> Vec<String> {
    let ends: &[&str] = match kind {
        "counter" => &["_total"],
        "histogram" => &["_bucket", "_sum", "_count"],
        _ => &[""],
    };
    ends.iter().map(|end| format!("regate_{name}{end}")).collect()
}

/// The names of all series that there are.
fn all_series() -> BTreeSet<String> {
    let shown = SHOWN.types.iter().map(|(name, kind)| (name.as_str(), kind.as_str()));
    shown.flat_map(|(name, kind)| series(name, kind)).collect()
}

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn the_page_names_every_metric_and_no_other() {
    let page = file("docs/operating/metrics.md");
    let rows = page.lines().filter(|line| line.starts_with("| `regate_"));
    let name = Regex::new(r"`(regate_[a-z_]+)").unwrap();
    let cells = rows.map(|row| row.split('|').nth(1).unwrap().to_owned()).collect::<String>();
    let named: BTreeSet<String> = name.captures_iter(&cells).map(|found| found[1].to_owned()).collect();
    // A histogram has one name there.
    let families = SHOWN.types.iter().map(|(name, kind)| (name.as_str(), kind.as_str()));
    let expected: BTreeSet<String> = families
        .map(
            |(name, kind)| {
                if kind == "counter" { format!("regate_{name}_total") } else { format!("regate_{name}") }
            },
        )
        .collect();
    let missing: Vec<_> = expected.difference(&named).collect();
    let unknown: Vec<_> = named.difference(&expected).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing: {missing:?}, unknown: {unknown:?}");
}

/// Every name of a series in a query is one, and so is every label.
fn check_query(query: &str, place: &str) {
    let all = all_series();
    let names = Regex::new(r"\bregate_[a-z_]+").unwrap();
    assert!(names.is_match(query) || query.contains("up{"), "{place} asks for nothing of regate's: {query}");
    for name in names.find_iter(query) {
        assert!(all.contains(name.as_str()), "{place}: nothing shows {}", name.as_str());
    }
    let groups = Regex::new(r"\b(?:by|without|on) *\(([^)]*)\)").unwrap();
    let matchers = Regex::new(r#"[{,] *([a-z_]+) *(?:=|!=|=~|!~)""#).unwrap();
    let grouped = groups
        .captures_iter(query)
        .flat_map(|found| found[1].split(',').map(|label| label.trim().to_owned()).collect::<Vec<_>>());
    for label in grouped.chain(matchers.captures_iter(query).map(|found| found[1].to_owned())) {
        let known = SHOWN.labels.contains(&label) || OTHER_LABELS.contains(&label.as_str());
        assert!(known, "{place}: nothing has a label {label}");
    }
    for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
        let count = |wanted| query.chars().filter(|c| *c == wanted).count();
        assert_eq!(count(open), count(close), "{place}: {query}");
    }
}

#[test]
fn alert_rules_use_what_is_shown() {
    let yaml = regorus::Value::from_yaml_str(&file("examples/prometheus/alerts.yaml")).unwrap();
    let rules: Value = serde_json::from_str(&yaml.to_json_str().unwrap()).unwrap();
    assert_eq!(rules.as_object().unwrap().keys().collect::<Vec<_>>(), ["groups"]);
    let time = Regex::new(r"^\d+[smh]$").unwrap();
    let mut names = BTreeSet::new();
    for group in rules["groups"].as_array().unwrap() {
        assert!(group["name"].is_string());
        for rule in group["rules"].as_array().unwrap() {
            let name = rule["alert"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} is there twice");
            let keys: BTreeSet<&str> = rule.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, BTreeSet::from(["alert", "annotations", "expr", "for", "labels"]), "{name}");
            assert!(time.is_match(rule["for"].as_str().unwrap()), "{name}");
            assert!(
                ["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()),
                "{name}"
            );
            for note in ["summary", "description"] {
                assert!(
                    rule["annotations"][note].as_str().is_some_and(|text| !text.is_empty()),
                    "{name}: {note}"
                );
            }
            check_query(rule["expr"].as_str().unwrap(), name);
        }
    }
    assert!(names.len() >= 10, "{names:?}");
}

#[test]
fn the_dashboard_uses_what_is_shown() {
    let dashboard: Value = serde_json::from_str(&file("examples/grafana/regate.json")).unwrap();
    assert!(dashboard["title"].is_string() && dashboard["schemaVersion"].is_u64());
    let mut ids = BTreeSet::new();
    let mut used = BTreeSet::new();
    let series = Regex::new(r"regate_[a-z_]+").unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        assert!(panel["gridPos"]["w"].as_u64().is_some_and(|width| width <= 24), "{title}");
        if panel["type"] == "row" {
            continue;
        }
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            check_query(query, title);
            used.extend(series.find_iter(query).map(|m| m.as_str().to_owned()));
        }
    }
    assert!(used.len() >= 20, "{used:?}");
}
