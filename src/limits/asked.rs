//! The limits of one call, each once.

use super::{Limit, window::Shape};

/// One of the limits of a call: those that are the same are one, with the calls of all.
pub(super) struct Asked<'a, 'l, I> {
    /// The first of them.
    pub limit: &'a Limit<'l>,
    /// What stands for it.
    pub identity: I,
    pub shape: Shape,
    /// How many calls.
    pub count: u32,
}

/// Each limit once, and of each limit that was given, which of them it is.
pub(super) fn each_once<'a, 'l, I: PartialEq>(
    limits: &'a [Limit<'l>],
    identity: impl Fn(&Limit<'_>, Shape) -> I,
) -> (Vec<Asked<'a, 'l, I>>, Vec<usize>) {
    let mut asked: Vec<Asked<'a, 'l, I>> = Vec::with_capacity(limits.len());
    let mut which = Vec::with_capacity(limits.len());
    for limit in limits {
        let (shape, count) = (Shape::of(limit), limit.count.max(1));
        let identity = identity(limit, shape);
        let same = asked.iter_mut().enumerate().find(|(_, other)| other.identity == identity);
        if let Some((index, same)) = same {
            same.count = same.count.saturating_add(count);
            which.push(index);
        } else {
            which.push(asked.len());
            asked.push(Asked { limit, identity, shape, count });
        }
    }
    (asked, which)
}
