//! HTTP/1.1 over kept connections, both ends, as thin as a library lets it be. Loopback only; a fault ends the connection.

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

/// A client's connection to one server, made again after a fault.
pub(crate) struct Connection {
    address: SocketAddr,
    host: HeaderValue,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// Not yet connected.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let host = HeaderValue::try_from(address.to_string()).unwrap_or(HeaderValue::from_static("localhost"));
        Connection { address, host, open: None }
    }

    /// Posts JSON and reads the whole answer.
    ///
    /// # Errors
    /// When the connection cannot be made or breaks; the next call makes a new one.
    pub(crate) async fn post(&mut self, path: &str, body: Bytes) -> Result<(StatusCode, Bytes)> {
        let request = Request::builder().method(Method::POST).uri(path).header(HOST, &self.host);
        let json = HeaderValue::from_static("application/json");
        self.send(request.header(CONTENT_TYPE, json).body(Full::new(body))?).await
    }

    /// Gets a path and reads the whole answer.
    ///
    /// # Errors
    /// As [`Connection::post`].
    pub(crate) async fn get(&mut self, path: &str) -> Result<(StatusCode, Bytes)> {
        self.send(Request::builder().uri(path).header(HOST, &self.host).body(Full::default())?).await
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes)> {
        let mut open = match self.open.take().filter(|open| !open.is_closed()) {
            Some(open) => open,
            None => connect(self.address).await?,
        };
        open.ready().await?;
        let response = open.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        self.open = Some(open);
        Ok((status, body))
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    let (open, driver) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        // A connection that broke shows at the next request.
        let _ended = driver.await;
    });
    Ok(open)
}

/// Accepts connections until the listener fails; `answer` gets a request's path and whole body.
pub(crate) async fn serve<A, F>(listener: TcpListener, answer: A) -> std::io::Result<()>
where
    A: Fn(String, Bytes) -> F + Clone + Send + 'static,
    F: Future<Output = StatusCode> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        let service = hyper::service::service_fn(move |request| respond(request, answer.clone()));
        tokio::spawn(async move {
            // The client went away, or was cut off at the end.
            let _ended =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond<A, F>(request: Request<Incoming>, answer: A) -> Result<Response<Full<Bytes>>, Infallible>
where
    A: Fn(String, Bytes) -> F,
    F: Future<Output = StatusCode>,
{
    let path = request.uri().path().to_owned();
    let status = match request.into_body().collect().await {
        Ok(body) => answer(path, body.to_bytes()).await,
        Err(_) => StatusCode::BAD_REQUEST,
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    Ok(response)
}
