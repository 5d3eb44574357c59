//! How often a caller may.
//!
//! **For:** counting calls in sliding windows, in this process and shared between processes, for the
//! limits that a policy's result names.
//!
//! **Must never know:** who the caller is or what was asked: it sees a name, a key and a number.
//!
//! **State:** empty. Until it counts, a policy result that names a `rate_limit` is denied with
//! `policy.error` (`decision::verdict`): to ignore the limit would be to fail open.
