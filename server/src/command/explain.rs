//! `steadfast explain FILE --flow F --step S`: each retry value in force and the level it came from, and when retries start.

use crate::config::load;
use anyhow::Context as _;
use comfy_table::presets::{NOTHING, UTF8_BORDERS_ONLY};
use comfy_table::{ContentArrangement, Table};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use steadfast_engine::{Clock as _, SystemClock};
use steadfast_flow::{
    Book, Explained, ExplainedAdjustment, ExplainedBalance, ExplainedCalendar, ExplainedCandidate, ExplainedLookUp,
    Fits, FlowPlan, PlannedRetry, StepPlan,
};
use steadfast_lead::{Priority, Timestamp};
use steadfast_retry::calendar::Standing;
use steadfast_retry::policy::show_duration;
use steadfast_retry::{InDoubt, Window};

/// Which step, and how it is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The flow.
    pub(crate) flow: &'a str,
    /// The step.
    pub(crate) step: &'a str,
    /// Tables with borders, for people at a terminal.
    pub(crate) terminal: bool,
    /// JSON in place of tables.
    pub(crate) json: bool,
}

/// Explains a step. False when the config has problems or does not have the step.
///
/// # Errors
/// When `out` cannot be written.
pub(crate) fn explain(path: &Path, wanted: Wanted<'_>, out: &mut impl Write) -> anyhow::Result<bool> {
    let book = match load(path) {
        Ok(loaded) => loaded.book,
        Err(problems) => {
            write!(out, "{}", problems.plain())?;
            return Ok(false);
        }
    };
    let plan = match find(&book, wanted.flow, wanted.step) {
        Ok(plan) => plan,
        Err(why) => {
            writeln!(out, "{why}")?;
            return Ok(false);
        }
    };
    let explained = Explained::of(plan);
    let (calendar, now) = (book.calendar(&explained.recipient), SystemClock.now());
    let example = explained.example(calendar.map(|calendar| &**calendar), now);
    let calendar = calendar.map(|calendar| ExplainedCalendar::of(calendar, now));
    if wanted.json {
        let mut value = to_json(&explained);
        value["called_when"] = calendar.as_ref().map_or(Value::Null, calendar_json);
        value["example"] = example.iter().map(ToString::to_string).collect();
        let text = serde_json::to_string_pretty(&value).context("cannot write JSON")?;
        writeln!(out, "{text}")?;
    } else {
        tables(&explained, wanted.terminal, out)?;
        adjustment_lines(&explained, out)?;
        for leg in &explained.fallbacks {
            writeln!(out)?;
            tables(leg, wanted.terminal, out)?;
        }
        calendar_lines(calendar.as_ref(), out)?;
        example_lines(&explained, calendar.is_some(), &example, out)?;
    }
    Ok(true)
}

/// A step by name, or a sentence about which there are.
pub(crate) fn find<'a>(book: &'a Book, flow_name: &str, step_name: &str) -> Result<&'a StepPlan, String> {
    let flow = book.flows.get(flow_name).ok_or_else(|| {
        let mut known: Vec<&str> = book.flows.keys().map(steadfast_lead::FlowName::as_str).collect();
        known.sort_unstable();
        format!("there is no flow {:?}; there are: {}", flow_name, known.join(", "))
    })?;
    let named = |flow: &'a FlowPlan| flow.steps.iter().find(|step| step.step.as_str() == step_name);
    named(flow).map(|step| &**step).ok_or_else(|| {
        let known: Vec<&str> = flow.steps.iter().map(|step| step.step.as_str()).collect();
        format!("flow {} has no step {:?}; it has: {}", flow_name, step_name, known.join(", "))
    })
}

