//! What the reader says about response tables and rules, good and bad.

use super::tests::{read_text, refused, same_as_file};

const ENDPOINT: &str = "
[recipients.bank]
request.url = \"https://bank.example/leads\"
[[flows.auto.steps]]
id = \"sell\"
recipient = \"bank\"
";

#[test]
fn every_mistake_about_answers_is_found_at_once_and_named() {
    let problems = read_text(include_str!("testdata/bad-response.toml")).unwrap_err();
    assert!(problems.count() >= 25, "{}", problems.count());
    same_as_file("server/src/config/testdata/bad-response.txt", &problems.plain(), "UPDATE_EXPECTED");
}

#[test]
fn a_steps_table_lies_over_its_recipients_and_its_rules_come_first() {
    let text = format!(
        "{ENDPOINT}[flows.auto.steps.response]\noutcome_search_term = \"/^sold$/\"\n\
         [[flows.auto.steps.rules]]\nname = \"own\"\nmatch = {{ status = 403 }}\nkind = \"rate_limited\"\ndelay = \"10m\"\n\
         [recipients.bank.response]\noutcome_search_path = \"result\"\noutcome_search_term = \"accepted\"\nfallback_price = 12.5\n\
         [[recipients.bank.rules]]\nname = \"theirs\"\nmatch = {{ status = [403, \"5xx\"] }}\noutcome = \"error\"\nretryable = false\n"
    );
    let loaded = read_text(&text).map_err(|problems| problems.plain()).unwrap();
    let reading = &loaded.book.flows["auto"].steps[0].reading;
    let read = |status: u16, body: &str| {
        let headers = vec![("content-type".into(), "application/json".into())];
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        reading.read(&steadfast_retry::Evidence::of_answer(steadfast_retry::Answer {
            status,
            headers,
            body,
            body_bytes: 0,
        }))
    };
    let sold = read(200, "{\"result\":\"sold\"}");
    assert_eq!((sold.outcome.name(), sold.price.as_deref()), ("success", Some("12.5")));
    assert_eq!(read(200, "{\"result\":\"accepted\"}").outcome.name(), "failure");
    assert_eq!(&*read(403, "").decided_by, "own");
    let theirs = read(500, "");
    assert_eq!((&*theirs.decided_by, theirs.retryable), ("theirs", Some(false)));
}

#[test]
fn tables_that_are_hardly_meant_are_warned_of() {
    let warned = |table: &str| {
        let text = format!("{ENDPOINT}[flows.auto.steps.response]\n{table}\n");
        read_text(&text).map_err(|problems| problems.plain()).unwrap().warnings.plain()
    };
    let said = warned("outcome_search_path = \"r\"\noutcome_search_term = \"accepted\"");
    let expected = "test.toml:9:23: flows.auto.steps[0].response.outcome_search_term: \"accepted\" is also found in \"not accepted\"";
    assert!(said.starts_with(expected) && said.lines().count() == 1, "{said}");
    assert!(warned("outcome_search_term = \"/^sold$/\"").contains("the page of an outage too"));
    assert!(warned("outcome_search_term = \"sold\"\noutcome_search_path = \"r\"").contains("\"unsold\""));
    assert!(warned("on_unrecognized = \"success\"").contains("every 2xx answer counts as sold (1 step(s))"));
    for quiet in [
        "outcome_search_path = \"r\"\noutcome_search_term = \"/^accepted$/\"",
        "outcome_search_term = \"accepted\"\nfailure_search_term = \"/not accepted|rejected/\"",
        "outcome_search_path = \"r\"\noutcome_search_term = \"rejected\"\noutcome_on_match = \"failure\"",
    ] {
        assert_eq!(warned(quiet), "", "{quiet}");
    }
}

#[test]
fn what_a_recipient_has_wrong_is_told_there_once() {
    let said = refused(&format!("{ENDPOINT}[recipients.bank.response]\noutcome_search_term = \"/(/\"\n"));
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.starts_with("test.toml:8:23: recipients.bank.response.outcome_search_term = \"/(/\": is not a pattern"),
        "{said}"
    );
    // A path whose term comes from the step is no mistake.
    let path = format!(
        "{ENDPOINT}response.outcome_search_term = \"/^ok$/\"\n[recipients.bank.response]\noutcome_search_path = \"r\"\n"
    );
    assert!(read_text(&path).is_ok());
}
