//! `steadfast recipients` and `steadfast flows`: what is to go and what is not, from a terminal.

use crate::client::ApiClient;
use crate::command::deliveries::{Connection, table, text};
use anyhow::{Result, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::io::Write;

/// What to do with recipients.
#[derive(Subcommand, Debug)]
pub(crate) enum RecipientAction {
    /// List recipients with their health, and how much waits for each.
    List,
    /// Show one recipient with its endpoints, breakers and pace.
    Show {
        /// The recipient.
        name: String,
    },
    /// Send it nothing until it is resumed. What comes for it is held, and uses no retry.
    Pause {
        /// The recipient.
        name: String,
        /// Why, for the journal.
        #[arg(long)]
        reason: String,
    },
    /// Let it go on.
    Resume {
        /// The recipient.
        name: String,
        /// Why, for the journal.
        #[arg(long)]
        reason: String,
    },
    /// Say what is to be with its breakers.
    Breaker {
        /// The recipient.
        name: String,
        /// What is to be.
        verb: BreakerWord,
        /// Of this endpoint only, as `show` names it.
        #[arg(long)]
        endpoint: Option<String>,
        /// Why, for the journal.
        #[arg(long)]
        reason: String,
    },
    /// Send it nothing from one time until another: maintenance that it announced.
    Maintenance {
        /// The recipient.
        name: String,
        /// From when, such as 2026-12-24T22:00 in the zone of its calendar, or with an offset; now unless given.
        #[arg(long)]
        from: Option<String>,
        /// Until just before when.
        #[arg(long)]
        until: String,
        /// What for, for the journal and whoever asks what holds a delivery.
        #[arg(long)]
        reason: String,
    },
    /// End maintenance now, or take it back before it begins.
    CancelMaintenance {
        /// The recipient.
        name: String,
        /// The window's id, as `show` names it.
        id: String,
    },
    /// List what people stopped: recipients, flows and sources.
    Stops,
}

/// What is to be with a breaker.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BreakerWord {
    /// Nothing goes until a person says so.
    Open,
    /// Try with one now.
    Probe,
    /// It is well again: more and more goes. From disabled: closed at once.
    Close,
    /// Everything goes and nothing is concluded, until a person says so.
    Disable,
}

impl BreakerWord {
    const fn name(self) -> &'static str {
        match self {
            BreakerWord::Open => "open",
            BreakerWord::Probe => "probe",
            BreakerWord::Close => "close",
            BreakerWord::Disable => "disable",
        }
    }
}

/// What to do with flows and their sources.
#[derive(Subcommand, Debug)]
pub(crate) enum FlowAction {
    /// Send nothing of a flow, or of one of its sources, until it is resumed. Leads are taken all the same.
    Pause(FlowArgs),
    /// Let it go on.
    Resume(FlowArgs),
    /// What each endpoint of its legs has had of the day, beside its share.
    Shares {
        /// The flow.
        flow: String,
    },
}

/// Which flow, or which of its sources, and why.
#[derive(Args, Debug)]
pub(crate) struct FlowArgs {
    /// The flow.
    flow: String,
    /// Only what came by this source.
    #[arg(long)]
    source: Option<String>,
    /// Why, for the journal.
    #[arg(long)]
    reason: String,
}

impl FlowArgs {
    fn path(&self) -> Result<String> {
        let flow = format!("/v1/flows/{}", name(&self.flow)?);
        Ok(match &self.source {
            Some(source) => format!("{flow}/sources/{}", name(source)?),
            None => flow,
        })
    }
}

