//! `regate decide`: one decision from files, offline.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use clap::{Args, ValueEnum};

use super::{
    configuration::{self, Configuration},
    exit::{CommandError, Exit},
    import::{checked, read},
    policies,
    printable::printable,
    store::{block_on, load},
    why,
};
use crate::{
    api::{
        Answer, Asker, DecisionPoint, GatewayAuthentication, HttpBounds, NewIds, Problem, QuestionMessage,
    },
    policy::{Live, Source},
    store::{self, ConnectOptions},
    types::{Clock, RandomIds, SystemClock},
};

/// Decide one question from files, without a server or a database
///
/// Prints the answer: as JSON, as POST /v1/decide would give it, or in words for a terminal. With --explain
/// also why: which rules held, which came closest, and the first condition that failed in each, with file, line and
/// the values compared. Exit code 0: allowed; 2: denied; 1: not a valid question, or a file that cannot be
/// used; 3: the policy is broken.
#[derive(Debug, Args)]
pub(super) struct Decide {
    /// The question, as POST /v1/decide takes it; - is standard input
    #[arg(value_name = "QUESTION", default_value = "-")]
    question: PathBuf,
    /// The data, as `regate import` takes it [default: none]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Policy folder [default: the shipped policies, which are built in]
    #[arg(long, value_name = "FOLDER")]
    policies: Option<PathBuf>,
    /// Configuration file, for [policy], [requests] and [[issuers]], whose keys are fetched
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Also print why, rule by rule; in JSON also what the policy saw (`input`) and gave (`result`)
    #[arg(long)]
    explain: bool,
    /// How to print the answer [default: pretty on a terminal, else json]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Pretty,
    /// For programs.
    Json,
}

impl Decide {
    /// Decides and prints.
    pub(super) fn run(&self) -> Result<Exit, CommandError> {
        let mut configuration = Configuration::read(self.config.as_ref(), configuration::variables())?;
        if let Some(folder) = &self.policies {
            configuration.policy.folder = Some(folder.clone());
        }
        let bundle = Arc::new(policies::compile(&configuration, 1)?);
        let live = Arc::new(Live::new(bundle, block_on(data(self.data.as_ref()))?));
        live.confirm(Source::Tables, SystemClock.reading());
        let new_ids: NewIds = Arc::new(|| Box::new(RandomIds::new()));
        let rules = configuration.decision_rules()?;
        let (clock, authentication) = (Arc::new(SystemClock), GatewayAuthentication::Optional);
        // Files do not change while they are asked.
        let point = DecisionPoint::new(live, rules, clock, new_ids, authentication, Duration::MAX);
        let text = read(&self.question)?;
        // A file of one's own needs no protection from itself.
        let bounds = HttpBounds { nesting: HttpBounds::DEEPEST_NESTING, ..configuration.bounds() };
        let refused = |problem: Problem| CommandError::Refused(format!("not a valid question: {problem}"));
        let message = QuestionMessage::read(&text, &bounds).map_err(refused)?;
        let sessions = configuration.sessions(Arc::new(SystemClock))?;
        if let Some(sessions) = &sessions {
            for (issuer, problem) in block_on(async { Ok(sessions.read_keys().await) })? {
                let line = format!("the keys of the issuer {issuer} cannot be read: {problem}");
                writeln!(io::stderr(), "{}", printable(&line))?;
            }
        }
        let reader = configuration::credential_reader(sessions.as_ref());
        let error_to = message.asking();
        let mut question = message.into_question(Asker::offline(None), &bounds, &reader).map_err(refused)?;
        question.explain |= self.explain;
        let decision = point.judge(&question);
        let mut output = io::stdout().lock();
        let usual = if output.is_terminal() { Format::Pretty } else { Format::Json };
        match self.format.unwrap_or(usual) {
            Format::Pretty => why::write(&mut output, &decision)?,
            Format::Json => {
                let answer = Answer::telling(&decision, error_to);
                let answer = serde_json::to_string_pretty(&answer).map_err(io::Error::from)?;
                writeln!(output, "{answer}")?;
            }
        }
        Ok(if decision.allow { Exit::Done } else { Exit::Failed })
    }
}

/// The data of a file for import, through a store of its own, so that it is read exactly as `import` would.
pub(super) async fn data(file: Option<&PathBuf>) -> Result<crate::decision::Snapshot, CommandError> {
    let store = store::connect("sqlite::memory:", ConnectOptions::default()).await?;
    store.migrate().await?;
    if let Some(file) = file {
        let document = checked(&read(file)?)?;
        store.import(&document, &mut |_| {}).await?;
    }
    load(&*store).await
}
