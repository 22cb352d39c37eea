//! The table of recorded answers through the reading itself, and the guide that is written from it.

#[path = "../../tests/answers/mod.rs"]
mod answers;

use super::references::Surroundings;
use super::tests::same_as_file;
use answers::{Answer, Group, groups};
use std::fmt::Write as _;

#[test]
fn every_recorded_answer_is_read_as_the_table_says() {
    let around =
        Surroundings { variable: &|_| None, file: &|_| Err("no".to_owned()), now: steadfast_lead::Timestamp::MIN };
    let mut wrong = Vec::new();
    for group in groups() {
        let reading =
            super::read_rules(&group.title, &group.rules, &around).map_err(|problems| problems.plain()).unwrap();
        for answer in &group.answers {
            let said = crate::command::classified(&reading, answer.stored().to_string().as_bytes()).unwrap();
            wrong.extend(
                answer.differences(&said).into_iter().map(|what| format!("{}: {}: {what}", group.title, answer.name)),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_of_recorded_answers_tell_them_apart() {
    let groups = groups();
    let mut names: Vec<&str> = groups.iter().flat_map(|group| &group.answers).map(|answer| &*answer.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn the_guide_is_up_to_date() {
    let mut page = HEAD.to_owned();
    groups().iter().for_each(|group| section(group, &mut page));
    same_as_file("docs/response-mapping.md", &page, "UPDATE_DOCS");
}

fn section(group: &Group, page: &mut String) {
    let _ = write!(page, "\n## {}\n\n{}\n\n", group.title, group.about);
    if !group.rules.is_empty() {
        let _ = write!(page, "```toml\n{}\n```\n\n", group.rules);
    }
    page.push_str("| answer | outcome | beside it |\n|---|---|---|\n");
    group.answers.iter().for_each(|answer| row(answer, page));
}

fn row(answer: &Answer, page: &mut String) {
    let expected = &answer.expect;
    let kind = expected.kind.as_ref().map(|kind| format!(" ({kind})")).unwrap_or_default();
    let details = [
        ("reason", &expected.reason),
        ("price", &expected.price),
        ("reference", &expected.reference),
        ("decided by", &expected.decided_by),
    ];
    let details: Vec<String> =
        details.into_iter().filter_map(|(name, text)| Some(format!("{name}: {}", cell(text.as_deref()?)))).collect();
    let _ = writeln!(
        page,
        "| {}<br>{} | {}{kind} | {} |",
        answer.name,
        shown(answer),
        expected.outcome,
        details.join("<br>")
    );
}

/// An answer in one line.
fn shown(answer: &Answer) -> String {
    if let Some(error) = &answer.error {
        return format!("no answer: `{error}` while `{}`", answer.phase.as_deref().unwrap_or("sent"));
    }
    let mut line = format!("`{}`", answer.status.unwrap_or(200));
    let _ = write!(line, " {}", answer.content_type.as_deref().unwrap_or("no content type"));
    for (name, value) in &answer.headers {
        let _ = write!(line, ", {name}: {value}");
    }
    match (&answer.body, &answer.body_base64) {
        (Some(body), _) => {
            let _ = write!(line, "<br>{}", cell(body));
        }
        (None, Some(_)) => line.push_str("<br>bytes, see the file"),
        (None, None) => line.push_str(", empty"),
    }
    line
}

fn cell(text: &str) -> String {
    const CHARS_MAX: usize = 160;
    let line: String = text.chars().map(|c| if c.is_control() { '␤' } else { c }).take(CHARS_MAX).collect();
    let more = if text.chars().count() > CHARS_MAX { " ..." } else { "" };
    format!("`{}{more}`", line.replace('|', "\\|"))
}

const HEAD: &str = "# What an answer means

<!-- Written from examples/responses by: UPDATE_DOCS=1 cargo test -p steadfast answer_table -->

Every answer is one of three things: **success** (the recipient took the lead), **failure** (its business said no: final, never
retried) or **error** (it could not be processed or communicated: retried by its kind). `response` and `rules` on a recipient or
a step say which; [config.md](config.md) lists their keys. Try them on any stored answer:

```
echo '{\"status\":200,\"headers\":{\"Content-Type\":\"application/json\"},\"body\":\"{}\"}' | steadfast classify --rules rules.toml
```

It prints the outcome and what decided, and exits with 0 for a success, 1 for anything else, 2 for wrong usage. What was never
answered is `{\"error\":\"timeout_read\",\"phase\":\"sent\"}`; bytes that are no Unicode stand as `body_base64`.

## The order

1. **A fault on the way** (no connection, no answer in time) is an error of its kind.
2. **Rules**: the first that matches decides. Only a rule with `match.kind` decides a fault, and what was never answered can only
   be an error.
3. **The status**: 2xx, and 400, 409 and 422 with a JSON or XML body, are decided by their body when a term is configured. Every
   other status is an error: 3xx `redirect`; 401, 403, 407 `auth`; 408, 425 `request_timeout`; 429 `rate_limited`; other 4xx
   `client_error`; 5xx `server_error`.
4. **The body**: `duplicate_search_term`, then `failure_search_term`, then `outcome_search_term`, at `outcome_search_path` or
   anywhere. None found: unrecognized where there is a `failure_search_term`, else the opposite of `outcome_on_match`. A path that
   selects nothing, and a body that is not what the path needs, are unrecognized: the page of an outage is no rejection.

A failure whose text says that a quota or cap is used up is of kind `capped`. Found with `outcome_on_match = \"error\"`, a term
means an error of kind `server_error`. A `duplicate_search_term` alone leaves all other answers to the status.

## Paths

- **JSON**: names joined by dots, `[0]` or `.0` for a place in a list, `*` for every member, `[\"any name\"]` for names with dots. A
  list stands for its members, an object for its text, `null` for an empty text. Raw control characters are tolerated.
- **XML**: XPath 1.0 without variables and arithmetic: `/`, `//`, `..`, `*`, `@name`, `text()`, `node()`, `|`, axes, predicates with
  positions, comparisons, `and`, `or`, `not()`, `name()`, `local-name()`, `contains()`, `starts-with()`, `normalize-space()`,
  `substring-before()`, `substring-after()`, `translate()`, `concat()`, `count()`, `position()`, `last()`. Names are compared as the
  document writes them. Documents with a DTD are not read; a document whose root is `html` is a page, not an answer.
- **HTML**: a CSS selector; the text of the elements counts. A single word such as `title` may be the name of a JSON field as well:
  with it, a page is believed when it says yes, and otherwise unrecognized, until `content_type = \"text/html\"` settles it.
- **Text**: paths are ignored, and the whole is searched. `reason_path`, `price_path` and `reference_path` are patterns there; the
  first group is what is kept.

How a body is read follows `content_type`, else the answer's `Content-Type`, else how it begins; JSON that calls itself HTML is
read as JSON.

## Terms

Plain text, or `/regex/flags` (in TOML best within single quotes, where a backslash stands for itself: `'/code \\d+/'`); anywhere, and without regard to case (`(?-i)` within a pattern turns that off). `accepted` is also
found in `not accepted`: `/^accepted$/` is not. Patterns run in linear time, so there is no look-around and no back-reference.

## Look-ups

With `in_doubt = \"verify\"` the recipient is asked whether it has a lead. What it says is read by `verify.response` and
`verify.rules` alone, in the same words: **success** is found (delivered), **failure** is not found (sent again), **error** is no
answer (asked again). A duplicate is found; a cap is no answer; 404 and 410 are not found unless a rule says otherwise. A rule's
`delay` says when to ask again at the earliest; `retryable = false` leaves it to a person. Try them with
`steadfast classify --config FILE --flow F --step S --look-up`, or `POST /v1/classify` with `look_up` in its `step`.

## What last week would have become

`POST /v1/classify` with `range` reads every stored attempt of a time once more, by a step or by a table and rules that are only
tried, and answers with counts by old and new outcome and with examples of what changes. 100,000 attempts with bodies of 0.7 KB,
four paths and two terms, took 1.8 s through HTTP on two shared cores.

```
{\"range\":{\"since\":\"2026-11-20T00:00:00Z\",\"until\":\"2026-11-27T00:00:00Z\"},\"response\":{},\"rules\":[]}
```

## Bounds

JSON and XML up to 200,000 values, lists and objects 128 deep, elements 256 deep, names of 1,000 bytes, 64 namespaces in one
place; pages up to 128 KiB, 10,000 tags and 40,000 nodes, 2,000 for selectors with `:has()`. All paths into one body share a budget
of work. A pattern with more than 8 places that take several letters each (`.{300}` has 300) is searched for in texts up to
8,000,000 / places bytes, all such patterns of a step together: 26 KB for 300, 160 KB for 50. Whatever is
beyond is not read, and so unrecognized where a path asks for it.
";
