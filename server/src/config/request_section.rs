//! Reading `request`, as it stands on a recipient or a step.

use super::body_section::{body, scalar};
use super::request_keys::REQUEST;
use super::tree::{Found, Section};
use http::{HeaderName, Method};
use steadfast_flow::{Address, Format, Header, METHODS, RequestSettings, SoapVersion};
use steadfast_lead::Value;

const SOAP_VERSIONS: [&str; 2] = [SoapVersion::V11.name(), SoapVersion::V12.name()];

/// What a place says about its request.
pub(crate) fn request(owner: &Section<'_>) -> RequestSettings {
    request_table(&owner.section("request", &REQUEST))
}

/// What a table says that has the keys of a request.
pub(crate) fn request_table(section: &Section<'_>) -> RequestSettings {
    if let Some(door) = section.get("type") {
        door.word(|text| (text == "http").then_some(()), &["http"]);
    }
    let bytes = section.size("response_bytes_max");
    RequestSettings {
        method: section.get("method").and_then(|found| method(&found)),
        url: section.get("url").and_then(|found| found.address(Address::parse)),
        format: section.get("format").and_then(|found| found.word(Format::from_name, &Format::ALL.map(Format::name))),
        headers: section.named("headers").into_iter().filter_map(|(name, found)| header(&name, &found)).collect(),
        fields: section.named("fields").into_iter().filter_map(|(name, found)| fixed(&name, &found)).collect(),
        body: section.get("body").and_then(|found| body(&found)),
        content_type: section.text("content_type").map(Into::into),
        strict: section.boolean("strict"),
        soap_version: section.get("soap_version").and_then(|found| found.word(SoapVersion::from_name, &SOAP_VERSIONS)),
        soap_action: section.text("soap_action").map(Into::into),
        soap_header: section.get("soap_header").and_then(|found| found.template()).map(Into::into),
        xml_declaration: section.boolean("xml_declaration"),
        timeout: section.duration("timeout"),
        connect_timeout: section.duration("connect_timeout"),
        response_bytes_max: bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
    }
}

fn method(found: &Found<'_>) -> Option<Method> {
    let known = |text: &str| METHODS.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(text));
    found.word(known, &METHODS.each_ref().map(Method::as_str))
}

fn header(name: &str, found: &Found<'_>) -> Option<Header> {
    let value = if found.holds_both_template_and_reference() { None } else { found.secret() };
    let name = HeaderName::try_from(name).map_err(|_| found.wrong_unseen("is not a header's name"));
    Some(Header { name: name.ok()?, value: value? })
}

fn fixed(name: &str, found: &Found<'_>) -> Option<(Box<str>, Value)> {
    let value = scalar(found, Found::text)?;
    Some((name.into(), value))
}
