//! Protected runs: what recipients see, what becomes of the leads, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

use std::time::Duration;
use steadfast_retry::HoldReason;
use steadfast_retry::breaker::BreakerState;
use steadfast_sim::{PolicyReport, RecipientReport, Report, ReportFile, ScenarioFile, chart_svg, run};

fn report(text: &str) -> Report {
    run(&toml::from_str::<ScenarioFile>(text).unwrap().compile().unwrap_or_else(|faults| panic!("{faults:?}"))).unwrap()
}

fn faults(text: &str) -> Vec<String> {
    let file: ScenarioFile = toml::from_str(text).unwrap();
    file.compile().map_or_else(|faults| faults.iter().map(ToString::to_string).collect(), |_| Vec::new())
}

fn only(report: &PolicyReport) -> &RecipientReport {
    &report.protection.as_ref().unwrap().recipients[0]
}

fn held_most(report: &PolicyReport) -> u32 {
    report.protection.as_ref().unwrap().held.iter().max().copied().unwrap()
}

/// Attempts started from `from` to `to`, in seconds.
fn attempts(report: &RecipientReport, from: usize, to: usize) -> u32 {
    report.attempts[from..to].iter().sum()
}

#[test]
fn a_ten_minute_outage_costs_probes_and_nobody_a_retry_for_having_waited() {
    let report = report(
        "name = 'outage'\nseed = 7\ntraffic = { rate = '4/s', for = '13m' }\nguard = {}\nrecipient.answer = '200'\n\
         recipient.phases = [{ from = '2m', to = '12m', answer = '503' }]\nsettings.until = '1015s'",
    );
    let mut one = report.policies[0].clone();
    assert_eq!(one.series.width, Duration::from_secs(1));
    let recipient = only(&one);
    let opened = &recipient.told[0];
    assert_eq!(opened.to, BreakerState::Open);
    // Four a second, fifty milliseconds each: five answers in a row, and one that was sent meanwhile at most.
    assert!(attempts(recipient, 120, 720) <= 5 + 1 + 5, "opened within five failures, then only probes");
    let probes = recipient.told.iter().filter(|told| told.to == BreakerState::HalfOpen && told.at.as_secs() < 720);
    let open: u32 = attempts(recipient, opened.at.as_secs() as usize + 1, 720);
    assert_eq!(u64::from(open), probes.count() as u64, "one attempt for each half-open");
    // The rest of it, to the end.
    let whole = self::report(
        "name = 'outage'\nseed = 7\ntraffic = { rate = '4/s', for = '13m' }\nguard = {}\nrecipient.answer = '200'\n\
         recipient.phases = [{ from = '2m', to = '12m', answer = '503' }]\n",
    );
    one = whole.policies[0].clone();
    assert_eq!((one.leads, one.delivered, one.in_review_count(), one.still_waiting), (3_120, 3_120, 0, 0));
    let failed: u64 = one.attempts - one.delivered;
    let retries: u64 = one.retries_by_number.iter().sum();
    assert!(retries <= failed && failed <= 11, "a retry was used for what failed, and for nothing else");
    let width = one.series.width.as_secs() as usize;
    let recovered =
        only(&one).told.iter().find(|told| told.to == BreakerState::Recovery).unwrap().at.as_secs() as usize;
    let rates: Vec<u32> = only(&one).attempts[recovered / width + 1..].to_vec();
    let before = only(&one).attempts[..120 / width].iter().max().unwrap();
    assert!(rates.iter().all(|rate| rate <= before), "{rates:?} never above {before}");
    let tens: Vec<u32> = rates.chunks(10 / width).take(6).map(|ten| ten.iter().sum()).collect();
    assert!(tens.is_sorted() && tens[0] * 3 < tens[5], "a ramp: {tens:?}");
}

#[test]
fn a_steady_fifth_of_failures_builds_no_backlog() {
    let report = report(
        "name = 'steady'\nseed = 3\nretry.policy = 'aggressive'\ntraffic = { rate = '50/s', for = '10m' }\nguard = {}\n\
         recipient.mix = { '200' = 0.8, '503' = 0.2 }",
    );
    let one = &report.policies[0];
    assert!(one.delivered > 29_900, "{}", one.delivered);
    assert_eq!(only(one).told, [], "twenty of a hundred is no outage");
    assert!(held_most(one) <= 60, "{}: at most about a second's worth", held_most(one));
    assert_eq!(one.protection.as_ref().unwrap().waits.get(&HoldReason::Budget), None, "the budget holds nobody");
}

