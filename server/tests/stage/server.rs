//! A real server process on a free port, with a folder of its own that goes with it.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// A running server. Killed when dropped.
pub struct Server {
    child: Child,
    pub address: String,
    folder: TempDir,
}

/// What the API said.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: hyper::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }
}

/// The binary under test.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_steadfast")
}

impl Server {
    /// Starts a server with this configuration.
    pub async fn start(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("steadfast.toml"), config).unwrap();
        Server::start_in(folder).await.unwrap_or_else(|said| panic!("the server did not start: {said}"))
    }

    /// Starts a server in a folder that has a `steadfast.toml`; what it said, when it does not start.
    pub async fn start_in(folder: TempDir) -> Result<Self, String> {
        Server::start_under(folder, &[]).await
    }

    /// As [`Server::start_in`], started by another program that becomes it.
    pub async fn start_under(folder: TempDir, wrapper: &[String]) -> Result<Self, String> {
        let mut child = spawn(folder.path(), wrapper);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = tokio::time::timeout(super::PATIENCE, lines.next_line()).await.map_err(|_| "no word".to_owned())?;
        let Ok(Some(line)) = ready else {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
            return Err(said);
        };
        let address = line.split_whitespace().find_map(|word| word.strip_prefix("http://"));
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).trim_end_matches(',').to_owned();
        // Somebody has to read what it prints further, or it would wait for ever.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = errors.next_line().await {
                eprintln!("server: {line}");
            }
        });
        Ok(Server { child, address, folder })
    }

    /// Starts a server and stops it at once when it says this, which is before it is ready.
    pub async fn killed_at(folder: TempDir, said: &str) -> TempDir {
        let mut child = spawn(folder.path(), &[]);
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
        let heard = async { while !errors.next_line().await.unwrap().expect("it says so").contains(said) {} };
        tokio::time::timeout(super::PATIENCE, heard).await.expect("it says so in time");
        child.kill().await.unwrap();
        folder
    }

    /// Where its configuration is.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("steadfast.toml")
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Stops it at once, as a power cut would, and starts it again in the same folder.
    pub async fn kill_and_restart(mut self) -> Self {
        self.child.kill().await.unwrap();
        let folder = std::mem::replace(&mut self.folder, TempDir::new().unwrap());
        Server::start_in(folder).await.unwrap_or_else(|said| panic!("the server did not start again: {said}"))
    }

    /// Stops it at once; its process id.
    pub async fn kill(mut self) -> (u32, TempDir) {
        let id = self.child.id().expect("it runs");
        self.child.kill().await.unwrap();
        (id, std::mem::replace(&mut self.folder, TempDir::new().unwrap()))
    }

    /// Memory it holds, in bytes.
    pub fn rss_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().expect("it runs"))).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }

    /// Asks it to stop and waits until it has; its exit code.
    pub async fn stop(mut self) -> (Option<i32>, TempDir) {
        self.signal("TERM");
        let status = tokio::time::timeout(super::PATIENCE, self.child.wait()).await.expect("it stops").unwrap();
        (status.code(), std::mem::replace(&mut self.folder, TempDir::new().unwrap()))
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().expect("it runs").to_string();
        let sent = std::process::Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status().unwrap();
        assert!(sent.success());
    }

    pub async fn get(&self, path: &str) -> Answer {
        call(&self.address, Request::get(path).body(Full::default()).unwrap()).await.unwrap()
    }

    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.try_post(path, body).await.unwrap()
    }

    /// Posts JSON; an error when the server is gone.
    pub async fn try_post(&self, path: &str, body: impl Into<Bytes>) -> Result<Answer, String> {
        let request = Request::post(path).header("content-type", "application/json");
        call(&self.address, request.body(Full::new(body.into())).unwrap()).await
    }

    /// Posts a lead and answers with the ids of lead and first delivery.
    pub async fn lead(&self, flow: &str, body: &str) -> (String, String) {
        let answer = self.post(&format!("/v1/flows/{flow}/leads"), body.to_owned()).await;
        assert_eq!(answer.status, 202, "{:?}", answer.body);
        let json = answer.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&json["lead_id"]), text(&json["deliveries"][0]["id"]))
    }

    /// Looks at a delivery until it stands as wanted.
    pub async fn delivery_in(&self, id: &str, state: &str) -> Value {
        let started = tokio::time::Instant::now();
        loop {
            let delivery = self.get(&format!("/v1/deliveries/{id}")).await.json();
            if delivery["state"] == state {
                return delivery;
            }
            assert!(started.elapsed() < super::PATIENCE, "{id} never became {state}: {delivery:#}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

fn spawn(folder: &Path, wrapper: &[String]) -> Child {
    let mut command = match wrapper.split_first() {
        None => Command::new(binary()),
        Some((program, words)) => {
            let mut command = Command::new(program);
            command.args(words).arg(binary());
            command
        }
    };
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--config"])
        .arg(folder.join("steadfast.toml"))
        .arg("--data")
        .arg(folder.join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// One request on a connection of its own.
pub async fn call(address: &str, mut request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    request.headers_mut().insert("host", address.parse().unwrap());
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    driver.abort();
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}
