//! One connection: which HTTP it speaks, its requests, its end.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, response::IntoResponse};
use hyper::{
    Request,
    body::Incoming,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};

use super::{
    activity::Activity,
    form,
    room::{Places, Room},
};
use crate::api::{
    HttpBounds,
    observed::{RequestObserver, Routes, WatchedListener},
};

/// Requests at a time on one HTTP/2 connection; a gateway that has more of them waits, or opens another.
const STREAMS: u32 = 256;

/// What a client may send of bodies on an HTTP/2 connection, and on a stream of it, before regate has read it.
const WINDOW: u32 = 64 * 1024;

/// Streams that a client may have reset before they were looked at ("rapid reset", CVE-2023-44487), and those that
/// were reset because of its mistakes; more of either end the connection. The first is what the `h2` crate takes as well.
const RESETS: usize = 20;
const MISTAKES: usize = 256;

/// How often the other end of an HTTP/2 connection is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// So long a connection that is told to end may be silent before it is cut.
const PARTING_TIME: Duration = Duration::from_secs(3);

/// What the connections of a listener have in common.
pub(super) struct Connections {
    builder: auto::Builder<TokioExecutor>,
    service: TowerToHyperService<Router>,
    idle_time: Duration,
    places: Places,
    watched: Option<Arc<WatchedListener>>,
    stopping: watch::Receiver<bool>,
}

impl Connections {
    pub(super) fn new(
        router: Router,
        bounds: &HttpBounds,
        observer: Option<Arc<RequestObserver>>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        // Room for a header that is too large, so that it can be answered with a problem document. Beyond it the answer is
        // a bare 431.
        let header_room = bounds.header_bytes.saturating_mul(2).max(64 * 1024);
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(bounds.idle_time)
            .max_buf_size(header_room)
            .max_headers(256);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(header_room).unwrap_or(u32::MAX))
            .initial_connection_window_size(WINDOW)
            .initial_stream_window_size(WINDOW)
            .max_pending_accept_reset_streams(RESETS)
            .max_local_error_reset_streams(MISTAKES)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(bounds.receive_time);
        let routes = Routes::of(&router);
        let watched = observer.map(|observer| Arc::new(WatchedListener::new(observer, routes)));
        let service = TowerToHyperService::new(router);
        let (idle_time, places) = (bounds.idle_time, Places::default());
        Self { builder, service, idle_time, places, watched, stopping }
    }

    /// Done when the listener is to end.
    pub(super) async fn stopping(&self) {
        // The listener is gone without a word: that is an end as well.
        let _ = self.stopping.clone().wait_for(|stop| *stop).await;
    }

    /// Serves a connection to its end. `peer`: the other end, but for Unix sockets.
    pub(super) async fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Option<SocketAddr>,
    ) {
        let activity = Arc::new(Activity::default());
        let room = Room::new(&self.places);
        let service = service_fn(|mut request: Request<Incoming>| {
            let turn = activity.begin();
            let watched = self.watched.as_ref().map(|listener| listener.begin(&request, peer));
            let answering =
                form::settle(&mut request).map(|()| self.service.call(request.map(|body| room.hold(body))));
            async move {
                let answering = async {
                    match answering {
                        Ok(answering) => answering.await,
                        Err(problem) => Ok(problem.into_response()),
                    }
                };
                let answer = match watched {
                    Some(watched) => watched.answer(answering).await,
                    None => answering.await,
                };
                drop(turn);
                answer as Result<_, Infallible>
            }
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            // First, so that a request that is there already is seen before the end is.
            biased;
            // A connection that breaks is the client's affair.
            _ = connection.as_mut() => return,
            () = self.stopping() => {}
            () = activity.idle(self.idle_time) => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            _ = connection => {}
            // Who does not even take the answer has no claim to more.
            () = activity.idle(PARTING_TIME) => {}
        }
    }
}
