//! Secrets that come in: from a file or from standard input, never as an argument, which other users of a machine see.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, IsTerminal, Read, Write},
    path::PathBuf,
};

use clap::Args;

use super::exit::CommandError;
use crate::types::SecretText;

/// Longer texts are no secret that goes on.
const LONGEST: u64 = 1024 * 1024;

/// Where a secret is read from.
#[derive(Clone, Debug, Args)]
pub(super) struct SecretInput {
    /// Read it from this file; left out: from standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where people type the secret, who are then told better.
    #[arg(hide = true, value_name = "SECRET")]
    misplaced: Vec<OsString>,
}

impl SecretInput {
    /// Refuses a secret that was given as an argument, and does not repeat it.
    ///
    /// # Errors
    /// [`CommandError::Usage`], which says what to do about it.
    pub(super) fn refuse_argument(&self) -> Result<(), CommandError> {
        if self.misplaced.is_empty() {
            return Ok(());
        }
        Err(CommandError::Usage(
            "a secret is not an argument: other users of this machine see arguments, and a shell keeps them; give it by \
             --file or on standard input, and change the one that you typed at its issuer"
                .to_owned(),
        ))
    }

    /// Reads all of it. `what` is told to whoever sits at a terminal.
    fn read(&self, what: &str) -> Result<SecretText, CommandError> {
        let mut text = String::new();
        let path = self.place();
        let read = match &self.file {
            Some(path) => File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text)),
            None => {
                let input = io::stdin().lock();
                if input.is_terminal() {
                    let _ = writeln!(io::stderr(), "reading {what} from standard input; Ctrl-D ends it");
                }
                input.take(LONGEST + 1).read_to_string(&mut text)
            }
        };
        let text = SecretText::new(text);
        match read {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(CommandError::Usage(format!("{path}: that is no text")))
            }
            Err(source) => Err(CommandError::Read { path, source }),
            Ok(_) if text.expose().len() as u64 > LONGEST => {
                Err(CommandError::Usage(format!("{path}: that is too long for {what}")))
            }
            Ok(_) => Ok(text),
        }
    }

    /// Where it is read from, in words.
    fn place(&self) -> String {
        self.file.as_ref().map_or_else(|| "standard input".to_owned(), |path| path.display().to_string())
    }

    /// Reads a secret of one line. An end of line behind it is no part of it.
    ///
    /// # Errors
    /// What cannot be read, and what is empty or has several lines.
    pub(super) fn line(&self, what: &str) -> Result<SecretText, CommandError> {
        let text = self.read(what)?;
        let line = text.expose();
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.trim().is_empty() {
            return Err(CommandError::Usage(format!(
                "{} is empty: write {what} there, on one line",
                self.place()
            )));
        }
        if line.contains(['\n', '\r']) {
            let place = self.place();
            return Err(CommandError::Usage(format!(
                "{place} has several lines: write {what} there, on one line"
            )));
        }
        if line.starts_with([' ', '\t']) || line.ends_with([' ', '\t']) {
            let text = format!("{what} begins or ends with a space: leave the space away");
            return Err(CommandError::Usage(text));
        }
        Ok(SecretText::new(line.to_owned()))
    }

    /// Reads values of headers, one `Name: value` a line.
    ///
    /// # Errors
    /// What cannot be read, and which line is no header.
    pub(super) fn headers(&self) -> Result<Vec<(String, SecretText)>, CommandError> {
        let text = self.read("headers")?;
        let mut headers = Vec::new();
        for (place, line) in text.expose().lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let Some((name, value)) = line.split_once(':').filter(|(name, _)| !name.trim().is_empty()) else {
                let place = place + 1;
                return Err(CommandError::Usage(format!("line {place} is no header: write \"Name: value\"")));
            };
            headers.push((name.trim().to_owned(), SecretText::new(value.trim().to_owned())));
        }
        if headers.is_empty() {
            let text = format!("{} is empty: write headers there, one \"Name: value\" a line", self.place());
            return Err(CommandError::Usage(text));
        }
        Ok(headers)
    }
}
