//! SIGHUP: the level of the log is read anew.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{configuration::Configuration, exit::CommandError};
use crate::telemetry::{LogError, LogLevel};

/// Changes the level of the log while the process runs.
pub(super) struct LevelChanges {
    hangups: Signal,
    level: LogLevel,
    present: String,
}

impl LevelChanges {
    /// Catches SIGHUP, which would end the process otherwise. `present`: the level that the log was started with.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(super) fn catch(level: LogLevel, present: &str) -> io::Result<Self> {
        Ok(Self { hangups: signal(SignalKind::hangup())?, level, present: present.to_owned() })
    }

    /// With each SIGHUP, reads the configuration and takes its level; nothing else of it. Never ends.
    pub(super) async fn follow(mut self, read: impl Fn() -> Result<Configuration, CommandError>) {
        while self.hangups.recv().await.is_some() {
            let wanted = match read() {
                Ok(configuration) => configuration.log.level,
                Err(error) => {
                    let (error, level) = (error.with_causes(), &self.present);
                    tracing::error!(%error, level, "the configuration cannot be read: the log level stays");
                    continue;
                }
            };
            match self.change(&wanted) {
                Ok(()) => self.present = wanted,
                Err(error) => {
                    let (error, level) = (CommandError::from(error).with_causes(), &self.present);
                    tracing::error!(%error, level, "the log level stays");
                }
            }
        }
        // The signal's stream has no end.
        std::future::pending().await
    }

    /// Takes another level, and says so once: under the one before where the new one keeps the line away.
    fn change(&self, wanted: &str) -> Result<(), LogError> {
        let say = || tracing::warn!(level = wanted, before = self.present, "the log level has changed");
        self.level.set(wanted)?;
        if tracing::enabled!(tracing::Level::WARN) {
            say();
            return Ok(());
        }
        self.level.set(&self.present)?;
        say();
        self.level.set(wanted)
    }
}