/// Runs one action on recipients.
///
/// # Errors
/// When the server does not answer, or refuses.
pub(crate) async fn recipients(connection: &Connection, action: RecipientAction, out: &mut impl Write) -> Result<()> {
    let client = connection.client()?;
    let at = |recipient: &str| Ok::<_, anyhow::Error>(format!("/v1/recipients/{}", name(recipient)?));
    let (answer, print): (Value, Printed) = match action {
        RecipientAction::List => (client.get("/v1/recipients").await?, Printed::List),
        RecipientAction::Show { name } => (client.get(&at(&name)?).await?, Printed::One),
        RecipientAction::Pause { name, reason } => (say(&client, &at(&name)?, "pause", &reason).await?, Printed::One),
        RecipientAction::Resume { name, reason } => (say(&client, &at(&name)?, "resume", &reason).await?, Printed::One),
        RecipientAction::Breaker { name, verb, endpoint, reason } => {
            let body = json!({ "verb": verb.name(), "endpoint": endpoint, "reason": reason }).to_string();
            (client.post(&format!("{}/breaker", at(&name)?), body).await?, Printed::One)
        }
        RecipientAction::Maintenance { name, from, until, reason } => {
            let body = json!({ "from": from, "until": until, "reason": reason }).to_string();
            (client.post(&format!("{}/maintenance", at(&name)?), body).await?, Printed::One)
        }
        RecipientAction::CancelMaintenance { name, id } => {
            let id = window_id(&id)?;
            (client.delete(&format!("{}/maintenance/{id}", at(&name)?)).await?, Printed::One)
        }
        RecipientAction::Stops => (client.get("/v1/stops").await?, Printed::Stops),
    };
    if connection.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
        return Ok(());
    }
    match print {
        Printed::List => print_list(&answer, out),
        Printed::One => print_one(&answer, out),
        Printed::Stops => print_stops(answer.get("items").and_then(Value::as_array).into_iter().flatten(), out),
    }
}

/// Runs one action on flows.
///
/// # Errors
/// When the server does not answer, or refuses.
pub(crate) async fn flows(connection: &Connection, action: FlowAction, out: &mut impl Write) -> Result<()> {
    let client = connection.client()?;
    let answer = match &action {
        FlowAction::Pause(args) => say(&client, &args.path()?, "pause", &args.reason).await?,
        FlowAction::Resume(args) => say(&client, &args.path()?, "resume", &args.reason).await?,
        FlowAction::Shares { flow } => client.get(&format!("/v1/flows/{}/shares", name(flow)?)).await?,
    };
    if connection.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
        return Ok(());
    }
    if let FlowAction::Shares { .. } = action {
        return print_shares(&answer, out);
    }
    match answer.get("stopped") {
        Some(stop) => print_stops(std::iter::once(stop), out),
        None => Ok(writeln!(out, "goes on")?),
    }
}

/// A row for each endpoint and day.
fn print_shares(answer: &Value, out: &mut impl Write) -> Result<()> {
    let mut rows = table(&["day from", "step", "leg", "endpoint", "share %", "had %", "counted", "on the way"]);
    let days = list(answer, "legs").flat_map(|leg| list(leg, "days").map(move |day| (leg, day)));
    for (leg, day, one) in days.flat_map(|(leg, day)| list(day, "endpoints").map(move |one| (leg, day, one))) {
        let from = format!("{} ({})", text(day, "from"), text(leg, "time_zone"));
        let of = ["name", "share_percent", "percent", "counted", "on_the_way"].map(|key| text(one, key));
        rows.add_row([from, text(leg, "step"), text(leg, "leg")].into_iter().chain(of));
    }
    Ok(writeln!(out, "{rows}")?)
}

fn list<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    of.get(name).and_then(Value::as_array).into_iter().flatten()
}

enum Printed {
    List,
    One,
    Stops,
}

async fn say(client: &ApiClient, path: &str, verb: &str, reason: &str) -> Result<Value> {
    client.post(&format!("{path}/{verb}"), json!({ "reason": reason }).to_string()).await
}

/// An id as it may stand in a path.
fn window_id(text: &str) -> Result<i64> {
    text.parse().map_err(|_| anyhow::anyhow!("{text:?} is no id of maintenance: `recipients show` names them"))
}

/// A name as it may stand in a path: names have no characters that would need writing otherwise.
fn name(text: &str) -> Result<&str> {
    match steadfast_lead::RecipientName::new(text) {
        Ok(_) => Ok(text),
        Err(error) => bail!("{error}"),
    }
}

