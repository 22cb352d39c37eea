//! What is accepted, what is refused and where, and the law that what passed never panics and costs no more than its parts.

use super::*;
use crate::mapping::FieldSettings;
use proptest::prelude::*;
use steadfast_lead::{FlowName, JsonLimits, SourceName, parse_object};
use steadfast_retry::calendar::Hours;

fn declared() -> Vec<FieldSettings> {
    let field = |name: &str, kind, aliases: &[&str]| FieldSettings {
        name: name.into(),
        kind,
        aliases: aliases.iter().map(|alias| (*alias).into()).collect(),
    };
    vec![
        field("income", FieldType::Number, &["salary"]),
        field("state", FieldType::State, &[]),
        field("owner", FieldType::Boolean, &[]),
        field("zip", FieldType::PostalCode, &[]),
        field("note", FieldType::Text, &[]),
    ]
}

fn office() -> Arc<Calendar> {
    Arc::new(Calendar::new(Zone::new("America/New_York").unwrap()).within(Hours::new("Mo-Fr 09:00-17:00").unwrap()))
}

fn named(name: &str) -> Result<Arc<Calendar>, String> {
    if name == "office" { Ok(office()) } else { Err(format!("names the calendar {name:?}, which is not there")) }
}

fn read_with(fields: &[FieldSettings], text: &str) -> Result<Condition, BadCondition> {
    let (zone, calendar) = (Zone::new("America/New_York").unwrap(), office());
    Condition::read(text, &Ground { fields, zone: Some(&zone), calendar: Some(&calendar), named: &named })
}

fn read(text: &str) -> Result<Condition, BadCondition> {
    read_with(&declared(), text)
}

fn lead(json: &str) -> Lead {
    Lead {
        id: steadfast_lead::LeadId::first_at(Timestamp::from_millis(0)),
        flow: FlowName::new("auto").unwrap(),
        source: Some(SourceName::new("web").unwrap()),
        accepted_at: Timestamp::parse("2026-12-01T14:00:00Z").unwrap(),
        test: false,
        fields: parse_object(json.as_bytes(), JsonLimits::LEAD).unwrap(),
    }
}

/// Asked on a Tuesday at 09:30 in New York, half an hour after the lead came.
fn asked(condition: &Condition, lead: &Lead) -> Result<bool, ConditionFailed> {
    let recipient = RecipientName::new("bigbank").unwrap();
    let now = Timestamp::parse("2026-12-01T14:30:00Z").unwrap();
    condition.holds(&Facts { lead, priority: Priority::High, attempt: 2, recipient: &recipient, moment: now.into() })
}

const LEAD: &str = r#"{"value":"1,250.50","quality":41,"salary":"$90,000","state":"New York","owner":"yes","zip":"10001 1234","note":"Call Me","empty":""}"#;

#[test]
fn what_is_so_is_so() {
    let so = [
        "lead.value > 1000",
        "lead.value == 1250.5 && quality < 50 && lead.quality >= 41",
        "lead.income * 2 - 1 > 179000 && -lead.income + 1 < 0",
        "lead.state == 'NY'",
        "lead.state in ['NJ', 'NY'] && !(lead.state in ['CA'])",
        "lead.owner && lead.owner == true",
        "lead.zip.startsWith(\"100\") && lead.zip.endsWith('1234') && lead.zip.contains('-')",
        "lead.note.lowerAscii() == 'call me' && size(lead.note) == 7 && lead.note.size() > 6",
        "priority == 'high' && priority in ['critical', 'high']",
        "source == 'web' && flow == \"auto\" && recipient == 'bigbank' && !test",
        "attempt == 2 && age == 1800",
        "local.hour == 9 && local.minute == 30 && local.weekday == 2",
        "in_hours && in_hours('office')",
        "has(lead.value) && !('quality score' in lead)",
        "has(lead.value) ? lead.value > 1 : false",
        "double('12.5') == 12.5",
        "true || double(lead.note) > 1",
        "double(lead.note) > 1 || true",
    ];
    let mut fields = declared();
    fields.push(FieldSettings { name: "quality score".into(), kind: FieldType::Number, aliases: Vec::new() });
    let lead = lead(LEAD);
    for text in so {
        let condition = read_with(&fields, text).unwrap_or_else(|bad| panic!("{text}: {bad}"));
        assert_eq!(asked(&condition, &lead), Ok(true), "{text}");
        let other = read_with(&fields, &format!("!({text})")).unwrap();
        assert_eq!(asked(&other, &lead), Ok(false), "{text}");
    }
}

