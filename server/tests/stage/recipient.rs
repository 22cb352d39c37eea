//! A recipient on the loopback address that answers as it is told and logs every arrival.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub at: Instant,
    pub delivery: String,
    pub attempt: u32,
    pub key: String,
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: Bytes,
}

/// What to answer.
#[derive(Clone, Debug)]
pub enum Reply {
    Status(u16),
    StatusWith(u16, &'static str, String),
    Body(u16, String),
    After(Duration, u16),
    Drop,
}

type Script = dyn Fn(&Arrival) -> Reply + Send + Sync;

/// The recipient.
pub struct Recipient {
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<Arrival>>>,
    count: watch::Receiver<usize>,
}

impl Recipient {
    /// Starts a recipient that answers by `script`.
    pub async fn start(script: impl Fn(&Arrival) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (counted, count) = watch::channel(0);
        let (script, counted): (Arc<Script>, _) = (Arc::new(script), Arc::new(counted));
        let shared = Arc::clone(&log);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&shared), Arc::clone(&script), Arc::clone(&counted)));
            }
        });
        Recipient { address, log, count }
    }

    /// Where leads go.
    pub fn url(&self) -> String {
        format!("http://{}/leads", self.address)
    }

    /// Everything that arrived so far.
    pub fn log(&self) -> Vec<Arrival> {
        self.log.lock().unwrap().clone()
    }

    /// Waits until so many requests have arrived, for as long as one arrives now and then.
    pub async fn arrivals(&self, wanted: usize) -> Vec<Arrival> {
        let mut count = self.count.clone();
        while *count.borrow_and_update() < wanted {
            tokio::time::timeout(super::PATIENCE, count.changed())
                .await
                .unwrap_or_else(|_| panic!("{} of {wanted} requests arrived", self.log().len()))
                .unwrap();
        }
        self.log()
    }
}

async fn serve(
    stream: TcpStream,
    log: Arc<Mutex<Vec<Arrival>>>,
    script: Arc<Script>,
    counted: Arc<watch::Sender<usize>>,
) {
    let service = service_fn(|request| answer(request, Arc::clone(&log), Arc::clone(&script), Arc::clone(&counted)));
    // A connection that breaks ends; what arrived on it is in the log.
    let _ended = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

#[expect(clippy::disallowed_methods, reason = "measures when a request arrives")]
async fn answer(
    request: Request<Incoming>,
    log: Arc<Mutex<Vec<Arrival>>>,
    script: Arc<Script>,
    counted: Arc<watch::Sender<usize>>,
) -> Result<Response<Full<Bytes>>, String> {
    let at = Instant::now();
    let headers: HashMap<String, String> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let arrival = Arrival {
        at,
        delivery: header("steadfast-delivery-id"),
        attempt: header("steadfast-attempt").parse().unwrap_or(0),
        key: header("idempotency-key"),
        path: request.uri().to_string(),
        headers: headers.clone(),
        body: request.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes(),
    };
    let reply = script(&arrival);
    log.lock().unwrap().push(arrival);
    counted.send_modify(|count| *count += 1);
    match reply {
        Reply::Status(status) => Ok(plain(status)),
        Reply::StatusWith(status, name, value) => {
            let mut response = plain(status);
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
            Ok(response)
        }
        Reply::Body(status, body) => {
            let mut response = plain(status);
            *response.body_mut() = Full::new(Bytes::from(body));
            Ok(response)
        }
        Reply::After(wait, status) => {
            tokio::time::sleep(wait).await;
            Ok(plain(status))
        }
        Reply::Drop => Err("dropped on purpose".to_owned()),
    }
}

fn plain(status: u16) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(Bytes::from_static(b"{\"outcome\":\"seen\"}"))).unwrap()
}