/// What `--json` writes and `/v1/explain` answers: durations in milliseconds.
pub(crate) fn to_json(explained: &Explained) -> Value {
    let values: Vec<Value> = explained.values.iter().map(value_json).collect();
    let schedule: Vec<Value> = explained.schedule.iter().map(retry_json).collect();
    json!({
        "flow": explained.flow.as_str(),
        "step": explained.step.as_str(),
        "recipient": explained.recipient.as_str(),
        "begins": explained.begins,
        "retry_hours": explained.retry_hours.as_ref().map(|hours| {
            json!({ "hours": hours.hours(), "time_zone": hours.calendar.zone().name(), "after": hours.after })
        }),
        "when": explained.when,
        "in_doubt": doubt(explained.in_doubt),
        "look_up": explained.look_up.as_ref().map(look_up_json),
        "leg": explained.leg,
        "origin": &*explained.origin,
        "balance": explained.balance.as_ref().map(balance_json),
        "follow_ups": ends_json(explained),
        "values": values,
        "schedule": schedule,
        "adjust": explained.adjustments.iter().map(adjustment_json).collect::<Vec<_>>(),
        "fallbacks": explained.fallbacks.iter().map(to_json).collect::<Vec<_>>(),
    })
}

fn ends_json(explained: &Explained) -> Value {
    let ends = &explained.ends;
    json!({
        "on_exhausted": ends.exhausted.name(),
        "on_final_error": ends.final_error.name(),
        "final_errors": ends.final_errors.to_texts(),
        "on_unrecognized": ends.unrecognized.name(),
        "on_held_too_long": ends.held_too_long.name(),
        "on_open": explained.on_open.name(),
    })
}

fn balance_json(balance: &ExplainedBalance) -> Value {
    let endpoint = |one: &ExplainedCandidate| {
        json!({
            "name": one.name.as_str(),
            "recipient": one.recipient.as_str(),
            "origin": &*one.origin,
            "weight": one.weight,
            "cost_millionths": one.cost_millionths,
            "regions": one.regions,
            "regulations": one.regulations,
        })
    };
    json!({
        "by": balance.by.name(),
        "share_of": balance.share_of.map(|word| word.name()),
        "time_zone": balance.time_zone,
        "criteria": balance.criteria.iter().map(|word| word.name()).collect::<Vec<_>>(),
        "endpoints": balance.candidates.iter().map(endpoint).collect::<Vec<_>>(),
    })
}

/// What a leg chooses between, one line each.
fn balance_lines(balance: &ExplainedBalance, terminal: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let how = match (balance.share_of, balance.criteria.as_slice()) {
        (Some(share), _) => format!(": shares of the day in {}, of leads that are {share}", balance.time_zone),
        (None, []) => String::new(),
        (None, criteria) => {
            let words: Vec<&str> = criteria.iter().map(|word| word.name()).collect();
            format!(" by {}", words.join(", "))
        }
    };
    writeln!(out, "chooses one of {} endpoints, {}{how}", balance.candidates.len(), balance.by)?;
    let weights: u32 = balance.candidates.iter().map(|one| one.weight).sum();
    let mut rows = table(["endpoint", "recipient", "goes to", "weight", "regions", "regulations"], terminal);
    for one in &balance.candidates {
        let weight = format!("{} of {weights}", one.weight);
        let any = |tags: &[Box<str>], none: &str| if tags.is_empty() { none.to_owned() } else { tags.join(", ") };
        rows.add_row([
            one.name.as_str(),
            one.recipient.as_str(),
            &one.origin,
            &weight,
            &any(&one.regions, "all"),
            &any(&one.regulations, "none"),
        ]);
    }
    writeln!(out, "{rows}")?;
    Ok(())
}

fn adjustment_json(adjustment: &ExplainedAdjustment) -> Value {
    json!({
        "place": adjustment.place,
        "when": adjustment.when,
        "priority": adjustment.priority.map(Priority::name),
        "values": adjustment.values.iter().map(value_json).collect::<Vec<_>>(),
        "schedule": adjustment.schedule.iter().map(retry_json).collect::<Vec<_>>(),
    })
}

