//! Templates of one request: compiled and tried when a config is saved, run for each lead within bounds.
//!
//! A template sees the lead, the operator's tables and secrets by name, and nothing else: no clock, no other template, no
//! file. One that fails for a lead says which template and why, and never what the lead held.

mod dates;
pub(crate) mod escape;
mod filters;
mod refused;
pub(crate) mod scan;
pub(crate) mod values;

pub(crate) use escape::Escape;
pub(crate) use filters::MASK;

use crate::lookups::Lookups;
use crate::mapping::{FieldType, describe_part};
use crate::place::{Fault, Place};
use crate::request::RenderFailed;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use refused::Refused;
use sha2::Sha256;
use std::collections::BTreeSet;
use std::sync::Arc;
use steadfast_lead::{Fields, FlowName, Lead, LeadId, Timestamp, Value};
use values::{Declared, LEAD_KEYS, RESERVED, View};

/// How long one template may be, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 65_536;
/// How much work one template may do for one lead, in steps; 64 bytes written or looked at are one step too, so this also
/// bounds what one template can make to 8 MiB.
pub const TEMPLATE_FUEL: u64 = 131_072;

/// The filters templates may use.
pub fn template_filters() -> impl Iterator<Item = &'static str> {
    filters::FILTERS.into_iter().chain([filters::XML_FILTER])
}

/// Which template of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot(Box<str>);

/// The templates of one request, ready for any lead.
#[derive(Debug)]
pub(crate) struct Templates {
    environment: Environment<'static>,
    /// With secrets masked; `None` where no template names one.
    masked: Option<Environment<'static>>,
    declared: Arc<Declared>,
    needed: Vec<Box<str>>,
    sources: Vec<(Box<str>, Box<str>)>,
    lookups: Arc<Lookups>,
}

/// Collects templates, and what is wrong with them.
pub(crate) struct Builder {
    environment: Environment<'static>,
    declared: Arc<Declared>,
    lookups: Arc<Lookups>,
    needed: BTreeSet<Box<str>>,
    sources: Vec<(Box<str>, Box<str>)>,
    places: Vec<(Slot, Place)>,
    pub(crate) faults: Vec<Fault>,
}

