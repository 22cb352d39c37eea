//! Every parser that meets the outside, each as a function from bytes that must neither panic, nor hang, nor take memory out
//! of proportion, nor break the promise it is asked about.
//!
//! A target reads nothing but its input: the same bytes do the same on every machine. What is known to be interesting is kept
//! in `fuzz/corpus`, one file for each target. The short run ([`mutate`], in `tests/`) is an ordinary test; the long one is
//! `cargo xtask fuzz`.

// Its tests stand in tests/: the server's configuration, compiled in below, must not bring its own along.
#![cfg(not(test))]

pub mod corpus;
pub mod mutate;
mod targets;

// The binary's own reading of its file, compiled here a second time: the binary is no library, and need not become one for this.
#[allow(dead_code, unused_imports, unreachable_pub, missing_docs, reason = "only the reading is used here")]
#[path = "../../server/src/config/mod.rs"]
mod config;

pub use targets::TARGETS;

/// One parser, or one family of them that reads the same text.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called, on the command line and in `fuzz/corpus`.
    pub name: &'static str,
    /// What it reads, for people.
    pub reads: &'static str,
    /// Reads one input; panics where a promise is broken.
    pub run: fn(&[u8]),
    /// Words that mean something to it.
    pub words: &'static [&'static str],
    /// Inputs made for it in the short run: fewer where each compiles expressions.
    pub short_run: u32,
    /// Memory it may hold at once, in bytes, whatever the input.
    pub bytes_base: u64,
    /// Memory it may hold at once for each byte of input, in bytes.
    pub bytes_per_byte: u64,
    /// Allocations it may make for each byte of input, beyond [`ALLOCATIONS_BASE`]: work out of proportion shows here.
    pub allocations_per_byte: u64,
}

/// The stack a target may use, in bytes: as much as the server's threads have, since some parsers recurse. libFuzzer runs its
/// targets on the first thread of a process, which usually has as much; whoever runs them elsewhere sees to it.
pub const STACK_BYTES: usize = 8 << 20;

/// Allocations a target may make whatever the input.
pub const ALLOCATIONS_BASE: u64 = 20_000;

/// The target of a name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// What one input took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// Memory held at once, in bytes.
    pub bytes: u64,
    /// Allocations made.
    pub allocations: u64,
}

impl Target {
    /// Reads one input and says what it took.
    ///
    /// # Panics
    /// Where a promise is broken: the target's own, or that memory and work stay in proportion.
    pub fn check(&self, input: &[u8]) -> Took {
        let counted = allocation_counter::measure(|| (self.run)(input));
        let length = u64::try_from(input.len()).unwrap_or(u64::MAX);
        let (bytes, allocations) = (counted.bytes_max, counted.count_total);
        let bytes_allowed = self.bytes_base + self.bytes_per_byte * length;
        assert!(bytes <= bytes_allowed, "{bytes} bytes held for {length} of input, at most {bytes_allowed}");
        let allowed = ALLOCATIONS_BASE + self.allocations_per_byte * length;
        assert!(allocations <= allowed, "{allocations} allocations for {length} bytes of input, at most {allowed}");
        Took { bytes, allocations }
    }
}
