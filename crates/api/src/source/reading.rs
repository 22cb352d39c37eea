//! One lead out of what a source sent: query, form, JSON or XML, as LeadConduit reads them.
//!
//! What only tells how to take the lead (a key, where to send the browser, that it is a test) is taken out and never kept.

use crate::content::{Media, is_foreign, media};
use crate::encoded::decode_pairs;
use crate::lead_body::{fields, refused_json};
use crate::nesting::{laid_over, nest};
use crate::problem::{Problem, ProblemKind};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri};
use std::borrow::Cow;
use steadfast_lead::{Fields, JsonLimits, JsonRefusal, Value, parse_object};

/// What a source's body may be written in.
const UNDERSTOOD: [Media; 4] = [Media::Form, Media::Json, Media::Xml, Media::TextXml];
const REDIRECT: &str = "redir_url";
/// Marks a test lead, in any case of letters.
const TEST: &str = "xxtest";
/// What certificates of consent come as from web forms, in any case of letters, and the field they become.
const CERTIFICATE: (&str, &str) = ("xxtrustedformcerturl", "trustedform_cert_url");

/// The query of a request.
#[derive(Debug, Default)]
pub(crate) struct SourceQuery {
    fields: Fields,
    /// Where to send the browser once the lead is kept.
    pub(crate) redirect: Option<HeaderValue>,
}

impl SourceQuery {
    /// Reads a query; names with dots are nested.
    ///
    /// # Errors
    /// A [`Problem`] naming what cannot be read.
    pub(crate) fn read(query: Option<&str>) -> Result<Self, Problem> {
        let pairs = decode_pairs(query.unwrap_or("").as_bytes())
            .map_err(|bad| Problem::new(ProblemKind::BadParameter, format!("the query cannot be read: {bad}")))?;
        let mut redirect = None;
        let mut rest = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            if name == REDIRECT {
                redirect = redirect.or(Some(address(&value)?));
            } else {
                rest.push((name, Value::Text(value.into())));
            }
        }
        Ok(SourceQuery { fields: nest(rest, JsonLimits::LEAD)?, redirect })
    }
}

/// Only http and https, and nothing that would break out of the header.
fn address(text: &str) -> Result<HeaderValue, Problem> {
    let web = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    let value = text.parse::<Uri>().ok().filter(web).and_then(|_| HeaderValue::from_str(text).ok());
    value.ok_or_else(|| Problem::bad_parameter(REDIRECT, text, "an address that begins with http:// or https://"))
}

/// What a source sent, read.
#[derive(Debug)]
pub(crate) struct Submission {
    /// The lead.
    pub(crate) fields: Fields,
    /// It said that this is a test.
    pub(crate) test: bool,
    /// The key among its fields, where the source sends it so.
    pub(crate) key: Option<Vec<u8>>,
}

/// Reads a submission: the body's fields, and the query's laid over them.
///
/// # Errors
/// A [`Problem`] naming what is wrong.
pub(crate) fn submission(
    headers: &HeaderMap,
    body: &Bytes,
    query: SourceQuery,
    key_field: Option<&str>,
) -> Result<Submission, Problem> {
    let body = if body.trim_ascii().is_empty() { Fields::new() } else { body_fields(headers, body)? };
    let mut submission = Submission { fields: Fields::new(), test: false, key: None };
    let mut kept = Vec::new();
    let mut certificate = None;
    for (name, value) in laid_over(body, query.fields) {
        let lower = name.to_ascii_lowercase();
        if Some(&*name) == key_field {
            submission.key = value.as_plain().map(|text| text.trim().as_bytes().to_vec());
        } else if lower == TEST {
            submission.test = says_yes(&value)?;
        } else if lower == CERTIFICATE.0 {
            certificate = Some(value);
        } else {
            kept.push((name, value));
        }
    }
    if let Some(value) = certificate {
        kept.retain(|(name, _)| &**name != CERTIFICATE.1);
        kept.push((CERTIFICATE.1.into(), value));
    }
    submission.fields = Fields::from_unique(kept);
    Ok(submission)
}

fn says_yes(value: &Value) -> Result<bool, Problem> {
    let text = value.as_plain().unwrap_or_default().trim().to_ascii_lowercase();
    match text.as_str() {
        "true" | "1" | "yes" | "y" => Ok(true),
        "" | "false" | "0" | "no" | "n" => Ok(false),
        // A lead that was meant as a test must not be sold because of how that was written.
        _ => Err(Problem::new(ProblemKind::BadParameter, "xxTest is neither true nor false").naming("xxTest")),
    }
}

fn body_fields(headers: &HeaderMap, body: &Bytes) -> Result<Fields, Problem> {
    // Sources know two refusals here: none given, and one that is not read.
    let foreign = |problem: Problem| match is_foreign(headers, &UNDERSTOOD) {
        true => problem.of_kind(ProblemKind::ForeignMediaType),
        false => problem,
    };
    match media(headers, &UNDERSTOOD).map_err(foreign)? {
        Media::Form => {
            let pairs = decode_pairs(body).map_err(|bad| Problem::new(ProblemKind::MalformedForm, bad.to_string()))?;
            nest(pairs.into_iter().map(|(name, value)| (name, Value::Text(value.into()))).collect(), JsonLimits::LEAD)
        }
        Media::Json => json(body),
        other @ (Media::Xml | Media::TextXml | Media::NdJson | Media::JsonLines | Media::Csv) => fields(other, body),
    }
}