impl Builder {
    /// `strict` fails a lead that lacks what a template prints.
    pub(crate) fn new(declared: Arc<Declared>, lookups: Arc<Lookups>, strict: bool) -> Self {
        let mut environment = Environment::new();
        environment.set_debug(false);
        environment.set_fuel(Some(TEMPLATE_FUEL));
        let missing = if strict { UndefinedBehavior::SemiStrict } else { UndefinedBehavior::Chainable };
        environment.set_undefined_behavior(missing);
        environment.set_auto_escape_callback(escape_of);
        environment.set_formatter(escape::print);
        filters::register(&mut environment, &lookups);
        Builder {
            environment,
            declared,
            lookups,
            needed: BTreeSet::new(),
            sources: Vec::new(),
            places: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Compiles a template; what is wrong with it is kept, with line and column inside the text.
    pub(crate) fn add(&mut self, place: &Place, text: &str, escape: Escape) -> Slot {
        let name: Box<str> = format!("{}:{}", escape.name(), place.as_str()).into();
        let slot = Slot(name.clone());
        if text.len() > TEMPLATE_BYTES_MAX {
            let said = format!("is longer than {TEMPLATE_BYTES_MAX} bytes");
            self.faults.push(Fault::unseen(place.clone(), &said, "a shorter template"));
            return slot;
        }
        if let Err(error) = self.environment.add_template_owned(name.to_string(), text.to_owned()) {
            self.faults.push(fault_of(place, text, &error));
            return slot;
        }
        self.faults.extend(unknown_filters(place, text));
        self.names(place, &slot);
        self.sources.push((name, text.into()));
        self.places.push((slot.clone(), place.clone()));
        slot
    }

    /// A field named without a template: a value that is one reference.
    pub(crate) fn refer(&mut self, place: &Place, reference: &scan::Reference) {
        let names: Vec<&str> = reference
            .strides
            .iter()
            .map_while(|stride| match stride {
                scan::Stride::Name(name) => Some(&**name),
                scan::Stride::Place(_) => None,
            })
            .collect();
        let fault = self.unknown_name(place, &names);
        self.faults.extend(fault);
    }

    fn names(&mut self, place: &Place, slot: &Slot) {
        let Ok(template) = self.environment.get_template(&slot.0) else {
            return;
        };
        let mut named: Vec<String> = template.undeclared_variables(true).into_iter().collect();
        named.sort_unstable();
        let mut faults = Vec::new();
        for way in &named {
            let parts: Vec<&str> = way.split('.').collect();
            let Some(first) = parts.first().filter(|first| !filters::FUNCTIONS.contains(first)) else {
                continue;
            };
            faults.extend(self.unknown_name(place, &parts));
            self.needed.insert((*first).into());
        }
        self.faults.extend(faults);
    }

    fn unknown_name(&self, place: &Place, parts: &[&str]) -> Option<Fault> {
        let (name, known): (&str, bool) = match parts {
            ["lead", key, ..] => (key, LEAD_KEYS.contains(key)),
            ["fields" | "raw", name, ..] => (name, self.declared.knows(name)),
            [name] if RESERVED.contains(name) => return None,
            [name, ..] => (name, self.declared.knows(name)),
            [] => return None,
        };
        if known {
            return None;
        }
        let allowed = if parts.first() == Some(&"lead") { LEAD_KEYS.join(", ") } else { shown_names(&self.declared) };
        let problem = format!("names {name:?}, which is not a field of this flow");
        Some(Fault::unseen(place.clone(), &problem, &allowed))
    }

    /// Tries each template with a made-up lead and with one that lacks everything.
    pub(crate) fn finish(mut self) -> Result<Templates, Vec<Fault>> {
        let uses_secrets = self.sources.iter().any(|(_, text)| text.contains("secret"));
        let masked = uses_secrets.then(|| {
            let mut masked = self.environment.clone();
            filters::mask_secrets(&mut masked, &self.lookups);
            masked
        });
        let templates = Templates {
            environment: self.environment,
            masked,
            declared: self.declared,
            needed: self.needed.into_iter().collect(),
            sources: self.sources,
            lookups: self.lookups,
        };
        if self.faults.is_empty() {
            self.faults = templates.trial(&self.places);
        }
        if self.faults.is_empty() { Ok(templates) } else { Err(self.faults) }
    }
}

/// What templates see of one lead.
pub(crate) struct Filled<'t> {
    templates: &'t Templates,
    context: minijinja::Value,
    masked: bool,
}

impl Templates {
    /// Ready to fill in a lead. `masked` puts `***` where a secret would stand.
    pub(crate) fn fill<'t>(&'t self, lead: &Lead, masked: bool) -> Filled<'t> {
        let context = View::new(lead, &self.declared).context(&self.needed);
        Filled { templates: self, context, masked }
    }

    /// A made-up lead that has every field a template names.
    pub(crate) fn sample(&self) -> Option<Lead> {
        sample(&self.declared, &self.needed)
    }

    /// Whether what is made differs with secrets masked.
    pub(crate) fn holds_secrets(&self) -> bool {
        self.masked.is_some()
    }

    /// Adds what shapes the bytes to a hash: sources, and the tables they name. Of secrets only the names, which stand in the
    /// sources.
    pub(crate) fn describe(&self, hash: &mut Sha256) {
        for (name, text) in &self.sources {
            describe_part(name.as_bytes(), hash);
            describe_part(text.as_bytes(), hash);
        }
        let named = |table: &str| self.sources.iter().any(|(_, text)| text.contains(table));
        for (name, rows) in self.lookups.tables.iter().filter(|(name, _)| named(name)) {
            describe_part(name.as_bytes(), hash);
            rows.iter().for_each(|(key, value)| {
                describe_part(key.as_bytes(), hash);
                describe_part(value.as_bytes(), hash);
            });
        }
    }

    fn trial(&self, places: &[(Slot, Place)]) -> Vec<Fault> {
        let leads = [sample(&self.declared, &self.needed), bare_lead(Fields::new())];
        let filled: Vec<Filled<'_>> = leads.iter().flatten().map(|lead| self.fill(lead, true)).collect();
        let fault = |(slot, place): &(Slot, Place)| {
            let errors = filled.iter().filter_map(|filled| filled.run(slot).err());
            let error = errors.into_iter().find(is_the_templates)?;
            Some(fault_of(place, self.source(slot), &error))
        };
        places.iter().filter_map(fault).collect()
    }

    fn source(&self, slot: &Slot) -> &str {
        self.sources.iter().find(|(name, _)| *name == slot.0).map_or("", |(_, text)| text)
    }
}

impl Filled<'_> {
    /// What a template makes of the lead.
    ///
    /// # Errors
    /// [`RenderFailed`] names the template and the reason.
    pub(crate) fn text(&self, slot: &Slot) -> Result<String, RenderFailed> {
        self.run(slot).map_err(|error| {
            let place = slot.0.split_once(':').map_or(&*slot.0, |(_, place)| place);
            RenderFailed::template(place, reason(&error))
        })
    }

    fn run(&self, slot: &Slot) -> Result<String, Error> {
        let masked = self.templates.masked.as_ref().filter(|_| self.masked);
        masked.unwrap_or(&self.templates.environment).get_template(&slot.0)?.render(self.context.clone())
    }
}

