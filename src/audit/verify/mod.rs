//! Whether the log fits: each record follows the one before it, none is missing, none was put in, and what a record is
//! found by is what it says.
//!
//! What is found is what was done to the database by somebody who cannot make the whole chain anew. Who can is found
//! where an end of the chain was noted before, somewhere else: [`NotedHeads`].

mod heads;
mod misfit;

use serde_json::Value;

pub use self::{
    heads::{InvalidHeads, NotedHeads},
    misfit::{Misfit, Wrong},
};
use super::{
    chain::{BEGINNING, link},
    columns::{columns, differences},
};
use crate::{
    store::{
        StoreError,
        decisions::{ChainPart, ChainPlace, DecisionRow, DecisionStore},
    },
    types::{Timestamp, causes},
};

/// Records that are read at once.
const PAGE: u32 = 1_000;

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// So many records fit, one after the other.
    pub records: u64,
    /// What retention took away ended here when the verification began.
    pub anchor: ChainPlace,
    /// When it took something away last.
    pub pruned_at: Option<Timestamp>,
    /// The last record that fits.
    pub head: ChainPlace,
    /// So many noted ends were compared with what is there.
    pub noted: u64,
    /// So many were noted of records that retention took away since: nothing is left to compare them with.
    pub noted_gone: u64,
    /// The first place that does not fit; nothing after it was looked at.
    pub misfit: Option<Misfit>,
}

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyProgress {
    /// So many records were looked at.
    pub records: u64,
    /// Of so many that there were at the beginning, and were added since.
    pub of: u64,
}

/// Verifies all records, from the oldest. What is appended or pruned meanwhile does no harm.
///
/// # Errors
/// The store's, when the log cannot be read; what is read and does not fit is none.
pub async fn verify(
    store: &dyn DecisionStore,
    heads: &NotedHeads,
    progress: &mut (dyn FnMut(VerifyProgress) + Send),
) -> Result<Verified, StoreError> {
    let mut walk = Walk { store, heads, verified: None };
    let mut after = 0;
    loop {
        let part = match store.walk_decisions(after, PAGE).await {
            Ok(part) => part,
            Err(error @ StoreError::Corrupt { .. }) => {
                return Ok(walk.unreadable(causes(&error).join(": ")));
            }
            Err(error) => return Err(error),
        };
        let is_last = part.rows.len() < PAGE as usize;
        let misfit = walk.part(&part, is_last).await?;
        let verified = walk.verified.get_or_insert_with(|| Verified::beginning(&part));
        after = verified.head.sequence;
        let of = part.head.sequence.saturating_sub(verified.anchor.sequence);
        progress(VerifyProgress { records: verified.records, of });
        if misfit.is_some() || is_last {
            let mut verified = verified.clone();
            verified.misfit = misfit;
            return Ok(verified);
        }
    }
}

impl Verified {
    fn beginning(part: &ChainPart) -> Self {
        Self {
            records: 0,
            anchor: part.anchor.clone(),
            pruned_at: part.pruned_at,
            head: part.anchor.clone(),
            noted: 0,
            noted_gone: 0,
            misfit: None,
        }
    }
}

/// A verification under way.
struct Walk<'a> {
    store: &'a dyn DecisionStore,
    heads: &'a NotedHeads,
    /// Up to the last record that fits; `None` before the first look.
    verified: Option<Verified>,
}