#[test]
fn what_cannot_be_answered_says_so_and_shows_nothing_of_the_lead() {
    let bare = lead(r#"{"note":"secret 555"}"#);
    let fails = [
        ("lead.value > 1", "the lead has no value: ask has(lead.value) before in lead.value > 1"),
        ("double(lead.note) > 1", "the text given to double() is not a number in double(lead.note) > 1"),
        ("lead.income > 1 && true", "the lead has no income: ask has(lead.income) before in lead.income > 1 && true"),
    ];
    for (text, said) in fails {
        let failed = asked(&read(text).unwrap(), &bare).unwrap_err();
        assert_eq!(failed.to_string(), said);
    }
    let odd = lead(r#"{"value":"lots","owner":"maybe","note":["a"]}"#);
    for text in ["lead.value > 1", "lead.owner", "lead.note == 'a'"] {
        let said = asked(&read(text).unwrap(), &odd).unwrap_err().to_string();
        assert!(!said.contains("lots") && !said.contains("maybe"), "{said}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let cases = [
        ("", "is empty"),
        ("lead.value >", "is not an expression in CEL, at character"),
        ("lead.value", "comes to a number"),
        ("lead.vlaue > 1", "names lead.vlaue, which the flow does not declare at character"),
        ("lead.note > 1", "compares a text with a number"),
        ("lead.value + 'x' == 'x'", "has a text where a number is needed at character"),
        ("lead.note && true", "has a text where true or false is needed at character 5"),
        ("matches(lead.note, 'a')", "uses \"matches\" in a way that is not known"),
        ("lead.value / 2 > 1", "uses \"/\" in a way that is not known"),
        ("[1, 2].all(x, x > 0)", "repeats over a list"),
        ("[1, 2] == [1, 2]", "has a list outside of in"),
        ("{'a': 1}.a == 1", "asks for .a of what has no such part"),
        ("lead.note in lead.list", "uses in without a list"),
        ("lead.note in ['a', 1]", "has a number where a text is needed"),
        ("now > 1", "names \"now\", which is not known at character 1"),
        ("local.day == 1", "asks for local.day"),
        ("in_hours('depot')", "names the calendar \"depot\", which is not there at character"),
        ("in_hours(lead.note)", "asks for a calendar that is not named"),
        ("priority == 'urgent'", "compares priority with \"urgent\", which it never is"),
        ("priority in ['hihg']", "compares priority with \"hihg\""),
        ("lead.owner < true", "asks which of true and false is more"),
        ("lead.value == null", "has a value of an unknown kind"),
        ("lead.value == 9007199254740993", "has a number too large"),
        ("lead.value > 1 // or so", "holds a line break or a comment"),
    ];
    for (text, said) in cases {
        let bad = read(text).expect_err(text);
        assert!(bad.problem.starts_with(said), "{text}: {bad}");
        assert!(!bad.allowed.is_empty(), "{text}");
    }
    let no_zone = Ground { fields: &[], zone: None, calendar: None, named: &named };
    let bad = Condition::read("local.hour > 8", &no_zone).unwrap_err();
    assert!(bad.problem.starts_with("asks for the local time, and no zone is known"), "{bad}");
    assert!(
        Condition::read("lead.anything == 'x'", &no_zone).is_ok(),
        "a flow that declares nothing takes every field"
    );
}

#[test]
fn what_would_be_costly_is_refused_before_it_is_parsed() {
    let nested = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    assert!(read(&nested(CONDITION_NESTING_MAX)).is_ok());
    assert!(read(&nested(CONDITION_NESTING_MAX + 1)).unwrap_err().problem.starts_with("is nested too deep"));
    let alternatives = vec!["true"; 60].join(" || ");
    assert!(read(&alternatives).is_ok());
    assert!(read(&vec!["true"; 110].join("||")).unwrap_err().problem.starts_with("has too many operators"));
    assert!(read(&format!("lead.note == '{}'", "x".repeat(1_000))).unwrap_err().problem.starts_with("is too long"));
    let choices = format!("{}true", "true ? true : ".repeat(11));
    assert!(read(&choices).unwrap_err().problem.starts_with("is nested too deep"));
    for deep in ["!", "-", "a.", "1+", "[", "{", "((", "'", "\"\\", "true?", "x("] {
        let _ = read(&deep.repeat(400));
        let _ = read(&deep.repeat(95));
    }
    let all = "[1,2,3,4].all(a,[1,2,3,4].all(b,[1,2,3,4].all(c,a+b+c>0)))";
    assert!(read(all).unwrap_err().problem.starts_with("repeats over a list"));
}

fn pieces() -> impl Strategy<Value = String> {
    let atoms = [
        "lead.value",
        "lead.income",
        "lead.state",
        "lead.owner",
        "lead.zip",
        "lead.note",
        "quality",
        "priority",
        "source",
        "test",
        "attempt",
        "age",
        "local.hour",
        "in_hours",
        "in_hours('office')",
        "has(lead.value)",
        "'NY'",
        "'high'",
        "1",
        "2.5",
        "-3",
        "true",
        "false",
        "9e300",
        "lead['note']",
        "size(lead.note)",
        "double(lead.note)",
        "''",
        "null",
        "x",
    ];
    let atom = prop::sample::select(atoms.to_vec()).prop_map(str::to_owned);
    atom.prop_recursive(6, 60, 3, |inner| {
        let operators =
            ["&&", "||", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "in", ".startsWith", "?", "/", "[]", ".all"];
        (prop::sample::select(operators.to_vec()), inner.clone(), inner.clone(), inner).prop_map(|(how, a, b, c)| {
            match how {
                "in" => format!("({a} in [{b}, {c}])"),
                "?" => format!("({a} ? {b} : {c})"),
                "[]" => format!("[{a}]"),
                ".all" => format!("[{a}].all(y, {b})"),
                ".startsWith" => format!("{a}.startsWith({b})"),
                how => format!("({a} {how} {b})"),
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is written, reading it ends without a panic; what passed answers for every lead, by yes, no or a reason.
    #[test]
    fn what_passed_answers_within_its_bound(text in pieces(), value in ".{0,12}", note in ".{0,40}") {
        let Ok(condition) = read(&text) else { return Ok(()) };
        let fields = serde_json::json!({ "value": value, "note": note, "state": note, "zip": value, "owner": value });
        let _ = asked(&condition, &lead(LEAD));
        let _ = asked(&condition, &lead(&fields.to_string()));
        prop_assert!(parts(&condition.root) <= CONDITION_PARTS_MAX);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[ -~]{0,300}") {
        let _ = read(&text);
    }

    #[test]
    fn signs_and_names_in_any_order(parts in prop::collection::vec(prop::sample::select(vec![
        "lead", ".", "value", "(", ")", "[", "]", "{", "}", "?", ":", "!", "-", "&&", "||", "'", "\"", "\\", "in", "1", "1u", "0x",
        "b'a'", "r'", "has", "all", ",", "`", "==", "<", " ", "null", "\u{e9}", "1e", "3.", "dyn(", "@",
    ]), 0..60)) {
        let _ = read(&parts.concat());
    }
}

/// How many parts are computed at most.
fn parts(node: &Node) -> usize {
    let many = |nodes: &[Node]| nodes.iter().map(parts).sum::<usize>();
    1 + match node {
        Node::Truth(_)
        | Node::Number(_)
        | Node::Text(_)
        | Node::Known(_)
        | Node::Local(..)
        | Node::InHours(_)
        | Node::Open(_) => 0,
        Node::Field(_) | Node::Has(_) => 0,
        Node::Not(one) | Node::Negate(one) | Node::Size(one) | Node::Lower(one) | Node::ToNumber(one) => parts(one),
        Node::And(two) | Node::Or(two) | Node::Compare(_, two) | Node::Math(_, two) | Node::Search(_, two) => {
            many(&**two)
        }
        Node::If(three) => many(&**three),
        Node::OneOf(one, list) => parts(one) + many(list),
    }
}
