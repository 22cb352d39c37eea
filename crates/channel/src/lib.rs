//! The doors: a parcel goes out, evidence comes back.
//!
//! A door never fails, never retries and holds no opinion: it reports what it saw ([`steadfast_retry::Evidence`]) and
//! leaves what that means to the core. It never follows a redirect, never decodes a body, and never writes a request
//! twice: only a request of which no byte left this process may go out on another connection. The one exception stands in
//! [`TokenDoor`]: a recipient that answered 401 or 403 to a kept token gets the request once more with a new one.

mod address;
mod answer;
mod body;
mod connection;
mod deadline;
mod dial;
mod door;
mod fault;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod parcel;
mod pool;
mod resolve;
mod secure;
mod settings;
mod target;
mod token;
mod wire;

pub use address::{AddressGuard, AllowedNetworks, BadNetworks, Blocked};
pub use door::HttpDoor;
pub use parcel::{Parcel, RESPONSE_BYTES_MAX, Timeouts};
pub use secure::BadRoots;
pub use settings::{BadSettings, DoorSettings};
pub use target::{BadTarget, Host, Target};
pub use token::{AskFor, Carrier, Now, TokenAt, TokenDoor, TokenRequest, TokenShape, TokenUse};

pub use bytes::Bytes;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method};
