//! What a request is made by beside its plain fields: templates in address and headers, and a body laid out by the operator.
//!
//! Compiled and tried when a config is saved. A lead it fails for fails alone, and what it makes is checked before it goes
//! out: an address stays one, a header stays on its line, JSON and XML stay what they are.

use crate::address::Address;
use crate::body::{BodySettings, Filling, JsonBody, PairsBody, XmlBody, XmlShape, write_lead};
use crate::lookups::Lookups;
use crate::mapping::{FieldSettings, Mapping, describe_part};
use crate::place::{Fault, Place};
use crate::request::{RenderFailed, with_query};
use crate::request_settings::{Format, RequestSettings, header_place};
use crate::template::escape::is_xml;
use crate::template::values::{Declared, View};
use crate::template::{Builder, Escape, Slot, Templates, scan};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Uri};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use steadfast_lead::Lead;

/// How long a body made by templates may be, in bytes.
pub const BODY_BYTES_MAX: usize = 8 * 1_048_576;

/// How a request with templates or a body of its own is made.
#[derive(Debug)]
pub(crate) struct Recipe {
    templates: Templates,
    declared: Arc<Declared>,
    url: Option<Slot>,
    headers: Vec<(HeaderName, Slot)>,
    format: Format,
    content: Content,
    soap_header: Option<Slot>,
    shape: XmlShape,
    strict: bool,
}

#[derive(Debug)]
enum Content {
    /// The lead's fields as they came.
    Lead,
    Text(Slot),
    Json(JsonBody),
    Xml(XmlBody),
    Pairs(PairsBody),
}