#[test]
fn a_429_regime_finds_its_pace_and_loses_nothing() {
    let text = |guard: &str| {
        format!(
            "name = 'limited'\nseed = 5\ntraffic = {{ rate = '20/s', for = '1m' }}\n{guard}\nretry.policy = 'outage'\n\
             recipient.answer = '200'\nrecipient.capacity = {{ rate = '10/s', beyond = '429 retry-after=1' }}"
        )
    };
    let limited = report(&text("guard.rate = '10/s'"));
    let learned = report(&text("guard = {}"));
    let unguarded = report(&text(""));
    for report in [&limited, &learned, &unguarded] {
        assert_eq!(report.policies[0].delivered, 1_200);
        assert_eq!(only(&report.policies[0]).told, [], "a 429 is a pause, not a failure");
    }
    let beyond = |report: &Report| only(&report.policies[0]).beyond_capacity;
    assert_eq!(beyond(&limited), 0, "a configured rate is never too fast");
    assert!(beyond(&learned) <= beyond(&unguarded), "{} {}", beyond(&learned), beyond(&unguarded));
    let retries = limited.policies[0].retries_by_number.clone();
    assert_eq!(retries, Vec::<u64>::new(), "what waits for the rate uses no retry");
}

#[test]
fn a_slow_recipient_does_not_slow_the_others() {
    let others: String = (1..=9).map(|n| format!("[[recipients]]\nname = 'good-{n}'\nanswer = '200'\n")).collect();
    let head = "name = 'many'\nseed = 5\ntraffic = { rate = '5/s', for = '3m' }\nguard.breaker = 'off'\nsettings.concurrency = 16\n";
    let hole =
        "[[recipients]]\nname = 'hole'\nanswer = 'timeout_read took=30s'\ntraffic = { rate = '5/s', for = '3m' }\n";
    let with = report(&format!("{head}settings.until = '200s'\n{others}{hole}"));
    let without = report(&format!("{head}settings.until = '200s'\n{others}"));
    let by_age = |report: &Report| report.policies[0].protection.as_ref().unwrap().delivered_by_age.parts().next();
    assert_eq!(by_age(&without), Some(("1s", 8_100)));
    assert_eq!(by_age(&with), by_age(&without), "all of the others' leads within a second");
}

#[test]
fn what_is_more_urgent_goes_first() {
    let report = report(
        "name = 'classes'\nseed = 5\ntraffic.leads = 200\nsettings.concurrency = 1\nguard = {}\n\
         [[recipients]]\nname = 'low'\npriority = 'low'\nanswer = '200'\n\
         [[recipients]]\nname = 'critical'\npriority = 'critical'\nanswer = '200'\n",
    );
    let recipients = &report.policies[0].protection.as_ref().unwrap().recipients;
    let [low, critical] = &recipients[..] else { panic!() };
    let last = |one: &RecipientReport| one.attempts.iter().rposition(|count| *count > 0).unwrap();
    let meanwhile = &low.attempts[..last(critical)];
    assert_eq!(meanwhile.iter().sum::<u32>(), 1, "the one that came first: {meanwhile:?}");
    assert_eq!(report.policies[0].delivered, 400);
}

