//! stub
use std::time::Duration;
/// stub
#[derive(Clone, Copy, Debug)]
pub struct Limit<'a> {
    /// s
    pub tenant: &'a str,
    /// s
    pub name: &'a str,
    /// s
    pub key: &'a str,
    /// s
    pub limit: u32,
    /// s
    pub window: Duration,
    /// s
    pub count: u32,
}
/// stub
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// s
    pub allowed: bool,
    /// s
    pub limit: u32,
    /// s
    pub remaining: u32,
    /// s
    pub reset: Duration,
    /// s
    pub shared: bool,
}
/// stub
#[derive(Debug)]
pub struct Limiter;
impl Limiter {
    /// s
    pub fn take_back(&self, _limits: &[Limit<'_>]) {}
    /// s
    pub async fn count(&self, _limits: &[Limit<'_>]) -> Vec<Counted> {
        Vec::new()
    }
}
