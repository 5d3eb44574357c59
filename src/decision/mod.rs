//! The decision: a pure function of the policy, the data, the question and the moment.
//!
//! **For:** making a question unambiguous, finding the presented credential in the data, asking Rego,
//! and reading its answer strictly. The way of one decision is [`decide`], top to bottom.
//!
//! **Must never know:** HTTP, SQL, files, configuration, the clock, randomness, async. It does no I/O
//! and writes no log. It is the only room that knows `regorus`; others say [`Document`].
//!
//! **To add one more:** a reason of regate's own goes into `reason.rs` and into `docs/reasons.md`; a
//! field of `input` into `input.rs` and into the table of `docs/policies.md`; a kind of row into
//! `facts.rs` and `snapshot.rs`.

mod abilities;
mod agreement;
mod ask;
mod assignments;
mod authzen;
mod authzen_input;
mod basis;
mod builtins;
mod bundle;
mod caller;
mod challenge;
mod connection;
mod decide;
mod document;
mod draft;
mod edits;
mod evaluator;
mod explain;
pub mod facts;
mod function_calls;
mod gateway;
mod input;
mod interpreter;
mod introspect;
mod manage;
mod mcp;
mod memo;
mod mount;
mod nesting;
mod outcome;
mod path;
mod place;
mod question;
mod rate_limit;
mod reason;
mod recursion;
mod refused;
pub mod schema;
mod sharded;
mod snapshot;
mod syntax;
mod tools;
mod trace;
mod upstream;
mod verdict;

/// A Rego value: what `input`, `data` and results are made of.
pub type Document = regorus::Value;

pub use abilities::{CannotCarryOut, GatewayAbilities};
pub use agreement::{Disagreement, RecordedQuestion, disagreement, record_questions};
pub use ask::{AskFault, Asking, ask};
pub use authzen::{Action, Entity, Evaluation, NoCandidates, Searched, candidates, evaluate};
pub use basis::{Basis, Update};
pub use builtins::{builtin_arguments, builtin_names};
pub use bundle::{
    Bundle, CompileError, CompileOptions, EngineChoice, Entrypoint, EntrypointPaths, EvaluatingEngine,
    EvaluationBudget, NotAskable, RegoSource, RegoVersion, TIME_CHECK_INTERVAL,
};
pub use challenge::Challenges;
pub use decide::{DecisionRules, Moment, decide};
pub use document::document;
pub use evaluator::{EvaluationError, Evaluator};
pub use explain::{Compared, FailedCondition, IdleCondition, RuleBody, Why, stands_for_a_secret};
pub use gateway::{GatewayRefusal, recognise_gateway};
pub use interpreter::{FileCoverage, Interpreter, RuleTest, TestCase, TestOutcome};
pub use introspect::{Introspected, NotKnown, introspect, is_live_session};
pub use manage::{About, ManagedHolder, ManagedToken, ManagementCall, manage, recognise_operator};
pub use mcp::{InvalidMcp, McpEndpoint, MessageId, MessageMembers};
pub use mount::{DocumentPath, InvalidDocumentPath, Mount};
pub use outcome::{
    AskedMessage, CredentialUse, Decision, Explanation, Fault, HeaderChanges, Message, Reasons, Subject,
    SubjectKind,
};
pub use path::{AmbiguousPath, PathRules, RequestPath};
pub use place::SourcePlace;
pub use question::{AskingGateway, Body, Delivery, Headers, Mcp, Question, Request};
pub use rate_limit::{LimitState, RateLimit};
pub use reason::{OwnReason, Reason};
pub use snapshot::{
    CredentialRecord, DATABASE_DOCUMENTS, MountedDocuments, Snapshot, SnapshotBuilder, TenantData,
    TokenRecord, UpstreamRecord,
};
pub use syntax::syntax_trees;
pub use upstream::{ConnectUrl, UnusableCredential};
pub use verdict::InvalidVerdict;
