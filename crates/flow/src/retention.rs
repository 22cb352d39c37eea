//! How long what has ended is kept.

use crate::place::{Fault, Place};
use crate::plan::Book;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use steadfast_lead::{FlowName, RecipientName, Timestamp};
use steadfast_retry::policy::show_duration;

const DAY: Duration = Duration::from_secs(86_400);
/// The shortest anything may be kept: longer than any idempotency key lasts.
pub const KEEP_MIN: Duration = DAY;
/// The longest, short of for ever.
pub const KEEP_MAX: Duration = Duration::from_secs(3_660 * 86_400);

/// How long something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// For so long.
    For(Duration),
    /// For ever.
    Forever,
}

impl Keep {
    /// What is from before this is over at `now`; `None` for nothing.
    pub fn before(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Keep::For(duration) => Some(now.before(duration)),
            Keep::Forever => None,
        }
    }

    /// The longer of the two.
    #[must_use]
    pub fn at_least(self, other: Duration) -> Self {
        match self {
            Keep::For(duration) => Keep::For(duration.max(other)),
            Keep::Forever => Keep::Forever,
        }
    }

    fn is_shorter_than(self, other: Duration) -> bool {
        match self {
            Keep::For(duration) => duration < other,
            Keep::Forever => false,
        }
    }

    fn fault(self, place: Place) -> Option<Fault> {
        let Keep::For(duration) = self else { return None };
        let allowed = format!("{} to {}, or forever", show_duration(KEEP_MIN), show_duration(KEEP_MAX));
        let fits = (KEEP_MIN..=KEEP_MAX).contains(&duration);
        (!fits).then(|| Fault::of(place, &show_duration(duration), "is out of range", &allowed))
    }
}

/// `[retention]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionRules {
    /// Leads with everything of theirs, from when their last delivery ended; and versions of the configuration, from when
    /// they gave way to the next.
    pub leads: Keep,
    /// Lines of the journal.
    pub journal: Keep,
    /// What is kept of persons who asked for deletion: never less than they are turned away for.
    pub erasures: Keep,
}

impl Default for RetentionRules {
    fn default() -> Self {
        RetentionRules { leads: Keep::For(90 * DAY), journal: Keep::For(30 * DAY), erasures: Keep::For(1_096 * DAY) }
    }
}

impl RetentionRules {
    /// Values out of range.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let own = [("leads", self.leads), ("journal", self.journal), ("erasures", self.erasures)];
        own.into_iter().filter_map(|(key, keep)| keep.fault(Place::of("retention").key(key))).collect()
    }
}

/// A flow's own word that is out of range.
pub(crate) fn flow_fault(flow: &FlowName, keep: Option<Keep>) -> Option<Fault> {
    keep?.fault(place_of(flow))
}

fn place_of(flow: &FlowName) -> Place {
    Place::of("flows").key(flow.as_str()).key("retention").key("leads")
}

/// Flows whose leads would be deleted while a recipient's duplicate guard still asks for them: the person would go to that
/// recipient a second time. Told once for `[retention]`, and once for each flow with a word of its own.
pub(crate) fn guard_faults(book: &Book) -> Vec<Fault> {
    let mut windows: HashMap<&RecipientName, Duration> = HashMap::new();
    for step in book.flows.values().flat_map(|flow| flow.ways()) {
        let window = step.duplicates.as_ref().map_or(Duration::ZERO, |guard| guard.window());
        let longest = windows.entry(&step.endpoint.recipient).or_default();
        *longest = window.max(*longest);
    }
    let flows: BTreeMap<_, _> = book.flows.iter().collect();
    let mut found: BTreeMap<Place, Fault> = BTreeMap::new();
    for (name, plan) in flows {
        let own = book.flow_retention.get(name);
        let keep = own.copied().unwrap_or(book.retention.leads);
        for recipient in plan.ways().map(|leg| &leg.endpoint.recipient) {
            let window = windows.get(recipient).copied().unwrap_or_default();
            if keep.is_shorter_than(window) {
                let place = own.map_or_else(|| Place::of("retention").key("leads"), |_| place_of(name));
                found.entry(place.clone()).or_insert_with(|| guard_fault(place, keep, recipient, window));
            }
        }
    }
    found.into_values().collect()
}

fn guard_fault(place: Place, keep: Keep, recipient: &RecipientName, window: Duration) -> Fault {
    let shown = match keep {
        Keep::For(duration) => show_duration(duration),
        Keep::Forever => "forever".to_owned(),
    };
    let window = show_duration(window);
    let problem = format!("is shorter than the duplicate guard of {recipient} looks back, {window}");
    Fault::of(place, &shown, &problem, &format!("{window} or longer"))
}
