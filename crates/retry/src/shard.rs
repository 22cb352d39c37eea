//! Shards and fences: who may write a delivery's settlement.
//!
//! A delivery belongs to a shard by its recipient. A node owns a shard under a lease with an epoch; every settlement carries
//! the epoch, and a store refuses one from a lease that was lost. With the embedded store one process owns every shard, and
//! the epoch rises each time the store is opened.

use steadfast_lead::RecipientName;

/// One of 256 shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub u8);

impl Shard {
    /// The shard of a recipient: FNV-1a over its name, folded to 8 bits. Part of the store format, never to change.
    pub fn of(recipient: &RecipientName) -> Self {
        let hash = recipient
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let folded = hash.to_le_bytes().into_iter().fold(0, |folded, byte| folded ^ byte);
        Shard(folded)
    }
}

/// Which lease of a shard: a later owner has a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// The lease a settlement was made under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Which shard.
    pub shard: Shard,
    /// Under which lease.
    pub epoch: Epoch,
}
