//! When a lead may be contacted, by its own clock: the zone of its state or postal code, else of its telephone number's area
//! code, and where several are possible, all of them at once.
//!
//! Asked before each attempt of a step that says `contact_hours`.

use crate::compile::{StepScope, flow_place};
use crate::contact_zones::{ContactZones, Zones};
use crate::mapping::{FieldSettings, FieldType};
use crate::normal::normalise;
use crate::place::{Fault, Place};
use crate::plan::{Book, StepPlan};
use crate::settings::Settings;
use std::collections::HashMap;
use std::sync::Arc;
use steadfast_lead::{Fields, Timestamp, Value};
use steadfast_retry::calendar::{Calendar, Hours, Zone};

const HOURS: &str = "OSM opening_hours, such as Mo-Su 08:00-21:00; see calendars.md";
/// Openings of single zones looked at for a time that is open in all; each goes on from the one before.
const LOOKS_MAX: usize = 128;

/// What is taken of a lead whose zone is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownZone {
    /// It may be in any of the zones the table calls `unknown`, and all of them must be within the hours.
    #[default]
    Strictest,
    /// It is sent at any time.
    Send,
}

impl UnknownZone {
    /// All of them.
    pub const ALL: [UnknownZone; 2] = [UnknownZone::Strictest, UnknownZone::Send];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            UnknownZone::Strictest => "strictest",
            UnknownZone::Send => "send",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        UnknownZone::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// What a step says about when its leads may be contacted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactHoursSettings {
    /// In OSM's `opening_hours` syntax, on the lead's own clock.
    pub hours: Box<str>,
    /// What is taken of a lead whose zone is not known.
    pub unknown: UnknownZone,
}

/// When a step's leads may be contacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactHours {
    hours: Hours,
    unknown: UnknownZone,
    table: Arc<ContactZones>,
    fields: Vec<(Box<str>, Sign)>,
    calendars: HashMap<Box<str>, Calendar>,
}

/// What a field says about where a lead is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    State,
    PostalCode,
    Phone,
}

/// Whether a lead may be contacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// Now.
    Now,
    /// Not before.
    NotBefore {
        /// When all of its zones are within the hours; `None` for never.
        opens: Option<Timestamp>,
        /// Which zones were asked.
        zones: String,
    },
}

impl ContactHours {
    fn new(
        settings: &ContactHoursSettings,
        table: &Arc<ContactZones>,
        declared: &[FieldSettings],
        place: &Place,
    ) -> Result<Self, Fault> {
        let place = place.key("hours");
        let given = format!("{:?}", settings.hours);
        let hours = Hours::new(&settings.hours)
            .map_err(|bad| Fault::of(place.clone(), &given, &format!("is not opening hours: {bad}"), HOURS))?;
        let all = table.all().flat_map(|(_, zones)| zones.iter());
        let calendars = all.map(|zone| (zone.name().into(), Calendar::new(zone.clone()).within(hours.clone())));
        let fields = declared.iter().flat_map(signs).collect();
        let made = ContactHours {
            hours: hours.clone(),
            unknown: settings.unknown,
            table: Arc::clone(table),
            fields,
            calendars: calendars.collect(),
        };
        Ok(made)
    }

    /// The hours, on the lead's own clock.
    pub const fn hours(&self) -> &Hours {
        &self.hours
    }

    /// The table its zones are from.
    pub fn table(&self) -> &ContactZones {
        &self.table
    }

    /// Whether a lead may be contacted at a time.
    pub fn ask(&self, lead: &Fields, now: Timestamp) -> Contact {
        let Some(zones) = self.zones_of(lead) else { return Contact::Now };
        match self.next_open(&zones, now) {
            Some(opens) if opens <= now => Contact::Now,
            opens => Contact::NotBefore { opens, zones: zones.iter().map(Zone::name).collect::<Vec<_>>().join(", ") },
        }
    }

    /// The zones a lead may be in; `None` where it does not matter.
    fn zones_of(&self, lead: &Fields) -> Option<Vec<Zone>> {
        let signs = self.signs_of(lead);
        let of = |sign: Sign| signs.iter().filter(move |(kind, _)| *kind == sign).map(|(_, text)| text.as_str());
        let codes: Vec<&Zones> = of(Sign::PostalCode).filter_map(|code| self.table.of_postal_code(code)).collect();
        let states: Vec<&Zones> = of(Sign::State).filter_map(|code| self.table.of_state(code)).collect();
        // A postal code is nearer than its state; one of another state is not to be trusted alone.
        let within = |zone: &Zone| states.iter().any(|zones| zones.contains(zone));
        let agree = states.is_empty() || codes.iter().flat_map(|zones| zones.iter()).all(within);
        let mut found = codes.clone();
        if codes.is_empty() || !agree {
            found.extend(states);
        }
        if found.is_empty() {
            found.extend(of(Sign::Phone).filter_map(|number| self.table.of_phone(number)));
        }
        if found.is_empty() {
            match self.unknown {
                UnknownZone::Send => return None,
                UnknownZone::Strictest => found.extend(self.table.of_nobody()),
            }
        }
        let mut zones: Vec<Zone> = found.into_iter().flat_map(|zones| zones.iter()).cloned().collect();
        zones.sort_by(|one, other| one.name().cmp(other.name()));
        zones.dedup();
        Some(zones)
    }

