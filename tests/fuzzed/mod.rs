//! What must hold whatever comes in: one property for each thing that others write. `cargo fuzz` searches for bytes that
//! break one (`fuzz/`, which takes this module in as it is), and the tests run what it kept (`corpus/`): see
//! `docs/fuzzing.md`.
//!
//! Each property is a function `holds` of bytes, and panics when they break it. Its message repeats nothing of them: they
//! may be a credential.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a property that does not hold panics"
)]

pub mod authorization;
pub mod ext_authz;
mod faces;
pub mod forward_auth;
pub mod import;
pub mod mcp;
pub mod path;
pub mod question;
pub mod spool;
mod stated;
pub mod token_format;
mod world;

#[cfg(test)]
mod kept;
