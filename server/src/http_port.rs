//! The HTTP door as the engine sees it. Translates; decides nothing.

use crate::token_use::token_use;
use futures::future::BoxFuture;
use std::sync::Arc;
use steadfast_channel::{HeaderMap, HeaderName, HeaderValue, HttpDoor, Parcel, Target, Timeouts, TokenDoor};
use steadfast_engine::{Clock, Door, Order, Purpose};
use steadfast_flow::{SigningKey, TokenAuth, WEBHOOK_SIGNATURE};
use steadfast_lead::Timestamp;
use steadfast_retry::{Evidence, FaultKind, Phase};

static DELIVERY_ID: HeaderName = HeaderName::from_static("steadfast-delivery-id");
static ATTEMPT: HeaderName = HeaderName::from_static("steadfast-attempt");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
static TEST: HeaderName = HeaderName::from_static("steadfast-test");
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Sends the engine's orders through the HTTP door.
pub(crate) struct HttpPort {
    door: HttpDoor,
    tokens: TokenDoor,
    /// Signatures hold the time.
    clock: Arc<dyn Clock>,
}

impl HttpPort {
    /// Through this door, tokens asked for through it too.
    pub(crate) fn new(door: HttpDoor, clock: Arc<dyn Clock>) -> Self {
        // Monotonic: a token's life is a span, whatever happens to the calendar.
        let tokens = TokenDoor::new(door.clone(), Arc::new(tokio::time::Instant::now));
        HttpPort { door, tokens, clock }
    }
}

impl Door for HttpPort {
    fn send(&self, mut order: Order) -> BoxFuture<'static, Evidence> {
        if let Some(key) = order.request().signing() {
            let signed = signature(key, &order, self.clock.now());
            order.rendered.headers.extend(signed);
        }
        match order.request().token() {
            None => Box::pin(send(self.door.clone(), order)),
            Some(token) => Box::pin(send_with_token(self.tokens.clone(), Arc::clone(token), order)),
        }
    }
}

async fn send(door: HttpDoor, order: Order) -> Evidence {
    match parcel(order) {
        Ok(parcel) => door.send(parcel).await,
        Err(detail) => Evidence::of_fault(Phase::Prepare, FaultKind::RenderFailed, &detail),
    }
}

/// Apart from [`send`], so that who needs no token pays nothing for those who do.
async fn send_with_token(tokens: TokenDoor, token: Arc<TokenAuth>, order: Order) -> Evidence {
    match parcel(order) {
        Ok(parcel) => tokens.send(parcel, &token_use(&token)).await,
        Err(detail) => Evidence::of_fault(Phase::Prepare, FaultKind::RenderFailed, &detail),
    }
}

fn parcel(order: Order) -> Result<Parcel, String> {
    let target = Target::parse(&order.rendered.url).map_err(|error| error.to_string())?;
    let (set, response_bytes_max) = (order.request().timeouts(), order.request().response_bytes_max());
    let total = set.total.min(order.at_most);
    let timeouts = Timeouts {
        resolve: set.resolve,
        connect: set.connect,
        secure: set.secure,
        first_byte: set.first_byte.min(total),
        total,
    };
    let mut headers = HeaderMap::with_capacity(order.rendered.headers.len() + 8);
    for (name, value) in order.rendered.headers {
        headers.append(name, value);
    }
    headers.insert(DELIVERY_ID.clone(), value(&order.delivery_id)?);
    headers.insert(ATTEMPT.clone(), HeaderValue::from(order.attempt));
    if order.test {
        headers.insert(TEST.clone(), HeaderValue::from_static("true"));
    }
    if order.purpose == Purpose::Lead {
        // A quoted string, as the field's structured form asks for.
        headers.insert(IDEMPOTENCY_KEY.clone(), value(&format!("\"{}\"", order.idempotency_key))?);
    }
    Ok(Parcel {
        target,
        method: order.rendered.method,
        headers,
        body: order.rendered.body,
        timeouts,
        response_bytes_max,
    })
}

/// The three headers of the Standard Webhooks scheme. The id is that of the request, the same on every attempt.
fn signature(key: &SigningKey, order: &Order, now: Timestamp) -> Vec<(HeaderName, HeaderValue)> {
    let seconds = now.as_millis().div_euclid(1_000);
    let signed = key.sign(&order.idempotency_key, seconds, order.body());
    let texts = [
        (WEBHOOK_ID, order.idempotency_key.clone()),
        (WEBHOOK_TIMESTAMP, seconds.to_string()),
        (WEBHOOK_SIGNATURE, signed),
    ];
    // Ids, digits and base64 are all a header can carry.
    texts.into_iter().filter_map(|(name, text)| Some((name, value(&text).ok()?))).collect()
}

fn value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|error| error.to_string())
}
