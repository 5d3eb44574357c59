//! What a bundle is compiled from and with.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use crate::decision::mount::Mount;

/// One file of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegoSource {
    /// Its name, as messages show it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Which version of the language a bundle is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegoVersion {
    /// Rego v0, as OPA before 1.0 read it.
    V0,
    /// Rego v1.
    #[default]
    V1,
}

/// The rules that are asked, each as a path below `data`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntrypointPaths {
    /// For gateways' questions. The bundle must have it.
    pub decision: String,
    /// For calls of regate's own management API. A bundle without it leaves them to admin tokens.
    pub management: String,
    /// For AuthZEN. A bundle without it answers `decision: false`.
    pub authzen: String,
}

impl EntrypointPaths {
    /// The rules beside AuthZEN's that name whom and what a search looks at, in the order of [`Entrypoint`]. A bundle
    /// without one finds nothing there.
    pub fn candidates(&self) -> [String; 3] {
        let package = self.authzen.rsplit_once('.').map(|(package, _)| package);
        ["subjects", "resources", "actions"]
            .map(|name| package.map(|package| format!("{package}.{name}")).unwrap_or_default())
    }
}

impl Default for EntrypointPaths {
    fn default() -> Self {
        Self {
            decision: "data.regate.decision".into(),
            management: "data.regate.management.decision".into(),
            authzen: "data.regate.authzen.decision".into(),
        }
    }
}

/// Which rule is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrypoint {
    /// Gateways' questions.
    Decision,
    /// regate's own management API.
    Management,
    /// AuthZEN.
    Authzen,
    /// Whom a search for subjects looks at.
    AuthzenSubjects,
    /// What a search for resources looks at.
    AuthzenResources,
    /// What a search for actions looks at.
    AuthzenActions,
}

impl Entrypoint {
    /// Every one, in their order.
    pub const ALL: [Self; 6] = [
        Self::Decision,
        Self::Management,
        Self::Authzen,
        Self::AuthzenSubjects,
        Self::AuthzenResources,
        Self::AuthzenActions,
    ];
}

/// How much one evaluation may cost before it is stopped and denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluationBudget {
    /// Instructions of the virtual machine.
    pub instructions: usize,
    /// Wall-clock time, looked at every [`TIME_CHECK_INTERVAL`] instructions.
    pub time: Duration,
}

/// How many instructions pass between two looks at the clock: some ten microseconds.
pub const TIME_CHECK_INTERVAL: NonZeroU32 = NonZeroU32::new(256).unwrap();

impl Default for EvaluationBudget {
    fn default() -> Self {
        Self { instructions: 250_000, time: Duration::from_millis(50) }
    }
}

/// What to compile with.
#[derive(Clone, Debug)]
pub struct CompileOptions {
    /// The rules that are asked.
    pub entrypoints: EntrypointPaths,
    /// More rules, or places within their values, that may be asked as they are, each as a path below `data`.
    pub asked: Arc<[String]>,
    /// The language.
    pub rego_version: RegoVersion,
    /// The budget of each evaluation.
    pub budget: EvaluationBudget,
    /// How many copies of the program to make: one for each worker, because workers that share one
    /// wait for each other at its reference counts.
    pub workers: usize,
    /// Where the organisation's own documents will stand.
    pub mounts: Arc<[Mount]>,
    /// What is to evaluate the rules.
    pub engine: EngineChoice,
}

/// What is to evaluate the rules of a bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineChoice {
    /// The virtual machine; the interpreter for a bundle that the machine cannot run as Rego says.
    #[default]
    Auto,
    /// The virtual machine; a bundle that it cannot run as Rego says is broken.
    VirtualMachine,
    /// The interpreter, which is slower by far.
    Interpreter,
}

/// What evaluates the rules of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvaluatingEngine<'a> {
    /// The virtual machine.
    VirtualMachine,
    /// The interpreter, for this reason.
    Interpreter(&'a str),
}

impl Default for CompileOptions {
    fn default() -> Self {
        Self {
            entrypoints: EntrypointPaths::default(),
            asked: Arc::default(),
            rego_version: RegoVersion::default(),
            budget: EvaluationBudget::default(),
            workers: 1,
            mounts: Arc::default(),
            engine: EngineChoice::default(),
        }
    }
}
