//! Everything wrong with a scenario is said at once, with its place and what is allowed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

use steadfast_sim::ScenarioFile;

const TRAFFIC: &str = "traffic.leads = 1";
const RECIPIENT: &str = "recipient.answer = '200'";

fn faults(parts: &[&str]) -> Vec<String> {
    let text = format!("name = 'bad'\n{}", parts.join("\n"));
    let file: ScenarioFile = toml::from_str(&text).unwrap_or_else(|problem| panic!("{text}\n{problem}"));
    match file.compile() {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

/// Parts of a file, how what is said of them begins, and what it says is allowed.
type Case = (&'static [&'static str], &'static str, &'static str);

fn each_is_said(cases: &[Case]) {
    for (parts, place, allowed) in cases {
        let said = faults(parts);
        let found = said.iter().any(|line| line.starts_with(place) && line.contains(allowed));
        assert!(found && said.len() == 1, "{parts:?}: {said:?} instead of {place} ... {allowed}");
    }
}

#[test]
fn each_problem_names_its_place_and_what_is_allowed() {
    let cases: &[Case] = &[
        (&[TRAFFIC, RECIPIENT, "retry.max_retries = 11"], "retry: max_retries = 11", "1 to 10"),
        (&[TRAFFIC, RECIPIENT, "retry.initial_delay = '61s'"], "retry: initial_delay = 61s", "1s to 1m"),
        (&[TRAFFIC, RECIPIENT, "retry.multiplier = 3.1"], "retry: multiplier = 3.1", "1.5 to 3.0"),
        (&[TRAFFIC, RECIPIENT, "retry.multiplier = -1.0"], "retry.multiplier: -1", "1.5 to 3.0"),
        (&[TRAFFIC, RECIPIENT, "retry.max_interval = '301s'"], "retry: max_interval = 301s", "1s to 5m"),
        (&[TRAFFIC, RECIPIENT, "retry.total_timeout = '2h'"], "retry: total_timeout = 2h", "1s to 1h"),
        (&[TRAFFIC, RECIPIENT, "retry.initial_delay = '2'"], "retry.initial_delay: \"2\"", "500ms"),
        (&[TRAFFIC, RECIPIENT, "retry.backoff = 'linear'"], "retry.backoff: \"linear\"", "exponential, fixed"),
        (&[TRAFFIC, RECIPIENT, "retry.jitter = 'some'"], "retry.jitter: \"some\"", "decorrelated"),
        (&[TRAFFIC, RECIPIENT, "retry.jitter = 1.5"], "retry.jitter: 1.5", "0.0 to 1.0"),
        (&[TRAFFIC, RECIPIENT, "retry.retry_on = ['5xx', 'tmeout']"], "retry.retry_on[1]: \"tmeout\"", "timeout"),
        (&[TRAFFIC, RECIPIENT, "retry.never_retry_on = [600]"], "retry.never_retry_on[0]: \"600\"", "codes (503)"),
        (&[TRAFFIC, RECIPIENT, "retry.policy = 'patient'"], "retry: there is no policy named \"patient\"", "standard"),
        (&[TRAFFIC, RECIPIENT, "retry.extends = 'standard'"], "retry.extends", "[policies.X]"),
        (&[TRAFFIC, RECIPIENT, "policies.a.policy = 'standard'"], "policies.a", "extends"),
        (&[TRAFFIC, RECIPIENT, "policies.a.extends = 'a'", "retry.policy = 'a'"], "retry: policy \"a\"", "a -> a"),
        (
            &[TRAFFIC, RECIPIENT, "compare = [{ name = 'x', retry = { max_retries = 0 } }]"],
            "compare[0].retry",
            "1 to 10",
        ),
        (&[TRAFFIC, RECIPIENT, "levels.step = { max_retries = 99 }"], "retry: max_retries = 99", "set by step send"),
        (&[TRAFFIC, RECIPIENT, "levels.limits = { max_lead_age = 'x' }"], "levels.limits.max_lead_age", "500ms"),
        (&[TRAFFIC, RECIPIENT, "start = 'yesterday'"], "start: \"yesterday\"", "RFC 3339"),
        (
            &[TRAFFIC, RECIPIENT, "settings.in_doubt = 'maybe'"],
            "settings.in_doubt: \"maybe\"",
            "retry, verify, hold, assume_delivered",
        ),
        (
            &[TRAFFIC, RECIPIENT, "settings = { in_doubt = 'hold', in_doubt_delay = '1s' }"],
            "settings.in_doubt_delay",
            "retry",
        ),
        (&[TRAFFIC, RECIPIENT, "settings.until = 'soon'"], "settings.until: \"soon\"", "500ms"),
        (&["traffic.leads = 0", RECIPIENT], "traffic: 0 leads", "1 to 1000000"),
        (&["traffic.leads = 1000001", RECIPIENT], "traffic: 1000001 leads", "1 to 1000000"),
        (&["traffic = { rate = '1000/s', for = '1h' }", RECIPIENT], "traffic: 3600000 leads", "1 to 1000000"),
        (&["traffic = { rate = '10', for = '1h' }", RECIPIENT], "traffic.rate: \"10\"", "/s, /m or /h"),
        (&["traffic = { rate = '10/s', for = '1 h' }", RECIPIENT], "traffic.for: \"1 h\"", "500ms"),
        (&["traffic = { leads = 1, for = '1h' }", RECIPIENT], "traffic", "either leads, or rate together with for"),
        (&[TRAFFIC, "recipient.answers = []"], "recipient.answers: 0 answers", "1 to 10000"),
        (&[TRAFFIC, "recipient.answers = ['200', '5o3']"], "recipient.answers[1]: \"5o3\"", "a status (100 to 599)"),
        (&[TRAFFIC, "recipient = { answers = ['200'], answer = '200' }"], "recipient", "answers stand alone"),
        (&[TRAFFIC, "recipient = { answer = '200', mix = { '200' = 1.0 } }"], "recipient", "either answer or mix"),
        (&[TRAFFIC, "recipient.mix = { '200' = 0.5, '503' = 0.4 }"], "recipient.mix", "add up to 1"),
        (&[TRAFFIC, "recipient.mix = { '200' = 1.5, '503' = -0.5 }"], "recipient.mix", "above 0"),
        (&[TRAFFIC, "recipient.mix = { '200' = 0.5, '5x3' = 0.5 }"], "recipient \"5x3\"", "a status"),
        (
            &[TRAFFIC, "recipient.phases = [{ from = '2s', to = '1s', answer = '503' }]"],
            "recipient.phases[0]",
            "overlap",
        ),
        (
            &[TRAFFIC, "recipient.phases = [{ from = '0s', to = '1', answer = '503' }]"],
            "recipient.phases[0].to",
            "500ms",
        ),
        (&[TRAFFIC, "recipient.phases = [{ from = '0s', to = '1s' }]"], "recipient.phases[0]", "either answer or mix"),
        (&[TRAFFIC, RECIPIENT, "recipient.latency = '50'"], "recipient.latency: \"50\"", "500ms"),
    ];
    each_is_said(cases);
    assert_eq!(faults(&[TRAFFIC, RECIPIENT]), Vec::<String>::new());
}

#[test]
fn each_problem_with_legs_and_endpoints_names_its_place_and_what_is_allowed() {
    let cases: &[Case] = &[
        (
            &[TRAFFIC, RECIPIENT, "fallbacks = [{ on_exhausted = 'next' }]"],
            "fallbacks[0].on_exhausted: \"next\"",
            "close",
        ),
        (&[TRAFFIC, RECIPIENT, "step.on_exhausted = 'next_buyer'"], "step.on_exhausted", "next_leg, close"),
        (&[TRAFFIC, RECIPIENT, "fallbacks = [{ recipient = 'a b' }]"], "fallbacks[0].recipient: \"a b\"", "1 to 64"),
        (&[TRAFFIC, RECIPIENT, "fallbacks = [{ answer = '2xx' }]"], "fallbacks[0] \"2xx\"", "a status"),
        (&[TRAFFIC, RECIPIENT, "fallbacks = [{ closed = 'next' }]"], "fallbacks[0]", "a recipient of its own"),
        (&[TRAFFIC, RECIPIENT, "fallbacks = [{ retry = { max_retries = 11 } }]"], "fallbacks[0].retry", "1 to 10"),
        (
            &[TRAFFIC, RECIPIENT, "guard = {}", "fallbacks = [{}]"],
            "fallbacks: legs, endpoints, retry_hours and closed",
            "guard, capacity and [[recipients]]",
        ),
        (
            &[TRAFFIC, "recipient = { look_ups = ['200'] }", "settings.in_doubt = 'verify'", "fallbacks = [{}]"],
            "settings.in_doubt: verify",
            "the others",
        ),
        (&[TRAFFIC, "recipient.closed = 'later'"], "recipient.closed: \"later\"", "hold, next, skip, reject"),
        (&[TRAFFIC, RECIPIENT, "step.balance = 'weighted'"], "step.balance", "endpoints are missing"),
        (
            &[TRAFFIC, RECIPIENT, "step = { balance = 'all', endpoints = [{ name = 'a' }] }"],
            "step.balance.by: \"all\"",
            "best",
        ),
        (
            &[TRAFFIC, RECIPIENT, "step = { balance = 'best', endpoints = [{ name = 'a' }] }"],
            "step.balance.criteria",
            "health, speed, cost",
        ),
        (
            &[TRAFFIC, RECIPIENT, "step = { endpoints = [{ name = 'a' }, { name = 'a' }] }"],
            "step.endpoints[1].name",
            "twice",
        ),
        (
            &[TRAFFIC, RECIPIENT, "step = { endpoints = [{ name = 'a', weight = 0 }] }"],
            "step.endpoints[0].weight: 0",
            "1 to 1000",
        ),
        (
            &[TRAFFIC, RECIPIENT, "step.retry_hours = { hours = '20-6', time_zone = 'UTC' }"],
            "step.retry_hours.hours",
            "20-6",
        ),
        (
            &[TRAFFIC, RECIPIENT, "step.retry_hours = { hours = '24/7', time_zone = 'Mars' }"],
            "step.retry_hours.time_zone: \"Mars\"",
            "zone",
        ),
    ];
    each_is_said(cases);
}

#[test]
fn every_problem_is_said_at_once() {
    let said = faults(&[
        "traffic.rate = '0/s'\ntraffic.for = '1h'",
        "retry = { max_retries = 11, total_timeout = '2h', backoff = 'x' }",
        "recipient.answers = ['x', '200', 'reset@moon']",
        "start = 'never'",
    ]);
    assert_eq!(said.len(), 7, "{said:#?}");
}

#[test]
fn a_misspelt_key_is_refused_with_the_known_ones() {
    let text = "name = 'bad'\ntraffic.leads = 1\nrecipient.answer = '200'\nretry.max_retrys = 3";
    let problem = toml::from_str::<ScenarioFile>(text).unwrap_err().to_string();
    assert!(problem.contains("max_retrys") && problem.contains("max_retries"), "{problem}");
}

#[test]
fn hostile_sizes_are_refused_before_anything_runs() {
    let many = |count: usize, one: &str| vec![one; count].join(", ");
    let compare = format!("compare = [{}]", many(8, "{ name = 'x' }"));
    assert!(faults(&[TRAFFIC, RECIPIENT, &compare])[0].contains("at most 7"));
    let answers = format!("recipient.answers = [{}]", many(10_001, "'200'"));
    assert!(faults(&[TRAFFIC, &answers])[0].contains("1 to 10000"));
    let conditions = format!("retry.retry_on = [{}]", many(201, "503"));
    assert!(faults(&[TRAFFIC, RECIPIENT, &conditions])[0].contains("at most 200"));
    let phases: Vec<String> =
        (0..1_001).map(|at| format!("{{ from = '{at}s', to = '{}s', answer = '503' }}", at + 1)).collect();
    let phases = format!("recipient.phases = [{}]", phases.join(", "));
    assert!(faults(&[TRAFFIC, &phases])[0].contains("at most 1000"));
    let legs = format!("fallbacks = [{}]", many(9, "{}"));
    assert!(faults(&[TRAFFIC, RECIPIENT, &legs])[0].contains("at most 8"));
    let endpoints: Vec<String> = (0..17).map(|number| format!("{{ name = 'e{number}' }}")).collect();
    let endpoints = format!("step.endpoints = [{}]", endpoints.join(", "));
    assert!(faults(&[TRAFFIC, RECIPIENT, &endpoints])[0].contains("at most 16"));
    let name = format!("retry.policy = '{}'", "x".repeat(1_000_000));
    assert!(faults(&[TRAFFIC, RECIPIENT, &name])[0].len() < 300);
}
