//! `regate credentials check`.

use std::io::{self, Write};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    cli::{
        exit::{CommandError, Exit},
        rows::write_object,
        store::{Access, StoreArguments},
    },
    types::KeyId,
    upstream::{CredentialError, KeyRing},
};

/// Tell which keys sealed what is stored, and whether they are all configured
///
/// Exit code 2 when one is missing: regate serve does not start then. A key that seals nothing any more may be taken out
/// of the file.
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    store: StoreArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let keys = self.store.configuration()?.key_ring()?;
        let sealed = self.store.run(Access::Read, async |store| Ok(store.sealing_keys().await?))?;
        let knows = |key: KeyId| keys.as_ref().is_some_and(|keys| keys.knows(key));
        let sealing = keys.as_deref().map(KeyRing::sealing);
        let missing = sealed.iter().filter(|(key, _)| !knows(*key)).count();
        let mut output = io::stdout().lock();
        if self.json {
            let used: Vec<Value> = sealed
                .iter()
                .map(|(key, count)| json!({"key": key.to_string(), "secrets": count, "configured": knows(*key)}))
                .collect();
            let fields = [("sealing", json!(sealing.map(|key| key.to_string()))), ("used", json!(used))];
            write_object(&mut output, &fields)?;
        } else {
            match sealing {
                Some(key) => writeln!(output, "{key} seals")?,
                None => writeln!(output, "{}", no_key(&self.store))?,
            }
            for (key, count) in &sealed {
                let secrets = if *count == 1 { "secret" } else { "secrets" };
                let configured = if knows(*key) { "configured" } else { "MISSING" };
                writeln!(output, "{key} sealed {count} {secrets}: {configured}")?;
            }
            if sealed.is_empty() {
                writeln!(output, "nothing is sealed")?;
            }
        }
        Ok(if missing == 0 { Exit::Done } else { Exit::Failed })
    }
}

/// That no key is configured, and where one would be: in the words for who would seal something.
pub(in crate::cli) fn no_key(store: &StoreArguments) -> String {
    let missing = CredentialError::NoKey;
    if store.config.is_some() {
        missing.to_string()
    } else {
        format!("no configuration was given, and {missing}")
    }
}