/// What is different about some leads, one line each.
fn adjustment_lines(explained: &Explained, out: &mut impl Write) -> anyhow::Result<()> {
    if let Some(when) = &explained.when {
        writeln!(out, "only leads of which is so: {when}")?;
    }
    for one in &explained.adjustments {
        let values = one.values.iter().map(|value| format!("{} = {}", value.key.name(), value.value));
        let priority = one.priority.map(|priority| format!("priority = {}", priority.name()));
        let changed: Vec<String> = values.chain(priority).collect();
        writeln!(out, "{}: when {}: {}", one.place, one.when, changed.join(", "))?;
    }
    Ok(())
}

fn look_up_json(look_up: &ExplainedLookUp) -> Value {
    let read_by: Vec<&str> = look_up.read_by.iter().map(|by| by.name()).collect();
    json!({ "method": look_up.method.as_str(), "origin": &*look_up.origin, "read_by": read_by })
}

fn value_json(value: &steadfast_flow::ExplainedValue) -> Value {
    json!({ "key": value.key.name(), "value": value.value, "origin": value.origin })
}

fn retry_json(retry: &PlannedRetry) -> Value {
    json!({
        "retry": retry.retry,
        "after_failure_ms": window_json(retry.after_failure),
        "since_first_ms": window_json(retry.since_first),
        "within_total_timeout": retry.fits.name(),
    })
}

fn calendar_json(calendar: &ExplainedCalendar) -> Value {
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let (state, until, why) = match calendar.standing {
        Standing::Open { until } => ("open", until, None),
        Standing::Closed { until, why } => ("closed", until, Some(why.name())),
    };
    let openings: Vec<Value> =
        calendar.openings.iter().map(|(from, until)| json!([time(Some(*from)), time(Some(*until))])).collect();
    json!({
        "time_zone": calendar.time_zone,
        "hours": calendar.hours,
        "holidays": calendar.holidays,
        "maintenance": calendar.maintenance,
        "now": state,
        "closed_by": why,
        "note": calendar.note,
        "until": time(until),
        "openings": openings,
    })
}

fn calendar_lines(calendar: Option<&ExplainedCalendar>, out: &mut impl Write) -> anyhow::Result<()> {
    let Some(calendar) = calendar else {
        writeln!(out, "the recipient may be called at any time")?;
        return Ok(());
    };
    let hours = if calendar.hours.is_empty() { "always".to_owned() } else { calendar.hours.join(", and within ") };
    let (holidays, maintenance) = (calendar.holidays, calendar.maintenance);
    writeln!(
        out,
        "open {hours} in {}, less {holidays} holidays and {maintenance} maintenance windows",
        calendar.time_zone
    )?;
    let until = |until: Option<Timestamp>| until.map_or_else(|| "further notice".to_owned(), |until| until.to_string());
    match calendar.standing {
        Standing::Open { until: closes } => writeln!(out, "now open until {}", until(closes))?,
        Standing::Closed { until: opens, why } => {
            let note = calendar.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
            writeln!(out, "now closed ({}{note}) until {}", why.name(), until(opens))?;
        }
    }
    Ok(())
}

/// The hours retries wait for, and when each would go: where no calendar bears on them, the schedule says it all.
fn example_lines(
    explained: &Explained,
    has_calendar: bool,
    example: &[Timestamp],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    if let Some(hours) = &explained.retry_hours {
        let (written, zone) = (hours.hours(), hours.calendar.zone());
        let first = if hours.after == 0 { String::new() } else { format!(", but for the first {}", hours.after) };
        writeln!(out, "retries wait for {written} in {zone}{first}")?;
    }
    if !has_calendar && explained.retry_hours.is_none() {
        return Ok(());
    }
    let times: Vec<String> = example.iter().map(ToString::to_string).collect();
    if !times.is_empty() {
        writeln!(out, "if the first attempt came due now, and all failed: retries from {}", times.join(", "))?;
    }
    Ok(())
}

