//! Where in a spool a record begins.

use std::{fmt, num::ParseIntError, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

/// Where in a spool a record begins, or will: later records have greater positions. A position means something
/// together with the spool's [id](super::Spool::id) only. As text it is `segment:offset`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The number of the segment. Numbers rise, with gaps.
    pub segment: u64,
    /// In its file, in bytes.
    pub offset: u64,
}

impl Position {
    pub(super) const fn new(segment: u64, offset: u64) -> Self {
        Self { segment, offset }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}

/// A text is no position.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoPosition {
    /// There is no colon in it.
    #[error("a position in a spool is written segment:offset")]
    Form,
    /// One of the two is no number.
    #[error("a position in a spool is written segment:offset, both numbers: {0}")]
    Number(#[from] ParseIntError),
}

impl FromStr for Position {
    type Err = NoPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (segment, offset) = text.split_once(':').ok_or(NoPosition::Form)?;
        Ok(Self::new(segment.parse()?, offset.parse()?))
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::{NoPosition, Position};

    #[test]
    fn a_position_is_a_text_and_back() {
        let position = Position::new(3_000_002, 17);
        assert_eq!(position.to_string(), "3000002:17");
        assert_eq!("3000002:17".parse(), Ok(position));
        assert_eq!(serde_json::to_string(&position).unwrap(), "\"3000002:17\"");
        assert_eq!(serde_json::from_str::<Position>("\"3000002:17\"").unwrap(), position);
        assert_eq!("17".parse::<Position>(), Err(NoPosition::Form));
        for wrong in ["", ":", "1:", ":1", "1:-1", "1:2:3", "a:1", "1:18446744073709551616"] {
            assert!(wrong.parse::<Position>().is_err(), "{wrong}");
            assert!(serde_json::from_str::<Position>(&format!("\"{wrong}\"")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn later_is_greater() {
        assert!(Position::new(1, 900) < Position::new(2, 0) && Position::new(2, 0) < Position::new(2, 1));
    }
}
