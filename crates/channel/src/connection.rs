//! One open connection and one exchange over it: a request out, an answer in, within bounds.
//!
//! The connection is driven by the attempt that uses it, in the attempt's own task: nothing runs beside it, and dropping
//! the attempt closes it. An idle connection is not driven at all.

use crate::answer::kept_headers;
use crate::body::RequestBody;
use crate::deadline::Deadline;
use crate::fault::{fault, of_exchange};
use crate::wire::{Tally, Wire};
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use steadfast_retry::{Answer, Fault, FaultKind, Phase};
use tokio::time::Instant;

/// How many headers an answer may have.
const HEADERS_MAX: usize = 128;
/// How many bytes of answer are buffered at once; the whole head must fit.
const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// How many bytes may come for each byte of the largest body: framed one by one, each takes six.
const FRAMED_FACTOR: u64 = 8;
/// What else may come: the head, and interim answers before it.
const HEADS_BYTES_MAX: u64 = 256 * 1024;
/// What is set aside for a body whose length is only announced.
const BODY_ROOM_MAX: u64 = 64 * 1024;

/// One open connection.
pub(crate) struct Link {
    sender: SendRequest<RequestBody>,
    connection: Connection<TokioIo<Wire>, RequestBody>,
    is_finished: bool,
    is_reused: bool,
    tally: Arc<Tally>,
    /// The address that was called.
    pub(crate) remote: Box<str>,
    /// How far an attempt has come that has this connection and sent nothing over it.
    pub(crate) opened: Phase,
}

/// How an exchange ended.
pub(crate) enum Exchange {
    /// The answer came whole.
    Answered(Answer),
    /// It failed on the way; of an answer that broke off stays what came.
    Failed(Fault, Option<Answer>),
    /// No byte of the request was written: it may go out on another connection.
    HandedBack(Request<RequestBody>, Fault),
}

impl Link {
    /// Around a wire that is open, TLS included.
    pub(crate) async fn open(wire: Wire, remote: Box<str>, opened: Phase) -> Result<Box<Link>, Fault> {
        let tally = wire.tally().clone();
        let mut builder = Builder::new();
        builder.max_headers(HEADERS_MAX).max_buf_size(BUFFER_BYTES_MAX);
        let (sender, connection) = builder.handshake(TokioIo::new(wire)).await.map_err(|error| of_exchange(&error))?;
        let link = Link { sender, connection, is_finished: false, is_reused: false, tally, remote, opened };
        Ok(Box::new(link))
    }

    /// Whether it was used before.
    pub(crate) fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// How far the exchange came, read from what went over the wire.
    pub(crate) fn phase(&self) -> Phase {
        if self.tally.any_read() {
            Phase::Receiving
        } else if self.tally.all_written() {
            Phase::Sent
        } else if self.tally.any_written() {
            Phase::Sending
        } else {
            self.opened
        }
    }

    /// Whether the next request may go over it, asked after a whole answer.
    pub(crate) fn is_usable(&self) -> bool {
        !self.is_finished && self.sender.is_ready()
    }

    /// Sends the request and reads the answer, at most `body_bytes_max` of its body. Calls `on_first_byte` once.
    pub(crate) async fn exchange(
        &mut self,
        mut request: Request<RequestBody>,
        body_bytes_max: usize,
        deadline: &mut Deadline<'_>,
        on_first_byte: &mut Option<Instant>,
    ) -> Exchange {
        let bytes_max = u64::try_from(body_bytes_max).unwrap_or(u64::MAX);
        let read_max = bytes_max.saturating_mul(FRAMED_FACTOR).saturating_add(HEADS_BYTES_MAX);
        self.tally.begin(request.body().is_end_stream(), read_max, self.is_reused);
        self.is_reused = true;
        request.body_mut().bind(&self.tally);
        let pending = self.sender.try_send_request(request);
        let response = match self.head(pending, deadline, on_first_byte).await {
            Some(Ok(response)) => response,
            Some(Err(error)) => return self.unanswered(error),
            None => return Exchange::Failed(self.too_late(), None),
        };
        let (head, body) = response.into_parts();
        let mut read = ReadBody::new(body, body_bytes_max);
        let ended = poll_fn(|cx| self.poll_body(cx, &mut read, deadline)).await;
        let answer = read.into_answer(head.status.as_u16(), kept_headers(&head.headers));
        match ended {
            Ok(()) => Exchange::Answered(answer),
            Err(fault) => Exchange::Failed(fault, Some(answer)),
        }
    }

