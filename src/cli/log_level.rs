//! SIGHUP: the level of the log is read anew.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{configuration::Configuration, exit::CommandError};
use crate::telemetry::LogLevel;

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
                    tracing::warn!(%error, level, "the configuration cannot be read: the log level stays");
                    continue;
                }
            };
            match self.level.set(&wanted) {
                Ok(()) => {
                    tracing::info!(level = wanted, "the log level has changed");
                    self.present = wanted;
                }
                Err(error) => {
                    let (error, level) = (CommandError::from(error).with_causes(), &self.present);
                    tracing::warn!(%error, level, "the log level stays");
                }
            }
        }
        // The signal's stream has no end.
        std::future::pending().await
    }
}