impl Walk<'_> {
    fn unreadable(self, reason: String) -> Verified {
        let nothing = ChainPlace { sequence: 0, hash: BEGINNING.to_owned() };
        let part = ChainPart { anchor: nothing.clone(), pruned_at: None, head: nothing, rows: Vec::new() };
        let mut verified = self.verified.unwrap_or_else(|| Verified::beginning(&part));
        let sequence = verified.head.sequence.saturating_add(1);
        verified.misfit = Some(Misfit::absent(sequence, Wrong::Unreadable(reason)));
        verified
    }

    /// The first place in a part that does not fit.
    async fn part(&mut self, part: &ChainPart, is_last: bool) -> Result<Option<Misfit>, StoreError> {
        let verified = self.verified.get_or_insert_with(|| Verified::beginning(part));
        if part.anchor.sequence == 0 && part.anchor.hash != BEGINNING {
            return Ok(Some(Misfit::absent(0, Wrong::Beginning)));
        }
        if verified.records == 0 || part.anchor.sequence > verified.head.sequence {
            // The beginning; or retention went past while we looked.
            verified.head = part.anchor.clone();
            verified.noted_gone = self.heads.before(part.anchor.sequence);
            if self.heads.contradicts(&verified.head) {
                return Ok(Some(Misfit::absent(verified.head.sequence, Wrong::Noted)));
            }
            if let Some(newest) = self.heads.newest().filter(|newest| *newest < part.anchor.sequence) {
                return Ok(Some(Misfit::absent(newest, Wrong::NotedGone)));
            }
        }
        for (index, row) in part.rows.iter().enumerate() {
            if let Some(wrong) = self.row(part, index, row).await? {
                return Ok(Some(wrong));
            }
        }
        let Some(verified) = &self.verified else { return Ok(None) };
        Ok(if is_last { self.end(part, verified) } else { None })
    }

    /// Looks at one record, and moves on to it if it fits.
    async fn row(
        &mut self,
        part: &ChainPart,
        index: usize,
        row: &DecisionRow,
    ) -> Result<Option<Misfit>, StoreError> {
        let Some(verified) = &mut self.verified else { return Ok(None) };
        let before = &verified.head;
        let misfit = |wrong| Ok(Some(Misfit::at(row, wrong)));
        if row.sequence <= before.sequence {
            return misfit(Wrong::BeforeTheBeginning);
        }
        if row.sequence != before.sequence + 1 {
            let through = row.sequence - 1;
            return Ok(Some(Misfit::absent(before.sequence + 1, Wrong::Missing { through })));
        }
        if row.sequence > part.head.sequence {
            return misfit(Wrong::BeyondTheEnd);
        }
        let expected = link(&before.hash, row.sequence, &row.record);
        if expected != row.hash {
            if verified.records == 0 && before.sequence > 0 {
                return misfit(Wrong::Beginning);
            }
            return misfit(self.what_changed(part, index, row, &expected).await?);
        }
        let Ok(record) = serde_json::from_str::<Value>(&row.record) else { return misfit(Wrong::NotJson) };
        let differing = differences(&columns(&record), &row.columns);
        if !differing.is_empty() {
            return misfit(Wrong::Columns(differing));
        }
        let place = ChainPlace { sequence: row.sequence, hash: expected };
        if self.heads.contradicts(&place) {
            return misfit(Wrong::Noted);
        }
        verified.noted += u64::from(self.heads.0.contains_key(&place.sequence));
        verified.records += 1;
        verified.head = place;
        Ok(None)
    }

    /// Of a record that does not follow the one before it: what of it was changed, as the next one tells.
    async fn what_changed(
        &self,
        part: &ChainPart,
        index: usize,
        row: &DecisionRow,
        expected: &str,
    ) -> Result<Wrong, StoreError> {
        let later = match part.rows.get(index + 1) {
            Some(_) => None,
            None => Some(self.store.walk_decisions(row.sequence, 1).await?),
        };
        let next = part.rows.get(index + 1).or_else(|| later.as_ref()?.rows.first());
        let is_followed = |hash: &str| match next {
            Some(next) => link(hash, row.sequence.saturating_add(1), &next.record) == next.hash,
            None => part.head.sequence == row.sequence && part.head.hash == hash,
        };
        Ok(if is_followed(&row.hash) {
            Wrong::Changed
        } else if is_followed(expected) {
            Wrong::Hash
        } else {
            Wrong::Order
        })
    }

    /// Whether the chain ends where it is said to.
    fn end(&self, part: &ChainPart, verified: &Verified) -> Option<Misfit> {
        let (last, end) = (&verified.head, &part.head);
        if end.sequence > last.sequence {
            let wrong = Wrong::CutOff { end: end.sequence };
            return Some(Misfit::absent(last.sequence + 1, wrong));
        }
        if verified.records == 0 && last.sequence > 0 {
            // Retention never takes the newest record.
            return Some(Misfit::absent(last.sequence, Wrong::CutOff { end: end.sequence }));
        }
        if end != last {
            let row = part.rows.last().filter(|row| row.sequence == last.sequence);
            return Some(match row {
                Some(row) => Misfit::at(row, Wrong::End),
                None => Misfit::absent(last.sequence, Wrong::End),
            });
        }
        self.heads.beyond(end.sequence).map(|noted| Misfit::absent(noted, Wrong::NotedBeyondTheEnd))
    }
}
