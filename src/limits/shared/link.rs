//! The connection to Redis: there or not, and made anew in the background.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, aio::MultiplexedConnection};
use tokio::{runtime::Handle, time::sleep};

use super::script::Scripts;
use crate::types::Clock;

/// How long it takes at most to connect, in each of its steps.
const CONNECT: Duration = Duration::from_secs(2);
/// The pause before a connection is made again: after the first failure, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Failures that lie further apart have nothing to do with each other.
const APART: Duration = Duration::from_secs(30);

/// The connection, and which it is. Clones use the same one.
#[derive(Clone)]
pub(in crate::limits) struct Link {
    pub(super) connection: MultiplexedConnection,
    number: u64,
}

/// Makes connections, one after the other.
pub(super) struct Links {
    client: Client,
    scripts: Arc<Scripts>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    failures: AtomicU64,
}

struct State {
    link: Option<Link>,
    /// Whether a task is about to make one.
    connecting: bool,
    /// How many there were.
    number: u64,
    /// Whether it was said that Redis is lost.
    said: bool,
    pause: Duration,
    failed: Option<Duration>,
}

impl Links {
    pub(super) fn new(client: Client, scripts: Arc<Scripts>, clock: Arc<dyn Clock>) -> Self {
        let state =
            State { link: None, connecting: false, number: 0, said: false, pause: FIRST_PAUSE, failed: None };
        Self { client, scripts, clock, state: Mutex::new(state), failures: AtomicU64::new(0) }
    }

    /// The connection. If there is none, this begins to make one, unless that is under way.
    pub(super) fn get(self: &Arc<Self>) -> Option<Link> {
        let link = self.state().link.clone();
        if link.is_none() {
            self.want();
        }
        link
    }

    pub(super) fn is_up(&self) -> bool {
        self.state().link.is_some()
    }

    /// Connections that could not be made.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Gives a connection up that does not do. What others say of the same one later is no news.
    pub(super) fn lost(self: &Arc<Self>, link: &Link, problem: &str) {
        {
            let mut state = self.state();
            if state.link.as_ref().is_none_or(|current| current.number != link.number) {
                return;
            }
            state.link = None;
            self.failed(&mut state, problem);
        }
        self.want();
    }

    /// Begins to make a connection in the background, if there is a runtime and nobody is at it.
    pub(super) fn want(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut state = self.state();
        if state.link.is_some() || mem::replace(&mut state.connecting, true) {
            return;
        }
        drop(state);
        let connecting = Connecting { links: Arc::downgrade(self), done: false };
        runtime.spawn(connecting.until_there());
    }

    /// What a panic left behind is still a state: each change of it stands for itself.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a failure, and says so if it is the first.
    fn failed(&self, state: &mut State, problem: &str) {
        let now = self.clock.uptime();
        let before = state.failed.replace(now);
        state.pause = match before {
            Some(before) if now.saturating_sub(before) < APART => (state.pause * 2).min(LONGEST_PAUSE),
            _ => FIRST_PAUSE,
        };
        if !mem::replace(&mut state.said, true) {
            tracing::warn!(
                redis = %self.client.get_connection_info().addr(),
                problem,
                "the shared rate limiter is lost: until it is back each process counts for itself"
            );
        }
    }

    /// How long to wait before the next attempt.
    fn pause(&self) -> Duration {
        let state = self.state();
        if state.failed.is_some() { state.pause } else { Duration::ZERO }
    }

    /// Connects, and gives Redis the scripts: whoever takes these will count.
    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(CONNECT));
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        self.scripts.load(&mut connection).await?;
        Ok(connection)
    }

    /// Puts a connection in place.
    fn found(&self, connection: MultiplexedConnection) {
        let mut state = self.state();
        state.number += 1;
        state.link = Some(Link { connection, number: state.number });
        state.connecting = false;
        if mem::replace(&mut state.said, false) {
            tracing::warn!("the shared rate limiter is back");
        }
    }
}

/// A task that makes a connection. Its end, however it comes, makes way for the next.
struct Connecting {
    links: Weak<Links>,
    done: bool,
}

impl Connecting {
    /// Tries until there is one, or nobody wants it any more.
    async fn until_there(mut self) {
        loop {
            let Some(pause) = self.links.upgrade().map(|links| links.pause()) else { return };
            sleep(pause).await;
            let Some(links) = self.links.upgrade() else { return };
            match links.connect().await {
                Ok(connection) => {
                    self.done = true;
                    return links.found(connection);
                }
                Err(error) => {
                    links.failures.fetch_add(1, Ordering::Relaxed);
                    links.failed(&mut links.state(), &what_happened(&error));
                }
            }
        }
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        if let (false, Some(links)) = (self.done, self.links.upgrade()) {
            links.state().connecting = false;
        }
    }
}

/// What is to be said of an error: its sort, and no words of Redis or of the URL.
pub(super) fn what_happened(error: &RedisError) -> String {
    if error.is_connection_refusal() {
        return "nothing listens there: the connection was refused".to_owned();
    }
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    if error.kind() == ErrorKind::Parse {
        return "what answers there is no Redis".to_owned();
    }
    if is_unknown_name(error) {
        return "the name of the host is not known".to_owned();
    }
    match (error.category(), error.code()) {
        (category, Some(code)) => format!("{category} ({code})"),
        (category, None) => category.to_owned(),
    }
}

/// Whether the host has no address. The standard library has no sort of error for it, only these words.
fn is_unknown_name(error: &RedisError) -> bool {
    error.is_io_error() && error.to_string().contains("failed to lookup address information")
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use redis::RedisError;

    use super::what_happened;

    #[test]
    fn the_cause_is_said_in_words_of_our_own() {
        let of = |kind, words: &str| what_happened(&RedisError::from(Error::new(kind, words.to_owned())));
        assert!(of(ErrorKind::ConnectionRefused, "hunter2").contains("refused"));
        assert!(of(ErrorKind::NotFound, "hunter2").contains("nothing listens there"));
        assert!(of(ErrorKind::TimedOut, "hunter2").contains("in time"));
        let unknown = "failed to lookup address information: hunter2";
        assert_eq!(of(ErrorKind::Other, unknown), "the name of the host is not known");
        assert!(!of(ErrorKind::Other, "hunter2").contains("hunter2"));
        let parse = RedisError::from((redis::ErrorKind::Parse, "hunter2"));
        assert_eq!(what_happened(&parse), "what answers there is no Redis");
    }
}
