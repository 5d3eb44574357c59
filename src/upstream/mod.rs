//! Upstream credentials: sealed, given, consented to, renewed, swept.
//!
//! **For:** everything about what goes on to an upstream but the decision whether it does (`decision`) and where it
//! is kept (`store`).
//!
//! **Must never know:** HTTP in, Rego, SQL, configuration files.
//!
//! INVARIANT: a plain secret is in memory for as long as it is used, is wiped then, and is printed nowhere.

mod credentials;
mod cursor;
mod keys;
mod secret;
mod settings;

pub use credentials::{Begun, Completion, CredentialError, Credentials, Given};
pub use cursor::{cursor, read_cursor};
pub use keys::{CannotOpen, InvalidKeys, KeyRing};
pub use secret::{InvalidSecret, check_secret, declared_headers};
pub use settings::{check_upstream, is_safe_address};
