//! From a folder to a live program.
//!
//! **For:** finding a bundle's files and reading them as OPA would, compiling them through
//! `decision`, running policy tests, checking rules for what Rego lets pass ([`check`]), looking for
//! counterexamples to invariants ([`invariants`]), deciding recorded questions again under another
//! bundle ([`replay`]), holding what decisions are made from at this moment
//! ([`Live`]), and keeping it what the folder says while serving ([`FirstBundle`], [`Reloader`]).
//!
//! **Must never know:** HTTP, SQL, what a rule means. It answers no question of a gateway.
//!
//! **To add one more** kind of data file: a case in `gathering::read_data`; step that a bundle must pass:
//! a function in `activation`, and its line in `activation::pass`.

mod activation;
mod candidate;
mod changes;
pub mod check;
mod folder;
mod gathering;
mod inbox;
pub mod invariants;
mod keeper;
mod live;
mod load_error;
mod reloader;
pub mod replay;
mod shipped;
mod status;
mod survey;
mod testing;
mod watch;

pub use activation::{ActivationFailure, Stage, TestSummary};
pub use changes::Changes;
pub use folder::{FileDigest, Files, PolicySource, is_test_file, load};
pub use inbox::Gather;
pub use live::{Live, LiveBasis, RevisionTimeout, Source};
pub use load_error::LoadError;
pub use reloader::{FirstBundle, Policies, PolicySettings, Reloader, StartError, WatchOptions};
pub use status::{ActivePolicy, FailedActivation, PolicyState};
pub use survey::BundleLimits;
pub use testing::{EngineReport, Measurement, TestError, TestReport, TestResult, TestSuite, run_tests};
