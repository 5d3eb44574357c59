//! The policy folder is edited: good changes that must decide, and broken ones that must not.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;

use super::{
    Soak,
    client::{Client, client},
    model::Key,
    question::CLOSED,
    world::ADMIN,
};

/// A change takes no longer than this until it decides, or is refused.
const TAKEN_UP_WITHIN: Duration = Duration::from_secs(60);

/// A folder of policies, and one of their tests: the shipped ones, copied.
pub struct Folders {
    pub policies: PathBuf,
    pub tests: PathBuf,
}

impl Folders {
    pub fn copied_to(folder: &Path) -> Self {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let copied = |name: &str| {
            let (from, to) = (project.join(name), folder.join(name));
            for entry in walkdir::WalkDir::new(&from).into_iter().map(|entry| entry.expect("an entry")) {
                let to = to.join(entry.path().strip_prefix(&from).expect("below it"));
                if entry.file_type().is_dir() {
                    fs::create_dir_all(to).expect("a folder");
                } else {
                    fs::copy(entry.path(), to).expect("a copy");
                }
            }
            to
        };
        Self { policies: copied("policies"), tests: copied("policy-tests") }
    }
}

/// Rules that no request may ever be decided by: they do not compile, or fail their tests.
const BROKEN: [&str; 3] = [
    "package regate.overrides\n\ndeny contains \"soak.never\" if {\n",
    "package regate.overrides\n\ndeny contains \"soak.never\" if data.regate.request.project\n",
    // Whoever is no collaborator would read.
    "package regate.global_token\n\nreading := {\"allow\": true, \"reasons\": [\"soak.never\"]} if input.token\n",
];

fn closing() -> String {
    format!("package regate.overrides\n\ndeny contains \"{CLOSED}\" if \"archive\" in input.request.path\n")
}

/// Begins; it ends with the soak, with the policy as it was at the beginning.
pub fn begin(soak: &Arc<Soak>, policies: &Path) {
    tokio::spawn(edit(Arc::clone(soak), policies.join("soak.rego")));
}

async fn edit(soak: Arc<Soak>, file: PathBuf) {
    let mut random = StdRng::seed_from_u64(soak.seed ^ 3_000);
    let mut client = client(&soak);
    let mut good: Option<String> = None;
    while soak.goes_on() {
        pause(&soak, random.random_range(2_000..8_000)).await;
        if random.random() {
            let closes = good.is_none();
            good = closes.then(closing);
            soak.model.begin(Key::Closed, u8::from(closes));
            let reloads = random.random();
            write(&file, good.as_deref(), random.random());
            taken_up(&soak, &mut client, reloads).await;
            soak.model.settle(Key::Closed);
            soak.tally.count("policies", "good, in force");
        } else {
            let broken = BROKEN[random.random_range(0..BROKEN.len())];
            write(&file, Some(broken), random.random());
            until(&soak, &mut client, |policies| !policies["failure"].is_null()).await;
            pause(&soak, random.random_range(500..4_000)).await;
            write(&file, good.as_deref(), random.random());
            until(&soak, &mut client, |policies| policies["failure"].is_null()).await;
            soak.tally.count("policies", "broken, never in force");
        }
    }
}

async fn pause(soak: &Soak, milliseconds: u64) {
    let until = Instant::now() + Duration::from_millis(milliseconds);
    while soak.goes_on() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// As editors save, or in place.
fn write(file: &Path, text: Option<&str>, in_place: bool) {
    let written = match text {
        None => fs::remove_file(file),
        Some(text) if in_place => fs::write(file, text),
        Some(text) => {
            let new = file.with_extension("new");
            fs::write(&new, text).and_then(|()| fs::rename(&new, file))
        }
    };
    written.expect("a file of policies");
}

/// Waits until what is in the folder decides.
async fn taken_up(soak: &Soak, client: &mut Client, reloads: bool) {
    let begun = Instant::now();
    let holds = soak.model.latest(Key::Closed) == 1;
    let has = |policies: &Value| {
        let files = policies["active"]["files"].as_array();
        files.is_some_and(|files| files.iter().any(|file| file["name"] == "soak.rego"))
    };
    if reloads {
        // While the database is away, who asks for it is not known: then it comes by itself.
        let (asked, exchanged) =
            (Instant::now(), client.exchange("POST", "/v1/policies/reload", ADMIN, "").await);
        if let Ok((status, body)) = exchanged
            && status != 200
        {
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            soak.not_decided(status, &body, asked, Instant::now());
        }
    }
    until(soak, client, |policies| policies["failure"].is_null() && has(policies) == holds).await;
    soak.tally.delay("a saved policy until it decides", begun.elapsed());
}

/// Waits until `/v1/policies` says so.
async fn until(soak: &Soak, client: &mut Client, wanted: impl Fn(&Value) -> bool) {
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        if let Ok((status, body)) = client.exchange("GET", "/v1/policies", ADMIN, "").await {
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            if status != 200 {
                soak.not_decided(status, &body, asked, Instant::now());
            } else if wanted(&body) {
                return;
            }
        }
        if begun.elapsed() > TAKEN_UP_WITHIN && !soak.outages.overlap("Postgres", begun, asked) {
            soak.tally.fail("a change of the policy is not taken up".to_owned());
            return;
        }
        if !soak.goes_on_for(Duration::ZERO) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
