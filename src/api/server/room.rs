//! Room for the bodies of requests that are still arriving.
//!
//! A body that comes whole, as gateways send theirs, needs none. One that comes in pieces is kept until it is whole, and
//! whoever sends its last byte late, many times over, would fill the memory: so a connection has a little room of its own,
//! and larger bodies take one of the places that all connections of a listener share. Who finds none waits, and is not
//! read from meanwhile; how long a body may take is bounded elsewhere.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that a connection may have of bodies that are not whole, beside those with a place.
const OWN_BYTES: usize = 64 * 1024;

/// Larger bodies that may arrive at a time, on all connections of a listener.
const PLACES: usize = 64;

/// What the connections of a listener share.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PLACES)))
    }
}

/// The room of one connection.
#[derive(Clone, Debug)]
pub(super) struct Room {
    own: Arc<Semaphore>,
    places: Places,
}

impl Room {
    pub(super) fn new(places: &Places) -> Self {
        Self { own: Arc::new(Semaphore::new(OWN_BYTES)), places: places.clone() }
    }

    /// A body that takes its room here.
    pub(super) fn hold(&self, body: Incoming) -> Held {
        Held { body, room: self.clone(), own: None, place: None, waiting: None }
    }
}

type Waiting = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

/// A body, and the room that it takes until it is whole, or given up.
pub(super) struct Held {
    body: Incoming,
    room: Room,
    /// Of the connection's own.
    own: Option<OwnedSemaphorePermit>,
    /// One of all connections'.
    place: Option<OwnedSemaphorePermit>,
    /// What came while there was no place for it.
    waiting: Option<(Frame<Bytes>, Waiting)>,
}

impl Held {
    /// Takes room for so much more of the connection's own.
    fn takes_own(&mut self, bytes: usize) -> bool {
        let Ok(bytes) = u32::try_from(bytes) else { return false };
        let Ok(more) = Arc::clone(&self.room.own).try_acquire_many_owned(bytes) else { return false };
        match &mut self.own {
            Some(own) => own.merge(more),
            None => self.own = Some(more),
        }
        true
    }
}

impl Body for Held {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some((frame, mut waiting)) = self.waiting.take() {
            match waiting.as_mut().poll(context) {
                Poll::Pending => {
                    self.waiting = Some((frame, waiting));
                    return Poll::Pending;
                }
                Poll::Ready(place) => {
                    // The semaphore is never closed. The place is for all of it.
                    self.place = place;
                    self.own = None;
                    return Poll::Ready(Some(Ok(frame)));
                }
            }
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            end => return Poll::Ready(end),
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        if self.place.is_some() || self.body.is_end_stream() || self.takes_own(bytes) {
            return Poll::Ready(Some(Ok(frame)));
        }
        let places = Arc::clone(&self.room.places.0);
        self.waiting = Some((frame, Box::pin(async move { places.acquire_owned().await.ok() })));
        self.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.waiting {
            Some(_) => SizeHint::default(),
            None => self.body.size_hint(),
        }
    }
}
