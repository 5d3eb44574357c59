//! Upstream credentials: sealed, given, consented to, renewed, swept.
//!
//! **For:** everything about what goes on to an upstream but the decision whether it does (`decision`) and where it
//! is kept (`store`).
//!
//! **Must never know:** HTTP in, Rego, SQL, configuration files.
//!
//! INVARIANT: a plain secret is in memory for as long as it is used, is wiped then, and is printed nowhere.

mod background;
mod credentials;
mod cursor;
mod flows;
mod key_file;
mod key_text;
mod keys;
mod oauth;
mod rekey;
mod renewal;
mod secret;
mod settings;
mod sweep;
mod turns;

pub use background::Background;
pub use credentials::{Begun, Completion, CredentialError, CredentialSettings, Credentials, Given};
pub use cursor::{cursor, read_cursor};
pub use key_file::{KeyFileWatch, keep_keys};
pub use key_text::InvalidKeys;
pub use keys::{CannotOpen, KeyRing};
pub use oauth::{
    Loopback, NoAnswer, OauthClient, OauthError, Refusal, Tokens, authorization_url, check_endpoint,
};
pub use rekey::{MissingKeys, RekeyProgress, RekeyReport, WrongKeys, check_keys, rekey};
pub use renewal::{RenewalCounts, RenewalSettings, RenewalWork, Renewals};
pub use secret::{InvalidSecret, check_secret, declared_headers};
pub use settings::{
    Misgiven, check_given_form, check_upstream, missing_tokens, missing_upstreams, not_asked_for,
};
pub use sweep::{SweepSettings, keep_swept, sweep};
