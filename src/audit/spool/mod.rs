//! stub
use thiserror::Error;
/// stub
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotAppended {
    /// full
    #[error("the spool is full")]
    Full,
    /// failed
    #[error("the spool cannot be written")]
    Failed,
    /// long
    #[error("the record is too long")]
    TooLong,
}
/// p
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// d
    Durable,
    /// s
    Spooled,
}
/// o
#[derive(Clone, Debug)]
pub struct SpoolOptions {
    /// f
    pub folder: std::path::PathBuf,
    /// p
    pub promise: Promise,
    /// m
    pub max_bytes: u64,
    /// s
    pub segment_bytes: u64,
}
/// stub
#[derive(Debug)]
pub struct Spool;
impl Spool {
    /// stub
    pub async fn append(&self, _record: &[u8]) -> Result<(), NotAppended> {
        Ok(())
    }
}
