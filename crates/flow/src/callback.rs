//! Callbacks: a source is told later what became of its lead, by a signed request to an address of its own.
//!
//! A callback leaves as a delivery like any other: of a lead of its own, in a flow of its own that stands in no
//! configuration. Here are that flow's names, what it says, and its making from a source's settings.

use crate::address::Address;
use crate::place::{Fault, Place};
use crate::request_settings::{Auth, Format, RequestSettings};
use crate::sale::StepSaleSettings;
use crate::secret::Secret;
use crate::settings::{FlowSettings, InDoubtSettings, RecipientSettings, StepSettings};
use crate::signature::{SIGNING_KEY_ALLOWED, SigningKey};
use crate::test_leads::TestLeads;
use crate::told::Told;
use http::Method;
use std::time::Duration;
use steadfast_lead::{
    BUILT_IN_PREFIX, BadName, Fields, FlowName, Lead, Number, RecipientName, SourceName, StepName, Timestamp, Value,
};
use steadfast_retry::policy::Layer;

/// How long the name of a flow or a source with a callback may be, in bytes.
pub const CALLBACK_NAME_BYTES_MAX: usize = 54;

/// When a source is called back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallbackWhen {
    /// When the answer to its request did not hold the outcome.
    #[default]
    Late,
    /// For every lead.
    Always,
}

impl CallbackWhen {
    /// All of them.
    pub const ALL: [CallbackWhen; 2] = [CallbackWhen::Late, CallbackWhen::Always];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            CallbackWhen::Late => "late",
            CallbackWhen::Always => "always",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        CallbackWhen::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// How a source is called back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackSettings {
    /// Where.
    pub url: Address,
    /// What its requests are signed with: the text of a [`SigningKey`].
    pub secret: Secret,
    /// When.
    pub when: CallbackWhen,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// What it says about retrying, over what account and system say.
    pub retry: Layer,
}

impl CallbackSettings {
    pub(crate) fn faults(&self, place: &Place) -> Vec<Fault> {
        let secret = SigningKey::parse(&self.secret)
            .is_none()
            .then(|| Fault::unseen(place.key("secret"), "is not a signing key", SIGNING_KEY_ALLOWED));
        secret
            .into_iter()
            .chain(self.request().own_faults().into_iter().map(|fault| {
                let place = own_key(fault.place.as_str(), place);
                Fault { place, ..fault }
            }))
            .collect()
    }

    fn request(&self) -> RequestSettings {
        RequestSettings {
            method: Some(Method::POST),
            url: Some(self.url.clone()),
            format: Some(Format::Json),
            timeout: self.timeout,
            ..RequestSettings::default()
        }
    }
}

/// A fault of a step that is made of a callback, at the callback: `at` says where that of a step stands.
pub(crate) fn callback_fault(fault: Fault, at: impl Fn(usize) -> Place) -> Fault {
    let told = fault.place.as_str();
    let (index, key) = told
        .split_once(".steps[")
        .and_then(|(_, rest)| rest.split_once(']'))
        .and_then(|(index, key)| Some((index.parse().ok()?, key.trim_start_matches('.'))))
        .unwrap_or((0, ""));
    Fault { place: own_key(key, &at(index)), ..fault }
}

/// Where a key of a step stands on a callback.
fn own_key(key: &str, callback: &Place) -> Place {
    let key = key.strip_prefix("request.").or_else(|| key.strip_prefix("auth.")).unwrap_or(key);
    callback.join(&Place::of(key))
}

/// The flow that a flow's callbacks leave by.
///
/// # Errors
/// [`BadName`] for a name longer than [`CALLBACK_NAME_BYTES_MAX`].
pub fn callback_flow(flow: &FlowName) -> Result<FlowName, BadName> {
    FlowName::new(&format!("{BUILT_IN_PREFIX}{flow}"))
}

/// A source's callback as a step, and the recipient it sends to.
pub(crate) fn as_step(
    source: &SourceName,
    callback: &CallbackSettings,
) -> Result<(StepSettings, RecipientName), BadName> {
    let recipient = RecipientName::new(&format!("{BUILT_IN_PREFIX}{source}"))?;
    let step = StepSettings {
        id: StepName::new(source.as_str())?,
        recipient: recipient.clone(),
        retry: callback.retry.clone(),
        in_doubt: InDoubtSettings::default(),
        priority: None,
        request: callback.request(),
        auth: Some(Auth::Signature { secret: callback.secret.clone() }),
        response: Default::default(),
        rules: Vec::new(),
        duplicates: None,
        // Whoever tries a source out tries its callback out.
        test_leads: Some(TestLeads::Send),
        shadow: false,
        sale: StepSaleSettings::default(),
        terms: Default::default(),
        fallbacks: Vec::new(),
        candidates: Vec::new(),
        balance: Default::default(),
        follow_ups: Default::default(),
        caps: Default::default(),
    };
    Ok((step, recipient))
}

/// The callbacks of a flow as a flow, with the recipients it sends to; `None` for a flow without any.
pub(crate) fn as_flow(flow: &FlowSettings) -> Option<(FlowSettings, Vec<(RecipientName, RecipientSettings)>)> {
    let callbacks = flow.sources.iter().filter_map(|(name, source)| Some((name, source.callback.as_ref()?)));
    let (steps, names): (Vec<_>, Vec<_>) =
        callbacks.filter_map(|(name, callback)| as_step(name, callback).ok()).unzip();
    let recipients = names.into_iter().map(|name| (name, RecipientSettings::default())).collect();
    let flow = FlowSettings { account: flow.account.clone(), steps, ..FlowSettings::default() };
    (!flow.steps.is_empty()).then_some((flow, recipients))
}

