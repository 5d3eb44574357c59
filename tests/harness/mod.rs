//! What the tests need around them.

pub mod postgres;
