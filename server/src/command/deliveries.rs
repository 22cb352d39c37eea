//! `steadfast deliveries`: the desk from a terminal.

use crate::client::ApiClient;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use std::io::{IsTerminal, Write};

/// Where the server is.
#[derive(Args, Clone, Debug)]
pub(crate) struct Connection {
    /// The server's address.
    #[arg(long, env = "STEADFAST_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// The API key.
    #[arg(long, env = "STEADFAST_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Print the API's own JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Connection {
    /// A client of that server.
    ///
    /// # Errors
    /// When the address or the key cannot be used.
    pub(crate) fn client(&self) -> Result<ApiClient> {
        ApiClient::new(&self.server, self.key.as_deref())
    }
}

/// What to do with deliveries.
#[derive(Subcommand, Debug)]
pub(crate) enum Action {
    /// List deliveries, newest first.
    List(ListArgs),
    /// Show one delivery with every attempt.
    Show {
        /// The delivery's id, dl_...
        id: String,
    },
    /// Try again now, with a fresh budget.
    Retry {
        /// The delivery's id, dl_...
        id: String,
    },
    /// Send it another way: on another leg, to another endpoint, or to another recipient of its step.
    Reroute(RerouteArgs),
    /// Note that the recipient has it.
    MarkDelivered {
        /// The delivery's id, dl_...
        id: String,
        /// How it is known.
        #[arg(long)]
        reason: String,
    },
    /// End it without another try.
    Dismiss {
        /// The delivery's id, dl_...
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// Which way a delivery goes.
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("to").required(true).multiple(true).args(["leg", "endpoint", "recipient"])))]
pub(crate) struct RerouteArgs {
    /// The delivery's id, dl_...
    id: String,
    /// On this leg; 0 is the step's own.
    #[arg(long)]
    leg: Option<u8>,
    /// To the endpoint of this name.
    #[arg(long)]
    endpoint: Option<String>,
    /// To this recipient, one of its step's.
    #[arg(long)]
    recipient: Option<String>,
    /// Why.
    #[arg(long)]
    reason: String,
    /// Where an attempt is in doubt: its recipient says that it does not have the lead.
    #[arg(long)]
    not_taken: bool,
}

impl RerouteArgs {
    fn body(&self) -> String {
        serde_json::json!({
            "leg": self.leg,
            "endpoint": self.endpoint,
            "recipient": self.recipient,
            "reason": self.reason,
            "not_taken": self.not_taken,
        })
        .to_string()
    }
}

/// Which deliveries to list.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// waiting, held, in_flight, delivered, rejected, in_review or closed.
    #[arg(long)]
    state: Option<String>,
    /// Of this recipient.
    #[arg(long)]
    recipient: Option<String>,
    /// Of this flow.
    #[arg(long)]
    flow: Option<String>,
    /// Whose last outcome was of this kind.
    #[arg(long)]
    kind: Option<String>,
    /// Accepted at this time or later (RFC 3339).
    #[arg(long)]
    since: Option<String>,
    /// Accepted before this time (RFC 3339).
    #[arg(long)]
    until: Option<String>,
    /// At most so many, 1 to 200.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Where the next page begins, as the last page said.
    #[arg(long)]
    after: Option<String>,
}

impl ListArgs {
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let named = [
            ("state", &self.state),
            ("recipient", &self.recipient),
            ("flow", &self.flow),
            ("kind", &self.kind),
            ("since", &self.since),
            ("until", &self.until),
            ("after", &self.after),
        ];
        for (name, value) in named {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.append_pair("limit", &self.limit.to_string());
        query.finish()
    }
}

