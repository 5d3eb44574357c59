//! `regate audit verify`.

use std::{
    fs::{self, OpenOptions},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    audit::verify::{Misfit, NotedHeads, Verified, VerifyProgress, verify},
    cli::{
        exit::{CommandError, Exit},
        printable::printable,
        rows::write_object,
        store::{Access, StoreArguments, described},
    },
    store::decisions::ChainPlace,
    types::{Clock, SystemClock},
};

/// Verify that no record of the decision log was changed, taken out or put in
///
/// Each record has a hash over its text, its number and the hash before it. All of them are made again, from the oldest
/// record that retention left to the newest, and the first that does not fit is named. What serve writes meanwhile does
/// no harm.
///
/// Who can write to the database can also make the whole chain anew. To find that, note its end now and then, in a file
/// where they cannot write, such as on another machine:
///
///     regate audit verify --heads /srv/regate-heads --note
///
/// Each time, all ends that were noted before must still be in the chain.
///
/// Exit code 0: all fits; 2: a record does not, and is named; 1: it could not be verified.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Verify {
    /// Ends of the chain that were noted before, lines of SEQUENCE HASH
    #[arg(long, value_name = "FILE")]
    heads: Option<PathBuf>,
    /// If all fits, note the end of the chain in the file of --heads, which is made when missing
    #[arg(long, requires = "heads")]
    note: bool,
    #[command(flatten)]
    store: StoreArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let heads = self.noted()?;
        let mut progress = Progress::default();
        let verified = self.store.run(Access::Read, async |store| {
            Ok(verify(store, &heads, &mut |step| progress.show(step)).await?)
        });
        progress.end();
        let verified = verified?;
        let noted = match (&self.heads, &verified.misfit) {
            (Some(path), None) if self.note => note(path, &verified.head)?,
            _ => false,
        };
        if self.json {
            write_object(&mut io::stdout().lock(), &fields(&verified, noted))?;
        } else {
            in_words(&verified, noted, &described(&self.store.configuration()?)?)?;
        }
        Ok(if verified.misfit.is_none() { Exit::Done } else { Exit::Failed })
    }

    fn noted(&self) -> Result<NotedHeads, CommandError> {
        let Some(path) = &self.heads else { return Ok(NotedHeads::default()) };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if self.note && error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(CommandError::Read { path: path.display().to_string(), source }),
        };
        NotedHeads::read(&text)
            .map_err(|error| CommandError::Refused(format!("--heads {}: {error}", path.display())))
    }
}

/// Adds a line to the file, unless the log is empty.
fn note(path: &Path, head: &ChainPlace) -> Result<bool, CommandError> {
    if head.sequence == 0 {
        return Ok(false);
    }
    let failed = |error| CommandError::Refused(format!("--heads {}: {error}", path.display()));
    let line = format!("{} {} {}\n", head.sequence, head.hash, SystemClock.now());
    let mut file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(true)
}

fn place(place: &ChainPlace) -> Value {
    json!({"sequence": place.sequence, "hash": place.hash})
}

fn fields(verified: &Verified, noted: bool) -> Vec<(&'static str, Value)> {
    let misfit = verified.misfit.as_ref().map(|misfit| {
        json!({
            "sequence": misfit.sequence,
            "decision_id": misfit.decision_id,
            "time": misfit.time.map(|time| time.to_string()),
            "code": misfit.wrong.code(),
            "problem": misfit.wrong.to_string(),
        })
    });
    vec![
        ("fits", verified.misfit.is_none().into()),
        ("records", verified.records.into()),
        ("head", place(&verified.head)),
        ("pruned", place(&verified.anchor)),
        ("pruned_at", json!(verified.pruned_at.map(|time| time.to_string()))),
        ("heads_compared", verified.noted.into()),
        ("heads_of_pruned", verified.noted_gone.into()),
        ("noted", noted.into()),
        ("misfit", json!(misfit)),
    ]
}

fn in_words(verified: &Verified, noted: bool, database: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    let Verified { records, anchor, head, .. } = verified;
    match records {
        0 if verified.misfit.is_none() && head.sequence == 0 => {}
        0 => writeln!(output, "no record fits")?,
        1 => writeln!(output, "1 record fits: {}", head.sequence)?,
        _ => writeln!(output, "{records} records fit, up to {}", head.sequence)?,
    }
    if anchor.sequence > 0 {
        let at = verified.pruned_at.map(|time| format!(", last at {time}")).unwrap_or_default();
        writeln!(output, "retention took away what came before: {} records{at}", anchor.sequence)?;
    }
    if verified.noted > 0 {
        writeln!(output, "ends that were noted before and are in the chain: {}", verified.noted)?;
    }
    if verified.noted_gone > 0 {
        writeln!(output, "ends that were noted of records that are gone now: {}", verified.noted_gone)?;
    }
    match &verified.misfit {
        Some(misfit) => write_misfit(&mut output, misfit),
        None if head.sequence == 0 => writeln!(output, "the decision log of {database} is empty"),
        None => {
            let was = if noted { ", which was noted" } else { "" };
            writeln!(output, "the end of the chain{was}: {} {}", head.sequence, printable(&head.hash))
        }
    }
}

fn write_misfit(output: &mut impl Write, misfit: &Misfit) -> io::Result<()> {
    let problem = misfit.wrong.to_string();
    writeln!(output, "record {} does not fit: {}", misfit.sequence, printable(&problem))?;
    if let Some(id) = &misfit.decision_id {
        writeln!(output, "  decision {}", printable(id))?;
    }
    if let Some(time) = misfit.time {
        writeln!(output, "  made at {time}")?;
    }
    Ok(())
}

/// A bar on a terminal; elsewhere a line now and then, for logs.
#[derive(Default)]
struct Progress {
    bar: Option<ProgressBar>,
    told: u64,
}

impl Progress {
    /// So many records pass between two lines.
    const STEP: u64 = 1_000_000;

    fn show(&mut self, step: VerifyProgress) {
        if !io::stderr().is_terminal() {
            if step.records >= self.told + Self::STEP {
                self.told = step.records;
                let _ = writeln!(io::stderr(), "{} of {} records", step.records, step.of);
            }
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(step.of);
            if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta}") {
                bar.set_style(style);
            }
            bar
        });
        bar.set_length(step.of);
        bar.set_position(step.records);
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
