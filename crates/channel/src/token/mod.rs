//! Tokens for recipients that want one: asked for at their endpoint, kept while good, renewed by one caller for all.
//!
//! Asking goes through the same door as everything else: the same time limits, address guard and TLS. Nothing here prints a
//! token or a credential, and nothing of a token endpoint's answer is kept as evidence.

mod ask;
mod carry;
mod entry;
mod read;
mod source;

pub use ask::TokenRequest;
pub use carry::{AskFor, Carrier, TokenDoor, TokenUse};
pub use read::{TokenAt, TokenShape};
pub use source::Now;

/// The length of a token an answer gives, and how long it is good.
#[cfg(feature = "fuzzing")]
pub(crate) fn read_token(
    answer: &steadfast_retry::Answer,
    shape: &TokenShape,
) -> Result<(usize, std::time::Duration), &'static str> {
    read::read(answer, shape).map(|grant| (grant.token.len(), grant.lifetime))
}