/// Runs one action.
///
/// # Errors
/// When the server does not answer, or refuses.
pub(crate) async fn run(connection: &Connection, action: Action, out: &mut impl Write) -> Result<()> {
    let client = connection.client()?;
    let (answer, is_list) = match action {
        Action::List(list) => (client.get(&format!("/v1/deliveries?{}", list.query())).await?, true),
        Action::Show { id } => (client.get(&one(&id)?).await?, false),
        Action::Retry { id } => (client.post(&format!("{}/retry", one(&id)?), "{}".to_owned()).await?, false),
        Action::Reroute(to) => (client.post(&format!("{}/reroute", one(&to.id)?), to.body()).await?, false),
        Action::MarkDelivered { id, reason } => {
            let body = serde_json::json!({ "reason": reason }).to_string();
            (client.post(&format!("{}/mark-delivered", one(&id)?), body).await?, false)
        }
        Action::Dismiss { id, reason } => {
            let body = serde_json::json!({ "reason": reason }).to_string();
            (client.post(&format!("{}/dismiss", one(&id)?), body).await?, false)
        }
    };
    if connection.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
    } else if is_list {
        print_list(&answer, out)?;
    } else {
        print_one(&answer, out)?;
    }
    Ok(())
}

fn one(id: &str) -> Result<String> {
    match id.parse::<steadfast_lead::DeliveryId>() {
        Ok(id) => Ok(format!("/v1/deliveries/{id}")),
        Err(error) => bail!("{id}: {error}"),
    }
}

/// A value by its name, as people read it; empty where there is none.
pub(crate) fn text(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Rows under a header: with lines on a terminal, plain otherwise.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    let preset = if std::io::stdout().is_terminal() { presets::UTF8_FULL_CONDENSED } else { presets::NOTHING };
    table.load_style(preset).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    table
}

fn print_list(answer: &Value, out: &mut impl Write) -> Result<()> {
    let mut rows = table(&["id", "state", "flow", "step", "recipient", "attempts", "kind", "accepted"]);
    for item in answer.get("items").and_then(Value::as_array).into_iter().flatten() {
        rows.add_row(
            ["id", "state", "flow", "step", "recipient", "attempts_sent", "kind", "accepted_at"]
                .map(|name| text(item, name)),
        );
    }
    writeln!(out, "{rows}")?;
    let next = text(answer, "next");
    if !next.is_empty() {
        writeln!(out, "more: --after {next}")?;
    }
    Ok(())
}

/// How its endpoint was chosen, with every candidate.
fn print_choice(choice: &Value, out: &mut impl Write) -> Result<()> {
    writeln!(out, "{:<12} {}", "chosen", text(choice, "because"))?;
    for one in choice.get("candidates").and_then(Value::as_array).into_iter().flatten() {
        let (score, left_out) = (text(one, "score"), text(one, "left_out"));
        let rated = if left_out.is_empty() { format!("score {score}") } else { format!("left out: {left_out}") };
        writeln!(out, "{:<12}   {}: {rated}", "", text(one, "name"))?;
    }
    Ok(())
}

fn print_one(answer: &Value, out: &mut impl Write) -> Result<()> {
    for name in ["id", "lead_id", "state", "flow", "step", "recipient", "endpoint", "accepted_at"] {
        let said = text(answer, name);
        if !said.is_empty() {
            writeln!(out, "{name:<12} {said}")?;
        }
    }
    if let Some(choice) = answer.get("choice") {
        print_choice(choice, out)?;
    }
    let mut rows = table(&["#", "retry", "started", "outcome", "status", "kind", "decision", "because"]);
    for item in answer.get("attempts").and_then(Value::as_array).into_iter().flatten() {
        let answer_status = item.pointer("/evidence/answer/status").map(ToString::to_string).unwrap_or_default();
        rows.add_row([
            text(item, "number"),
            text(item, "retry"),
            text(item, "started"),
            item.pointer("/verdict/outcome").and_then(Value::as_str).unwrap_or_default().to_owned(),
            answer_status,
            item.pointer("/verdict/kind").and_then(Value::as_str).unwrap_or_default().to_owned(),
            item.pointer("/decision/name").and_then(Value::as_str).unwrap_or_default().to_owned(),
            text(item, "because"),
        ]);
    }
    writeln!(out, "{rows}")?;
    Ok(())
}