    fn signs_of(&self, lead: &Fields) -> Vec<(Sign, String)> {
        let one = |(name, value): (&str, &Value)| {
            let sign = self.fields.iter().find(|(known, _)| **known == *name).map(|(_, sign)| *sign);
            let sign = sign.or_else(|| Sign::of_name(name))?;
            let normal = normalise(sign.kind(), value);
            Some((sign, normal.value.as_plain().filter(|_| normal.fits)?.to_owned()))
        };
        lead.iter().filter_map(one).collect()
    }

    /// When all zones are within the hours, from a time on.
    fn next_open(&self, zones: &[Zone], from: Timestamp) -> Option<Timestamp> {
        let mut at = from;
        for _ in 0..LOOKS_MAX {
            let mut latest = at;
            for zone in zones {
                latest = self.calendars.get(zone.name())?.next_open(latest)?;
            }
            if latest == at {
                return Some(at);
            }
            at = latest;
        }
        None
    }
}

impl Sign {
    const fn kind(self) -> FieldType {
        match self {
            Sign::State => FieldType::State,
            Sign::PostalCode => FieldType::PostalCode,
            Sign::Phone => FieldType::Phone,
        }
    }

    /// By the name of a field that is not declared, whatever its case and separators.
    fn of_name(name: &str) -> Option<Self> {
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        match plain.to_ascii_lowercase().as_str() {
            "state" | "province" | "region" | "statecode" => Some(Sign::State),
            "zip" | "zipcode" | "postalcode" | "postcode" | "postal" => Some(Sign::PostalCode),
            "phone" | "phonenumber" | "phone1" | "phone2" | "phone3" | "telephone" | "tel" | "mobile"
            | "mobilephone" | "cell" | "cellphone" | "homephone" | "workphone" => Some(Sign::Phone),
            _ => None,
        }
    }
}

/// A declared field by each of its names.
fn signs(field: &FieldSettings) -> Vec<(Box<str>, Sign)> {
    let sign = match field.kind {
        FieldType::State => Sign::State,
        FieldType::PostalCode => Sign::PostalCode,
        FieldType::Phone => Sign::Phone,
        FieldType::Text
        | FieldType::Email
        | FieldType::Date
        | FieldType::Number
        | FieldType::Boolean
        | FieldType::Sensitive => return Vec::new(),
    };
    std::iter::once(&field.name).chain(&field.aliases).map(|name| (name.clone(), sign)).collect()
}

impl StepScope<'_> {
    /// When its leads may be contacted; `None` for always.
    ///
    /// # Errors
    /// Hours that are none. A table that cannot be read is told at its own place.
    pub(crate) fn contact_hours(&self) -> Result<Option<Arc<ContactHours>>, Fault> {
        let Some(settings) = &self.step.terms.contact_hours else { return Ok(None) };
        let Some(table) = &self.settings.contact_zones else {
            let place = self.place.key("contact_hours");
            return Err(Fault::unseen(place, "has no table of zones to ask", "[contact_zones] that can be read"));
        };
        ContactHours::new(settings, table, &self.flow.fields, &self.place.key("contact_hours")).map(Arc::new).map(Some)
    }
}

impl Settings {
    /// Contact hours that no lead of some zones is ever within.
    pub fn never_contacted(&self, book: &Book, now: Timestamp) -> Vec<Fault> {
        let steps = book.flows.values().flat_map(|flow| flow.steps.iter().enumerate());
        steps.filter_map(|(index, step)| never_contacted(index, step, now)).collect()
    }
}