fn print_list(answer: &Value, out: &mut impl Write) -> Result<()> {
    let mut rows = table(&["recipient", "health", "waiting", "held", "review", "in flight", "at once"]);
    for item in answer.get("items").and_then(Value::as_array).into_iter().flatten() {
        let within = |pointer: &str| item.pointer(pointer).map(ToString::to_string).unwrap_or_default();
        rows.add_row([
            text(item, "name"),
            text(item, "health"),
            within("/deliveries/waiting"),
            text(item, "held_now"),
            within("/deliveries/in_review"),
            within("/pace/in_flight"),
            within("/pace/concurrency"),
        ]);
    }
    Ok(writeln!(out, "{rows}")?)
}

fn print_one(answer: &Value, out: &mut impl Write) -> Result<()> {
    writeln!(out, "{:<12} {}", "recipient", text(answer, "name"))?;
    writeln!(out, "{:<12} {}", "health", text(answer, "health"))?;
    if let Some(stop) = answer.get("stopped") {
        let (by, since, reason) = (text(stop, "by"), text(stop, "since"), text(stop, "reason"));
        writeln!(out, "{:<12} by {by} since {since}: {reason}", "stopped")?;
    }
    if let Some(when) = answer.get("called_when") {
        let (now, why, until) = (text(when, "now"), text(when, "closed_by"), text(when, "until"));
        let why = if why.is_empty() { why } else { format!(" ({why})") };
        let until = if until.is_empty() { "further notice".to_owned() } else { until };
        writeln!(out, "{:<12} {now}{why} until {until}, by the clock of {}", "calendar", text(when, "time_zone"))?;
    }
    for window in answer.get("maintenance").and_then(Value::as_array).into_iter().flatten() {
        let [id, from, until, reason, by] = ["id", "from", "until", "reason", "by"].map(|key| text(window, key));
        writeln!(out, "{:<12} {from} until {until}: {reason}, by {by} (id {id})", "maintenance")?;
    }
    if let Some(pace) = answer.get("pace") {
        let (now, most, under_way) =
            (text(pace, "concurrency"), text(pace, "concurrency_max"), text(pace, "in_flight"));
        let adaptive = pace.get("adaptive") == Some(&Value::Bool(true));
        let kind = if adaptive { format!("adaptive, at most {most}") } else { "fixed".to_owned() };
        writeln!(out, "{:<12} {now} ({kind}), {under_way} under way", "at once")?;
        let rate = text(pace, "rate_limit");
        writeln!(out, "{:<12} {}", "rate limit", if rate.is_empty() { "none" } else { &rate })?;
    }
    writeln!(out, "{:<12} {}", "held now", text(answer, "held_now"))?;
    let mut rows =
        table(&["endpoint", "breaker", "since", "changes at", "failed", "budget", "share", "held by", "until"]);
    for item in answer.get("endpoints").and_then(Value::as_array).into_iter().flatten() {
        let nothing = Value::Null;
        let (breaker, hold) = (item.get("breaker").unwrap_or(&nothing), item.get("hold").unwrap_or(&nothing));
        rows.add_row([
            text(item, "endpoint"),
            text(breaker, "state"),
            text(breaker, "since"),
            text(breaker, "changes_at"),
            format!("{} of {}", text(breaker, "failures"), text(breaker, "calls")),
            text(item, "retry_budget"),
            text(item, "share"),
            text(hold, "why"),
            text(hold, "until"),
        ]);
    }
    Ok(writeln!(out, "{rows}")?)
}

fn print_stops<'a>(stops: impl Iterator<Item = &'a Value>, out: &mut impl Write) -> Result<()> {
    let mut rows = table(&["recipient", "flow", "source", "by", "since", "reason"]);
    for stop in stops {
        rows.add_row(["recipient", "flow", "source", "by", "since", "reason"].map(|name| text(stop, name)));
    }
    Ok(writeln!(out, "{rows}")?)
}
