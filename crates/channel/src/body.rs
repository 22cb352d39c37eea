//! The body of a request: one piece of bytes that notes when the connection has taken it.

use crate::wire::Tally;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

pub(crate) struct RequestBody {
    bytes: Bytes,
    tally: Option<Arc<Tally>>,
}

impl RequestBody {
    pub(crate) fn new(bytes: Bytes) -> Self {
        RequestBody { bytes, tally: None }
    }

    /// Reports to this tally from now on; a request handed back by one connection is bound to the next one's.
    pub(crate) fn bind(&mut self, tally: &Arc<Tally>) {
        self.tally = Some(tally.clone());
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        if let Some(tally) = &self.tally {
            tally.take_body();
        }
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
