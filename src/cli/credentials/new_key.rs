//! `regate credentials new-key`.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use clap::Args;

use crate::{
    cli::{
        exit::{CommandError, Exit},
        store::randomness,
    },
    upstream::KeyRing,
};

/// Make a key that seals upstream credentials, as a line for the file of keys
///
/// The first key of [credentials] key_file seals, all of them open. The first file:
///   regate credentials new-key --output /etc/regate/keys
/// Another key, some day: put its line above the others, then regate credentials rekey, then take the others away.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct NewKey {
    /// Write a new file that its owner alone may read (mode 0600), in place of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl NewKey {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let key = KeyRing::generate(&mut randomness()?);
        let Some(path) = &self.output else {
            writeln!(io::stdout(), "{}", key.expose())?;
            return Ok(Exit::Done);
        };
        let failed = |error: io::Error| {
            let path = path.display();
            CommandError::Refused(match error.kind() {
                // A key that is overwritten is lost, and all that it sealed.
                io::ErrorKind::AlreadyExists => {
                    format!(
                        "{path} is there already: nothing was written; print the key and put it above the others"
                    )
                }
                _ => format!("{path} cannot be written: {error}"),
            })
        };
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = opened.map_err(failed)?;
        file.write_all(format!("{}\n", key.expose()).as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        writeln!(
            io::stdout(),
            "a new key is in {}: keep a copy of it where the database's are not",
            path.display()
        )?;
        Ok(Exit::Done)
    }
}
