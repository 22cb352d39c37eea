//! What a declared field holds, in one form: an email, a phone, a state as most recipients take it.
//!
//! Never refuses and never guesses: a value that does not fit its type stays as it came, and is said not to fit.

use crate::mapping::FieldType;
use crate::region;
use steadfast_lead::{Number, Value};

/// A value in its type's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Normal {
    /// In the type's form; as it came where it does not fit.
    pub(crate) value: Value,
    /// Whether it is one of its type. Nothing (null, an empty text) always is.
    pub(crate) fits: bool,
}

/// A value in the form of its type; of a list, each of its values.
pub(crate) fn normalise(kind: FieldType, value: &Value) -> Normal {
    match value {
        Value::List(values) => list(kind, values),
        Value::Object(_) => {
            Normal { value: value.clone(), fits: matches!(kind, FieldType::Text | FieldType::Sensitive) }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => plain(kind, value),
    }
}

fn list(kind: FieldType, values: &[Value]) -> Normal {
    let each: Vec<Normal> = values.iter().map(|value| normalise(kind, value)).collect();
    let fits = each.iter().all(|one| one.fits);
    Normal { value: Value::List(each.into_iter().map(|one| one.value).collect()), fits }
}

fn plain(kind: FieldType, value: &Value) -> Normal {
    let text = value.as_plain().unwrap_or_default().trim();
    if text.is_empty() {
        return Normal { value: value.clone(), fits: true };
    }
    let found = match kind {
        FieldType::Text | FieldType::Sensitive => Some(value.clone()),
        FieldType::Email => email(text).map(|text| Value::text(&text)),
        FieldType::Phone => phone(text).map(|text| Value::text(&text)),
        FieldType::PostalCode => postal_code(text).map(|text| Value::text(&text)),
        FieldType::State => region::code(text).map(Value::text),
        FieldType::Date => date(text).map(|text| Value::text(&text)),
        FieldType::Number => number(text).map(Value::Number),
        FieldType::Boolean => boolean(text).map(Value::Bool),
    };
    let fits = found.is_some();
    Normal { value: found.unwrap_or_else(|| value.clone()), fits }
}

/// `Jo@EXAMPLE.com` to `Jo@example.com`: only the host is the same in any case.
fn email(text: &str) -> Option<String> {
    const BYTES_MAX: usize = 254;
    let (local, host) = text.rsplit_once('@')?;
    let whole = |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let host_fits = host.contains('.') && host.split('.').all(|label| !label.is_empty()) && !host.contains('@');
    let fits = whole(local) && whole(host) && host_fits && !local.contains('@');
    // Some letters are longer in lower case, some shorter.
    fits.then(|| format!("{local}@{}", host.to_lowercase())).filter(|form| form.len() <= BYTES_MAX)
}

/// A number of the United States or Canada with `+1` before it; of elsewhere its digits.
fn phone(text: &str) -> Option<String> {
    const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
    let foreign = |c: char| !c.is_ascii_digit() && !matches!(c, ' ' | '(' | ')' | '-' | '.' | '/' | '+' | '\u{a0}');
    if text.contains(foreign) || text.rfind('+').is_some_and(|at| at > 0) {
        return None;
    }
    let digits = digits(text);
    let national = match (text.starts_with('+'), digits.len()) {
        (_, 11) => digits.strip_prefix('1'),
        (false, 10) => Some(digits.as_str()),
        _ => None,
    };
    match national.filter(|national| is_north_american(national)) {
        Some(national) => Some(format!("+1{national}")),
        None => DIGITS.contains(&digits.len()).then_some(digits),
    }
}

/// Area code and exchange both begin with 2 to 9.
fn is_north_american(digits: &str) -> bool {
    let begins = |at: usize| digits.as_bytes().get(at).is_some_and(|digit| (b'2'..=b'9').contains(digit));
    begins(0) && begins(3)
}

/// The digits of a text and nothing else.
pub(crate) fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// `12345`, `12345-6789`, `K1A 0B1`.
fn postal_code(text: &str) -> Option<String> {
    let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let plain = plain.to_ascii_uppercase();
    let separators = text.len().saturating_sub(plain.len());
    if separators > 1 {
        return None;
    }
    if plain.bytes().all(|b| b.is_ascii_digit()) {
        return match (plain.len(), separators) {
            (5, 0) => Some(plain),
            (9, _) => Some(format!("{}-{}", &plain[..5], &plain[5..])),
            _ => None,
        };
    }
    is_canadian(plain.as_bytes()).then(|| format!("{} {}", &plain[..3], &plain[3..]))
}

/// Letter digit letter, digit letter digit; some letters are never used.
fn is_canadian(code: &[u8]) -> bool {
    const NEVER: &[u8] = b"DFIOQU";
    const NEVER_FIRST: &[u8] = b"WZ";
    let letter = |b: u8| b.is_ascii_uppercase() && !NEVER.contains(&b);
    let fits = |(at, b): (usize, &u8)| if at % 2 == 0 { letter(*b) } else { b.is_ascii_digit() };
    code.len() == 6 && code.iter().enumerate().all(fits) && !NEVER_FIRST.contains(&code[0])
}

/// `2026-11-24` of an ISO date, of an ISO time its date, and of the American `11/24/2026`.
///
/// With dashes `03-04-2026` may be either of two days, and so stays as it came; so does a year of two digits.
pub(crate) fn date(text: &str) -> Option<String> {
    // Of a time the day it says, whatever its offset: a birthday is the same in every zone.
    let day =
        text.split_once(['T', ' ']).filter(|(day, _)| day.len() == "2026-11-24".len()).map_or(text, |(day, _)| day);
    if let Ok(date) = day.parse::<jiff::civil::Date>() {
        return Some(date.to_string());
    }
    let (separator, parts) = match (text.contains('/'), text.contains('-')) {
        (true, false) => ('/', text.split('/')),
        (false, true) => ('-', text.split('-')),
        _ => return None,
    };
    let parts: Vec<&str> = parts.collect();
    let [month, day, year] = parts.as_slice() else {
        return None;
    };
    let part = |text: &str| text.parse::<i8>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    let (month, day) = (part(month)?, part(day)?);
    if year.len() != 4 || (separator == '-' && day <= 12) {
        return None;
    }
    let year: i16 = year.parse().ok()?;
    Some(jiff::civil::Date::new(year, month, day).ok()?.to_string())
}

/// `$1,234.50` to `1234.50`: digits as written, without currency sign and separators of thousands.
pub(crate) fn number(text: &str) -> Option<Number> {
    let text = text.trim();
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let rest = rest.strip_prefix('$').unwrap_or(rest).trim_start();
    let (whole, part) = rest.split_once('.').map_or((rest, None), |(whole, part)| (whole, Some(part)));
    let whole = if whole.contains(',') { without_commas(whole)? } else { whole.to_owned() };
    if whole.is_empty() || !whole.bytes().all(|b| b.is_ascii_digit()) {
        return Number::parse(text);
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let part = part.map(|part| format!(".{part}")).unwrap_or_default();
    Number::parse(&format!("{sign}{whole}{part}"))
}

fn without_commas(whole: &str) -> Option<String> {
    let groups: Vec<&str> = whole.split(',').collect();
    let (first, others) = groups.split_first()?;
    let fits = (1..=3).contains(&first.len()) && others.iter().all(|group| group.len() == 3);
    fits.then(|| groups.concat())
}

/// The words forms use.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "t" | "on" | "1" => Some(true),
        "false" | "no" | "n" | "f" | "off" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: FieldType, cases: &[(&str, Option<&str>)]) {
        for (text, expected) in cases {
            let found = normalise(kind, &Value::text(text));
            assert_eq!(found.fits, expected.is_some(), "{text}: {found:?}");
            assert_eq!(found.value.as_plain(), Some(expected.unwrap_or(text)), "{text}");
        }
    }

    #[test]
    fn emails_phones_and_postal_codes_take_one_form() {
        check(
            FieldType::Email,
            &[
                (" Jo.X@EXAMPLE.Com ", Some("Jo.X@example.com")),
                ("a@b", None),
                ("a@b@c.d", None),
                ("no", None),
                ("a b@c.d", None),
                ("a@.d", None),
                ("", Some("")),
                // Two bytes, and three in lower case.
                (&format!("{}@\u{130}.de", "x".repeat(247)), Some(&format!("{}@i\u{307}.de", "x".repeat(247)))),
                (&format!("{}@\u{130}.de", "x".repeat(248)), None),
            ],
        );
        check(
            FieldType::Phone,
            &[
                ("(312) 555-0142", Some("+13125550142")),
                ("1.312.555.0142", Some("+13125550142")),
                ("+1 312 555 0142", Some("+13125550142")),
                ("+44 20 7946 0958", Some("442079460958")),
                ("112 555 0142", Some("1125550142")),
                ("555-0142", Some("5550142")),
                ("312-555-0142 x9", None),
                ("12", None),
                ("call me", None),
                ("1234567890123456", None),
                ("312+5550142", None),
            ],
        );
        check(
            FieldType::PostalCode,
            &[
                ("01234", Some("01234")),
                ("012346789", Some("01234-6789")),
                ("01234-6789", Some("01234-6789")),
                ("k1a0b1", Some("K1A 0B1")),
                ("K1A-0B1", Some("K1A 0B1")),
                ("D1A 0B1", None),
                ("Z1A 0B1", None),
                ("1234", None),
                ("SW1A 1AA", None),
                ("1 2 3 4 5", None),
            ],
        );
    }

    #[test]
    fn dates_numbers_and_words_that_could_mean_two_things_stay() {
        check(
            FieldType::Date,
            &[
                ("2026-11-24", Some("2026-11-24")),
                ("2026-11-24T10:00:00Z", Some("2026-11-24")),
                ("11/24/2026", Some("2026-11-24")),
                ("3/4/2026", Some("2026-03-04")),
                ("11-24-2026", Some("2026-11-24")),
                ("03-04-2026", None),
                ("24/12/2026", None),
                ("3/4/26", None),
                ("2/30/2026", None),
                ("24.12.2026", None),
                ("soon", None),
            ],
        );
        check(
            FieldType::Number,
            &[
                ("$1,234.50", Some("1234.50")),
                ("007", Some("7")),
                ("-1.10", Some("-1.10")),
                ("1e3", Some("1e3")),
                ("1,23", None),
                ("1.2.3", None),
                ("1.", None),
                ("ten", None),
            ],
        );
        check(FieldType::Boolean, &[("Yes", Some("true")), ("0", Some("false")), ("maybe", None)]);
        check(
            FieldType::State,
            &[("texas", Some("TX")), ("N.Y.", Some("NY")), ("ontario", Some("ON")), ("Bavaria", None)],
        );
        check(FieldType::Text, &[(" as it came ", Some(" as it came "))]);
    }

    #[test]
    fn lists_take_their_form_value_by_value_and_objects_stay() {
        let list = Value::List(vec![Value::text("3125550142"), Value::text("x")]);
        let found = normalise(FieldType::Phone, &list);
        assert_eq!(found.value, Value::List(vec![Value::text("+13125550142"), Value::text("x")]));
        assert!(!found.fits);
        let object = Value::Object(steadfast_lead::Fields::new());
        assert_eq!(normalise(FieldType::Date, &object), Normal { value: object, fits: false });
    }
}
