//! The listener: accepts connections, bounds them, and ends them in good order.
//!
//! Knows nothing of what is served.

use crate::patience::Patient;
use crate::resting::{Busy, Resting, Seat};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Bounds on connections.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Connections at once. Beyond, the one that has waited longest for a request makes room; where all are within one, a new
    /// one waits.
    pub connections_max: usize,
    /// How long a request's head may take to come, and how long an idle connection is kept.
    pub header_timeout: Duration,
    /// A request's head, at most, in bytes. Beyond it the connection is answered 431 without a body and closed.
    pub head_bytes_max: usize,
    /// Headers, at most.
    pub headers_max: usize,
    /// How long an answer may wait for its client to read on.
    pub write_timeout: Duration,
    /// How long a stop waits for requests under way.
    pub stop_patience: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        ServeLimits {
            connections_max: 4_096,
            header_timeout: Duration::from_secs(30),
            head_bytes_max: 64 << 10,
            headers_max: 100,
            write_timeout: Duration::from_secs(30),
            stop_patience: Duration::from_secs(10),
        }
    }
}

/// Told of a stop; every request carries one.
#[derive(Clone)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Ends when the server stops.
    pub(crate) async fn stopped(mut self) {
        // A sender that is gone means stop as well.
        let _gone = self.0.wait_for(|stopping| *stopping).await;
    }
}

/// Serves until `shutdown` ends, then lets requests under way finish.
///
/// # Errors
/// When the listener's address is gone for good. Errors of single connections are logged and end only those.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServeLimits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(limits.connections_max));
    let resting = Resting::default();
    let (stop, stopping) = watch::channel(false);
    let http = http(&limits);
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &room, &resting) => accepted,
        };
        let Some((stream, permit)) = accepted? else { continue };
        let stream = Patient::new(stream, limits.write_timeout);
        let one = Accepted { stream, seat: resting.seat(), stopping: Stopping(stopping.clone()), permit };
        tokio::spawn(connection(http.clone(), router.clone(), one));
    }
    drop(listener);
    stop.send_replace(true);
    let everyone = u32::try_from(limits.connections_max).unwrap_or(u32::MAX);
    if tokio::time::timeout(limits.stop_patience, room.acquire_many(everyone)).await.is_err() {
        tracing::warn!("requests were still under way at the end of the stop");
    }
    Ok(())
}

fn http(limits: &ServeLimits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.headers_max)
        .max_header_size(limits.head_bytes_max)
        // The buffer must hold the whole head.
        .max_buf_size(limits.head_bytes_max.max(64 << 10))
        .keep_alive(true);
    http
}

/// One connection with everything that hangs on it.
struct Accepted {
    stream: Patient<TcpStream>,
    seat: Arc<Seat>,
    stopping: Stopping,
    permit: OwnedSemaphorePermit,
}

/// The next connection, once there is room for it. `None` when this one failed.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    resting: &Resting,
) -> io::Result<Option<(TcpStream, OwnedSemaphorePermit)>> {
    /// After an error of the whole process, such as too many open files.
    const PAUSE: Duration = Duration::from_millis(100);
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are small: waiting to fill a packet only delays them.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection ended before it began");
                return Ok(None);
            }
            Ok(Some((stream, place(room, resting).await)))
        }
        Err(error) if is_of_connection(&error) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(error),
        Err(error) => {
            tracing::error!(%error, "connections cannot be accepted; trying again");
            tokio::time::sleep(PAUSE).await;
            Ok(None)
        }
    }
}

/// Room for one more, made by whoever has rested longest where there is none.
async fn place(room: &Arc<Semaphore>, resting: &Resting) -> OwnedSemaphorePermit {
    loop {
        if let Ok(permit) = Arc::clone(room).try_acquire_owned() {
            return permit;
        }
        let is_leaving = resting.send_off_oldest();
        tokio::select! {
            Ok(permit) = Arc::clone(room).acquire_owned() => return permit,
            () = resting.one_more(), if !is_leaving => {}
        }
    }
}

fn is_of_connection(error: &io::Error) -> bool {
    let kind = error.kind();
    [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionRefused].contains(&kind)
}

async fn connection(http: http1::Builder, router: Router, one: Accepted) {
    let Accepted { stream, seat, stopping, permit } = one;
    let (told, sitting) = (stopping.clone(), Arc::clone(&seat));
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(told.clone());
        // Without a seat the connection ends: nothing of the request is taken.
        let busy = sitting.begin().ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionAborted));
        let answer = busy.map(|busy| (busy, TowerToHyperService::new(router.clone()).call(request)));
        async move {
            let (busy, answer) = answer?;
            answer.await.map(|answer| answer.map(|body| Until { body, busy: Some(busy) })).map_err(io::Error::other)
        }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = seat.sent_off() => Ok(()),
        () = stopping.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
    drop(permit);
}

/// An answer's body; the connection is within a request until it has ended.
struct Until {
    body: Body,
    busy: Option<Busy>,
}

impl hyper::body::Body for Until {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) {
            self.busy = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}
