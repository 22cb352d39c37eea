//! The embedded store passes the suite every store passes.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use steadfast_lead::{NodeNumber, Timestamp};
use steadfast_store::conformance::Rig;
use steadfast_store::conformance_suite;
use steadfast_store::{Store, TermKey};
use steadfast_store_embedded::{EmbeddedStore, Options};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Folder(TempDir::new().unwrap())
    }
}

impl Rig for Folder {
    fn open(&mut self) -> Arc<dyn Store> {
        let now = Arc::new(|| Timestamp::from_millis(1_795_000_000_000));
        EmbeddedStore::open(self.0.path(), Options::new(42, TermKey::new([7; 32]), NodeNumber(1), now)).unwrap()
    }
}

conformance_suite!(Folder::new());
