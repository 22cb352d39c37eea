//! Paths into JSON: names joined by dots, `[0]` for a place in a list, `*` for every member, `["any name"]` for others.

use super::json::{At, Json};

/// Steps of one path, at most.
const STEPS_MAX: usize = 32;
/// Values one path may come to, at most.
const SELECTED_MAX: usize = 10_000;

/// A path as it was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonPath(Box<[Step]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// A name in an object; digits are a place where there is a list.
    Name(Box<str>),
    Place(usize),
    Every,
}

impl JsonPath {
    /// Reads a path; `None` where it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let from_root = text.strip_prefix("$.").or_else(|| text.strip_prefix('$').filter(|rest| rest.starts_with('[')));
        let mut rest = from_root.unwrap_or(text);
        let mut steps = Vec::new();
        let mut dotted = true;
        while !rest.is_empty() {
            let (step, behind) = if rest.starts_with('[') {
                bracket(rest)?
            } else if dotted {
                name(rest)?
            } else {
                return None;
            };
            steps.push(step);
            dotted = behind.starts_with('.');
            rest = if dotted { &behind[1..] } else { behind };
            if dotted && (rest.is_empty() || rest.starts_with('[')) {
                return None;
            }
        }
        (!steps.is_empty() && steps.len() <= STEPS_MAX).then(|| JsonPath(steps.into()))
    }

    /// Whether it is one name and nothing else: such a path reads like a selector for pages.
    pub(crate) fn is_one_name(&self) -> bool {
        matches!(&*self.0, [Step::Name(_)])
    }

    /// Where it leads; `None` where that is more than the bound.
    pub(crate) fn select(&self, json: &Json<'_>) -> Option<Vec<At>> {
        let mut here = vec![json.root()];
        for step in &self.0 {
            let mut next = Vec::new();
            for at in here {
                step.follow(json, at, &mut next);
            }
            if next.len() > SELECTED_MAX {
                return None;
            }
            here = next;
        }
        Some(here)
    }
}

impl Step {
    fn follow(&self, json: &Json<'_>, at: At, next: &mut Vec<At>) {
        match self {
            Step::Name(name) if json.is_list(at) => {
                let place = name.parse().ok();
                next.extend(place.and_then(|place| json.members(at).nth(place)));
            }
            Step::Name(name) => next.extend(json.named(at, name)),
            Step::Place(place) => next.extend(json.members(at).nth(*place).filter(|_| json.is_list(at))),
            Step::Every => next.extend(json.members(at).take(SELECTED_MAX + 1)),
        }
    }
}

fn name(rest: &str) -> Option<(Step, &str)> {
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (name, behind) = rest.split_at(end);
    if name == "*" {
        return Some((Step::Every, behind));
    }
    // What means something in the other languages of paths is quoted here.
    let plain = |c: char| !c.is_control() && !"*/\\()<>=|\"'{},;!?]".contains(c);
    (!name.trim().is_empty() && name.chars().all(plain)).then(|| (Step::Name(name.into()), behind))
}

fn bracket(rest: &str) -> Option<(Step, &str)> {
    let inner = rest.strip_prefix('[')?;
    for quote in ['"', '\''] {
        if let Some(quoted) = inner.strip_prefix(quote) {
            let (name, behind) = quoted.split_once(quote)?;
            return Some((Step::Name(name.into()), behind.strip_prefix(']')?));
        }
    }
    let (inside, behind) = inner.split_once(']')?;
    if inside == "*" {
        return Some((Step::Every, behind));
    }
    let digits = !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_digit());
    Some((Step::Place(inside.parse().ok().filter(|_| digits)?), behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(path: &str, text: &str) -> Vec<String> {
        let json = Json::parse(text).unwrap();
        let mut out = Vec::new();
        for at in JsonPath::parse(path).unwrap().select(&json).unwrap() {
            json.texts(at, &mut out);
        }
        out.into_iter().map(std::borrow::Cow::into_owned).collect()
    }

    #[test]
    fn paths_lead_to_values() {
        let text = r#"{"result":{"status":"ok","a.b":1},"errors":[{"m":"one"},{"m":"two","n":3}],"x":[[1,2],[3]]}"#;
        let cases: [(&str, &[&str]); 14] = [
            ("result.status", &["ok"]),
            ("$.result.status", &["ok"]),
            ("$['result'].status", &["ok"]),
            ("result[\"a.b\"]", &["1"]),
            ("errors[1].m", &["two"]),
            ("errors.1.m", &["two"]),
            ("errors[*].m", &["one", "two"]),
            ("errors.*.n", &["3"]),
            ("*.status", &["ok"]),
            ("x[*][0]", &["1", "3"]),
            ("x", &["1", "2", "3"]),
            ("errors.m", &[]),
            ("result[0]", &[]),
            ("errors[9].m", &[]),
        ];
        for (path, expected) in cases {
            assert_eq!(selected(path, text), expected, "{path}");
        }
        assert_eq!(selected("[0].ok", "[{\"ok\":true}]"), ["true"]);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for bad in [
            "", " ", ".", "a.", ".a", "a..b", "a[", "a[]", "a[-1]", "a[x]", "a.[0]", "a]b", "/a/b", "//a", "a > b",
            "a(b)", "[0]x",
        ] {
            assert_eq!(JsonPath::parse(bad), None, "{bad}");
        }
        assert!(JsonPath::parse(&"a.".repeat(STEPS_MAX)).is_none());
        assert!(
            JsonPath::parse("@attributes.#text").is_some()
                && JsonPath::parse("$id").is_some()
                && JsonPath::parse("a[99999999999999999999]").is_none()
        );
    }

    #[test]
    fn paths_that_come_to_too_much_are_given_up() {
        let row = format!("[{}1]", "1,".repeat(200));
        let text = format!("[{}{row}]", format!("{row},").repeat(200));
        let json = Json::parse(&text).unwrap();
        assert_eq!(JsonPath::parse("*.*").unwrap().select(&json), None);
    }
}
