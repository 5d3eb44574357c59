//! OpenID AuthZEN: the real binary, asked over HTTP as gateways ask it, and the pure part with policies of the tests'
//! own.

mod certification;
mod decisions;
mod evaluations;
mod gateways;
mod metadata;
mod scene;
mod search;
