//! The words that all rooms share: ids, secrets, time, revisions, tenants.
//!
//! **For:** small value types with their rules (what a tenant id may contain, how a token hash is
//! written), and the three sources that make a test exact when it brings its own: the clock, the
//! ids, the randomness.
//!
//! **Must never know:** any other room; HTTP; SQL; Rego. Nothing here does I/O.
//!
//! **To add one more:** a word that two rooms use goes here, in a file named after it. A word that
//! one room uses stays in that room.

mod causes;
mod clock;
mod credential;
mod holder;
mod id;
mod json;
mod revision;
mod role;
mod sealed;
mod secret;
mod session;
mod tenant;
mod text;
mod token;
mod trace;
pub mod upstream_rules;
mod upstream_secret;

pub use causes::causes;
pub use clock::{Clock, ClockReading, SystemClock, Timestamp};
pub use credential::PresentedCredential;
pub use holder::{Holder, HolderKind};
pub use id::{IdSource, RandomIds};
pub use json::{JsonObject, json_objects, one_reading, without_values};
pub use revision::{DataRevision, PolicyRevision};
pub use role::UserRole;
pub use sealed::{InvalidKeyId, KeyId, Sealed, SealedFor};
pub use secret::SecretText;
pub use session::{Session, SessionRefusal};
pub use tenant::{InvalidTenantId, TenantId};
pub use text::{InvalidName, InvalidText, check_id, check_label, check_name, check_text};
pub use token::{InvalidTokenHash, TokenHash, TokenKind, UnknownTokenKind};
pub use trace::TraceParent;
pub use upstream_secret::{NoKeys, OpenSealed, UpstreamSecret};
