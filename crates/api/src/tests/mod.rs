//! The API driven for real: router, engine and a store in memory; only the recipient and the clock are scripted. Every answer
//! is held against the document.

mod batches;
mod classify;
mod contract;
mod erasures;
mod harness;
mod promised;
mod protecting;
mod refusals;
mod routes;
mod serving;
mod stream;
mod submitting;
