//! What one send costs this process, so that a slower hot path is seen: many small POSTs over kept connections to a server
//! in the same process, counting only the sending thread's time on the processor.
//!
//! `cargo run --release -p steadfast-channel --example cost_per_send -- [sends] [at once]` (Linux only).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measuring tool that may stop where it stands")]

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use steadfast_channel::{
    Bytes, DoorSettings, HeaderMap, HeaderValue, HttpDoor, Method, Parcel, RESPONSE_BYTES_MAX, Target, Timeouts,
};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::time::Instant;

const BODY: &[u8] =
    br#"{"first_name":"Ada","last_name":"Lovelace","phone":"5551234567","email":"ada@example.com","zip":"78701"}"#;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse().expect("a number"));
    let sends: usize = arguments.next().unwrap_or(200_000);
    let at_once: usize = arguments.next().unwrap_or(32);
    let address = serve();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(measure(address, sends, at_once));
}

async fn measure(address: SocketAddr, sends: usize, at_once: usize) {
    let settings = DoorSettings {
        allow_private_networks: "127.0.0.0/8".parse().unwrap(),
        idle_per_endpoint_max: at_once,
        ..DoorSettings::default()
    };
    let door = HttpDoor::new(settings).unwrap();
    let parcel = parcel(address);
    round(&door, &parcel, sends / 10, at_once).await;
    let (started, used) = (Instant::now(), used_nanos());
    round(&door, &parcel, sends, at_once).await;
    let micros = (used_nanos() - used) as f64 / 1_000.0 / sends as f64;
    let rate = sends as f64 / started.elapsed().as_secs_f64();
    println!("{micros:.2} µs of processor per send, {rate:.0} sends/s ({sends} sends, {at_once} at once)");
}

async fn round(door: &HttpDoor, parcel: &Parcel, sends: usize, at_once: usize) {
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        senders.spawn(send_many(door.clone(), parcel.clone(), sends / at_once));
    }
    senders.join_all().await;
}

async fn send_many(door: HttpDoor, parcel: Parcel, count: usize) {
    for _ in 0..count {
        let evidence = door.send(parcel.clone()).await;
        assert_eq!(evidence.fault, None);
    }
}

fn parcel(address: SocketAddr) -> Parcel {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("steadfast-delivery-id", HeaderValue::from_static("01JD3Z6Y8N2K4T5V7W9X0A1B2C"));
    headers.insert("steadfast-attempt", HeaderValue::from_static("1"));
    headers.insert("idempotency-key", HeaderValue::from_static("\"01JD3Z6Y8N2K4T5V7W9X0A1B2C\""));
    Parcel {
        target: Target::parse(&format!("http://{address}/leads")).unwrap(),
        method: Method::POST,
        headers,
        body: Bytes::from_static(BODY),
        timeouts: Timeouts::default(),
        response_bytes_max: RESPONSE_BYTES_MAX,
    }
}

/// A server in its own thread, whose time is not counted.
fn serve() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service_fn(accept)));
            }
        });
    });
    told.recv().unwrap()
}

async fn accept(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let _ = request.into_body().collect().await;
    let body = Full::new(Bytes::from_static(br#"{"outcome":"accepted","id":"42"}"#));
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Nanoseconds this thread spent on a processor.
fn used_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts a thread's time");
    text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).expect("a number")
}
