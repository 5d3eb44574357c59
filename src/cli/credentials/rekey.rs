//! `regate credentials rekey`.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    time::Duration,
};

use clap::Args;
use serde_json::{Value, json};

use super::{
    check::no_key,
    row::{holder_object, of_holder},
};
use crate::{
    cli::{
        credential_work::KEY_FILE_INTERVAL,
        exit::{CommandError, Exit},
        printable::printable,
        rows::write_object,
        store::StoreArguments,
        store::{block_on, open_to_change, randomness},
    },
    store::upstreams::SealedPlace,
    types::{Clock, SystemClock},
    upstream::{self, RekeyProgress, RekeyReport},
};

/// How old the file of keys must be: processes that serve have read it by then, and seal with its first key as well.
const SETTLED: Duration = KEY_FILE_INTERVAL.saturating_mul(3);
/// Secrets between two lines of progress.
const PROGRESS_STEP: u64 = 10_000;

/// Seal everything anew with the first key of the file, while everything goes on
///
/// To change the key: put a new one (regate credentials new-key) above those in [credentials] key_file, which processes that
/// serve read again by themselves; run this; take the old keys away. It waits until the file is 3 s old, so that all
/// processes have read it. To run it again is harmless. Exit code 2 when something is left that other keys sealed.
#[derive(Debug, Args)]
pub(super) struct Rekey {
    #[command(flatten)]
    store: StoreArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Rekey {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let configuration = self.store.configuration()?;
        if let Some(path) = configuration.key_file()? {
            wait_until_settled(&path)?;
        }
        let Some(keys) = configuration.key_ring()? else {
            return Err(CommandError::Refused(no_key(&self.store)));
        };
        let mut random = randomness()?;
        let report = block_on(async {
            let store = open_to_change(&configuration).await?;
            let mut told = 0;
            let mut progress = |progress: RekeyProgress| {
                if progress.sealed_anew >= told + PROGRESS_STEP {
                    told = progress.sealed_anew;
                    let _ = writeln!(io::stderr(), "{told} secrets were sealed anew");
                }
            };
            let report = upstream::rekey(&*store, &keys, &mut random, &mut progress).await?;
            store.close().await;
            Ok(report)
        })?;
        let key = keys.sealing().to_string();
        if self.json {
            as_json(&key, &report)?
        } else {
            in_words(&key, &report)?
        }
        Ok(if report.remaining == 0 { Exit::Done } else { Exit::Failed })
    }
}

/// Waits until the file has not changed for long enough.
fn wait_until_settled(path: &Path) -> Result<(), CommandError> {
    loop {
        let failed = |source| CommandError::Read { path: path.display().to_string(), source };
        let changed = fs::metadata(path).map_err(failed)?;
        let changed = changed.ctime().saturating_mul(1_000).saturating_add(changed.ctime_nsec() / 1_000_000);
        let age = SystemClock.now().unix_millis().saturating_sub(changed);
        let left = i64::try_from(SETTLED.as_millis()).unwrap_or(i64::MAX).saturating_sub(age);
        // A file from the future is as old as it will be.
        let Ok(left) = u64::try_from(left) else { return Ok(()) };
        if left == 0 || age < 0 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(left));
    }
}

fn as_json(key: &str, report: &RekeyReport) -> io::Result<()> {
    let places: Vec<Value> = report.cannot_open.iter().map(place_object).collect();
    let fields = [
        ("key", json!(key)),
        ("sealed_anew", json!(report.sealed_anew)),
        ("cannot_open", json!(places)),
        ("remaining", json!(report.remaining)),
    ];
    write_object(&mut io::stdout().lock(), &fields)
}

fn in_words(key: &str, report: &RekeyReport) -> io::Result<()> {
    let mut output = io::stdout().lock();
    for place in &report.cannot_open {
        writeln!(output, "does not open, and stays as it is: {}", printable(&place_words(place)))?;
    }
    let RekeyReport { sealed_anew, remaining, .. } = report;
    let secrets = if *sealed_anew == 1 { "secret was" } else { "secrets were" };
    writeln!(
        output,
        "{sealed_anew} {secrets} sealed anew with {key}; {remaining} left that other keys sealed"
    )?;
    if *remaining == 0 {
        writeln!(output, "the other keys may be taken out of the file")?;
    }
    Ok(())
}

fn place_words(place: &SealedPlace) -> String {
    match place {
        SealedPlace::Credential(key) | SealedPlace::RefreshToken(key) => {
            let what =
                if matches!(place, SealedPlace::Credential(_)) { "credential" } else { "refresh token" };
            format!("the {} for {} in {}", of_holder(what, &key.holder), key.upstream_id, key.tenant)
        }
        SealedPlace::ClientSecret { tenant, upstream_id } => {
            format!("the client secret for {upstream_id} in {tenant}")
        }
        SealedPlace::CodeVerifier { tenant, .. } => format!("the proof of a consent flow in {tenant}"),
    }
}

fn place_object(place: &SealedPlace) -> Value {
    match place {
        SealedPlace::Credential(key) | SealedPlace::RefreshToken(key) => {
            let what =
                if matches!(place, SealedPlace::Credential(_)) { "credential" } else { "refresh_token" };
            json!({
                "what": what, "tenant": key.tenant.as_str(), "upstream_id": key.upstream_id,
                "holder": holder_object(&key.holder),
            })
        }
        SealedPlace::ClientSecret { tenant, upstream_id } => {
            json!({"what": "client_secret", "tenant": tenant.as_str(), "upstream_id": upstream_id})
        }
        SealedPlace::CodeVerifier { tenant, .. } => {
            json!({"what": "code_verifier", "tenant": tenant.as_str()})
        }
    }
}