/// JSON; text with raw ends of lines or tabs in it, as careless forms write it, is read without them.
fn json(body: &[u8]) -> Result<Fields, Problem> {
    let refused = match parse_object(body, JsonLimits::LEAD) {
        Ok(fields) => return Ok(fields),
        Err(refused) => refused,
    };
    if matches!(refused, JsonRefusal::Malformed { .. })
        && let Cow::Owned(plain) = without_controls(body)
        && let Ok(fields) = parse_object(&plain, JsonLimits::LEAD)
    {
        return Ok(fields);
    }
    // What is told is told about the body as it came.
    Err(refused_json(&refused))
}

/// Without control characters inside texts.
fn without_controls(body: &[u8]) -> Cow<'_, [u8]> {
    let (mut within, mut escaped) = (false, false);
    let keeps = |byte: &u8| {
        let keep = !(within && *byte < b' ');
        match (*byte, escaped) {
            (b'"', false) => within = !within,
            (b'\\', false) => escaped = within,
            _ => escaped = false,
        }
        keep
    };
    let plain: Vec<u8> = body.iter().copied().filter(keeps).collect();
    if plain.len() == body.len() { Cow::Borrowed(body) } else { Cow::Owned(plain) }
}

#[cfg(test)]
mod tests {
    use super::{SourceQuery, Submission, submission};
    use bytes::Bytes;
    use http::HeaderMap;
    use steadfast_lead::write_object;

    fn read(media: &str, body: &str, query: &str) -> Result<Submission, &'static str> {
        let headers = HeaderMap::from_iter([("content-type".parse().unwrap(), media.parse().unwrap())]);
        let query = SourceQuery::read(Some(query)).map_err(|problem| problem.kind().slug())?;
        submission(&headers, &Bytes::copy_from_slice(body.as_bytes()), query, Some("key"))
            .map_err(|problem| problem.kind().slug())
    }

    fn json_of(media: &str, body: &str, query: &str) -> String {
        let mut out = Vec::new();
        write_object(&read(media, body, query).unwrap().fields, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_way_of_writing_gives_the_same_fields() {
        let expected = r#"{"first_name":"Joe","callcenter":{"additional_services":"script writing"}}"#;
        let form = "first_name=Joe&callcenter.additional_services=script+writing";
        let xml = "<lead><first_name>Joe</first_name><callcenter><additional_services>script writing\
                   </additional_services></callcenter></lead>";
        assert_eq!(json_of("application/x-www-form-urlencoded", form, ""), expected);
        assert_eq!(json_of("application/json", expected, ""), expected);
        assert_eq!(json_of("text/xml", xml, ""), expected);
        assert_eq!(json_of("application/xml; charset=utf-8", xml, ""), expected);
        assert_eq!(json_of("text/plain", " ", form), expected, "without a body its type does not matter");
        assert_eq!(
            json_of("application/json", r#"{"a":1,"first_name":"x"}"#, "first_name=Joe"),
            r#"{"a":1,"first_name":"Joe"}"#
        );
    }

    #[test]
    fn what_is_no_field_is_taken_out() {
        let media = "application/x-www-form-urlencoded";
        let read_it = read(media, "a=1&xxTest=TRUE&key=sf_k", "").unwrap();
        assert_eq!((read_it.test, read_it.key.as_deref(), read_it.fields.len()), (true, Some(&b"sf_k"[..]), 1));
        assert!(!read(media, "a=1&xxtest=no", "").unwrap().test);
        assert_eq!(read(media, "a=1&xxTest=maybe", "").unwrap_err(), "bad-parameter");
        assert_eq!(
            json_of(media, "XXTRUSTEDFORMCERTURL=https://cert.example/1&trustedform_cert_url=&a=1", ""),
            r#"{"a":"1","trustedform_cert_url":"https://cert.example/1"}"#
        );
        let query = SourceQuery::read(Some("a=1&redir_url=https://x.example/ok?y&redir_url=http://z.example")).unwrap();
        assert_eq!(query.redirect.unwrap(), "https://x.example/ok?y");
        for bad in [
            "scooby.doo",
            "javascript:alert(1)",
            "//x.example",
            "ftp://x.example",
            "https://x.example/%0d%0aa:b c\r\n",
            "",
        ] {
            let query: String = form_urlencoded_value(bad);
            assert_eq!(
                SourceQuery::read(Some(&format!("redir_url={query}"))).unwrap_err().kind().slug(),
                "bad-parameter",
                "{bad}"
            );
        }
    }

    fn form_urlencoded_value(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02x}")).collect()
    }

    #[test]
    fn careless_json_is_read_and_bad_json_is_not() {
        assert_eq!(
            json_of("application/json", "{\"a\":\"123\t Main \nSt \\\"x\\\\\"}", ""),
            r#"{"a":"123 Main St \"x\\"}"#
        );
        assert_eq!(read("application/json", "{\"a\":1\n2}", "").unwrap_err(), "malformed-json");
        assert_eq!(read("application/json", "{\"a\":\"\t\",}", "").unwrap_err(), "malformed-json");
        assert_eq!(read("application/json", "[1]", "").unwrap_err(), "not-an-object");
        assert_eq!(read("text/plain", "a=1", "").unwrap_err(), "foreign-media-type");
        assert_eq!(read("application/x-www-form-urlencoded", "a=1&a.b=2", "").unwrap_err(), "malformed-form");
        assert_eq!(read("application/xml", "a=1", "").unwrap_err(), "malformed-xml");
    }
}