fn window_json(window: Window) -> Value {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    json!([millis(window.earliest), millis(window.latest)])
}

fn doubt(in_doubt: InDoubt) -> String {
    match in_doubt {
        InDoubt::Retry { floor } => format!("retry, not before {}", show_duration(floor)),
        InDoubt::Verify { floor } => format!("verify with the recipient, not before {}", show_duration(floor)),
        InDoubt::Hold => "hold".to_owned(),
        InDoubt::AssumeDelivered => "assume_delivered".to_owned(),
    }
}

fn tables(explained: &Explained, terminal: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let leg = if explained.leg == 0 { String::new() } else { format!(", leg {}", explained.leg) };
    writeln!(out, "flow {}, step {}{leg}, recipient {}", explained.flow, explained.step, explained.recipient)?;
    if explained.leg > 0 || !explained.fallbacks.is_empty() {
        writeln!(out, "goes to {}; then: {}", explained.origin, ends_line(explained))?;
    }
    if let Some(balance) = &explained.balance {
        balance_lines(balance, terminal, out)?;
    }
    writeln!(out, "begins {}", explained.begins)?;
    let mut values = table(["key", "value", "level"], terminal);
    for value in &explained.values {
        values.add_row([value.key.name(), &value.value, &value.origin]);
    }
    writeln!(out, "{values}")?;
    writeln!(out, "sent and not answered: {}", doubt(explained.in_doubt))?;
    if let Some(look_up) = &explained.look_up {
        let read_by: Vec<&str> = look_up.read_by.iter().map(|by| by.name()).collect();
        writeln!(out, "asked by {} at {}; answers read by {}", look_up.method, look_up.origin, read_by.join(", "))?;
    }
    if explained.schedule.is_empty() {
        writeln!(out, "no retries")?;
        return Ok(());
    }
    let mut schedule =
        table(["retry", "after the failure", "since the first attempt", "within total_timeout"], terminal);
    for retry in &explained.schedule {
        let number = retry.retry.to_string();
        schedule.add_row([number, window(retry.after_failure), window(retry.since_first), fits(retry.fits).to_owned()]);
    }
    writeln!(out, "{schedule}")?;
    writeln!(out, "if every attempt fails at once and nothing is held; an attempt's own time comes on top")?;
    Ok(())
}

fn ends_line(explained: &Explained) -> String {
    let ends = &explained.ends;
    format!(
        "exhausted {}, final error {}, unrecognized {}, held too long {}, breaker open {}",
        ends.exhausted,
        ends.final_error,
        ends.unrecognized,
        ends.held_too_long,
        explained.on_open.name()
    )
}

fn table<const N: usize>(head: [&str; N], terminal: bool) -> Table {
    /// Long lists of conditions wrap within their column.
    const WIDTH: u16 = 110;
    let mut table = Table::new();
    if terminal {
        table.load_style(UTF8_BORDERS_ONLY).set_width(WIDTH);
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.load_style(NOTHING);
    }
    table.set_header(head);
    table
}

fn window(window: Window) -> String {
    format!("[{}, {}]", seconds(window.earliest), seconds(window.latest))
}

/// `2s`, `2.4s`, `7m30s`: windows are compared with each other, so small units stay.
fn seconds(duration: Duration) -> String {
    let (minutes, millis) = (duration.as_secs() / 60, duration.as_millis() % 60_000);
    let rest = format!("{}.{:03}", millis / 1_000, millis % 1_000);
    let rest = rest.trim_end_matches('0').trim_end_matches('.');
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{rest}s"),
        (0, minutes) => format!("{minutes}m{rest}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}s"),
    }
}

const fn fits(fits: Fits) -> &'static str {
    match fits {
        Fits::Always => "yes",
        Fits::Sometimes => "not if late",
        Fits::Never => "no, never sent",
    }
}
