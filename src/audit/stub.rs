//! What stands in the log for a record that cannot be read, or that the database does not take: nothing is dropped.

use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::chain::to_hex;
use crate::{store::decisions::SpoolPosition, types::Timestamp};

/// The reason of such a record. A decision never has it.
pub const UNREADABLE: &str = "audit.unreadable";

/// So many bytes of the record are kept, for whoever can read them: a record has 1 MiB at most.
const MOST_BYTES: usize = 64 * 1024;

/// Where a record was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// In whose records on disk.
    pub spool: Uuid,
    /// Where the batch ended that it was in.
    pub batch_to: SpoolPosition,
    /// Which one of the batch, counted from 0.
    pub index: usize,
}

/// The record in place of `bytes`, as JSON. Its id is made of what it stands for: it is the same each time.
pub(super) fn record(origin: Origin, bytes: &[u8], problem: &str, now: Timestamp) -> serde_json::Value {
    let mut hash = Sha256::new();
    hash.update(origin.spool.as_bytes());
    hash.update(origin.batch_to.to_string());
    hash.update(origin.index.to_be_bytes());
    hash.update(bytes);
    let hash = hash.finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    json!({
        "time": now.to_string(),
        "tenant": "",
        "face": "",
        "decision": {
            "decision_id": Builder::from_custom_bytes(id).into_uuid(),
            "allow": false,
            "status": 0,
            "reason": UNREADABLE,
            "reasons": [UNREADABLE],
            "message": "",
        },
        "unreadable": {
            "problem": problem,
            "spool": origin.spool,
            "batch_to": origin.batch_to.to_string(),
            "index": origin.index,
            "length": bytes.len(),
            "bytes": to_hex(&bytes[..bytes.len().min(MOST_BYTES)]),
        },
    })
}
