//! Looking up: each way to fail told apart, and the address guard behind the lookup. The name server is a few lines of
//! this file on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use steadfast_channel::{AllowedNetworks, HttpDoor};
use steadfast_retry::{Evidence, FaultKind, Phase};
use support::{Act, Recipient, answer, assert_answer, assert_fault, parcel, settings};
use tokio::net::UdpSocket;

/// How the name server answers every question.
#[derive(Clone)]
enum Says {
    Nothing,
    Code(ResponseCode),
    /// These addresses, each under its type; a type without one has no records.
    Addresses(Vec<IpAddr>),
    /// Bytes that are no answer.
    Nonsense,
}

struct NameServer {
    address: SocketAddr,
    questions: Arc<AtomicUsize>,
}

impl NameServer {
    async fn start(says: Says) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let questions = Arc::new(AtomicUsize::new(0));
        let asked = questions.clone();
        tokio::spawn(serve(socket, says, asked));
        NameServer { address, questions }
    }

    fn door(&self, change: impl FnOnce(&mut steadfast_channel::DoorSettings)) -> HttpDoor {
        let mut settings = settings();
        settings.name_servers = vec![self.address];
        change(&mut settings);
        HttpDoor::new(settings).unwrap()
    }
}

async fn serve(socket: UdpSocket, says: Says, asked: Arc<AtomicUsize>) {
    let mut buffer = [0; 1500];
    while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
        asked.fetch_add(1, Ordering::SeqCst);
        if let Some(reply) = says.reply(&buffer[..count]) {
            socket.send_to(&reply, from).await.unwrap();
        }
    }
}

impl Says {
    fn reply(&self, question: &[u8]) -> Option<Vec<u8>> {
        let asked = Message::from_vec(question).unwrap();
        let mut reply = asked.clone().into_response();
        match self {
            Says::Nothing => return None,
            Says::Nonsense => return Some([&question[..2], &[0xff; 40]].concat()),
            Says::Code(code) => reply.metadata.response_code = *code,
            Says::Addresses(addresses) => {
                let query = asked.queries.first().unwrap();
                let of_type = |address: &&IpAddr| address.is_ipv4() == (query.query_type() == RecordType::A);
                let found = addresses.iter().filter(of_type);
                reply.answers.extend(found.map(|ip| Record::from_rdata(query.name().clone(), 60, RData::from(*ip))));
            }
        }
        Some(reply.to_vec().unwrap())
    }
}

const SHORT: Duration = Duration::from_millis(300);

async fn lookup(says: Says, wait: Duration) -> (Evidence, usize) {
    let server = NameServer::start(says).await;
    let mut parcel = parcel("http://buyer.example/leads?token=s3cret");
    parcel.timeouts.resolve = wait;
    let evidence = server.door(|_| ()).send(parcel).await;
    assert!(evidence.timings.resolve.is_some() && evidence.remote.is_none());
    (evidence, server.questions.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_name_that_does_not_exist() {
    for says in [Says::Code(ResponseCode::NXDomain), Says::Addresses(vec![])] {
        let (evidence, questions) = lookup(says, support::PATIENCE).await;
        assert_fault(&evidence, Phase::Resolve, FaultKind::DnsNotFound);
        assert_eq!(questions, 2, "one for each family, none repeated");
    }
}

#[tokio::test]
async fn a_name_server_that_fails() {
    for code in [ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::NotImp] {
        let (evidence, questions) = lookup(Says::Code(code), support::PATIENCE).await;
        assert_fault(&evidence, Phase::Resolve, FaultKind::DnsFailure);
        assert_eq!(questions, 2, "one for each family, none repeated");
    }
}

#[tokio::test]
async fn a_name_server_that_does_not_answer() {
    let (evidence, questions) = lookup(Says::Nothing, SHORT).await;
    assert_fault(&evidence, Phase::Resolve, FaultKind::DnsTimeout);
    assert!(evidence.timings.total >= SHORT);
    assert_eq!(questions, 2, "one for each family, none repeated");
}

#[tokio::test]
async fn a_name_server_that_talks_nonsense() {
    let (evidence, _) = lookup(Says::Nonsense, support::PATIENCE).await;
    assert_fault(&evidence, Phase::Resolve, FaultKind::DnsFailure);
}

#[tokio::test]
async fn a_name_that_leads_inwards_is_not_called() {
    let recipient = Recipient::start(vec![vec![]]).await;
    for address in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:127.0.0.1"] {
        let server = NameServer::start(Says::Addresses(vec![address.parse().unwrap()])).await;
        let door = server.door(|settings| settings.allow_private_networks = AllowedNetworks::default());
        let evidence = door.send(parcel(&format!("http://buyer.example:{}/leads", recipient.address().port()))).await;
        assert_fault(&evidence, Phase::Resolve, FaultKind::BlockedAddress);
        assert!(evidence.fault.unwrap().detail.contains("buyer.example"));
    }
    assert_eq!(recipient.finish().await.connections(), 0);
}

#[tokio::test]
async fn the_first_address_that_connects_is_used_and_the_name_asked_once() {
    // Nothing listens at 127.0.0.9; 10.0.0.1 and fd00::1 are blocked and passed over.
    let addresses = ["10.0.0.1", "127.0.0.9", "127.0.0.1", "fd00::1"].map(|address| address.parse().unwrap());
    let server = NameServer::start(Says::Addresses(addresses.to_vec())).await;
    let close = support::write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    let recipient = Recipient::start(vec![vec![Act::ReadRequest, close]]).await;
    let door = server.door(|_| ());
    let url = format!("http://buyer.example:{}/leads", recipient.address().port());
    for _ in 0..2 {
        let evidence = door.send(parcel(&url)).await;
        assert_answer(&evidence, 200, "ok");
        assert_eq!(evidence.remote, Some(recipient.address().to_string().into()));
    }
    assert_eq!(server.questions.load(Ordering::SeqCst), 2, "cached as long as the answer says");
    assert_eq!(recipient.finish().await.arrived(), 2);
}

#[tokio::test]
async fn when_no_address_connects_the_count_is_told() {
    let addresses = ["127.0.0.8", "127.0.0.9"].map(|address| address.parse().unwrap());
    let server = NameServer::start(Says::Addresses(addresses.to_vec())).await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://buyer.example:{}/leads", listener.local_addr().unwrap().port());
    let evidence = server.door(|_| ()).send(parcel(&url)).await;
    assert_fault(&evidence, Phase::Connect, FaultKind::ConnectRefused);
    assert!(evidence.fault.unwrap().detail.contains("2 addresses"));
}

#[tokio::test]
async fn localhost_and_addresses_ask_nobody() {
    let server = NameServer::start(Says::Code(ResponseCode::ServFail)).await;
    let door = server.door(|_| ());
    for host in ["localhost", "127.0.0.1"] {
        let recipient = Recipient::start(vec![vec![Act::ReadRequest, answer("200 OK", "ok")]]).await;
        let evidence = door.send(parcel(&format!("http://{host}:{}/leads", recipient.address().port()))).await;
        assert_answer(&evidence, 200, "ok");
        recipient.finish().await;
    }
    assert_eq!(server.questions.load(Ordering::SeqCst), 0);
}
