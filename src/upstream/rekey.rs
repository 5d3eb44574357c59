//! All that is sealed, sealed anew with the key that seals now; and whether all keys that are needed are here.

use std::fmt;

use rand::CryptoRng;
use thiserror::Error;

use super::KeyRing;
use crate::{
    store::{
        StoreError,
        upstreams::{SealedPlace, UpstreamStore},
    },
    types::{KeyId, SealedFor},
};

/// Rows at a time.
const PAGE: u32 = 200;
/// How often all is looked through while others go on sealing with older keys.
const MOST_PASSES: u32 = 20;

/// What [`rekey`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RekeyReport {
    /// Secrets that were sealed anew.
    pub sealed_anew: u64,
    /// Where something stands that no key of ours opens, in the order of the places. It was left as it is.
    pub cannot_open: Vec<SealedPlace>,
    /// Secrets that other keys seal now, those that do not open among them.
    pub remaining: u64,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RekeyProgress {
    /// Secrets that were sealed anew.
    pub sealed_anew: u64,
    /// Secrets that do not open, so far in this pass.
    pub cannot_open: u64,
}

/// Seals anew what other keys sealed, while everything else goes on: what changes meanwhile stays as it is then, and is
/// looked at again. `progress` is called after each page.
///
/// # Errors
/// The store's. What was done until then is done; to do it again does the rest.
pub async fn rekey(
    store: &dyn UpstreamStore,
    keys: &KeyRing,
    random: &mut (impl CryptoRng + Send),
    progress: &mut (dyn FnMut(RekeyProgress) + Send),
) -> Result<RekeyReport, StoreError> {
    let mut report = RekeyReport::default();
    for _ in 0..MOST_PASSES {
        report.cannot_open.clear();
        let current = keys.sealing();
        let mut after = None;
        let mut tried = false;
        loop {
            let page = store.sealed_by_others(current, after.as_ref(), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            let mut rows = Vec::with_capacity(page.len());
            for (place, old) in page {
                match keys.unseal(sealed_for(&place), &old) {
                    Ok(plain) => {
                        let new = keys.seal(sealed_for(&place), &plain, random);
                        rows.push((place, old, new));
                    }
                    Err(_) => report.cannot_open.push(place),
                }
            }
            if !rows.is_empty() {
                tried = true;
                report.sealed_anew += store.reseal(&rows).await?;
            }
            let cannot_open = report.cannot_open.len() as u64;
            progress(RekeyProgress { sealed_anew: report.sealed_anew, cannot_open });
        }
        if !tried {
            break;
        }
    }
    let current = keys.sealing();
    let sealed = store.sealing_keys().await?;
    report.remaining = sealed.iter().filter(|(key, _)| *key != current).map(|(_, count)| count).sum();
    Ok(report)
}

fn sealed_for(place: &SealedPlace) -> SealedFor<'_> {
    match place {
        SealedPlace::Credential(key) => SealedFor::credential(&key.tenant, &key.upstream_id, &key.holder),
        SealedPlace::RefreshToken(key) => {
            SealedFor::refresh_token(&key.tenant, &key.upstream_id, &key.holder)
        }
        SealedPlace::ClientSecret { tenant, upstream_id } => SealedFor::ClientSecret { tenant, upstream_id },
        SealedPlace::CodeVerifier { tenant, flow_id } => SealedFor::CodeVerifier { tenant, flow_id },
    }
}

/// Keys that sealed something that is stored, and are not here: which, and how much each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingKeys(pub Vec<(KeyId, u64)>);

impl fmt::Display for MissingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (key, count)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            let secrets = if *count == 1 { "secret" } else { "secrets" };
            write!(f, "{comma}{key} ({count} {secrets})")?;
        }
        Ok(())
    }
}

/// Why the keys are not those that are needed.
#[derive(Debug, Error)]
pub enum WrongKeys {
    /// There are none.
    #[error(
        "credentials are stored that were sealed by {0}, and regate has no key: set `[credentials] key_file` to the \
         file that holds it"
    )]
    None(MissingKeys),
    /// Some are not there.
    #[error(
        "credentials are stored that were sealed by keys that `[credentials] key_file` does not hold: {0}. Add them \
         below its first line; `regate credentials rekey` then seals all with the first, and they can go"
    )]
    Missing(MissingKeys),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether each key is here that sealed something that is stored. To be asked at the start: a wrong key is an error
/// then, and not a credential that is missing later (systems.md C6).
///
/// # Errors
/// [`WrongKeys`].
pub async fn check_keys(store: &dyn UpstreamStore, keys: Option<&KeyRing>) -> Result<(), WrongKeys> {
    let mut sealed = store.sealing_keys().await?;
    sealed.retain(|(key, count)| *count > 0 && !keys.is_some_and(|keys| keys.knows(*key)));
    match (sealed.is_empty(), keys) {
        (true, _) => Ok(()),
        (false, None) => Err(WrongKeys::None(MissingKeys(sealed))),
        (false, Some(_)) => Err(WrongKeys::Missing(MissingKeys(sealed))),
    }
}
