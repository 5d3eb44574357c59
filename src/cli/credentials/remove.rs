//! `regate credentials remove`.

use clap::Args;

use super::{
    place::Place,
    row::{ShownCredential, of_holder},
};
use crate::cli::{
    exit::{CommandError, Exit},
    printable::as_name,
    rows::{self, Shown},
    store::Access,
};

/// Remove an upstream credential, and before it its consent flows: a late one does not bring it back
#[derive(Debug, Args)]
pub(super) struct Remove {
    #[command(flatten)]
    place: Place,
}

impl Remove {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let (place, key) = (&self.place, self.place.key()?);
        let revision = place.store.run(Access::Change, async |store| {
            let removing = store.remove_credential(&key);
            removing.await.map_err(|error| place.explain("nothing was removed", error))
        })?;
        let what =
            format!("{} for {}", of_holder(ShownCredential::NOUN, &key.holder), as_name(&key.upstream_id));
        rows::write_removed(&what, revision, place.json)?;
        Ok(Exit::Done)
    }
}
