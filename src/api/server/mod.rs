//! The listeners: connections in, with bounds on what each may hold, and a graceful end.
//!
//! **Must never know:** what is asked. From here a request goes to a router, and its answer back.

mod activity;
mod address;
mod connection;
mod form;
mod room;
mod socket;
mod tls;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use futures_util::FutureExt;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tokio_io_timeout::TimeoutStream;

use self::{
    connection::Connections,
    socket::{Accepted, Socket},
};
use super::{Channel, bounds::HttpBounds, observed};

pub use address::{BoundAddress, ListenAddress};
pub use tls::{KeptContents, Tls, TlsError, TlsFiles};

/// The listener cannot be opened.
#[derive(Debug, Error)]
#[error("cannot listen on {address}{}", self.advice())]
pub struct ServerError {
    address: String,
    /// What said so.
    said_by: Option<&'static str>,
    source: io::Error,
}

impl ServerError {
    /// With what names the address, for whoever has to name another one.
    pub fn said_by(self, said_by: &'static str) -> Self {
        Self { said_by: Some(said_by), ..self }
    }

    fn advice(&self) -> String {
        if self.source.kind() != io::ErrorKind::AddrInUse {
            return String::new();
        }
        let instead = self.said_by.map(|said_by| format!(" Name another with {said_by}"));
        format!(": is another program using it?{}", instead.unwrap_or_default())
    }
}

/// How long connections may take to finish what is in flight when the process ends.
const DRAIN_TIME: Duration = Duration::from_secs(20);

/// How a listener is opened.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Who may connect to a Unix socket: the permissions of its file.
    pub socket_mode: u32,
    /// How TLS is spoken on ports; Unix sockets do without.
    pub tls: Option<Arc<Tls>>,
    /// Who tells of the requests, if anybody does.
    pub observer: Option<Arc<observed::RequestObserver>>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { socket_mode: 0o660, tls: None, observer: None }
    }
}

/// An open listener. What comes before it is served waits.
#[derive(Debug)]
pub struct Server {
    socket: Socket,
    bounds: Arc<HttpBounds>,
    tls: Option<Arc<Tls>>,
    observer: Option<Arc<observed::RequestObserver>>,
}

impl Server {
    /// Opens a listener at an address such as `127.0.0.1:8181` or `unix:/run/regate.sock`; port 0 takes a free one.
    ///
    /// # Errors
    /// [`ServerError`] when it cannot be opened.
    pub async fn bind(address: &str, bounds: Arc<HttpBounds>) -> Result<Self, ServerError> {
        Self::open(&address.into(), bounds, &ListenOptions::default()).await
    }

    /// The same, with options.
    ///
    /// A Unix socket on which nobody listens any more is replaced. Its file is removed when the listener ends.
    ///
    /// # Errors
    /// [`ServerError`] when it cannot be opened: it is in use, or a file at the socket's path is no socket.
    pub async fn open(
        address: &ListenAddress,
        bounds: Arc<HttpBounds>,
        options: &ListenOptions,
    ) -> Result<Self, ServerError> {
        let socket = Socket::open(address, options.socket_mode).await.map_err(|source| ServerError {
            address: address.to_string(),
            said_by: None,
            source,
        })?;
        let ListenOptions { tls, observer, .. } = options.clone();
        Ok(Self { socket, bounds, tls, observer })
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// When the operating system does not know it.
    pub fn address(&self) -> io::Result<BoundAddress> {
        self.socket.address()
    }

    /// Who can read what is said here.
    ///
    /// # Errors
    /// When the operating system does not know the address.
    pub fn channel(&self) -> io::Result<Channel> {
        Ok(match self.address()? {
            BoundAddress::Unix(_) => Channel::Unix,
            BoundAddress::Tcp(_) if self.tls.is_some() => Channel::Tls,
            BoundAddress::Tcp(address) => Channel::at(&address),
        })
    }

    /// Serves until `end` is done, then takes no more connections and gives those that are there
    /// time to finish.
    pub async fn serve(self, router: Router, end: impl Future<Output = ()>) {
        let Self { socket, bounds, tls, observer } = self;
        let (stop, stopping) = watch::channel(false);
        let connections = Arc::new(Connections::new(router, &bounds, observer, stopping));
        let places = Arc::new(Semaphore::new(bounds.connections));
        let serve = |accepted, place| match accepted {
            Accepted::Tcp(stream, peer) => {
                begin(&connections, (stream, Some(peer)), tls.as_ref(), &bounds, place)
            }
            Accepted::Unix(stream) => begin(&connections, (stream, None), None, &bounds, place),
        };
        let mut end = std::pin::pin!(end);
        loop {
            let accepted = async {
                // The place is taken first: a flood of connections waits in the kernel's queue.
                let place = Arc::clone(&places).acquire_owned().await;
                (place, socket.accept().await)
            };
            let (place, accepted) = tokio::select! {
                accepted = accepted => accepted,
                () = &mut end => break,
            };
            match (accepted, place) {
                (Ok(accepted), Ok(place)) => serve(accepted, place),
                (Err(error), _) => {
                    // Out of file descriptors, most likely: wait for some to come back.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                // The semaphore is never closed.
                (Ok(_), Err(_)) => break,
            }
        }
        // Who is in the kernel's queue believes to be connected, and may have asked.
        while let Ok(place) = Arc::clone(&places).try_acquire_owned()
            && let Some(Ok(accepted)) = socket.accept().now_or_never()
        {
            serve(accepted, place);
        }
        drop(socket);
        stop.send_replace(true);
        let all = u32::try_from(bounds.connections).unwrap_or(u32::MAX);
        if tokio::time::timeout(DRAIN_TIME, places.acquire_many(all)).await.is_err() {
            tracing::warn!("some connections did not finish in time and were cut");
        }
    }
}

/// Serves a connection, and who is at its other end, in a task of its own, for which it has a place.
fn begin(
    connections: &Arc<Connections>,
    (stream, peer): (impl AsyncRead + AsyncWrite + Send + 'static, Option<SocketAddr>),
    tls: Option<&Arc<Tls>>,
    bounds: &HttpBounds,
    place: OwnedSemaphorePermit,
) {
    // A client that does not read its answers must not keep a place for ever.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(bounds.receive_time));
    let stream = Box::pin(stream);
    let connections = Arc::clone(connections);
    let Some(tls) = tls.map(Arc::clone) else {
        tokio::spawn(async move {
            connections.serve(stream, peer).await;
            drop(place);
        });
        return;
    };
    let time = bounds.receive_time;
    tokio::spawn(async move {
        let accepted = tokio::select! {
            biased;
            accepted = tls.accept(stream, time) => accepted,
            () = connections.stopping() => return,
        };
        if let Ok(stream) = accepted {
            connections.serve(stream, peer).await;
        }
        drop(place);
    });
}
