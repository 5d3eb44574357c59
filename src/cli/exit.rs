//! Exit codes, and the errors that lead to them.

use std::{io, process::ExitCode};

use thiserror::Error;

use super::configuration::ConfigurationError;
use crate::{
    api::{ServerError, TlsError},
    audit::SpoolError,
    decision::CompileError,
    limits::LimiterError,
    policy::{ActivationFailure, LoadError, StartError, TestError},
    store::{StoreError, import::ImportError},
    telemetry::{LogError, TraceError},
    types::causes,
    upstream::WrongKeys,
};

/// What the program ends with. The numbers are part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; `decide`: allowed.
    Done = 0,
    /// It could not be done.
    CouldNot = 1,
    /// It was done, and the answer is no: a test failed, a question was denied.
    Failed = 2,
    /// The policy folder is broken.
    BrokenPolicy = 3,
    /// The command line is wrong (EX_USAGE of sysexits.h; 2 is taken).
    Usage = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command could not do its work.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The configuration is wrong.
    #[error("the configuration cannot be used")]
    Configuration(#[from] ConfigurationError),
    /// The policy files cannot be read.
    #[error("the policy folder cannot be used")]
    PolicyFolder(#[from] LoadError),
    /// The policy does not compile.
    #[error("the policy does not compile")]
    Policy(#[from] CompileError),
    /// There is nothing to check.
    #[error("nothing was checked")]
    NothingToCheck(#[source] LoadError),
    /// The policy cannot be activated at the start.
    #[error("the policy cannot be activated")]
    Activation(#[source] ActivationFailure),
    /// Policy tests could not run.
    #[error("the policy tests could not run")]
    Test(#[from] TestError),
    /// The store failed.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// The keys are not those that sealed what is stored.
    #[error("the stored credentials do not open")]
    Keys(#[from] WrongKeys),
    /// The import document is wrong, or the store failed.
    #[error("nothing was imported")]
    Import(#[from] ImportError),
    /// Decisions cannot be recorded: none could be answered.
    #[error(
        "decisions cannot be recorded: look at [audit] in the configuration; each process needs a spool of its own"
    )]
    Recording(#[from] SpoolError),
    /// Calls cannot be counted.
    #[error("[limits] redis_url cannot be used")]
    Limits(#[from] LimiterError),
    /// The listener cannot be opened.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// TLS cannot be spoken with the files that were named.
    #[error("TLS cannot be spoken")]
    Tls(#[from] TlsError),
    /// The log cannot be set up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Traces cannot be set up.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The runtime cannot be started, or the terminal not be written to.
    #[error("the operating system refused")]
    System(#[from] io::Error),
    /// The flags do not go together.
    #[error("{0}")]
    Usage(String),
    /// What the command names is not in the store.
    #[error("{outcome}")]
    Nothing {
        /// That nothing was done.
        outcome: &'static str,
        /// What is missing, and where to find it.
        #[source]
        because: Absent,
    },
    /// Anything that is said best in one sentence.
    #[error("{0}")]
    Refused(String),
}

/// Something that a command names and that is not there.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Absent(pub String);

impl From<StartError> for CommandError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Refused(failure) => Self::Activation(failure),
            StartError::Thread(error) => Self::System(error),
        }
    }
}

impl CommandError {
    /// The exit code that goes with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::PolicyFolder(_) | Self::Policy(_) | Self::Activation(_) => Exit::BrokenPolicy,
            Self::Usage(_) => Exit::Usage,
            Self::Nothing { .. }
            | Self::Configuration(_)
            | Self::NothingToCheck(_)
            | Self::Test(_)
            | Self::Store(_)
            | Self::Keys(_)
            | Self::Import(_)
            | Self::Recording(_)
            | Self::Limits(_)
            | Self::Server(_)
            | Self::Tls(_)
            | Self::Log(_)
            | Self::Trace(_)
            | Self::Read { .. }
            | Self::System(_)
            | Self::Refused(_) => Exit::CouldNot,
        }
    }

    /// Whether standard output was closed by whoever read it.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::System(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The whole chain, outermost first, each on a line.
    pub fn with_causes(&self) -> String {
        causes(self).join("\n").replace('\n', "\n  ")
    }
}
