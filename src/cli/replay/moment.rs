//! Moments on the command line and in records.

use crate::{api::NOT_A_TIME, cli::configuration::parse_duration, store::read_time, types::Timestamp};

/// For `--now`.
pub(super) fn argument(text: &str) -> Result<Timestamp, String> {
    read_time(text).ok_or_else(|| NOT_A_TIME.to_owned())
}

/// One end of the time that is selected.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) enum End {
    /// So many milliseconds before the present.
    Before(i64),
    /// A moment.
    At(Timestamp),
}

impl End {
    /// For `--since` and `--until`: `24h`, or a moment.
    pub(in crate::cli) fn argument(text: &str) -> Result<Self, String> {
        if let Some(moment) = read_time(text) {
            return Ok(Self::At(moment));
        }
        let time = parse_duration(text).map_err(|_| {
            format!("{text:?} is neither a time such as \"24h\" nor a moment such as 2030-01-01T00:00:00Z")
        })?;
        Ok(Self::Before(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The moment that it is.
    pub(in crate::cli) fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Before(millis) => Timestamp::from_unix_millis(now.unix_millis().saturating_sub(millis)),
            Self::At(moment) => moment,
        }
    }
}

/// The time that is selected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Window {
    /// From the one end to before the other.
    pub(super) fn new(since: Option<End>, until: Option<End>, now: Timestamp) -> Self {
        Self { since: since.map(|end| end.moment(now)), until: until.map(|end| end.moment(now)) }
    }

    /// Whether a line of this time is selected; one that has none is, as long as nothing is asked for.
    pub(super) fn has(&self, time: Option<Timestamp>) -> bool {
        match time {
            None => self.since.is_none() && self.until.is_none(),
            Some(time) => {
                self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time < until)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Window};
    use crate::store::read_time as parse;
    use crate::types::Timestamp;

    #[test]
    fn a_moment_has_its_offset() {
        assert_eq!(parse("1970-01-01T00:00:01Z"), Some(Timestamp::from_unix_seconds(1)));
        assert_eq!(parse("1970-01-01T01:00:00.5+01:00"), Some(Timestamp::from_unix_millis(500)));
        for bad in ["", "1970-01-01", "1970-01-01T00:00:01", "soon", "1970-01-01T00:00:00+00:00[UTC]"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_has_no_time_is_in_no_window() {
        let now = Timestamp::from_unix_seconds(100);
        let at = |seconds| Some(Timestamp::from_unix_seconds(seconds));
        let end = |text| Some(End::argument(text).unwrap());
        let window = Window::new(end("10s"), end("1970-01-01T00:01:35Z"), now);
        let has = [None, at(89), at(90), at(94), at(95)].map(|time| window.has(time));
        assert_eq!(has, [false, false, true, true, false]);
        assert!(Window::new(None, None, now).has(None));
    }
}
