//! `regate replay`: what a changed policy would have decided on recorded traffic.

mod data;
mod flip;
mod json;
mod limits;
mod lines;
mod log;
pub(super) mod moment;
mod pretty;
mod progress;
mod report;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};

use self::{
    data::DataArguments,
    flip::Flip,
    limits::Limits,
    lines::{Input, LONGEST_LINE, Line, Lines},
    log::LogLines,
    moment::{End, Window},
    progress::Progress,
    report::Report,
};
use super::{
    configuration::Configuration,
    exit::{CommandError, Exit},
    policies,
    printable::printable,
};
use crate::{
    api::{Asker, HttpBounds, Problem, read_record},
    auth::CredentialReader,
    decision::Bundle,
    policy::{
        PolicySource,
        replay::{self, Case, Tally},
    },
    types::{Clock, SystemClock, Timestamp},
};

/// Decide recorded questions again under another policy, and show what would be decided otherwise
///
/// FILE has one JSON object a line: a question as POST /v1/decide takes it, or a record of a
/// decision, {"question": …, "decision": …, "time": …}. The old answer is the recorded one; with
/// --against, the one that another policy gives over the same data. Shows each flip (allowed
/// before and denied now, or the other way round), counts answers and reasons, and says what could
/// not be decided or compared.
///
///     regate replay --policies ./new --data rows.json decisions.jsonl
///     regate replay --policies ./new --against ./old --explain questions.jsonl
///     regate replay --policies ./new --from-log --since 24h --database-url postgres://…
///
/// Records hold no credential: their callers are found by the id of the token, so give the data
/// that they were decided over, with --data or --database-url.
///
/// Exit code 0: no more flips than may be (--max-flips and others; none by default); 2: more; 1: it
/// could not be done, nothing was compared, or a line is no question; 3: the new policy is broken;
/// 64: wrong usage.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct Replay {
    /// Questions or records, one a line, such as regate audit export writes; - is standard input
    #[arg(value_name = "FILE", required_unless_present = "from_log", conflicts_with = "from_log")]
    files: Vec<PathBuf>,
    /// Read the decision log of the database (--database-url, or that of the configuration) in place of FILE
    #[arg(long)]
    from_log: bool,
    /// The new policy: a folder, or `shipped`, the policies that are built in
    #[arg(long, value_name = "NEW")]
    policies: PathBuf,
    /// Compare with the answers of this policy, a folder or `shipped`, instead of the recorded ones
    #[arg(long, value_name = "OLD")]
    against: Option<PathBuf>,
    #[command(flatten)]
    data: DataArguments,
    /// Only records that were decided since then: `24h` before now, or a time as in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = End::argument)]
    since: Option<End>,
    /// Only records that were decided before then
    #[arg(long, value_name = "TIME", value_parser = End::argument)]
    until: Option<End>,
    /// The moment of decision for what has no time of its own, as in RFC 3339 [default, for questions: now]
    #[arg(long, value_name = "TIME", value_parser = moment::argument)]
    now: Option<Timestamp>,
    #[command(flatten)]
    limits: Limits,
    /// Go on without an error when lines are no question
    #[arg(long)]
    skip_unreadable: bool,
    /// Also show why, rule by rule, for each flip that is shown
    #[arg(long)]
    explain: bool,
    /// How to print the report; jsonl is one flip a line, and the counts on standard error
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Pretty)]
    format: Format,
    /// So many flips, reasons and problems are shown by the pretty report; all are counted
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Pretty,
    /// One document.
    Json,
    /// One flip a line.
    Jsonl,
}

/// What was compared.
struct Origin {
    /// The new policy's name and revision.
    new: (String, String),
    /// The old one's, if it was asked.
    old: Option<(String, String)>,
    data_revision: u64,
}

/// A replay under way.
struct Run<'a> {
    arguments: &'a Replay,
    replay: replay::Replay,
    bounds: HttpBounds,
    window: Window,
    /// The moment at which this run began.
    now: Timestamp,
    tally: Tally,
    report: Report,
    progress: Progress,
}

impl Replay {
    /// Decides again, and prints what became of the answers.
    pub(in crate::cli) fn run(&self) -> Result<Exit, CommandError> {
        self.data.check(self.from_log)?;
        let configuration = self.data.configuration()?;
        let new = Arc::new(policies::compile_source(&source(&self.policies), &configuration, 1)?);
        let old = match &self.against {
            Some(against) => Some(Arc::new(old_policy(against, &configuration)?)),
            None => None,
        };
        let snapshot = self.data.load(&configuration, self.from_log)?;
        let replay = replay::Replay::new(new, old, configuration.decision_rules()?, snapshot);
        let origin = self.origin(&replay);
        let now = SystemClock.now();
        let mut run = Run {
            arguments: self,
            replay,
            // A file of one's own needs no protection from itself.
            bounds: HttpBounds { nesting: HttpBounds::DEEPEST_NESTING, ..configuration.bounds() },
            window: Window::new(self.since, self.until, now),
            now,
            tally: Tally::default(),
            report: Report::new(self.format, self.limit),
            progress: Progress::new(&self.files),
        };
        let input = self.input(&configuration, now)?;
        let done = run.all(input);
        run.progress.end();
        done?;
        if run.tally.lines == 0 {
            let what = match self.from_log {
                true => log::nothing(&configuration, self.since.or(self.until).is_some())?,
                false => "there is no line".to_owned(),
            };
            return Err(CommandError::Refused(format!("nothing was replayed: {what}")));
        }
        run.report.end(&run.tally, &origin)?;
        self.exit(&run.tally)
    }