fn never_contacted(index: usize, step: &StepPlan, now: Timestamp) -> Option<Fault> {
    let hours = step.conditions.contact_hours.as_ref()?;
    let (zones, _) = hours.table.all().find(|(_, zones)| hours.next_open(zones, now).is_none())?;
    let place = flow_place(&step.flow).key("steps").index(index).key("contact_hours").key("hours");
    let problem = format!("never opens in all zones of {zones:?} at once");
    Some(Fault::unseen(place, &problem, "hours that are long enough, or other zones"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use steadfast_lead::{JsonLimits, parse_object};

    fn hours_of(hours: &str, unknown: UnknownZone) -> ContactHours {
        let table = Arc::new(ContactZones::built_in().unwrap());
        let settings = ContactHoursSettings { hours: hours.into(), unknown };
        ContactHours::new(&settings, &table, &[], &Place::root()).unwrap()
    }

    fn lead(json: &str) -> Fields {
        parse_object(json.as_bytes(), JsonLimits::LEAD).unwrap()
    }

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// When it may be contacted, asked on Wednesday the 2nd of December 2026 at 12:30 UTC: 07:30 in New York.
    fn opens(json: &str) -> String {
        let now = time("2026-12-02T12:30:00Z");
        match hours_of("Mo-Su 08:00-21:00", UnknownZone::Strictest).ask(&lead(json), now) {
            Contact::Now => "now".to_owned(),
            Contact::NotBefore { opens, .. } => opens.unwrap().to_string().replace(".000Z", "Z"),
        }
    }

    #[test]
    fn a_leads_own_clock_decides_and_the_strictest_where_several_are_possible() {
        let (eastern, central, mountain) = ("2026-12-02T13:00:00Z", "2026-12-02T14:00:00Z", "2026-12-02T15:00:00Z");
        let pacific = "2026-12-02T16:00:00Z";
        for (json, expected) in [
            (r#"{"state":"New York"}"#, eastern),
            (r#"{"state":"NS"}"#, "now"),
            (r#"{"state":"TX"}"#, mountain),
            (r#"{"state":"TX","zip":"75201"}"#, central),
            (r#"{"zip":"79901"}"#, mountain),
            (r#"{"state":"NY","zip":"90001"}"#, pacific),
            (r#"{"state":"NY","phone":"415-555-0142"}"#, eastern),
            (r#"{"phone":"(415) 555-0142"}"#, pacific),
            (r#"{"phone":"312 555 0142","mobile":"415 555 0142"}"#, pacific),
            (r#"{"phone":"+44 20 7946 0958"}"#, pacific),
            (r#"{"email":"a@b.c"}"#, pacific),
        ] {
            assert_eq!(opens(json), expected, "{json}");
        }
        let anytime = hours_of("Mo-Su 08:00-21:00", UnknownZone::Send);
        assert_eq!(anytime.ask(&lead("{}"), time("2026-12-02T03:00:00Z")), Contact::Now);
    }

    #[test]
    fn what_is_due_at_night_waits_for_the_morning_also_over_a_change_of_clocks() {
        let hours = hours_of("Mo-Su 08:00-21:00", UnknownZone::Strictest);
        let ask = |text: &str| hours.ask(&lead(r#"{"state":"NY"}"#), time(text));
        let night = ask("2026-11-01T01:00:00Z");
        let Contact::NotBefore { opens: Some(opens), zones } = night else { panic!("{night:?}") };
        assert_eq!((opens, &*zones), (time("2026-11-01T13:00:00Z"), "America/New_York"));
        assert_eq!(ask("2026-11-01T13:00:00Z"), Contact::Now);
    }

    #[test]
    fn hours_that_no_moment_is_within_everywhere_are_never() {
        let short = hours_of("Mo-Su 09:00-10:00", UnknownZone::Strictest);
        let asked = short.ask(&lead("{}"), time("2026-12-02T12:00:00Z"));
        assert!(matches!(asked, Contact::NotBefore { opens: None, .. }), "{asked:?}");
    }

    proptest! {
        /// Whatever is known of a lead, what may be contacted is within the hours in every zone it may be in, and what may
        /// not is again at the opening that was named.
        #[test]
        fn nobody_is_contacted_outside_the_hours(
            zip in "[0-9]{5}", state in "[A-Z]{2}", area in "[2-9][0-9]{2}", minute in 0_i64..1_051_200, which in 0_u8..8,
        ) {
            let hours = hours_of("Mo-Su 08:00-21:00; Su 09:00-19:00", UnknownZone::Strictest);
            let mut parts = Vec::new();
            if which & 1 > 0 { parts.push(format!("\"zip\":\"{zip}\"")); }
            if which & 2 > 0 { parts.push(format!("\"state\":\"{state}\"")); }
            if which & 4 > 0 { parts.push(format!("\"phone\":\"{area}5550142\"")); }
            let fields = lead(&format!("{{{}}}", parts.join(",")));
            let now = Timestamp::from_millis(1_790_000_000_000 + minute * 60_000);
            let zones = hours.zones_of(&fields).unwrap();
            let within = |at: Timestamp| zones.iter().all(|zone| hours.calendars[zone.name()].is_open(at));
            match hours.ask(&fields, now) {
                Contact::Now => prop_assert!(within(now)),
                Contact::NotBefore { opens, .. } => {
                    prop_assert!(!within(now));
                    prop_assert!(opens.is_some_and(|opens| opens > now && within(opens)));
                }
            }
        }
    }
}
