//! `regate audit` and `regate replay --from-log`, as their users run them.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use regate::{
    audit::{DecisionRecord, RecordedMcp, RecordedQuestion, RecordedRequest},
    store::{ConnectOptions, Store, import},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{at, id, record, ship};
use crate::harness::program::{REGATE, run, stderr, stdout};

/// A database with these records, and how it is named there.
struct Scene {
    folder: TempDir,
    store: Arc<dyn Store>,
}

const URL: [&str; 2] = ["--database-url", "sqlite://data.sqlite"];

impl Scene {
    async fn with(records: impl IntoIterator<Item = DecisionRecord<'static>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("data.sqlite").display());
        let store = regate::store::connect(&url, ConnectOptions::default()).await.unwrap();
        store.migrate().await.unwrap();
        ship(&store, records).await;
        Self { folder, store }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command over the database: exit code, what it printed, what it said.
    fn run(&self, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
        let output = run(self.path(), &[arguments, &URL].concat(), input);
        (output.status.code(), stdout(&output), stderr(&output))
    }

    fn verify(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let (code, report, errors) = self.run(&[&["audit", "verify", "--json"], arguments].concat(), "");
        (code, serde_json::from_str(&report).unwrap_or_else(|error| panic!("{error}: {report}{errors}")))
    }

    fn export(&self, arguments: &[&str]) -> Vec<Value> {
        let (code, lines, errors) = self.run(&[&["audit", "export"], arguments].concat(), "");
        assert_eq!(code, Some(0), "{errors}");
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    async fn execute(&self, sql: &'static str) {
        let url = format!("sqlite://{}", self.path().join("data.sqlite").display());
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        sqlx::raw_sql(sql).execute(&pool).await.unwrap();
        pool.close().await;
    }
}

fn sequences(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["sequence"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_tells_what_fits_and_names_what_does_not() {
    let scene = Scene::with((1..=12).map(record)).await;
    let (code, report, errors) = scene.run(&["audit", "verify"], "");
    assert_eq!(code, Some(0), "{errors}");
    assert!(report.starts_with("12 records fit, up to 12\nthe end of the chain: 12 "), "{report}");
    let (code, report) = scene.verify(&[]);
    assert_eq!((code, &report["fits"], &report["misfit"]), (Some(0), &json!(true), &json!(null)));
    assert_eq!((&report["records"], &report["head"]["sequence"]), (&json!(12), &json!(12)));

    scene.store.prune_decisions(at(4), 100, at(99)).await.unwrap();
    let (code, report, _) = scene.run(&["audit", "verify"], "");
    assert_eq!(code, Some(0));
    assert!(report.contains("retention took away what came before: 3 records, last at 2026-"), "{report}");

    scene.execute("update decisions set record = replace(record, '403', '200') where sequence = 6").await;
    let (code, report, errors) = scene.run(&["audit", "verify"], "");
    assert_eq!((code, errors.as_str()), (Some(2), ""), "a misfit is the result, and no error");
    assert!(report.contains("record 6 does not fit: its text was changed"), "{report}");
    assert!(report.contains(&id(6).to_string()) && report.contains("2026-11-22T09:00:06.000Z"), "{report}");
    let (code, report) = scene.verify(&[]);
    assert_eq!((code, &report["fits"], &report["records"]), (Some(2), &json!(false), &json!(2)));
    let misfit = &report["misfit"];
    assert_eq!((&misfit["sequence"], &misfit["code"]), (&json!(6), &json!("changed")));
    assert_eq!(misfit["decision_id"], id(6).to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_verified_is_no_misfit() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &[&["audit", "verify"], &URL[..]].concat(), "");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("there is no database"), "{}", stderr(&output));
    let scene = Scene::with([]).await;
    let (code, report, _) = scene.run(&["audit", "verify"], "");
    assert_eq!((code, report.contains("log of data.sqlite is empty")), (Some(0), true), "{report}");
    let (code, report, errors) = scene.run(&["audit", "export"], "");
    assert_eq!(
        (code, &*report, errors.contains("log of data.sqlite is empty")),
        (Some(0), "", true),
        "{errors}"
    );
    let (code, _, errors) = scene.run(&["replay", "--policies", "shipped", "--from-log"], "");
    assert_eq!((code, errors.contains("log of data.sqlite is empty")), (Some(1), true), "{errors}");
    for (heads, said) in [(None, "heads cannot be read"), (Some("1 2"), "line 1 is not a sequence")] {
        if let Some(heads) = heads {
            fs::write(scene.path().join("heads"), heads).unwrap();
        }
        let (code, _, errors) = scene.run(&["audit", "verify", "--heads", "heads"], "");
        assert_eq!((code, errors.contains(said)), (Some(1), true), "{errors}");
    }
    assert_eq!(scene.run(&["audit", "verify", "--note"], "").0, Some(64));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_noted_and_looked_for() {
    let scene = Scene::with((1..=5).map(record)).await;
    let noting = ["--heads", "heads", "--note"];
    assert_eq!(scene.verify(&noting).1["noted"], true);
    ship(&scene.store, (6..=9).map(record)).await;
    let (code, report) = scene.verify(&noting);
    assert_eq!((code, &report["heads_compared"]), (Some(0), &json!(1)));
    let heads = fs::read_to_string(scene.path().join("heads")).unwrap();
    assert_eq!(heads.lines().map(|line| &line[..2]).collect::<Vec<_>>(), ["5 ", "9 "]);
    // The chain is made anew: here, from nothing.
    scene
        .execute(
            "delete from decisions; delete from decision_log_spools; \
             update decision_log_head set (sequence, hash) = (select sequence, hash from decision_log_anchor)",
        )
        .await;
    ship(&scene.store, (2..=12).map(record)).await;
    assert_eq!(scene.verify(&[]).0, Some(0));
    let (code, report) = scene.verify(&noting);
    assert_eq!((code, &report["noted"]), (Some(2), &json!(false)));
    assert_eq!(
        (&report["misfit"]["code"], &report["misfit"]["sequence"]),
        (&json!("noted_otherwise"), &json!(5))
    );
    assert_eq!(fs::read_to_string(scene.path().join("heads")).unwrap(), heads);
}

#[tokio::test(flavor = "multi_thread")]
async fn export_writes_what_was_asked_for_oldest_first() {
    let mut other = record(8);
    other.tenant = "acme".into();
    let scene = Scene::with((1..=7).map(record).chain([other])).await;
    let lines = scene.export(&[]);
    assert_eq!(sequences(&lines), (1..=8).collect::<Vec<_>>());
    let mut first = record(1).to_json();
    first["sequence"] = json!(1);
    first["hash"] = lines[0]["hash"].clone();
    assert_eq!(lines[0], first);
    let time = |seconds: i64| at(seconds).to_string();
    for (arguments, expected) in [
        (vec!["--from", &*time(3), "--until", &*time(5)], vec![3, 4]),
        (vec!["--tenant", "acme"], vec![8]),
        (vec!["--after", "6"], vec![7, 8]),
        (vec!["--token", "t2"], vec![2]),
        (vec!["--project", "p1", "--user", "u1"], vec![1, 6]),
        (vec!["--reason", "global_token.not_a_collaborator"], vec![3, 6]),
        (vec!["--tenant", "nobody"], vec![]),
    ] {
        assert_eq!(sequences(&scene.export(&arguments)), expected, "{arguments:?}");
    }
    let (_, line, _) = scene.run(&["audit", "export", "--after", "7"], "");
    // What was hashed is the line without its place.
    let hash = lines[7]["hash"].as_str().unwrap();
    let text = line.trim_end().replacen(&format!("\"sequence\":8,\"hash\":\"{hash}\","), "", 1);
    assert_eq!(regate::audit::chain::link(lines[6]["hash"].as_str().unwrap(), 8, &text), hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn export_ends_quietly_when_nobody_reads_on() {
    let scene = Scene::with((1..=3_000).map(record)).await;
    let mut child = Command::new(REGATE)
        .args([&["audit", "export"], &URL[..]].concat())
        .current_dir(scene.path())
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

/// Allows to all tokens what `record` allows, and reading `/mcp` through an upstream.
const AS_RECORDED: &str = r#"package regate

default decision := {"allow": false, "reasons": ["global_token.not_a_collaborator"]}

decision := {"allow": true, "reasons": ["global_token.read"]} if input.token.id in {"t1", "t2"}
"#;

fn tokens() -> Value {
    let token = |id: String| {
        json!({"id": id, "kind": "global", "name": id, "user_id": "u1", "scope_pull": true,
               "sha256": regate::auth::hash(&id).to_string()})
    };
    json!({"users": [{"id": "u1"}], "upstreams": [{"id": "github", "url": "https://a.example", "allow_all": true}],
           "tokens": (0..7).map(|number| token(format!("t{number}"))).collect::<Vec<_>>()})
}

/// Two questions, of which the second would be denied now, and what was no question.
fn all_kinds() -> Vec<DecisionRecord<'static>> {
    let mut records: Vec<_> = (1..=6).map(record).collect();
    records[1].asked = RecordedQuestion::Request(RecordedRequest {
        method: "POST".into(),
        path: "/mcp?access_token=***".into(),
        host: Some("gateway.example".into()),
        headers: vec![("accept".into(), "application/json".into())],
        source_ip: Some("10.0.0.1".into()),
        upstream: Some("github".into()),
        mcp: vec![
            RecordedMcp { method: Some("tools/call".into()), tool: Some("search".into()) },
            RecordedMcp { method: Some("ping".into()), tool: None },
        ],
    });
    // One message alone has another form.
    records[0].asked = RecordedQuestion::Request(RecordedRequest {
        method: "POST".into(),
        path: "/mcp".into(),
        mcp: vec![RecordedMcp { method: Some("tools/call".into()), tool: Some("search".into()) }],
        ..RecordedRequest::default()
    });
    let request =
        RecordedRequest { method: "GET".into(), path: "/v1/tokens".into(), ..RecordedRequest::default() };
    records[2].asked = RecordedQuestion::Management { request, operation: "tokens.list".into() };
    records[4].asked = RecordedQuestion::Evaluation {
        subject: ("user".into(), "u1".into()),
        action: "read".into(),
        resource: ("project".into(), "p1".into()),
    };
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_exported_and_the_log_itself_are_replayed_alike() {
    let scene = Scene::with(all_kinds()).await;
    fs::create_dir(scene.path().join("new")).unwrap();
    fs::write(scene.path().join("new/policy.rego"), AS_RECORDED).unwrap();
    let document = import::check(&import::parse(tokens().to_string().as_bytes()).unwrap()).unwrap();
    scene.store.import(&document, &mut |_| {}).await.unwrap();

    let (code, exported, errors) = scene.run(&["audit", "export"], "");
    assert_eq!(code, Some(0), "{errors}");
    let replay = |input: &str, arguments: &[&str]| {
        let given = ["replay", "--policies", "new", "--format", "json"];
        let (code, report, errors) = scene.run(&[&given, arguments].concat(), input);
        let report: Value = serde_json::from_str(&report).unwrap_or_else(|_| panic!("{report}{errors}"));
        (code, report)
    };
    let (code, report) = replay(&exported, &["-"]);
    // t4 was allowed, and is not now.
    assert_eq!(
        (code, &report["allow_to_deny"], &report["compared"]),
        (Some(2), &json!(1), &json!(4)),
        "{report}"
    );
    assert_eq!(
        (&report["no_questions"], &report["unreadable"], &report["lines"]),
        (&json!(2), &json!(0), &json!(6))
    );
    assert_eq!((&report["allow_to_allow"], &report["deny_to_deny"]), (&json!(2), &json!(1)));
    assert_eq!(report["flips"][0]["decision_id"], id(4).to_string());

    let (code, mut from_log) = replay("", &["--from-log"]);
    assert_eq!(code, Some(2));
    assert_eq!(from_log["flips"][0]["line"], 4, "{from_log}");
    // The only difference is where a line is from.
    from_log["flips"][0]["file"] = report["flips"][0]["file"].clone();
    assert_eq!(from_log, report);
    let since = at(6).to_string();
    assert_eq!(replay("", &["--from-log", "--since", &since]).1["lines"], 1);
    // The records of the log, over other data than the database's.
    fs::write(scene.path().join("rows.json"), tokens().to_string()).unwrap();
    let (code, over_file) = replay("", &["--from-log", "--data", "rows.json"]);
    assert_eq!((code, &over_file["lines"], &over_file["compared"]), (Some(2), &json!(6), &json!(4)));
    let (code, _, errors) = scene.run(&["replay", "--policies", "new", "--from-log", "file"], "");
    assert_eq!(code, Some(64), "{errors}");
}