    async fn head(
        &mut self,
        pending: impl Future<Output = Sent>,
        deadline: &mut Deadline<'_>,
        first_byte: &mut Option<Instant>,
    ) -> Option<Sent> {
        let mut pending = pin!(pending);
        poll_fn(|cx| {
            self.drive(cx);
            if first_byte.is_none() && self.tally.any_read() {
                *first_byte = Some(Instant::now());
                deadline.only_total();
            }
            match pending.as_mut().poll(cx) {
                Poll::Ready(sent) => Poll::Ready(Some(sent)),
                Poll::Pending if deadline.poll_expired(cx) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        read: &mut ReadBody,
        deadline: &mut Deadline<'_>,
    ) -> Poll<Result<(), Fault>> {
        loop {
            // Asking the body for more is what lets the connection read on, so it is asked again after driving.
            let mut polled = read.poll(cx);
            if polled.is_pending() {
                self.drive(cx);
                polled = read.poll(cx);
            }
            match polled {
                Poll::Ready(Progress::More) => {}
                Poll::Ready(Progress::Ended(ended)) => {
                    // Lets the connection see the answer's end and come to rest.
                    self.drive(cx);
                    return Poll::Ready(ended);
                }
                Poll::Pending if deadline.poll_expired(cx) => return Poll::Ready(Err(self.too_late())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        // Its errors reach the request or the body as well.
        if !self.is_finished && Pin::new(&mut self.connection).poll(cx).is_ready() {
            self.is_finished = true;
        }
    }

    fn unanswered(&self, mut error: TrySendError<Request<RequestBody>>) -> Exchange {
        match error.take_message() {
            Some(request) if !self.tally.any_written() => {
                Exchange::HandedBack(request, of_exchange(&error.into_error()))
            }
            Some(_) | None => Exchange::Failed(of_exchange(&error.into_error()), None),
        }
    }

    fn too_late(&self) -> Fault {
        let detail = match self.phase() {
            Phase::Receiving => "The answer began and did not end in time.",
            Phase::Sent => "The request was sent and no answer came in time.",
            Phase::Prepare | Phase::Resolve | Phase::Connect | Phase::Secure | Phase::Sending | Phase::Responded => {
                "The request could not be sent whole in time."
            }
        };
        fault(FaultKind::TimeoutRead, detail)
    }
}

type Sent = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

enum Progress {
    More,
    Ended(Result<(), Fault>),
}

/// The answer's body as far as it was read.
struct ReadBody {
    incoming: Incoming,
    kept: BytesMut,
    seen: u64,
    bytes_max: usize,
}

impl ReadBody {
    fn new(incoming: Incoming, bytes_max: usize) -> Self {
        let announced = incoming.size_hint().lower().min(BODY_ROOM_MAX);
        let room = usize::try_from(announced).unwrap_or(0).min(bytes_max);
        ReadBody { incoming, kept: BytesMut::with_capacity(room), seen: 0, bytes_max }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        if self.incoming.is_end_stream() {
            return Poll::Ready(Progress::Ended(Ok(())));
        }
        Pin::new(&mut self.incoming).poll_frame(cx).map(|frame| match frame {
            None => Progress::Ended(Ok(())),
            Some(Err(error)) => Progress::Ended(Err(of_exchange(&error))),
            Some(Ok(frame)) => frame.into_data().map_or(Progress::More, |data| self.keep(&data)),
        })
    }

    // Copied: a body of twenty bytes must not hold on to the connection's whole buffer.
    fn keep(&mut self, data: &Bytes) -> Progress {
        self.seen += data.len() as u64;
        let room = self.bytes_max - self.kept.len();
        self.kept.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() <= room {
            return Progress::More;
        }
        let detail = format!("The answer's body is larger than the {} bytes allowed.", self.bytes_max);
        Progress::Ended(Err(fault(FaultKind::ResponseTooLarge, detail)))
    }

    fn into_answer(self, status: u16, headers: Vec<(Box<str>, Box<str>)>) -> Answer {
        Answer { status, headers, body: self.kept.freeze(), body_bytes: self.seen }
    }
}
