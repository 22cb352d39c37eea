//! Look-ups: how a step asks its recipient whether it has a lead, and how the answer is read.
//!
//! A look-up is a request of its own, made from the lead and from what every attempt carried: `{{ delivery_id }}` and
//! `{{ idempotency_key }}` stand beside the lead's fields. Unless it says otherwise it is a GET that sends these two and
//! nothing of the person. Its answers are read by a table and rules of its own, never by the step's: what is a yes to a lead is
//! no yes to a question.

use crate::body::{BodyEntry, BodySettings, Segment};
use crate::lookups::Lookups;
use crate::mapping::{FieldSettings, FieldType};
use crate::place::Fault;
use crate::request::{RenderFailed, Rendered, Request};
use crate::request_settings::{Auth, RequestSettings};
use http::Method;
use std::sync::Arc;
use steadfast_lead::{Fields, Lead, RecipientName, Value};
use steadfast_retry::reading::{ResponseSettings, RuleSettings};
use steadfast_retry::{Delivery, Endpoint, Reading};

/// The names a look-up's templates know beside the lead's fields. They stand in place of a field of that name.
pub const LOOK_UP_NAMES: [&str; 2] = ["delivery_id", "idempotency_key"];

/// What one level says about look-ups: `verify`. What is not said is left to the levels farther out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookUpSettings {
    /// How the recipient is asked.
    pub request: RequestSettings,
    /// What its answers mean: a success is that it has the lead, a failure that it has not.
    pub response: ResponseSettings,
    /// Rules about its answers, before those of the levels farther out.
    pub rules: Vec<RuleSettings>,
}

impl LookUpSettings {
    /// These settings laid over `farther`: key by key, the rules in front.
    #[must_use]
    pub fn over(&self, farther: &LookUpSettings) -> LookUpSettings {
        LookUpSettings {
            request: self.request.over(&farther.request),
            response: self.response.over(&farther.response),
            rules: self.rules.iter().chain(&farther.rules).cloned().collect(),
        }
    }
}

/// How a step asks whether its recipient has a lead.
#[derive(Clone, Debug)]
pub struct LookUpPlan {
    /// Whom it asks, and where.
    pub endpoint: Endpoint,
    /// How the request is made.
    pub request: Request,
    /// How answers are read: a success is found, a business no is not found; after all rules 404 and 410 are such a no.
    pub reading: Reading,
    /// What they are read by, in the order it is asked.
    pub read_by: Vec<ReadBy>,
}

/// One thing a look-up's answers are read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBy {
    /// `verify.rules`.
    Rules,
    /// The status alone.
    Status,
    /// `verify.response`.
    Response,
}

impl ReadBy {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            ReadBy::Rules => "rules",
            ReadBy::Status => "status",
            ReadBy::Response => "response",
        }
    }

    fn of(settings: &LookUpSettings) -> Vec<ReadBy> {
        let rules = (!settings.rules.is_empty()).then_some(ReadBy::Rules);
        let body = settings.response.has_term().then_some(ReadBy::Response);
        rules.into_iter().chain([ReadBy::Status]).chain(body).collect()
    }
}

impl LookUpPlan {
    /// From settings and what reads answers by them; the recipient's own credentials unless the step has others.
    ///
    /// # Errors
    /// Every [`Fault`] found, under `verify`.
    pub(crate) fn build(
        settings: &LookUpSettings,
        reading: Reading,
        recipient: &RecipientName,
        auth: Option<&Auth>,
        declared: &[FieldSettings],
        lookups: &Arc<Lookups>,
    ) -> Result<Self, Vec<Fault>> {
        let read_by = ReadBy::of(settings);
        let settings = with_defaults(&settings.request);
        let mut fields = declared.to_vec();
        if !fields.is_empty() {
            fields.retain(|field| !LOOK_UP_NAMES.contains(&&*field.name));
            let own = |name: &&str| FieldSettings { name: (*name).into(), kind: FieldType::Text, aliases: Vec::new() };
            fields.extend(LOOK_UP_NAMES.iter().map(own));
        }
        let request = Request::build_with(&settings, auth, &fields, lookups)
            .map_err(|faults| faults.into_iter().map(|fault| fault.moved("request", "verify")).collect::<Vec<_>>())?;
        let endpoint = Endpoint { recipient: recipient.clone(), origin: Arc::clone(request.address().origin()) };
        Ok(LookUpPlan { endpoint, request, reading, read_by })
    }

    /// Makes the look-up for a delivery.
    ///
    /// # Errors
    /// [`RenderFailed`] when this lead does not fit.
    pub fn render(&self, lead: &Lead, delivery: &Delivery) -> Result<Rendered, RenderFailed> {
        let own = [delivery.id.to_string(), delivery.idempotency_key()];
        let mut fields = Fields::new();
        for (name, value) in LOOK_UP_NAMES.iter().zip(own) {
            // The names are two different ones.
            let _new = fields.insert(name, Value::text(&value));
        }
        for (name, value) in lead.fields.iter() {
            // What is taken already goes before a field of the same name.
            let _taken = fields.insert(name, value.clone());
        }
        self.request.render(&Lead { fields, ..lead.clone() })
    }
}

/// A GET with the two names in its query; nothing beside the address where that is a template.
fn with_defaults(settings: &RequestSettings) -> RequestSettings {
    let templated = settings.url.as_ref().is_some_and(crate::address::Address::is_template);
    // An entry without a value adds nothing.
    let entry = |name: &&str| BodyEntry {
        path: vec![Segment::Key((*name).into())],
        value: (!templated).then(|| Value::text(&format!("{{{{ {name} }}}}"))),
    };
    let names = || BodySettings::Mapped(LOOK_UP_NAMES.iter().map(entry).collect());
    let body = settings.body.clone().unwrap_or_else(names);
    let method = settings.method.clone().unwrap_or(Method::GET);
    RequestSettings { method: Some(method), body: Some(body), ..settings.clone() }
}
