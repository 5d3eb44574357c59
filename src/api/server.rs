//! The listener: connections in, with bounds on what each may hold, and a graceful end.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_io_timeout::TimeoutStream;

use super::bounds::HttpBounds;

/// The listener cannot be opened.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: is another program using it?")]
pub struct ServerError {
    address: String,
    source: io::Error,
}

/// How long connections may take to finish what is in flight when the process ends.
const DRAIN_TIME: Duration = Duration::from_secs(20);

/// A bound listener.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    bounds: Arc<HttpBounds>,
}

impl Server {
    /// Binds an address such as `127.0.0.1:8181`; port 0 takes a free one.
    ///
    /// # Errors
    /// [`ServerError`] when the address cannot be bound.
    pub async fn bind(address: &str, bounds: Arc<HttpBounds>) -> Result<Self, ServerError> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| ServerError { address: address.to_owned(), source })?;
        Ok(Self { listener, bounds })
    }

    /// The address that was bound.
    ///
    /// # Errors
    /// When the operating system does not know it.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `end` is done, then takes no more connections and gives those that are there
    /// time to finish.
    pub async fn serve(self, router: Router, end: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(self.bounds.connections));
        let mut end = std::pin::pin!(end);
        loop {
            let accepted = async {
                // The place is taken first: a flood of connections waits in the kernel's queue.
                let place = Arc::clone(&places).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                accepted = accepted => accepted,
                () = &mut end => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let serving = connection(stream, router.clone(), &self.bounds, &graceful);
                    tokio::spawn(async move {
                        // A connection that breaks is the client's affair.
                        let _ = serving.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, most likely: wait for some to come back.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(self.listener);
        if tokio::time::timeout(DRAIN_TIME, graceful.shutdown()).await.is_err() {
            tracing::warn!("some connections did not finish in time and were cut");
        }
    }
}

fn connection(
    stream: TcpStream,
    router: Router,
    bounds: &HttpBounds,
    graceful: &GracefulShutdown,
) -> impl Future<Output = hyper::Result<()>> + Send + 'static {
    // Answers are small and whole: waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    // A client that does not read its answers must not keep a place for ever.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(bounds.receive_time));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.idle_time)
        // Room for a header that is too large, so that it can be answered with a problem document.
        .max_buf_size(bounds.header_bytes.saturating_mul(8).max(64 * 1024))
        .max_headers(256)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
    graceful.watch(serving)
}
