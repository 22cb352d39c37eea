//! The HTTP door: one parcel out, evidence back. Holds the pool and what is needed to open connections.
//!
//! Never fails, never retries, never follows a redirect.

use crate::body::RequestBody;
use crate::connection::{Exchange, Link};
use crate::deadline::{Deadline, later};
use crate::dial::{Dialed, Dialer, Undialed};
use crate::parcel::Parcel;
use crate::pool::{Generation, Pool, PoolBounds};
use crate::settings::{BadSettings, DoorSettings};
use crate::target::Target;
use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use parking_lot::RwLock;
use std::pin::pin;
use std::sync::Arc;
use steadfast_retry::{Answer, Evidence, Fault, Phase};
use tokio::time::{Instant, sleep_until};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("steadfast/", env!("CARGO_PKG_VERSION")));

/// The HTTP door. Clones share its connections and settings.
#[derive(Clone)]
pub struct HttpDoor {
    pool: Arc<Pool>,
    dialer: Arc<RwLock<Arc<Dialer>>>,
}

/// What is known of an attempt while it runs.
struct Course {
    started: Instant,
    first_byte: Option<Instant>,
    dialed: Dialed,
}

impl HttpDoor {
    /// Sets a door up; reads the system's certificates, name servers and hosts file.
    ///
    /// # Errors
    /// [`BadSettings`] if one of them cannot be used.
    pub fn new(settings: DoorSettings) -> Result<HttpDoor, BadSettings> {
        let bounds = bounds(&settings);
        let dialer = Arc::new(RwLock::new(Arc::new(Dialer::new(settings)?)));
        Ok(HttpDoor { pool: Pool::new(bounds), dialer })
    }

    /// Follows new settings, whole or not at all. What is under way ends as it began; what was open and unused is closed.
    ///
    /// # Errors
    /// [`BadSettings`] if they cannot be used; the old ones then stay.
    pub fn update(&self, settings: DoorSettings) -> Result<(), BadSettings> {
        let bounds = bounds(&settings);
        let dialer = Arc::new(Dialer::new(settings)?);
        *self.dialer.write() = dialer;
        self.pool.renew(bounds);
        Ok(())
    }

    /// Closes every unused connection (before a shutdown, or when a recipient was moved).
    pub fn close_idle(&self) {
        self.pool.clear();
    }

    /// How many unused connections are open.
    pub fn idle_count(&self) -> usize {
        self.pool.idle_count()
    }

    /// Sends a parcel once and reports what was seen. Takes at most the parcel's `timeouts.total`.
    ///
    /// Dropping the future closes the connection it uses; whether the parcel was sent is then not known.
    pub async fn send(&self, parcel: Parcel) -> Evidence {
        let Parcel { target, method, headers, body, timeouts, response_bytes_max } = parcel;
        let mut course = Course { started: Instant::now(), first_byte: None, dialed: Dialed::default() };
        let (mut kept, generation) = self.pool.take(target.origin(), course.started);
        let total_at = later(course.started, timeouts.total);
        let first_bound =
            if kept.is_some() { later(course.started, timeouts.first_byte).min(total_at) } else { total_at };
        let mut sleep = pin!(sleep_until(first_bound));
        let mut deadline = Deadline::new(sleep.as_mut(), total_at);
        let mut request = request(&target, method, headers, RequestBody::new(body));
        loop {
            let mut link = match kept.take() {
                Some(link) => link,
                None => {
                    let dialer = self.dialer.read().clone();
                    let dial = dialer.dial(&target, &timeouts, &mut deadline, &mut course.dialed);
                    // Boxed: seldom needed, and large.
                    let link = match Box::pin(dial).await {
                        Ok(link) => link,
                        Err(Undialed { phase, fault }) => return course.end(phase, Some(fault), None),
                    };
                    deadline.bound(Instant::now(), timeouts.first_byte);
                    link
                }
            };
            let was_reused = link.is_reused();
            let ended = link.exchange(request, response_bytes_max, &mut deadline, &mut course.first_byte).await;
            match ended {
                Exchange::HandedBack(unsent, _) if was_reused => {
                    request = unsent;
                    course.first_byte = None;
                }
                Exchange::HandedBack(_, fault) => return course.on(link, fault, None),
                Exchange::Failed(fault, answer) => return course.on(link, fault, answer),
                Exchange::Answered(answer) => return self.answered(course, &target, link, generation, answer),
            }
        }
    }

    fn answered(
        &self,
        mut course: Course,
        target: &Target,
        link: Box<Link>,
        generation: Generation,
        answer: Answer,
    ) -> Evidence {
        course.dialed.remote = Some(link.remote.clone());
        let evidence = course.end(Phase::Responded, None, Some(answer));
        if link.is_usable() {
            self.pool.put(target.origin(), link, generation, later(course.started, evidence.timings.total));
        }
        evidence
    }
}

impl Course {
    /// Evidence of a fault on an open connection, which is closed.
    fn on(&mut self, link: Box<Link>, fault: Fault, answer: Option<Answer>) -> Evidence {
        self.dialed.remote = Some(link.remote.clone());
        self.end(link.phase(), Some(fault), answer)
    }

    fn end(&mut self, phase: Phase, fault: Option<Fault>, answer: Option<Answer>) -> Evidence {
        let mut timings = self.dialed.timings;
        timings.first_byte = self.first_byte.map(|at| at.duration_since(self.started));
        timings.total = self.started.elapsed();
        Evidence { phase, fault, answer, timings, remote: self.dialed.remote.take(), replayed_after: None }
    }
}

fn bounds(settings: &DoorSettings) -> PoolBounds {
    PoolBounds {
        per_endpoint_max: settings.idle_per_endpoint_max,
        total_max: settings.idle_total_max,
        idle_timeout: settings.idle_timeout,
    }
}

/// The request as it goes out. What frames the message is the door's alone: two ideas of where a request ends would let
/// a lead's text become a second request.
fn request(target: &Target, method: Method, mut headers: HeaderMap, body: RequestBody) -> Request<RequestBody> {
    for framing in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, EXPECT, UPGRADE, TE, TRAILER] {
        headers.remove(framing);
    }
    if !headers.contains_key(HOST) {
        headers.insert(HOST, target.host_header().clone());
    }
    if !headers.contains_key(USER_AGENT) {
        headers.insert(USER_AGENT, AGENT);
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    // The connection adds the length of a body; of none only these methods are expected to say so.
    let is_empty = hyper::body::Body::is_end_stream(&body);
    if is_empty && [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(target.path_and_query().clone());
    *request.headers_mut() = headers;
    request
}
