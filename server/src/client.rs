//! The API from a terminal: the commands that act on a running server are its clients, through the same doors as anyone.

use anyhow::{Context, Result, bail};
use std::time::Duration;
use steadfast_channel::{
    AllowedNetworks, Bytes, DoorSettings, HeaderMap, HeaderValue, HttpDoor, Method, Parcel, Target, Timeouts,
};
use steadfast_retry::Answer;

/// How much of an answer is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of one server.
pub(crate) struct ApiClient {
    door: HttpDoor,
    base: String,
    key: Option<HeaderValue>,
}

/// What the server answered.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// When it wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: serde_json::Value,
}

impl ApiClient {
    /// A client of the server at `base` (`http://127.0.0.1:8080`), with an API key where one is needed.
    ///
    /// # Errors
    /// When `base` is not an address, or the key cannot stand in a header.
    pub(crate) fn new(base: &str, key: Option<&str>) -> Result<Self> {
        let base = base.trim_end_matches('/').to_owned();
        Target::parse(&base).with_context(|| format!("--server {base}"))?;
        let settings = DoorSettings { allow_private_networks: AllowedNetworks::All, ..DoorSettings::default() };
        let key = key.map(|key| HeaderValue::from_str(&format!("Bearer {key}"))).transpose();
        let key = key.context("the API key holds characters that no key has")?;
        Ok(ApiClient { door: HttpDoor::new(settings)?, base, key })
    }

    /// Asks for a resource.
    ///
    /// # Errors
    /// When there is no answer, or the answer is a refusal.
    pub(crate) async fn get(&self, path: &str) -> Result<serde_json::Value> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// When there is no answer, or the answer is a refusal.
    pub(crate) async fn post(&self, path: &str, body: String) -> Result<serde_json::Value> {
        self.call(Method::POST, path, Bytes::from(body)).await
    }

    /// Deletes a resource.
    ///
    /// # Errors
    /// When there is no answer, or the answer is a refusal.
    pub(crate) async fn delete(&self, path: &str) -> Result<serde_json::Value> {
        self.call(Method::DELETE, path, Bytes::new()).await
    }

    /// Posts lines of JSON under an idempotency key. Whatever the status, it is told.
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn post_lines(&self, path: &str, idempotency_key: &str, body: Vec<u8>) -> Result<Reply> {
        let mut headers = self.headers();
        headers.insert("content-type", HeaderValue::from_static("application/x-ndjson"));
        headers.insert("idempotency-key", HeaderValue::from_str(idempotency_key)?);
        let answer = self.send(Method::POST, path, headers, Bytes::from(body)).await?;
        let retry_after = answer.header("retry-after").and_then(|seconds| seconds.trim().parse().ok());
        let body = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok(Reply { status: answer.status, retry_after: retry_after.map(Duration::from_secs), body })
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("application/json"));
        if let Some(key) = &self.key {
            headers.insert("authorization", key.clone());
        }
        headers
    }

    async fn send(&self, method: Method, path: &str, headers: HeaderMap, body: Bytes) -> Result<Answer> {
        let target = Target::parse(&format!("{}{path}", self.base))?;
        let timeouts = Timeouts::within(PATIENCE);
        let parcel = Parcel { target, method, headers, body, timeouts, response_bytes_max: ANSWER_BYTES_MAX };
        let evidence = self.door.send(parcel).await;
        if let Some(fault) = evidence.fault {
            bail!("no answer from {}: {} ({})", self.base, fault.detail, fault.kind);
        }
        evidence.answer.context("no answer")
    }

    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<serde_json::Value> {
        let mut headers = self.headers();
        if !body.is_empty() {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        let answer = self.send(method, path, headers, body).await?;
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if !(200..300).contains(&answer.status) {
            let said = body.get("detail").or_else(|| body.get("title")).and_then(|text| text.as_str());
            bail!("{} {}: {}", answer.status, path, said.unwrap_or("refused without a reason"));
        }
        Ok(body)
    }
}