    fn input(&self, configuration: &Configuration, now: Timestamp) -> Result<Input, CommandError> {
        if !self.from_log {
            return Ok(Input::Files(Lines::of(self.files.clone())));
        }
        let moment = |end: Option<End>| end.map(|end| end.moment(now));
        let lines = LogLines::open(configuration, moment(self.since), moment(self.until))?;
        Ok(Input::Log(Box::new(lines)))
    }

    fn origin(&self, replay: &replay::Replay) -> Origin {
        let (new, old) = replay.policy_revisions();
        let name = |path: &Path| source(path).describe();
        Origin {
            new: (name(&self.policies), new.as_str().to_owned()),
            old: self.against.as_ref().zip(old).map(|(path, old)| (name(path), old.as_str().to_owned())),
            data_revision: replay.data_revision().0,
        }
    }

    fn exit(&self, tally: &Tally) -> Result<Exit, CommandError> {
        let exceeded = self.limits.exceeded(tally);
        for limit in &exceeded {
            eprintln!("regate: {limit}");
        }
        if tally.unreadable > 0 && !self.skip_unreadable {
            let text = format!(
                "{} of {} lines could not be read (--skip-unreadable goes on without them)",
                tally.unreadable, tally.lines
            );
            return Err(CommandError::Refused(text));
        }
        if tally.compared_count() == 0 {
            // To CI that must not look like success.
            let text =
                "nothing was compared: no line was both selected and possible to decide and to compare";
            return Err(CommandError::Refused(text.to_owned()));
        }
        Ok(if exceeded.is_empty() { Exit::Done } else { Exit::Failed })
    }
}

impl Run<'_> {
    fn all(&mut self, mut lines: Input) -> Result<(), CommandError> {
        while lines.advance()? {
            self.tally.lines += 1;
            let result = match lines.line() {
                Line::Text(line) => self.one(line, lines.place())?,
                Line::TooLong => {
                    Err(Problem::Malformed(format!("the line is longer than {LONGEST_LINE} bytes")))
                }
            };
            if let Err(problem) = result {
                self.tally.unreadable += 1;
                self.complain(lines.place(), &problem);
            }
            self.progress.show(self.tally.lines, lines.bytes(), self.tally.flips());
        }
        Ok(())
    }

    /// Decides one line again. The inner error is the line's own.
    fn one(&mut self, line: &[u8], place: (&str, u64)) -> Result<Result<(), Problem>, CommandError> {
        let record = match read_record(line, &self.bounds) {
            Ok(Some(record)) => record,
            Ok(None) => {
                self.tally.no_questions += 1;
                return Ok(Ok(()));
            }
            Err(problem) => return Ok(Err(problem)),
        };
        // A JWT would have to be read with the keys of its time: here it is a token that nobody knows.
        let reader = CredentialReader::default();
        let question = match record.question.into_question(
            Asker::offline(record.gateway.as_ref()),
            &self.bounds,
            &reader,
        ) {
            Ok(question) => question,
            Err(problem) => return Ok(Err(problem)),
        };
        if !self.window.has(record.time) {
            self.tally.not_selected += 1;
            return Ok(Ok(()));
        }
        // What was answered was answered at some moment: only a question alone is asked now.
        let present = record.recorded.is_none().then_some(self.now);
        let now = record.time.or(self.arguments.now).or(present);
        let mut case = Case { question, now, recorded: record.recorded };
        let comparison = match self.replay.compare(&mut case) {
            Ok(comparison) => comparison,
            Err(why) => {
                self.tally.undecided(&why);
                return Ok(Ok(()));
            }
        };
        self.tally.compared(&comparison);
        if comparison.change().is_flip() && self.report.shows(self.tally.flips()) {
            let explained = match self.arguments.explain {
                true => self.replay.explain(&mut case),
                false => None,
            };
            let flip = Flip::new(place, case.now, &case.question, &comparison, explained.as_ref());
            let report = &mut self.report;
            self.progress.aside(|| report.flip(&flip))?;
        }
        Ok(Ok(()))
    }

    /// Says what is wrong with a line, unless it was said of many lines before.
    fn complain(&self, (file, line): (&str, u64), problem: &Problem) {
        let limit = self.arguments.limit as u64;
        self.progress.aside(|| match self.tally.unreadable {
            number if number <= limit => {
                // It names what stands in the line.
                eprintln!("regate: {file}:{line}: unreadable: {}", printable(&problem.to_string()));
            }
            number if number == limit + 1 => eprintln!("regate: … and more lines (--limit)"),
            _ => {}
        });
    }
}

/// A folder, or the policies that are built in. (A folder of that name is `./shipped`.)
fn source(path: &Path) -> PolicySource {
    match path.as_os_str() == "shipped" {
        true => PolicySource::Shipped,
        false => PolicySource::Paths(vec![path.to_owned()]),
    }
}

/// The policy to compare with. That it is broken is not the new policy's fault.
fn old_policy(path: &Path, configuration: &Configuration) -> Result<Bundle, CommandError> {
    policies::compile_source(&source(path), configuration, 1).map_err(|error| match error.exit() {
        Exit::BrokenPolicy => {
            CommandError::Refused(format!("--against {}: {}", path.display(), error.with_causes()))
        }
        _ => error,
    })
}
