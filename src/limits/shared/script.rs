//! The scripts that run in Redis, and what they answer.

use std::time::Duration;

use redis::{RedisError, Script, aio::MultiplexedConnection};

use super::link::what_happened;
use crate::limits::{
    Counted, Limit, Place,
    asked::{self, each_once},
    fingerprint::redis_key,
    window::Shape,
};

/// Numbers that the script answers for each limit.
const NUMBERS: usize = 3;

/// Both scripts.
pub(super) struct Scripts {
    count: Script,
    take_back: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        Self {
            count: Script::new(include_str!("count.lua")),
            take_back: Script::new(include_str!("take_back.lua")),
        }
    }
}

/// Calls to be taken back, and where they were counted.
pub(super) struct Slot {
    key: String,
    slot: u64,
    count: u32,
}

impl Slot {
    pub(super) fn of(limit: &Limit<'_>, slot: u64) -> Self {
        Self { key: redis_key(limit, Shape::of(limit)), slot, count: limit.count.max(1) }
    }
}

/// A limit of a call, and its key.
type Asked<'a, 'l> = asked::Asked<'a, 'l, String>;

impl Scripts {
    /// Gives Redis both scripts, so that each later call is one round trip.
    pub(super) async fn load(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        self.count.load_async(connection).await?;
        self.take_back.load_async(connection).await?;
        Ok(())
    }

    /// Counts a call at all of its limits, or at none of them.
    ///
    /// # Errors
    /// What went wrong, in words that may be logged.
    pub(super) async fn count(
        &self,
        connection: &mut MultiplexedConnection,
        limits: &[Limit<'_>],
    ) -> Result<Vec<Counted>, String> {
        let (asked, which) = each_once(limits, redis_key);
        let mut invocation = self.count.prepare_invoke();
        for asked in &asked {
            invocation.key(&asked.identity);
            invocation.arg(asked.shape.limit).arg(asked.shape.window).arg(asked.shape.slot).arg(asked.count);
        }
        let answer: Vec<i64> =
            invocation.invoke_async(connection).await.map_err(|error| what_happened(&error))?;
        let read = read(&answer, &asked).ok_or("its answer makes no sense")?;
        Ok(which.iter().filter_map(|index| read.get(*index).copied()).collect())
    }

    /// Takes calls back.
    pub(super) async fn take_back(
        &self,
        connection: &mut MultiplexedConnection,
        slots: &[Slot],
    ) -> Result<(), RedisError> {
        let mut invocation = self.take_back.prepare_invoke();
        for slot in slots {
            invocation.key(&slot.key).arg(slot.slot).arg(slot.count);
        }
        invocation.invoke_async(connection).await
    }
}

/// Reads the answer of the script. `None` if it cannot be one.
fn read(answer: &[i64], asked: &[Asked<'_, '_>]) -> Option<Vec<Counted>> {
    let (done, numbers) = answer.split_first()?;
    let done = match done {
        0 => false,
        1 => true,
        _ => return None,
    };
    if numbers.len() != asked.len() * NUMBERS {
        return None;
    }
    let counted: Option<Vec<Counted>> = asked
        .iter()
        .zip(numbers.chunks_exact(NUMBERS))
        .map(|(asked, numbers)| {
            let [used, wait, slot] = numbers else { return None };
            let used = u32::try_from(*used).ok()?;
            let (wait, slot) = (u64::try_from(*wait).ok()?, u64::try_from(*slot).ok()?);
            let room = asked.shape.limit.saturating_sub(used);
            let allowed = asked.count <= room;
            let counted = if done { asked.count } else { 0 };
            Some(Counted {
                allowed,
                limit: asked.limit.limit,
                remaining: room.saturating_sub(counted),
                reset: Duration::from_millis(wait),
                shared: true,
                place: Place { shared: done.then_some(slot), ..Place::default() },
            })
        })
        .collect();
    // The script counts exactly if all have room.
    counted.filter(|counted| counted.iter().all(|counted| counted.allowed) == done)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::read;
    use crate::limits::{Limit, asked::Asked, window::Shape};

    const WINDOW: Duration = Duration::from_secs(60);
    const TEN: Limit<'static> =
        Limit { tenant: "t", name: "n", key: "k", limit: 10, window: WINDOW, count: 2 };
    const ONE: Limit<'static> = Limit { limit: 1, count: 1, ..TEN };

    fn asked(limit: &'static Limit<'static>) -> Asked<'static, 'static, String> {
        Asked { limit, identity: String::new(), shape: Shape::of(limit), count: limit.count }
    }

    #[test]
    fn an_answer_is_read() {
        let read = read(&[1, 3, 500, 7, 0, 60_000, 8], &[asked(&TEN), asked(&ONE)]).unwrap();
        assert_eq!((read[0].remaining, read[0].reset), (5, Duration::from_millis(500)));
        assert_eq!((read[1].remaining, read[1].place.shared), (0, Some(8)));
        assert!(read.iter().all(|counted| counted.allowed && counted.shared));
    }

    #[test]
    fn of_a_refused_call_each_limit_says_whether_it_had_room() {
        let read = read(&[0, 3, 500, 7, 1, 900, 8], &[asked(&TEN), asked(&ONE)]).unwrap();
        assert_eq!((read[0].allowed, read[0].remaining, read[0].place.shared), (true, 7, None));
        assert_eq!((read[1].allowed, read[1].remaining), (false, 0));
    }

    #[test]
    fn what_makes_no_sense_is_no_answer() {
        let one = [asked(&TEN)];
        let answers: [&[i64]; 10] = [
            &[],
            &[1],
            &[1, 3, 500],
            &[1, 3, 500, 7, 1],
            &[2, 3, 500, 7],
            &[1, -1, 500, 7],
            &[1, 3, -1, 7],
            &[1, 3, 500, -7],
            // It says that it counted what does not fit, and that it did not count what does.
            &[1, 9, 500, 7],
            &[0, 8, 500, 7],
        ];
        for answer in answers {
            assert!(read(answer, &one).is_none(), "{answer:?}");
        }
        assert!(read(&[1, i64::from(u32::MAX) + 1, 500, 7], &one).is_none());
    }
}
