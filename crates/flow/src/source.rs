//! Sources: who posts leads into a flow, and what they are told.
//!
//! A source stands in one place, so its settings are its plan: nothing is laid over anything.

use crate::callback::{CallbackSettings, name_fault_of_callback};
use crate::caps::CapsSettings;
use crate::place::{Fault, Place};
use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::time::Duration;
use steadfast_lead::SourceName;

/// Sources of one flow, at most.
pub const SOURCES_MAX: usize = 1_000;
/// How long a source may be kept waiting for the outcome.
pub const SOURCE_WAIT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
/// How long a source is kept waiting for the outcome unless it says otherwise.
pub const SOURCE_WAIT_DEFAULT: Duration = Duration::from_secs(10);
/// How long the same fields may count as the same request.
pub const DEDUPE_WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
/// Fields that may be compared to tell whether a request is the same.
pub const DEDUPE_FIELDS_MAX: usize = 50;
/// Keys of one source, at most: one in use, and those it is changing from and to.
pub const SOURCE_KEYS_MAX: usize = 10;
/// How long a reason told to a source may be, in bytes.
pub const REASON_BYTES_MAX: usize = 500;
const NAME_BYTES_MAX: usize = 256;

/// What a source is told, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceAnswer {
    /// That the lead is kept, at once.
    #[default]
    Accepted,
    /// What became of it, if that is known in time.
    Outcome,
}

impl SourceAnswer {
    /// All of them.
    pub const ALL: [SourceAnswer; 2] = [SourceAnswer::Accepted, SourceAnswer::Outcome];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            SourceAnswer::Accepted => "accepted",
            SourceAnswer::Outcome => "outcome",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        SourceAnswer::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// The trade's three words, as a source hears them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaidOutcome {
    /// Taken.
    #[default]
    Success,
    /// The business said no.
    Failure,
    /// It could not be processed.
    Error,
}

impl SaidOutcome {
    /// All of them.
    pub const ALL: [SaidOutcome; 3] = [SaidOutcome::Success, SaidOutcome::Failure, SaidOutcome::Error];

    /// The word used in config and answers.
    pub const fn name(self) -> &'static str {
        match self {
            SaidOutcome::Success => "success",
            SaidOutcome::Failure => "failure",
            SaidOutcome::Error => "error",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        SaidOutcome::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// When two requests of a source are the same request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestWindow {
    /// The fields that are compared, nested ones by dots; none named compares all.
    pub fields: Vec<Box<str>>,
    /// How long after the first one.
    pub window: Duration,
}

/// One source of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSettings {
    /// What it is told, and when.
    pub answer: SourceAnswer,
    /// How long it is kept waiting for the outcome.
    pub wait: Duration,
    /// What it is told when the outcome is in doubt or not known in time.
    pub when_unknown: SaidOutcome,
    /// Why, said with it.
    pub unknown_reason: Option<Box<str>>,
    /// The price it is told where no recipient named one; a decimal number.
    pub price: Option<Box<str>>,
    /// What it is offered for a lead it only asks about; a decimal number. Without one nothing is offered.
    pub bid: Option<Box<str>>,
    /// SHA-256 of each key of its own.
    pub keys: Vec<[u8; 32]>,
    /// Anybody who knows its address may post.
    pub open: bool,
    /// The field it sends its key in, beside the headers.
    pub key_field: Option<Box<str>>,
    /// All its leads are test leads.
    pub test: bool,
    /// When two of its requests are the same request.
    pub dedupe: Option<RequestWindow>,
    /// How it is told later what became of its leads.
    pub callback: Option<CallbackSettings>,
    /// How many deliveries of its leads may be accepted in a period.
    pub caps: CapsSettings,
}

impl Default for SourceSettings {
    fn default() -> Self {
        SourceSettings {
            answer: SourceAnswer::default(),
            wait: SOURCE_WAIT_DEFAULT,
            when_unknown: SaidOutcome::default(),
            unknown_reason: None,
            price: None,
            bid: None,
            keys: Vec::new(),
            open: false,
            key_field: None,
            test: false,
            dedupe: None,
            callback: None,
            caps: CapsSettings::default(),
        }
    }
}

/// What is wrong with the sources of a flow.
pub(crate) fn source_list_faults(place: &Place, sources: &BTreeMap<SourceName, SourceSettings>) -> Vec<Fault> {
    let count = sources.len();
    let too_many = (count > SOURCES_MAX).then(|| {
        Fault::of(place.clone(), &format!("{count} entries"), "are too many", &format!("at most {SOURCES_MAX}"))
    });
    let each = sources.iter().flat_map(|(name, source)| {
        let place = place.key(name.as_str());
        let name = name_fault_of_callback(&place, name.as_str(), source.callback.is_some());
        name.into_iter().chain(source_faults(&place, source)).collect::<Vec<_>>()
    });
    too_many.into_iter().chain(each).collect()
}