/// What is wrong with the names of a flow and its sources, where a callback makes names of them.
pub(crate) fn name_fault_of_callback(place: &Place, name: &str, is_used: bool) -> Option<Fault> {
    if name.starts_with(BUILT_IN_PREFIX) {
        let problem = "begins as the names of built-in flows do";
        return Some(Fault::of(place.clone(), &format!("{name:?}"), problem, "another beginning than callbacks."));
    }
    let long = is_used && name.len() > CALLBACK_NAME_BYTES_MAX;
    let allowed = format!("at most {CALLBACK_NAME_BYTES_MAX} bytes");
    long.then(|| Fault::of(place.clone(), &format!("{name:?}"), "is too long a name to have a callback", &allowed))
}

/// What a callback says: the fields of its lead, in the order they are written.
pub fn callback_fields(lead: &Lead, told: &Told, decided_at: Timestamp) -> Fields {
    let text = |text: &str| Value::text(text);
    let mut fields = Fields::new();
    let mut say = |name: &str, value: Value| drop(fields.insert(name, value));
    say("lead_id", text(&lead.id.to_string()));
    say("outcome", text(told.outcome.name()));
    say("reason", told.reason.as_deref().map_or(Value::Null, text));
    say("price", Number::parse(&told.price).map_or(Value::Null, Value::Number));
    say("reference", told.reference.as_deref().map_or(Value::Null, text));
    say("probable", Value::Bool(told.probable));
    say("flow", text(lead.flow.as_str()));
    say("source", lead.source.as_ref().map_or(Value::Null, |name| text(name.as_str())));
    say("test", Value::Bool(lead.test));
    say("accepted_at", text(&lead.accepted_at.to_string()));
    say("decided_at", text(&decided_at.to_string()));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::source::SourceSettings;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn settings(flow: &str, source: &str, secret: &str, retry: Layer, timeout: u64) -> Settings {
        let callback = CallbackSettings {
            url: Address::parse("https://partner.example/outcomes").unwrap(),
            secret: Secret::new(secret),
            when: CallbackWhen::default(),
            timeout: Some(Duration::from_secs(timeout)),
            retry,
        };
        let settings = SourceSettings { callback: Some(callback), ..SourceSettings::default() };
        let bigbank = RecipientName::new("bigbank").unwrap();
        let url = Some(Address::parse("https://bigbank.example/leads").unwrap());
        let (mut step, _) = as_step(&SourceName::new("sell").unwrap(), settings.callback.as_ref().unwrap()).unwrap();
        step = StepSettings { recipient: bigbank.clone(), retry: Layer::default(), auth: None, ..step };
        step.request = RequestSettings { url, ..RequestSettings::default() };
        let mut flows = FlowSettings { steps: vec![step], ..FlowSettings::default() };
        flows.sources.insert(SourceName::new(source).unwrap(), settings);
        let mut all = Settings::default();
        all.recipients.insert(bigbank, RecipientSettings::default());
        all.flows.insert(FlowName::new(flow).unwrap(), flows);
        all
    }

    fn places(settings: &Settings) -> Vec<String> {
        let faults = settings.compile(1).err().unwrap_or_default();
        faults.iter().map(|fault| fault.place.as_str().to_owned()).collect()
    }

    #[test]
    fn a_callback_becomes_a_step_of_a_flow_of_its_own() {
        let book = settings("auto", "web", SECRET, Layer::default(), 5).compile(1).unwrap();
        let name = callback_flow(&FlowName::new("auto").unwrap()).unwrap();
        assert!(name.is_built_in() && !book.flows.contains_key(&name), "nobody can post into it");
        let step = book.step(&name, &StepName::new("web").unwrap()).unwrap();
        assert_eq!(step.endpoint.to_string(), "callbacks.web at https://partner.example:443");
        assert!(step.request.signing().is_some() && step.test_leads == TestLeads::Send);
    }

    #[test]
    fn what_is_wrong_stands_at_the_callback() {
        let many = Layer { max_retries: Some(99), ..Layer::default() };
        let at = "flows.auto.sources.web.callback";
        let found = places(&settings("auto", "web", "whsec_short", many, 9_999));
        let expected = ["retry.max_retries", "timeout", "secret"].map(|key| format!("{at}.{key}"));
        assert!(expected.iter().all(|place| found.contains(place)), "{found:?}");
        assert!(found.iter().all(|place| place.starts_with(at)), "{found:?}");
    }

    #[test]
    fn names_leave_room_for_those_that_are_made_of_them() {
        let (fits, long) = ("x".repeat(54), "x".repeat(55));
        assert_eq!(places(&settings(&fits, &fits, SECRET, Layer::default(), 5)), [""; 0]);
        assert_eq!(places(&settings(&long, "web", SECRET, Layer::default(), 5)), [format!("flows.{long}")]);
        assert_eq!(
            places(&settings("auto", &long, SECRET, Layer::default(), 5)),
            [format!("flows.auto.sources.{long}")]
        );
        let taken = places(&settings("callbacks.auto", "web", SECRET, Layer::default(), 5));
        assert!(taken.contains(&r#"flows."callbacks.auto""#.to_owned()), "{taken:?}");
    }
}