/// What a recipe makes of a lead.
pub(crate) struct Cooked {
    pub(crate) url: Arc<str>,
    pub(crate) body: Bytes,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Recipe {
    /// From settings; `None` where nothing but the lead's fields goes out.
    ///
    /// # Errors
    /// Every [`Fault`] of its templates and paths.
    pub(crate) fn build(
        settings: &RequestSettings,
        declared: &[FieldSettings],
        lookups: &Arc<Lookups>,
    ) -> Result<Option<Self>, Vec<Fault>> {
        if !is_needed(settings) {
            return Ok(None);
        }
        let declared = Arc::new(Declared::new(declared));
        let strict = settings.strict.unwrap_or(false);
        let mut builder = Builder::new(Arc::clone(&declared), Arc::clone(lookups), strict);
        let format = settings.effective_format();
        let url = settings.url.as_ref().filter(|address| address.is_template());
        let url = url.map(|address| builder.add(&Place::of("request.url"), address.as_str(), Escape::Url));
        let templated = settings.headers.iter().filter(|header| scan::is_template(header.value.reveal()));
        let headers = templated
            .map(|header| {
                let slot = builder.add(&header_place(&header.name), header.value.reveal(), Escape::Plain);
                (header.name.clone(), slot)
            })
            .collect();
        let content = content(settings, format, &mut builder);
        let header = settings.soap_header.as_ref().filter(|_| format == Format::Soap);
        let soap_header = header.map(|text| builder.add(&Place::of("request.soap_header"), text, Escape::Xml));
        let soap = (format == Format::Soap).then(|| settings.soap_version.unwrap_or_default());
        let shape = XmlShape { declaration: settings.xml_declaration.unwrap_or(true), soap };
        let templates = builder.finish()?;
        let recipe = Recipe { templates, declared, url, headers, format, content, soap_header, shape, strict };
        recipe.trial(settings)?;
        Ok(Some(recipe))
    }

    /// Makes a made-up lead: a recipe that can make nothing valid of it is told now. What only the lead is to blame for is not.
    fn trial(&self, settings: &RequestSettings) -> Result<(), Vec<Fault>> {
        let (Some(lead), Some(address)) = (self.templates.sample(), &settings.url) else {
            return Ok(());
        };
        let mapping = Mapping::new(&[], &settings.fields);
        let failed = match self.cook(&lead, address, &mapping, true) {
            Ok(cooked) => return self.is_well_formed(&cooked.body),
            Err(failed) => failed,
        };
        let place = match &failed {
            RenderFailed::NotJson { .. } => Place::of("request.body"),
            RenderFailed::BadUrl => Place::of("request.url"),
            RenderFailed::BadHeader { header } => Place::of("request.headers").key(header),
            RenderFailed::Nested { .. }
            | RenderFailed::NotXml { .. }
            | RenderFailed::Template { .. }
            | RenderFailed::BodyTooLong { .. }
            | RenderFailed::UrlTooLong { .. } => return Ok(()),
        };
        let said = format!("makes no valid request of a made-up lead: {failed}");
        Err(vec![Fault::unseen(place, &said, "")])
    }

    /// XML of a template is read once, when it is saved: what leads put into it cannot change its shape.
    fn is_well_formed(&self, body: &[u8]) -> Result<(), Vec<Fault>> {
        if !matches!((&self.content, self.format), (_, Format::Soap) | (Content::Text(_), Format::Xml)) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(body);
        roxmltree::Document::parse(&text).map(drop).map_err(|error| {
            let said = format!("makes no well-formed XML of a made-up lead: {error}");
            vec![Fault::unseen(Place::of("request.body"), &said, "")]
        })
    }

    /// Whether what it makes differs with secrets masked.
    pub(crate) fn holds_secrets(&self) -> bool {
        self.templates.holds_secrets()
    }

    /// Makes address, body and the headers that differ by lead. `masked` puts `***` where a secret would stand.
    ///
    /// # Errors
    /// [`RenderFailed`] when this lead does not fit.
    pub(crate) fn cook(
        &self,
        lead: &Lead,
        address: &Address,
        mapping: &Mapping,
        masked: bool,
    ) -> Result<Cooked, RenderFailed> {
        let filling = Filling {
            view: View::new(lead, &self.declared),
            filled: Some(self.templates.fill(lead, masked)),
            strict: self.strict,
        };
        let url = match &self.url {
            Some(slot) => checked_url(address, &filling.text(slot)?)?,
            None => Arc::from(address.as_str()),
        };
        let (url, body) = match self.format {
            Format::Query => (with_query(&url, &self.pairs(lead, mapping, &filling)?), Bytes::new()),
            Format::Json | Format::Form | Format::Xml | Format::Soap | Format::Text => {
                (url, Bytes::from(self.body(lead, mapping, &filling)?))
            }
        };
        if body.len() > BODY_BYTES_MAX {
            return Err(RenderFailed::BodyTooLong { bytes: body.len() });
        }
        let header = |(name, slot): &(HeaderName, Slot)| Ok((name.clone(), header_value(name, &filling.text(slot)?)?));
        let headers = self.headers.iter().map(header).collect::<Result<Vec<_>, RenderFailed>>()?;
        Ok(Cooked { url, body, headers })
    }

    fn pairs(&self, lead: &Lead, mapping: &Mapping, filling: &Filling<'_>) -> Result<String, RenderFailed> {
        match &self.content {
            Content::Pairs(pairs) => pairs.write(filling),
            Content::Lead | Content::Text(_) | Content::Json(_) | Content::Xml(_) => mapping.write_pairs(&lead.fields),
        }
    }

    fn body(&self, lead: &Lead, mapping: &Mapping, filling: &Filling<'_>) -> Result<Vec<u8>, RenderFailed> {
        let mut out = Vec::new();
        match (&self.content, self.format) {
            (Content::Lead, Format::Json) => mapping.write_json(&lead.fields, &mut out)?,
            (Content::Lead, Format::Xml | Format::Soap) => {
                let inner = write_lead(mapping.outgoing_fields(&lead.fields)?.into_iter())?;
                out = self.shape.around(&inner, None).into_bytes();
            }
            (Content::Lead, Format::Form | Format::Query | Format::Text) | (Content::Pairs(_), _) => {
                out = self.pairs(lead, mapping, filling)?.into_bytes();
            }
            (Content::Text(slot), format) => out = self.text(format, filling.text(slot)?, filling)?.into_bytes(),
            (Content::Json(json), _) => json.write(filling, &mut out)?,
            (Content::Xml(xml), _) => {
                let header = self.soap_header.as_ref().map(|slot| filling.text(slot)).transpose()?;
                out = self.shape.around(&xml.write(filling)?, header.as_deref()).into_bytes();
            }
        }
        Ok(out)
    }

    /// A body that is one template, checked to be what its format says.
    fn text(&self, format: Format, text: String, filling: &Filling<'_>) -> Result<String, RenderFailed> {
        match format {
            Format::Json => match serde_json::from_str::<&RawValue>(&text) {
                Ok(_) => Ok(text),
                Err(error) => Err(RenderFailed::NotJson { line: error.line(), column: error.column() }),
            },
            Format::Soap => {
                let header = self.soap_header.as_ref().map(|slot| filling.text(slot)).transpose()?;
                let whole = self.shape.around(text.trim(), header.as_deref());
                xml_checked(whole)
            }
            Format::Xml => xml_checked(text),
            Format::Form | Format::Query | Format::Text => Ok(text),
        }
    }

    /// Adds what shapes the bytes to a hash.
    pub(crate) fn describe(&self, hash: &mut Sha256) {
        describe_part(b"recipe 1", hash);
        let mut content = Vec::new();
        match &self.content {
            Content::Lead => content.push(b'l'),
            Content::Text(slot) => content.extend_from_slice(format!("{slot:?}").as_bytes()),
            Content::Json(body) => body.describe(&mut content),
            Content::Xml(body) => body.describe(&mut content),
            Content::Pairs(body) => body.describe(&mut content),
        }
        describe_part(&content, hash);
        describe_part(format!("{:?} {:?}", self.shape, self.strict).as_bytes(), hash);
        for name in self.declared.names() {
            let kind = self.declared.get(name).map_or("", |field| field.kind.name());
            describe_part(name.as_bytes(), hash);
            describe_part(kind.as_bytes(), hash);
        }
        self.templates.describe(hash);
        hash.update([0]);
    }
}

fn is_needed(settings: &RequestSettings) -> bool {
    let url = settings.url.as_ref().is_some_and(Address::is_template);
    let headers = settings.headers.iter().any(|header| scan::is_template(header.value.reveal()));
    let format = matches!(settings.effective_format(), Format::Xml | Format::Soap | Format::Text);
    url || headers || format || settings.body.is_some()
}

fn content(settings: &RequestSettings, format: Format, builder: &mut Builder) -> Content {
    match (&settings.body, format) {
        (None, _) => Content::Lead,
        (Some(BodySettings::Text(text)), format) => {
            let escape = match format {
                Format::Json => Escape::Json,
                Format::Xml | Format::Soap => Escape::Xml,
                Format::Form | Format::Query => Escape::Url,
                Format::Text => Escape::Plain,
            };
            Content::Text(builder.add(&Place::of("request.body"), text, escape))
        }
        (Some(BodySettings::Mapped(entries)), Format::Json | Format::Text) => {
            Content::Json(JsonBody::new(entries, builder))
        }
        (Some(BodySettings::Mapped(entries)), Format::Xml) => Content::Xml(XmlBody::new(entries, false, builder)),
        (Some(BodySettings::Mapped(entries)), Format::Soap) => Content::Xml(XmlBody::new(entries, true, builder)),
        (Some(BodySettings::Mapped(entries)), Format::Form | Format::Query) => {
            Content::Pairs(PairsBody::new(entries, builder))
        }
    }
}

/// The address keeps its origin, and no value may climb out of the path it was put into.
fn checked_url(address: &Address, text: &str) -> Result<Arc<str>, RenderFailed> {
    let url = text.trim();
    let path = url.split('?').next().unwrap_or_default();
    let climbs = path.split('/').skip(3).any(|segment| matches!(segment, "." | ".."));
    let fits = url.is_ascii() && !url.contains('#') && url.parse::<Uri>().is_ok() && !climbs;
    if fits && address.is_prefix_of(url) { Ok(Arc::from(url)) } else { Err(RenderFailed::BadUrl) }
}

/// Visible ASCII only: bytes beyond it mean something else to every reader.
fn header_value(name: &HeaderName, text: &str) -> Result<HeaderValue, RenderFailed> {
    let text = Some(text.trim()).filter(|text| text.bytes().all(|b| (b' '..=b'~').contains(&b)));
    let value = text.and_then(|text| HeaderValue::from_str(text).ok());
    let mut value = value.ok_or_else(|| RenderFailed::BadHeader { header: name.as_str().to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}

fn xml_checked(text: String) -> Result<String, RenderFailed> {
    if is_xml(&text) { Ok(text) } else { Err(RenderFailed::not_xml("body", "has a character XML cannot carry")) }
}

/// Whether settings say what stands at a place: a fault is told where its cause was written.
pub(crate) fn says(settings: &RequestSettings, place: &Place) -> bool {
    match place.as_str() {
        "request.url" => settings.url.is_some(),
        "request.soap_header" => settings.soap_header.is_some(),
        "request.soap_action" => settings.soap_action.is_some(),
        "request.soap_version" => settings.soap_version.is_some(),
        "request.body" => settings.body.is_some(),
        _ => {
            let entries = match &settings.body {
                Some(BodySettings::Mapped(entries)) => entries.as_slice(),
                Some(BodySettings::Text(_)) | None => &[],
            };
            let header = settings.headers.iter().any(|header| header_place(&header.name) == *place);
            header || entries.iter().any(|entry| entry.place() == *place)
        }
    }
}