fn escape_of(name: &str) -> AutoEscape {
    const ALL: [Escape; 5] = [Escape::Plain, Escape::Xml, Escape::Url, Escape::Json, Escape::Value];
    let known = name.split_once(':').and_then(|(word, _)| ALL.into_iter().find(|known| known.name() == word));
    AutoEscape::Custom(known.unwrap_or(Escape::Xml).name().into())
}

/// Why a template failed for a lead, without a value of it.
fn reason(error: &Error) -> String {
    let line = error.line().map(|line| format!(" (line {line})")).unwrap_or_default();
    if let Some(refused) = Refused::inside(error) {
        return format!("{refused}{line}");
    }
    const KNOWN: [(ErrorKind, &str); 4] = [
        (ErrorKind::UndefinedError, "prints or uses a field the lead does not have"),
        (ErrorKind::OutOfFuel, "takes more work than a template may do for one lead"),
        (ErrorKind::WriteFailure, "could not be written"),
        (ErrorKind::CannotUnpack, "takes a value apart that has another shape"),
    ];
    let known = KNOWN.iter().find(|(kind, _)| *kind == error.kind());
    let said = known.map_or("an operation does not fit what the lead holds", |(_, said)| said);
    format!("{said}{line}")
}

/// Whether no lead could do, rather than this one.
fn is_the_templates(error: &Error) -> bool {
    if let Some(refused) = Refused::inside(error) {
        return matches!(refused, Refused::Template(_));
    }
    matches!(
        error.kind(),
        ErrorKind::SyntaxError
            | ErrorKind::TemplateNotFound
            | ErrorKind::TooManyArguments
            | ErrorKind::MissingArgument
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
            | ErrorKind::BadEscape
            | ErrorKind::OutOfFuel
    )
}

fn fault_of(place: &Place, text: &str, error: &Error) -> Fault {
    let at = match (error.range(), error.line()) {
        (Some(range), _) => {
            let (line, column) = scan::line_and_column(text, range.start);
            format!("line {line}, column {column}")
        }
        (None, Some(line)) => format!("line {line}"),
        (None, None) => "somewhere".to_owned(),
    };
    let said = match Refused::inside(error) {
        Some(refused) => refused.to_string(),
        None => match error.detail() {
            Some(detail) => format!("{}: {detail}", error.kind()),
            None => error.kind().to_string(),
        },
    };
    Fault::unseen(place.clone(), &format!("is no template at {at}: {said}"), "")
}

fn unknown_filters(place: &Place, text: &str) -> Vec<Fault> {
    let unknown = scan::filters(text).into_iter().filter(|(name, _)| !filters::is_known(name));
    let fault = |(name, at): (&str, usize)| {
        let (line, column) = scan::line_and_column(text, at);
        let problem = format!("is no template at line {line}, column {column}: there is no filter {name:?}");
        Fault::unseen(place.clone(), &problem, &format!("{}, {}", filters::FILTERS.join(", "), filters::XML_FILTER))
    };
    unknown.map(fault).collect()
}

fn shown_names(declared: &Declared) -> String {
    const SHOWN_MAX: usize = 30;
    let mut names: Vec<&str> = declared.names().take(SHOWN_MAX + 1).collect();
    if names.len() > SHOWN_MAX {
        names[SHOWN_MAX] = "...";
    }
    names.join(", ")
}

/// A made-up lead that has everything, in a form that fits as many templates as can be.
fn sample(declared: &Declared, needed: &[Box<str>]) -> Option<Lead> {
    let mut fields = Fields::new();
    let names = if declared.is_empty() {
        needed.iter().map(|name| &**name).collect()
    } else {
        declared.names().collect::<Vec<_>>()
    };
    for name in names.into_iter().filter(|name| !RESERVED.contains(name)) {
        let kind = declared.get(name).map_or(FieldType::Text, |field| field.kind);
        // Declared names are unique, and so are needed ones.
        let _kept = fields.insert(name, sample_value(kind));
    }
    bare_lead(fields)
}

fn sample_value(kind: FieldType) -> Value {
    match kind {
        // A digit fits inside a JSON text and outside of one.
        FieldType::Text | FieldType::Sensitive => Value::text("1"),
        FieldType::Email => Value::text("jo@example.com"),
        FieldType::Phone => Value::text("3125550142"),
        FieldType::PostalCode => Value::text("60601"),
        FieldType::State => Value::text("IL"),
        FieldType::Date => Value::text("2026-11-24"),
        FieldType::Number => Value::Number(steadfast_lead::Number::from_integer(1)),
        FieldType::Boolean => Value::Bool(true),
    }
}

fn bare_lead(fields: Fields) -> Option<Lead> {
    Some(Lead {
        id: LeadId::from_raw(1)?,
        flow: FlowName::new("trial").ok()?,
        source: None,
        accepted_at: Timestamp::from_millis(1_795_000_000_000),
        test: true,
        fields,
    })
}
