//! The door over TLS: whose certificate is accepted, and how the ways to fail are told apart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use steadfast_channel::HttpDoor;
use steadfast_retry::{Evidence, FaultKind, Phase};
use support::{Act, Recipient, assert_answer, assert_fault, parcel, settings, write};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A server certificate for these names, changed as the test needs.
    fn issue(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> ServerConfig {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        server(certificate.der().clone(), &key)
    }

    /// A door that trusts this authority.
    fn door(&self) -> HttpDoor {
        let mut settings = settings();
        assert_eq!(settings.trust_pem(self.0.pem().as_bytes()).unwrap(), 1);
        HttpDoor::new(settings).unwrap()
    }
}

fn server(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap()
}

/// Accepts one connection, answers this many requests over TLS, then ends it in the way given.
async fn serve(config: ServerConfig, answers: usize, end: End) -> (SocketAddr, JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await else { return 0 };
        let mut requests = 0;
        let mut buffer = [0; 4096];
        while let Ok(1..) = stream.read(&mut buffer).await {
            requests += 1;
            if requests > answers {
                break;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        }
        match end {
            End::Politely => stream.shutdown().await.unwrap_or_default(),
            End::Abruptly => drop(stream),
        }
        requests
    });
    (address, serving)
}

#[derive(Clone, Copy)]
enum End {
    Politely,
    Abruptly,
}

async fn send(door: &HttpDoor, host: &str, address: SocketAddr) -> Evidence {
    door.send(parcel(&format!("https://{host}:{}/leads?token=s3cret", address.port()))).await
}

#[tokio::test]
async fn a_trusted_certificate_for_the_name_or_the_address_is_accepted() {
    let authority = Authority::new();
    for host in ["buyer.localhost", "127.0.0.1"] {
        let (address, serving) = serve(authority.issue(&[host], |_| ()), 2, End::Politely).await;
        let door = authority.door();
        let first = send(&door, host, address).await;
        assert_answer(&first, 200, "ok");
        assert!(first.timings.secure.is_some());
        let again = send(&door, host, address).await;
        assert_answer(&again, 200, "ok");
        assert_eq!((again.timings.secure, again.timings.connect), (None, None), "the connection is used again");
        door.close_idle();
        assert_eq!(serving.await.unwrap(), 2);
    }
}

async fn refused(config: ServerConfig, door: &HttpDoor) {
    let (address, serving) = serve(config, 1, End::Politely).await;
    let evidence = send(door, "buyer.localhost", address).await;
    assert_fault(&evidence, Phase::Secure, FaultKind::TlsCertificate);
    assert_eq!(serving.await.unwrap(), 0, "nothing of the lead was sent");
}

#[tokio::test]
async fn a_certificate_of_nobody_trusted_is_refused() {
    let stranger = Authority::new();
    refused(stranger.issue(&["buyer.localhost"], |_| ()), &Authority::new().door()).await;
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["buyer.localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    refused(server(certificate.der().clone(), &key), &Authority::new().door()).await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    refused(authority.issue(&["seller.localhost"], |_| ()), &authority.door()).await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    };
    refused(authority.issue(&["buyer.localhost"], expired), &authority.door()).await;
}

#[tokio::test]
async fn a_certificate_not_valid_yet_is_refused() {
    let authority = Authority::new();
    let early = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2900, 1, 1);
        params.not_after = date_time_ymd(2901, 1, 1);
    };
    refused(authority.issue(&["buyer.localhost"], early), &authority.door()).await;
}

/// What a plain TCP recipient does with the door's greeting.
async fn greeted(script: Vec<Act>, secure: Duration) -> Evidence {
    let recipient = Recipient::start(vec![script]).await;
    let door = Authority::new().door();
    let mut parcel = parcel(&recipient.url().replace("http:", "https:"));
    parcel.timeouts.secure = secure;
    let evidence = door.send(parcel).await;
    let log = recipient.finish().await;
    assert_eq!((log.connections(), log.arrived()), (1, 0), "nothing of the lead was sent");
    evidence
}

#[tokio::test]
async fn plain_http_where_tls_should_be() {
    let text = write("HTTP/1.1 400 The plain request was sent to HTTPS port\r\n\r\n");
    let evidence = greeted(vec![Act::Read(4096), text, Act::AwaitClose], support::PATIENCE).await;
    assert_fault(&evidence, Phase::Secure, FaultKind::Tls);
}

#[tokio::test]
async fn an_alert_instead_of_a_handshake() {
    let alert = Act::Write(vec![21, 3, 3, 0, 2, 2, 40]);
    let evidence = greeted(vec![Act::Read(4096), alert, Act::AwaitClose], support::PATIENCE).await;
    assert_fault(&evidence, Phase::Secure, FaultKind::Tls);
}

#[tokio::test]
async fn closed_reset_or_silent_during_the_handshake() {
    for script in [vec![Act::Read(4096)], vec![Act::Read(4096), Act::Reset]] {
        let evidence = greeted(script, support::PATIENCE).await;
        assert_fault(&evidence, Phase::Secure, FaultKind::Reset);
    }
    let evidence = greeted(vec![Act::AwaitClose], Duration::from_millis(100)).await;
    assert_fault(&evidence, Phase::Secure, FaultKind::ConnectTimeout);
}

#[tokio::test]
async fn an_unanswered_request_over_tls_was_sent() {
    let authority = Authority::new();
    for end in [End::Politely, End::Abruptly] {
        let (address, serving) = serve(authority.issue(&["buyer.localhost"], |_| ()), 0, end).await;
        let evidence = send(&authority.door(), "buyer.localhost", address).await;
        assert_fault(&evidence, Phase::Sent, FaultKind::Reset);
        assert_eq!(serving.await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_tls_connection_closed_while_idle_costs_nothing() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(authority.issue(&["buyer.localhost"], |_| ())));
    let door = authority.door();
    for _ in 0..2 {
        let serve_one = async {
            let (stream, _) = listener.accept().await.unwrap();
            answer_once(acceptor.accept(stream).await.unwrap()).await
        };
        let (evidence, stream) = tokio::join!(send(&door, "buyer.localhost", address), serve_one);
        assert_answer(&evidence, 200, "ok");
        assert!(evidence.timings.connect.is_some(), "over a fresh connection each time");
        assert_eq!(door.idle_count(), 1);
        let mut stream = stream;
        stream.shutdown().await.unwrap();
    }
}

async fn answer_once(
    mut stream: tokio_rustls::server::TlsStream<TcpStream>,
) -> tokio_rustls::server::TlsStream<TcpStream> {
    let mut buffer = [0; 4096];
    assert!(stream.read(&mut buffer).await.unwrap() > 0);
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    stream
}
