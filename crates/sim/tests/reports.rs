//! What a run is turned into: figures that add up, JSON, a chart, and a timeline that any history gives.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

use steadfast_lead::Timestamp;
use steadfast_retry::{Change, Entry, ReviewCause, State};
use steadfast_sim::{Report, ReportFile, ScenarioFile, TimelineEntry, chart_svg, run, timeline};

fn report(text: &str) -> Report {
    run(&toml::from_str::<ScenarioFile>(text).unwrap().compile().unwrap()).unwrap()
}

const MIXED: &str = r#"
name = "mixed"
title = "Under <load> & doubt"
seed = 3
retry = { max_retries = 4, initial_delay = "1s" }
compare = [{ name = "none", retry = { enabled = false } }, { name = "outage", retry = { policy = "outage" } }]
traffic = { rate = "20/s", for = "1m" }
settings.until = "10m"

[recipient.mix]
"200" = 0.5
"503" = 0.1
"503 retry-after=5" = 0.05
"429 retry-after=2" = 0.05
"timeout_read took=30s" = 0.1
"200 as=rejected" = 0.1
"404" = 0.05
"reset@connect" = 0.05
"#;

#[test]
fn the_ledger_adds_up_for_every_policy() {
    let report = report(MIXED);
    assert_eq!(report.policies.len(), 3);
    for one in &report.policies {
        let ended = one.delivered + one.rejected + one.in_review_count() + one.still_waiting;
        assert_eq!((one.leads, ended), (1_200, 1_200), "{}", one.policy);
        assert_eq!(one.delivered_by_attempt.iter().sum::<u64>(), one.delivered);
        assert_eq!(one.series.attempts.iter().map(|count| u64::from(*count)).sum::<u64>(), one.attempts);
        let retries: u64 = one.retries_by_number.iter().sum();
        assert!(one.attempts >= one.leads + retries, "what is more was sent again after a pause, without a retry");
        assert!(one.retries_by_number.windows(2).all(|pair| pair[0] >= pair[1]), "{:?}", one.retries_by_number);
        let time = one.delivery_time.unwrap();
        assert!(time.p50 <= time.p95 && time.p95 <= time.p99 && time.p99 <= time.longest);
        assert!(one.rejected > 0 && one.delivered > 0);
    }
    let [own, none, outage] = &report.policies[..] else { panic!() };
    assert_eq!(none.retries_by_number, Vec::<u64>::new(), "none is allowed");
    assert!(none.delivered < own.delivered && own.delivered <= outage.delivered);
    assert!(own.possibly_twice > 0, "timeouts that were sent, then delivered");
}

#[test]
fn the_serialised_form_holds_the_same_figures() {
    let report = report(MIXED);
    let json = serde_json::to_value(ReportFile::from(&report)).unwrap();
    let own = &json["policies"][0];
    assert_eq!(json["title"], "Under <load> & doubt");
    assert_eq!(json["start"], "2026-01-01T00:00:00.000Z");
    assert_eq!(own["delivered"], report.policies[0].delivered);
    let final_errors = report.policies[0].in_review.get(&ReviewCause::FinalError).copied();
    assert_eq!(own["in_review"]["final_error"].as_u64(), final_errors);
    assert_eq!(own["series"]["bucket_ms"], 1_000);
    let p95 = report.policies[0].delivery_time.unwrap().p95.as_millis();
    assert_eq!(own["delivery_time_ms"]["p95"].as_u64().map(u128::from), Some(p95));
    assert!(own.get("timeline").is_none(), "too many leads to tell");
}

#[test]
fn the_chart_names_its_axes_and_every_policy_and_escapes_the_title() {
    let svg = chart_svg(&report(MIXED));
    for part in ["attempts/s", "deliveries", "time since the start (min)", ">as configured<", ">none<", ">outage<"] {
        assert!(svg.contains(part), "{part}");
    }
    assert!(svg.contains("Under &lt;load&gt; &amp; doubt") && !svg.contains("<load>"));
    assert_eq!(svg.matches("<path").count(), 9, "three lines in each of two panels, and three in the legend");
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
    assert!(svg.len() < 200_000, "{}", svg.len());
}

#[test]
fn an_empty_run_still_draws() {
    let text = "name = 'x'\ntraffic.leads = 1\nrecipient.answer = '200 took=0s'";
    let svg = chart_svg(&report(text));
    assert!(!svg.contains("NaN") && svg.contains("time since the start (s)"));
}

#[test]
fn a_timeline_does_not_depend_on_the_order_its_entries_come_in() {
    let start = Timestamp::from_millis(1_795_000_000_000);
    let change = |seconds: u64, because: &str| {
        let at = start.after(std::time::Duration::from_secs(seconds));
        let state = State::InReview { since: at, cause: ReviewCause::StepGone };
        Entry::Change(Change { at, verb: None, state, leg: None, because: because.into() })
    };
    let (one, two, three) = (change(1, "first"), change(2, "second"), change(2, "third"));
    let lines = [(1, &one), (2, &two), (1, &three)].map(|(lead, entry)| TimelineEntry { lead, entry });
    let [first, second, third] = lines;
    let expected = "     1.000  lead 1 in review (step_gone): first\n     2.000  lead 1 in review (step_gone): third\n     2.000  lead 2 in review (step_gone): second\n";
    for order in [[first, second, third], [third, second, first], [second, first, third]] {
        assert_eq!(timeline(start, &order), expected);
    }
}

#[test]
fn a_long_history_is_cut_and_says_so() {
    let text = "name = 'x'\nretry = { extended = true, max_retries = 1000, backoff = 'fixed', initial_delay = '1s', total_timeout = '30d' }\ntraffic.leads = 3\nrecipient.answers = ['503']";
    let report = report(text);
    let told = report.policies[0].timeline.as_ref().unwrap();
    assert!(told.ends_with("... and 1003 more\n"), "{}", &told[told.len() - 200..]);
}
