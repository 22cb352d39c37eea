//! `steadfast caps`: how caps stand, from a terminal.

use crate::command::deliveries::{Connection, table, text};
use anyhow::Result;
use serde_json::Value;
use std::io::Write;

/// Lists every cap with what is accepted and reserved in its present period.
///
/// # Errors
/// When the server does not answer, or refuses.
pub(crate) async fn caps(connection: &Connection, out: &mut impl Write) -> Result<()> {
    let answer = connection.client()?.get("/v1/caps").await?;
    if connection.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
        return Ok(());
    }
    let mut rows = table(&["counts", "per", "max", "accepted", "reserved", "when full", "resets at"]);
    for item in answer.get("items").and_then(Value::as_array).into_iter().flatten() {
        let of = |name: &str| text(item, name);
        rows.add_row([
            of("scope"),
            of("per"),
            of("max"),
            of("used"),
            of("reserved"),
            of("on_cap"),
            format!("{} ({})", of("resets_at"), of("time_zone")),
        ]);
    }
    Ok(writeln!(out, "{rows}")?)
}
