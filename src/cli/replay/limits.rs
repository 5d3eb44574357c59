//! How many decisions may flip before a build fails.

use clap::Args;

use crate::policy::replay::{Change, Tally};

/// The limits, as flags.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Limits {
    /// So many answers may be another [default: as many as the other two limits admit together; without
    /// them, 0]
    #[arg(long, value_name = "N")]
    max_flips: Option<u64>,
    /// So many questions that were denied may be allowed
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_new_allows: u64,
    /// So many questions that were allowed may be denied [default: no limit but that of --max-flips]
    #[arg(long, value_name = "N")]
    max_new_denies: Option<u64>,
}

impl Limits {
    /// Each limit that is exceeded, in words.
    pub(super) fn exceeded(&self, tally: &Tally) -> Vec<String> {
        let (allows, denies) = (tally.count(Change::DenyToAllow), tally.count(Change::AllowToDeny));
        // Who admits some of one kind admits so many flips, and none of the other kind.
        let together = self.max_new_allows.saturating_add(self.max_new_denies.unwrap_or(0));
        let limits = [
            (tally.flips(), self.max_flips.unwrap_or(together), "flipped", "--max-flips"),
            (allows, self.max_new_allows, "newly allowed", "--max-new-allows"),
            (denies, self.max_new_denies.unwrap_or(u64::MAX), "newly denied", "--max-new-denies"),
        ];
        let exceeded = limits.into_iter().filter(|(count, limit, ..)| count > limit);
        exceeded
            .map(|(count, limit, what, flag)| {
                format!("decisions {what}: {count}; at most {limit} may be ({flag})")
            })
            .collect()
    }
}
