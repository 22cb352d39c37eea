//! Signatures of what is sent, after the Standard Webhooks scheme: HMAC-SHA256 over id, time and body, so that the receiver
//! knows who wrote it, that nothing was changed, and that it is not an old one played again.
//!
//! Never prints a key.

use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use sha2::{Digest, Sha256};
use std::fmt;
use std::ops::RangeInclusive;

/// How long a key is, in bytes.
pub const SIGNING_KEY_BYTES: RangeInclusive<usize> = 24..=64;
/// What the text of a key begins with, before its base64.
pub const SIGNING_KEY_PREFIX: &str = "whsec_";
/// What may be a key, for messages.
pub(crate) const SIGNING_KEY_ALLOWED: &str = "whsec_ and the base64 of 24 to 64 random bytes";
/// The header that carries signatures.
pub const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const BLOCK_BYTES: usize = 64;

/// What signatures are made with.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Box<[u8]>);

impl SigningKey {
    /// From its text: `whsec_` and the base64 of 24 to 64 bytes; `None` for every other.
    pub fn parse(text: &Secret) -> Option<Self> {
        let bytes = STANDARD.decode(text.reveal().strip_prefix(SIGNING_KEY_PREFIX)?).ok()?;
        SIGNING_KEY_BYTES.contains(&bytes.len()).then(|| SigningKey(bytes.into()))
    }

    /// The value of `webhook-signature` for a body sent under an id at a time, in seconds since 1970.
    pub fn sign(&self, id: &str, unix_seconds: i64, body: &[u8]) -> String {
        let mut inner = Sha256::new_with_prefix(self.padded(0x36));
        inner.update(format!("{id}.{unix_seconds}."));
        inner.update(body);
        let outer = Sha256::new_with_prefix(self.padded(0x5c)).chain_update(inner.finalize());
        format!("v1,{}", STANDARD.encode(outer.finalize()))
    }

    /// A key is never longer than a block (RFC 2104), so that it needs no hashing of its own.
    fn padded(&self, pad: u8) -> [u8; BLOCK_BYTES] {
        let mut block = [pad; BLOCK_BYTES];
        block.iter_mut().zip(&self.0).for_each(|(byte, key)| *byte ^= key);
        block
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::SigningKey;
    use crate::secret::Secret;

    /// The example that the scheme's own documentation gives.
    #[test]
    fn the_known_example() {
        let key = SigningKey::parse(&Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let signed = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = format!("whsec_{}", "A".repeat(88));
        for bad in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_!!!", "whsec_MfKQ9r8G", &long] {
            assert_eq!(SigningKey::parse(&Secret::new(bad)), None, "{bad}");
        }
    }
}
