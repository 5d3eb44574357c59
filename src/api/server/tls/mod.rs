//! TLS on listeners: with the certificate of the moment, which follows its files.

mod files;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};

use self::files::Contents;
use crate::types::causes;

pub use files::{TlsError, TlsFiles};

/// How often the files are read to see whether they have changed. It is their contents that are compared: a link that is
/// put in another's place, as Kubernetes does it, may change neither time nor size.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What was just changed is read once more after this time, since the other files may be about to change with it.
const SETTLING_TIME: Duration = Duration::from_millis(100);

/// The certificate that listeners show, and whom they ask for one.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    /// What new connections get.
    current: watch::Sender<Arc<ServerConfig>>,
    reloads: AtomicU64,
    reload_failures: AtomicU64,
    failing: AtomicBool,
    handshake_failures: AtomicU64,
}

/// What the files held when they were last tried, or why they could not be read.
type Tried = Result<Contents, String>;

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`], which names the file and what is wrong with it.
    pub fn load(files: TlsFiles) -> Result<(Self, KeptContents), TlsError> {
        let contents = files.read()?;
        let current = watch::Sender::new(Arc::new(files.configure(&contents)?));
        let tls = Self {
            files,
            current,
            reloads: AtomicU64::new(0),
            reload_failures: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            handshake_failures: AtomicU64::new(0),
        };
        Ok((tls, KeptContents(Ok(contents))))
    }

    /// How often other files took the place of those that were there.
    pub fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }

    /// How often changed files could not be used.
    pub fn reload_failures(&self) -> u64 {
        self.reload_failures.load(Ordering::Relaxed)
    }

    /// Whether the files, as they are, cannot be used.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// How often a client did not come to terms: no certificate, or none that is good; no TLS; no word in time.
    pub fn handshake_failures(&self) -> u64 {
        self.handshake_failures.load(Ordering::Relaxed)
    }

    /// Comes to terms with a client.
    pub(super) async fn accept<S>(&self, stream: S, time: Duration) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.current.borrow()));
        let done = match tokio::time::timeout(time, acceptor.accept(stream)).await {
            Ok(done) => done,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        if let Err(error) = &done {
            self.handshake_failures.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%error, "a client did not come to terms about TLS");
        }
        done
    }

    /// Follows the files until `end` is done. What cannot be used is logged and counted once for each change, and
    /// changes nothing.
    pub async fn follow(self: Arc<Self>, kept: KeptContents, end: impl Future<Output = ()>) {
        let KeptContents(mut tried) = kept;
        let mut end = std::pin::pin!(end);
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                () = &mut end => return,
            }
            let read = self.read().await;
            if read == tried {
                continue;
            }
            tokio::time::sleep(SETTLING_TIME).await;
            if self.read().await == read {
                self.change(&read);
                tried = read;
            }
        }
    }

    async fn read(self: &Arc<Self>) -> Tried {
        let tls = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || tls.files.read());
        match reading.await {
            Ok(read) => read.map_err(|error| causes(&error).join(": ")),
            Err(error) => Err(error.to_string()),
        }
    }

    fn change(&self, read: &Tried) {
        let config = match read {
            Ok(contents) => self.files.configure(contents).map_err(|error| causes(&error).join(": ")),
            Err(problem) => Err(problem.clone()),
        };
        self.failing.store(config.is_err(), Ordering::Relaxed);
        match config {
            Ok(config) => {
                self.current.send_replace(Arc::new(config));
                self.reloads.fetch_add(1, Ordering::Relaxed);
                tracing::info!("new connections get the changed TLS certificate");
            }
            Err(problem) => {
                self.reload_failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%problem, "the changed TLS files cannot be used: the last good ones still are");
            }
        }
    }
}

/// What was read first, so that the first look finds no change.
#[derive(Debug)]
pub struct KeptContents(Tried);