#[test]
fn the_breaker_holds_what_no_guard_would_spend_and_the_report_shows_both() {
    let report = report(include_str!("../../../examples/scenarios/breaker-outage.toml"));
    let [guarded, plain, patient] = &report.policies[..] else { panic!() };
    assert_eq!((guarded.delivered, guarded.in_review_count()), (1_800, 0));
    assert!(plain.in_review_count() > 1_000 && patient.attempts > 4 * guarded.attempts);
    let text = report.text();
    for part in
        ["held at most", "breakers opened", "delivered at age 1h", "5 failures in a row; open for", "the ramp is over"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let svg = chart_svg(&report);
    assert!(svg.contains("Held: due and not let go") && svg.contains("3 open") && !svg.contains("NaN"));
    let json = serde_json::to_value(ReportFile::from(&report)).unwrap();
    let own = &json["policies"][0]["protection"];
    assert_eq!(own["recipients"][0]["transitions"][0]["to"], "open");
    assert_eq!(
        own["held"].as_array().unwrap().len(),
        json["policies"][0]["series"]["attempts"].as_array().unwrap().len()
    );
    assert_eq!(own["delivered_by_age"][0]["within"], "1s");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let text = include_str!("../../../examples/scenarios/breaker-outage.toml");
    assert_eq!(report(text), report(text));
}

#[test]
fn slower_beyond_its_capacity_is_a_brown_out() {
    let report = report(
        "name = 'brown'\nseed = 5\ntraffic = { rate = '100/s', for = '30s' }\nguard.concurrency = 40\n\
         recipient = { answer = '200', latency = '200ms', capacity = { concurrent = 10, beyond = 'slower' } }\n\
         compare = [{ name = 'found', guard = {} }]",
    );
    let [fixed, found] = &report.policies[..] else { panic!() };
    assert!(only(fixed).beyond_capacity > 0 && fixed.delivered == 3_000 && found.delivered == 3_000);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let head = "name = 'bad'\ntraffic.leads = 1\n";
    let cases = [
        ("recipient.answer = '200'\nguard.breaker = 'maybe'", "guard.breaker: \"maybe\"", "on, observe, off"),
        ("recipient.answer = '200'\nguard.rate = '-5/s'", "guard.rate: \"-5/s\"", "50/s"),
        ("recipient.answer = '200'\nguard.open_for = '1ms'", "guard.open_for: 1ms", "100ms to 1h"),
        ("recipient.answer = '200'\nguard.longest_open = '2d'", "guard.longest_open: 2d", "100ms to 1d"),
        ("recipient.answer = '200'\nguard.ramp = '0s'", "guard.ramp: 0s", "500ms to 1h"),
        (
            "recipient.answer = '200'\nguard = { open_for = '2m', longest_open = '1m' }",
            "guard.open_for: 2m is above longest_open",
            "at most 1m",
        ),
        ("recipient.answer = '200'\nguard.concurrency = 0", "guard.concurrency: 0", "1 to 10000"),
        (
            "recipient.answer = '200'\nguard = { concurrency = 1, concurrency_max = 2 }",
            "guard.concurrency_max",
            "either",
        ),
        ("recipient.answer = '200'\nguard = {}\nsettings.concurrency = 0", "settings.concurrency: 0", "1 to 100000"),
        ("recipient = { answer = '200', capacity = {} }", "recipient.capacity", "concurrent, rate"),
        (
            "recipient = { answer = '200', capacity = { rate = '1/s', beyond = 'no' } }",
            "recipient.capacity.beyond",
            "status",
        ),
        ("recipient = { answer = '200', name = 'x' }", "recipient: name", "[[recipients]]"),
        ("recipients = [{ answer = '200' }]", "recipients[0].name", "needed"),
        ("recipients = [{ name = 'a', answer = '2oo' }]", "recipients[0] \"2oo\"", "a status"),
        ("recipients = [{ name = 'a' }, { name = 'a' }]", "recipients[1].name", "same name"),
        ("recipients = [{ name = 'a', priority = 'urgent' }]", "recipients[0].priority", "critical, high"),
        ("recipients = [{ name = 'a', traffic = { leads = 0 } }]", "recipients[0].traffic", "1 to 1000000"),
        ("recipient.answer = '200'\nrecipients = [{ name = 'a' }]", "recipient: stands alone", "either"),
        (
            "compare = [{ name = 'x', guard = { slow_call = '1' } }]\nrecipient.answer = '200'",
            "compare[0].guard.slow_call",
            "500ms",
        ),
        (
            "recipient = { answer = '200', look_ups = ['200'] }\nguard = {}\nsettings.in_doubt = 'verify'",
            "settings.in_doubt: verify",
            "the others",
        ),
        ("", "recipient: missing", "[[recipients]]"),
    ];
    for (text, place, allowed) in cases {
        let said = faults(&format!("{head}{text}"));
        let found = said.iter().any(|line| line.starts_with(place) && line.contains(allowed));
        assert!(found && said.len() == 1, "{text}: {said:?} instead of {place} ... {allowed}");
    }
    let many: String = (0..201).map(|n| format!("[[recipients]]\nname = 'r{n}'\n")).collect();
    assert!(faults(&format!("{head}{many}"))[0].contains("at most 200"));
}
