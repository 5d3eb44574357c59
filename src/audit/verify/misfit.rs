//! What does not fit, and where.

use std::fmt;

use crate::{store::decisions::DecisionRow, types::Timestamp};

/// The first place at which the log does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The record's number.
    pub sequence: u64,
    /// The decision's id, as the row says, where there is a row.
    pub decision_id: Option<String>,
    /// When it was made, as the row says.
    pub time: Option<Timestamp>,
    /// What is wrong.
    pub wrong: Wrong,
}

/// What is wrong with the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Records are missing, from this one to that of this number.
    Missing {
        /// The last that is missing.
        through: u64,
    },
    /// The record's text was changed: its hash is not that of its text, and the next record follows its hash.
    Changed,
    /// The record's hash was changed, and its text was not.
    Hash,
    /// It does not follow the record before it, nor the next one it: it was exchanged, put in, or made anew.
    Order,
    /// These columns do not say what the record says, so a search for it is misled.
    Columns(Vec<&'static str>),
    /// The record is no JSON.
    NotJson,
    /// It does not follow what retention is said to have taken away; or it was changed itself.
    Beginning,
    /// It is older than what retention is said to have taken away.
    BeforeTheBeginning,
    /// It and all that followed are gone.
    CutOff {
        /// Where the chain is said to end.
        end: u64,
    },
    /// It comes after the end of the chain: it was put in.
    BeyondTheEnd,
    /// It is the last record, and the end of the chain is said to have another hash.
    End,
    /// Its hash is another than the one that was noted: the chain was made anew.
    Noted,
    /// It was noted, and the chain ends before it.
    NotedBeyondTheEnd,
    /// Retention is said to have taken away all that was noted: nothing tells this chain from one made anew.
    NotedGone,
    /// What the database says cannot be read.
    Unreadable(String),
}

impl Wrong {
    /// A stable name.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Changed => "changed",
            Self::Hash => "hash_changed",
            Self::Order => "out_of_order",
            Self::Columns(_) => "columns_differ",
            Self::NotJson => "not_json",
            Self::Beginning => "beginning_does_not_fit",
            Self::BeforeTheBeginning => "before_the_beginning",
            Self::CutOff { .. } => "cut_off",
            Self::BeyondTheEnd => "beyond_the_end",
            Self::End => "end_does_not_fit",
            Self::Noted => "noted_otherwise",
            Self::NotedBeyondTheEnd => "noted_beyond_the_end",
            Self::NotedGone => "noted_gone",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { through } => write!(f, "the records from this one to {through} are missing"),
            Self::Changed => f.write_str("its text was changed: the next record follows the text that it had"),
            Self::Hash => f.write_str("its hash was changed, and not its text"),
            Self::Order => f.write_str(
                "it does not follow the record before it: it was changed together with its hash, exchanged with \
                 another, or put in",
            ),
            Self::Columns(names) => {
                write!(f, "the columns {} do not say what the record says", names.join(", "))
            }
            Self::NotJson => f.write_str("it is no JSON"),
            Self::Beginning => f.write_str(
                "it does not follow what retention is said to have taken away: it was changed, or that was",
            ),
            Self::BeforeTheBeginning => {
                f.write_str("it is there, and retention is said to have taken it away: it was put in")
            }
            Self::CutOff { end } => {
                write!(f, "it and all that followed are gone: the chain is said to end at {end}")
            }
            Self::BeyondTheEnd => f.write_str("it comes after the end of the chain: it was put in"),
            Self::End => f.write_str(
                "it is the last record, and the end of the chain is said to have another hash: the end was changed, or \
                 the records before it were made anew",
            ),
            Self::Noted => {
                f.write_str("its hash is not the one that was noted: the chain was made anew up to it, or from before it")
            }
            Self::NotedBeyondTheEnd => f.write_str(
                "it was noted, and the chain ends before it: records were cut off, or an older state of the database \
                 was put back",
            ),
            Self::NotedGone => f.write_str(
                "it was the last that was noted, and retention is said to have taken it away: whether the chain was made anew \
                 cannot be told; if retention did, begin a new file of heads, and note more often",
            ),
            Self::Unreadable(reason) => f.write_str(reason),
        }
    }
}

impl Misfit {
    /// At a record that is there.
    pub(super) fn at(row: &DecisionRow, wrong: Wrong) -> Self {
        Self {
            sequence: row.sequence,
            decision_id: Some(row.columns.decision_id.clone()),
            time: Some(row.time()),
            wrong,
        }
    }

    /// At a record that is not there.
    pub(super) const fn absent(sequence: u64, wrong: Wrong) -> Self {
        Self { sequence, decision_id: None, time: None, wrong }
    }
}
