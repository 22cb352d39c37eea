//! One lead out of one body, and why it was not taken. No refusal repeats what a lead holds.

use crate::content::Media;
use crate::encoded::decode_pairs;
use crate::problem::{Problem, ProblemKind};
use crate::xml::xml_fields;
use bytes::Bytes;
use steadfast_engine::Refusal;
use steadfast_lead::{Fields, JsonLimits, JsonRefusal, Value, parse_object};

/// A lead's fields.
///
/// # Errors
/// A [`Problem`] naming what is wrong; it holds no value.
pub(crate) fn fields(media: Media, body: &Bytes) -> Result<Fields, Problem> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::new(ProblemKind::EmptyBody, "there is no lead in the body"));
    }
    match media {
        Media::Json => parse_object(body, JsonLimits::LEAD).map_err(|refusal| refused_json(&refusal)),
        Media::Form => form(body, JsonLimits::LEAD),
        Media::Xml | Media::TextXml => xml_fields(body, JsonLimits::LEAD),
        Media::NdJson | Media::JsonLines | Media::Csv => {
            Err(Problem::new(ProblemKind::UnsupportedMediaType, "this is a way of writing many leads"))
        }
    }
}

/// Why JSON is no lead.
pub(crate) fn refused_json(refusal: &JsonRefusal) -> Problem {
    let kind = match refusal {
        JsonRefusal::NotUtf8 { .. } => ProblemKind::NotUtf8,
        JsonRefusal::Malformed { .. } => ProblemKind::MalformedJson,
        JsonRefusal::NotAnObject { .. } => ProblemKind::NotAnObject,
        JsonRefusal::TooDeep { .. } => ProblemKind::TooDeep,
        JsonRefusal::TooManyValues { .. } => ProblemKind::TooManyValues,
        JsonRefusal::DuplicateName { .. } => ProblemKind::DuplicateField,
        JsonRefusal::BadNameLength { .. } => ProblemKind::BadFieldName,
    };
    Problem::new(kind, refusal.to_string())
}

/// A form's fields; a repeated one becomes a list.
///
/// # Errors
/// As [`fields`].
fn form(body: &[u8], limits: JsonLimits) -> Result<Fields, Problem> {
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).count();
    if pairs > limits.values_max {
        return Err(refused_json(&JsonRefusal::TooManyValues { max: limits.values_max }));
    }
    let pairs = decode_pairs(body).map_err(|bad| Problem::new(ProblemKind::MalformedForm, bad.to_string()))?;
    let mut fields = Fields::new();
    for (name, value) in pairs {
        if name.is_empty() || name.len() > limits.name_bytes_max {
            return Err(refused_json(&JsonRefusal::BadNameLength { max: limits.name_bytes_max, length: name.len() }));
        }
        fields.append(&name, Value::Text(value.into()));
    }
    Ok(fields)
}

/// Why the engine did not take a lead.
pub(crate) fn refused(refusal: Refusal) -> Problem {
    let detail = refusal.to_string();
    match refusal {
        Refusal::UnknownFlow(_) => Problem::new(ProblemKind::UnknownFlow, detail).naming("flow"),
        Refusal::NoSteps(_) => Problem::new(ProblemKind::FlowHasNoSteps, detail).naming("flow"),
        Refusal::KeyReused(_) => Problem::new(ProblemKind::KeyReused, detail).naming("Idempotency-Key"),
        Refusal::Erased { .. } => Problem::new(ProblemKind::Erased, detail),
        Refusal::QueueFull(_) => Problem::new(ProblemKind::QueueFull, detail).after_seconds(5),
        Refusal::Draining => Problem::new(ProblemKind::Draining, detail).after_seconds(5),
        Refusal::Store(error) => Problem::from(error),
    }
}

#[cfg(test)]
mod tests {
    use super::form;
    use steadfast_lead::{JsonLimits, write_object};

    fn json_of(body: &str) -> String {
        let mut out = Vec::new();
        write_object(&form(body.as_bytes(), JsonLimits::LEAD).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn forms_become_fields() {
        assert_eq!(
            json_of("name=J+Doe&zip=01234&tag=a&tag=b&tag=c"),
            r#"{"name":"J Doe","zip":"01234","tag":["a","b","c"]}"#
        );
    }

    #[test]
    fn forms_have_bounds() {
        let limits = JsonLimits { values_max: 2, name_bytes_max: 3, ..JsonLimits::LEAD };
        let slug = |body: &str| form(body.as_bytes(), limits).unwrap_err().kind().slug();
        assert_eq!(slug("a=1&b=2&c=3"), "too-many-values");
        assert_eq!(slug("abcd=1"), "bad-field-name");
        assert_eq!(slug("=1"), "bad-field-name");
        assert_eq!(slug("a=%"), "malformed-form");
    }
}
