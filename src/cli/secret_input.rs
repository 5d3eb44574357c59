//! Secrets that come in: from a file or from standard input, never as an argument, which other users of a machine see.

use std::{
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
}

impl SecretInput {
    /// Reads all of it. `what` is told to whoever sits at a terminal.
    fn read(&self, what: &str) -> Result<SecretText, CommandError> {
        let mut text = String::new();
        let (path, read) = match &self.file {
            Some(path) => {
                let reading =
                    File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
                (path.display().to_string(), reading)
            }
            None => {
                let input = io::stdin().lock();
                if input.is_terminal() {
                    let _ = writeln!(io::stderr(), "reading {what} from standard input; Ctrl-D ends it");
                }
                ("standard input".to_owned(), input.take(LONGEST + 1).read_to_string(&mut text))
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

    /// Reads a secret of one line. An end of line behind it is no part of it.
    ///
    /// # Errors
    /// What cannot be read, and what is empty or has several lines.
    pub(super) fn line(&self, what: &str) -> Result<SecretText, CommandError> {
        let text = self.read(what)?;
        let line = text.expose();
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() || line.contains(['\n', '\r']) {
            return Err(CommandError::Usage(format!("write {what}, on one line")));
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
            return Err(CommandError::Usage("write headers, one \"Name: value\" a line".to_owned()));
        }
        Ok(headers)
    }
}
