//! The store, from outside: through its trait, and with raw SQL as another program would write.

mod contract;
pub mod database;
mod decisions;
pub mod feed;
mod import;
mod import_within;
mod live_tokens;
mod mint_cut;
mod refusals;
mod rows;
mod tokens;
mod upstreams;