/// What is wrong with a source, in the order of its keys.
fn source_faults(place: &Place, source: &SourceSettings) -> Vec<Fault> {
    let mut faults = Vec::new();
    faults.extend(duration_fault(place.key("wait"), source.wait, &SOURCE_WAIT, "100ms to 60s"));
    faults.extend(source.unknown_reason.as_deref().and_then(|reason| reason_fault(place, reason)));
    faults.extend(source.price.as_deref().and_then(|price| price_fault(place.key("price"), price)));
    faults.extend(source.bid.as_deref().and_then(|bid| price_fault(place.key("bid"), bid)));
    if source.keys.len() > SOURCE_KEYS_MAX {
        let allowed = format!("at most {SOURCE_KEYS_MAX}");
        faults.push(Fault::unseen(place.key("key_hash"), "has too many keys", &allowed));
    }
    if source.open && !source.keys.is_empty() {
        let problem = "lets everybody in, so that the keys beside it would do nothing";
        faults.push(Fault::of(place.key("open"), "true", problem, "open = true, or key_hash"));
    }
    faults.extend(source.key_field.as_deref().and_then(|name| name_fault(place.key("key_field"), name)));
    faults.extend(source.dedupe.iter().flat_map(|dedupe| dedupe_faults(&place.key("dedupe"), dedupe)));
    faults.extend(source.callback.iter().flat_map(|callback| callback.faults(&place.key("callback"))));
    faults
}

fn duration_fault(place: Place, given: Duration, range: &RangeInclusive<Duration>, allowed: &str) -> Option<Fault> {
    let shown = format!("{:?}", steadfast_retry::policy::show_duration(given));
    (!range.contains(&given)).then(|| Fault::of(place, &shown, "is out of range", allowed))
}

fn reason_fault(place: &Place, reason: &str) -> Option<Fault> {
    let place = place.key("unknown_reason");
    if reason.len() > REASON_BYTES_MAX {
        return Some(Fault::unseen(place, "is too long", &format!("at most {REASON_BYTES_MAX} bytes")));
    }
    reason.chars().any(char::is_control).then(|| Fault::unseen(place, "holds a control character", "plain text"))
}

fn price_fault(place: Place, price: &str) -> Option<Fault> {
    let allowed = "a decimal number such as 12.50, up to 12 digits";
    (!is_price(price)).then(|| Fault::of(place, &format!("{price:?}"), "is not a price", allowed))
}

/// Whether a text is a plain decimal number, as prices are written: digits, and a point with digits after it.
pub fn is_price(text: &str) -> bool {
    const DIGITS_MAX: usize = 12;
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A leading zero would make it no number in JSON.
    let plain = whole == "0" || !whole.starts_with('0');
    let all = text.bytes().filter(u8::is_ascii_digit).count();
    digits(whole) && digits(part) && plain && all <= DIGITS_MAX
}

fn name_fault(place: Place, name: &str) -> Option<Fault> {
    let allowed = format!("1 to {NAME_BYTES_MAX} bytes");
    (name.is_empty() || name.len() > NAME_BYTES_MAX)
        .then(|| Fault::of(place, &format!("{name:?}"), "is not a field's name", &allowed))
}

fn dedupe_faults(place: &Place, dedupe: &RequestWindow) -> Vec<Fault> {
    let mut faults = Vec::new();
    faults.extend(duration_fault(place.key("window"), dedupe.window, &DEDUPE_WINDOW, "1s to 1d"));
    let list = place.key("fields");
    if dedupe.fields.len() > DEDUPE_FIELDS_MAX {
        faults.push(Fault::unseen(list.clone(), "names too many fields", &format!("at most {DEDUPE_FIELDS_MAX}")));
    }
    let mut seen = HashSet::new();
    for (index, name) in dedupe.fields.iter().enumerate().take(DEDUPE_FIELDS_MAX) {
        faults.extend(name_fault(list.index(index), name));
        if !seen.insert(name) {
            faults.push(Fault::of(list.index(index), &format!("{name:?}"), "stands twice", ""));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_at_fault(source: &SourceSettings) -> Vec<String> {
        source_faults(&Place::root(), source).into_iter().map(|fault| fault.place.as_str().to_owned()).collect()
    }

    #[test]
    fn what_is_wrong_with_a_source_is_told_by_key() {
        assert_eq!(keys_at_fault(&SourceSettings::default()), [""; 0]);
        let bad = SourceSettings {
            wait: Duration::from_secs(61),
            unknown_reason: Some("a\nb".into()),
            price: Some("12,50".into()),
            bid: Some("$3".into()),
            keys: vec![[0; 32]; 11],
            open: true,
            key_field: Some("".into()),
            dedupe: Some(RequestWindow {
                fields: vec!["email".into(), "email".into()],
                window: Duration::from_millis(1),
            }),
            ..SourceSettings::default()
        };
        let expected = [
            "wait",
            "unknown_reason",
            "price",
            "bid",
            "key_hash",
            "open",
            "key_field",
            "dedupe.window",
            "dedupe.fields[1]",
        ];
        assert_eq!(keys_at_fault(&bad), expected);
    }

    #[test]
    fn prices_are_plain_decimals() {
        for good in ["0", "12", "12.50", "0.05", "99999999.99", "123456789012", "1234567890.12"] {
            assert!(is_price(good), "{good}");
        }
        for bad in ["", ".5", "5.", "-1", "1e3", "01", "1 000", "1,5", "NaN", "1234567890.123", "1234567890123"] {
            assert!(!is_price(bad), "{bad}");
        }
    }
}
