//! From a folder to a live program.
//!
//! **For:** finding a bundle's files and reading them as OPA would, compiling them through
//! `decision`, running policy tests, checking rules for what Rego lets pass ([`check`]), and holding what decisions are made from at this moment
//! ([`Live`]). Later: watching the folder and swapping bundles while serving.
//!
//! **Must never know:** HTTP, SQL, what a rule means. It does not evaluate a question.
//!
//! **To add one more** kind of data file: a case in `folder::read_data`.

pub mod check;
mod folder;
pub mod invariants;
mod live;
mod shipped;
mod testing;

pub use folder::{Files, LoadError, PolicySource, is_test_file, load};
pub use live::{Live, LiveBasis, RevisionTimeout, Source};
pub use testing::{EngineReport, Measurement, TestError, TestReport, TestResult, TestSuite, run_tests};
