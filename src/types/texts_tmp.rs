//! tmp
use thiserror::Error;
/// x
#[derive(Debug, Error)]
#[error("bad")]
pub struct InvalidText;
/// x
pub fn check_name(t: &str) -> Result<(), InvalidText> {
    if t.is_empty() || t.chars().count() > 128 || t.chars().any(char::is_control) {
        Err(InvalidText)
    } else {
        Ok(())
    }
}
/// x
pub fn check_id(t: &str) -> Result<(), InvalidText> {
    if t.is_empty() || t.chars().count() > 256 || t.chars().any(char::is_control) {
        Err(InvalidText)
    } else {
        Ok(())
    }
}
/// x
pub fn check_label(t: &str) -> Result<(), InvalidText> {
    if t.chars().count() > 256 || t.chars().any(char::is_control) { Err(InvalidText) } else { Ok(()) }
}
