//! The listener: accepts connections, bounds them, and ends them in good order.
//!
//! Knows nothing of what is served.

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Bounds on connections.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Connections at once; further ones wait to be accepted.
    pub connections_max: usize,
    /// How long a request's head may take to come, and how long an idle connection is kept.
    pub header_timeout: Duration,
    /// A request's head, at most, in bytes. Beyond it the connection is answered 431 without a body and closed.
    pub head_bytes_max: usize,
    /// Headers, at most.
    pub headers_max: usize,
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
    let (stop, stopping) = watch::channel(false);
    let http = http(&limits);
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, permit)) = accepted? else { continue };
        let stopping = Stopping(stopping.clone());
        tokio::spawn(connection(http.clone(), router.clone(), stream, stopping, permit));
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

/// The next connection, once there is room for it. `None` when this one failed.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<Option<(TcpStream, OwnedSemaphorePermit)>> {
    /// After an error of the whole process, such as too many open files.
    const PAUSE: Duration = Duration::from_millis(100);
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are small: waiting to fill a packet only delays them.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection ended before it began");
                return Ok(None);
            }
            Ok(Some((stream, permit)))
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

fn is_of_connection(error: &io::Error) -> bool {
    let kind = error.kind();
    [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::ConnectionRefused].contains(&kind)
}

async fn connection(
    http: http1::Builder,
    router: Router,
    stream: TcpStream,
    stopping: Stopping,
    permit: OwnedSemaphorePermit,
) {
    let told = stopping.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(told.clone());
        hyper::service::Service::call(&TowerToHyperService::new(router.clone()), request)
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
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
