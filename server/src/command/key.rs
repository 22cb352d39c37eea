//! `steadfast key new`: an API key and the line that goes into the configuration.

use anyhow::{Context, Result};
use std::io::Write;
use steadfast_api::Scope;

/// Draws a key and prints it with its hash; only the hash goes into the configuration.
///
/// # Errors
/// When the system has no randomness to give, or nobody reads.
pub(crate) fn new(name: &str, scopes: &[Scope], out: &mut impl Write) -> Result<()> {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("the system gave no randomness: {error}"))?;
    let (key, hash) = steadfast_api::new_key(random);
    let scopes: Vec<String> = scopes.iter().map(|scope| format!("\"{}\"", scope.name())).collect();
    writeln!(out, "# The key, shown once. Clients send it as: Authorization: Bearer {key}")?;
    writeln!(out, "# Its hash goes into the configuration:")?;
    writeln!(out, "[[server.keys]]")?;
    writeln!(out, "name = \"{name}\"")?;
    writeln!(out, "hash = \"{hash}\"")?;
    writeln!(out, "scopes = [{}]", scopes.join(", ")).context("printing")
}
