//! Search terms: what a person gave of themselves, as keyed digests. Whoever has the store's files without its key cannot
//! try out addresses and numbers against them.
//!
//! HMAC-SHA256 under a key drawn when the store was made, cut to 16 bytes. Must never: print a key, or keep what a term was
//! made from.

use sha2::{Digest, Sha256};
use std::fmt;

/// Bytes of a term.
pub const TERM_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
const BLOCK_BYTES: usize = 64;

/// A keyed digest of one normalised value, or of several.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term([u8; TERM_BYTES]);

impl Term {
    /// From the bytes a store keeps.
    pub const fn from_bytes(bytes: [u8; TERM_BYTES]) -> Self {
        Term(bytes)
    }

    /// The bytes a store keeps.
    pub const fn as_bytes(&self) -> &[u8; TERM_BYTES] {
        &self.0
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("…")
    }
}

/// The key of a store's terms: drawn by the caller when the store is made, kept for good.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TermKey([u8; KEY_BYTES]);

impl TermKey {
    /// From random bytes.
    pub const fn new(bytes: [u8; KEY_BYTES]) -> Self {
        TermKey(bytes)
    }

    /// The bytes, for the store to keep.
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// The term of some values, each told apart from its neighbours, of one kind: the same values of two kinds make two
    /// terms.
    pub fn term<'v>(&self, kind: &'v str, values: impl IntoIterator<Item = &'v str>) -> Term {
        let parts = std::iter::once(kind).chain(values);
        let digest = self.keyed(parts);
        let mut term = [0; TERM_BYTES];
        term.copy_from_slice(&digest[..TERM_BYTES]);
        Term(term)
    }

    /// HMAC-SHA256 (RFC 2104) over the parts, each behind its length.
    fn keyed<'v>(&self, parts: impl Iterator<Item = &'v str>) -> [u8; 32] {
        let mut inner = Sha256::new_with_prefix(self.padded(0x36));
        for part in parts {
            inner.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            inner.update(part);
        }
        Sha256::new_with_prefix(self.padded(0x5c)).chain_update(inner.finalize()).finalize().into()
    }

    fn padded(&self, pad: u8) -> [u8; BLOCK_BYTES] {
        let mut block = [pad; BLOCK_BYTES];
        block.iter_mut().zip(self.0).for_each(|(byte, key)| *byte ^= key);
        block
    }
}

impl fmt::Debug for TermKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TermKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::{Term, TermKey};
    use sha2::{Digest, Sha256};

    const KEY: TermKey = TermKey::new([0x0b; 32]);

    /// The definition of HMAC, written out over one buffer.
    fn by_definition(key: &[u8], message: &[u8]) -> Vec<u8> {
        let pad = |byte: u8| (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ byte).collect::<Vec<u8>>();
        let inner = Sha256::digest([pad(0x36), message.to_vec()].concat());
        Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
    }

    #[test]
    fn a_term_is_an_hmac_over_its_parts_with_their_lengths() {
        // Case 2 of RFC 4231 holds the definition above to the standard.
        let known = by_definition(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(known[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        let message = [&[0, 0, 0, 0, 0, 0, 0, 5][..], b"email", &[0, 0, 0, 0, 0, 0, 0, 3], b"a@b"].concat();
        assert_eq!(KEY.term("email", ["a@b"]).as_bytes()[..], by_definition(&[0x0b; 32], &message)[..16]);
    }

    #[test]
    fn kinds_keys_and_borders_between_values_make_other_terms() {
        let terms: [Term; 5] = [
            KEY.term("email", ["ab", "c"]),
            KEY.term("email", ["a", "bc"]),
            KEY.term("email", ["abc"]),
            KEY.term("phone", ["ab", "c"]),
            TermKey::new([0x0c; 32]).term("email", ["ab", "c"]),
        ];
        let different: std::collections::BTreeSet<Term> = terms.into_iter().collect();
        assert_eq!(different.len(), terms.len());
    }

    #[test]
    fn neither_prints_what_it_holds() {
        assert_eq!(format!("{KEY:?}"), "TermKey(…)");
        assert_eq!(format!("{:?}", Term::from_bytes([0xab; 16])), "abababab…");
    }
}
