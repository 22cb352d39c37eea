//! What the reader says about protecting recipients.

use super::tests::{read_text, refused};
use std::time::Duration;
use steadfast_flow::OnOpen;
use steadfast_retry::breaker::BreakerMode;
use steadfast_retry::pace::ConcurrencyLimit;

/// A recipient of those keys with one step, whose request may take 30 s.
fn with(keys: &str) -> String {
    format!(
        "[recipients.bank]\n{keys}\nrequest.url = \"https://bank.example/\"\n[[flows.auto.steps]]\nid = \"sell\"\nrecipient = \"bank\"\n"
    )
}

fn plan(keys: &str) -> steadfast_flow::RecipientPlan {
    let loaded = read_text(&with(keys)).map_err(|problems| problems.plain()).unwrap();
    loaded.book.recipients["bank"].clone()
}

#[test]
fn what_is_written_is_in_force_and_the_rest_has_the_defaults_of_the_page() {
    let usual = plan("");
    assert_eq!(usual.guard, steadfast_retry::GuardSettings::default());
    assert_eq!((usual.pace.rate, usual.pace.concurrency), (None, ConcurrencyLimit::Adaptive { most: 50 }));
    assert_eq!((usual.on_open, usual.longest_hold), (OnOpen::Hold, None));

    let written = plan(
        "concurrency = 8\nrate_limit = \"50/s\"\nretry_budget = false\nbreaker = { mode = \"observe\", slow_call = \"5s\", \
         probe_lease = \"45s\", open_for = \"2s\", longest_open = \"2m\", ramp = \"30s\" }",
    );
    assert_eq!(written.pace.concurrency, ConcurrencyLimit::Fixed(8));
    assert_eq!(written.pace.rate.unwrap().to_string(), "50/s");
    let breaker = written.guard.breaker;
    assert_eq!((breaker.mode, written.guard.budget), (BreakerMode::Observe, false));
    assert_eq!((breaker.slow_call, breaker.probe_lease), (Some(Duration::from_secs(5)), Duration::from_secs(45)));
    let times = (breaker.open_for, breaker.longest_open, breaker.ramp);
    assert_eq!(times, (Duration::from_secs(2), Duration::from_secs(120), Duration::from_secs(30)));
    let times =
        |keys: &str| (plan(keys).guard.breaker.open_for.as_secs(), plan(keys).guard.breaker.longest_open.as_secs());
    assert_eq!(times("breaker.longest_open = \"10s\""), (10, 10), "never open for longer than the longest");
    assert_eq!(times("breaker.open_for = \"30m\""), (1_800, 1_800));
    assert_eq!(plan("breaker.on_open = \"review\"").on_open, OnOpen::Review);
    assert_eq!(plan("breaker.longest_hold = \"2h\"").longest_hold, Some(Duration::from_secs(7_200)));
}

#[test]
fn limits_bind_what_is_written_and_what_is_not() {
    let limited = plan("limits = { max_rate = \"10/s\", max_concurrency = 20 }");
    assert_eq!(limited.pace.rate.unwrap().to_string(), "10/s");
    assert_eq!(limited.pace.concurrency, ConcurrencyLimit::Adaptive { most: 20 });
    let within =
        plan("concurrency = 5\nrate_limit = \"600/min\"\nlimits = { max_rate = \"10/s\", max_concurrency = 5 }");
    assert_eq!(within.pace.rate.unwrap().to_string(), "600/min", "the same rate, written otherwise");
}

#[test]
fn a_probe_may_take_as_long_as_the_longest_attempt() {
    assert_eq!(plan("request.timeout = \"2m\"").guard.breaker.probe_lease, Duration::from_secs(125));
    // A token asked for, a request refused, and both once more.
    let token = "auth = { type = \"oauth2\", token_url = \"https://bank.example/token\", client_id = \"a\", client_secret = \"b\" }";
    assert_eq!(plan(token).guard.breaker.probe_lease, Duration::from_secs(85));
    let said = refused(&with("breaker.probe_lease = \"30s\""));
    assert_eq!(
        said,
        "test.toml:2:23: recipients.bank.breaker.probe_lease = \"30s\": is not longer than an attempt of auto/sell may take: \
         30s (allowed: more than 30s)\n"
    );
}

fn refused_in_one_line((keys, expected, allowed): (&str, &str, &str)) {
    let said = refused(&with(keys));
    assert!(said.contains(expected) && said.contains(allowed), "{said}\n{expected} {allowed}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn absurd_values_are_refused_by_name_line_and_what_is_allowed() {
    let rate = "(allowed: 1 to 100000 and /s, /min or /h, such as 50/s or 300/min)";
    let cases = [
        ("rate_limit = \"0/s\"", "2:14: recipients.bank.rate_limit = \"0/s\": is not a rate", rate),
        ("rate_limit = \"-1/s\"", "2:14: recipients.bank.rate_limit = \"-1/s\": is not a rate", rate),
        ("rate_limit = 50", "2:14: recipients.bank.rate_limit = 50: is a whole number, not a text", rate),
        ("concurrency = 0", "2:15: recipients.bank.concurrency = 0: is out of range", "(allowed: 1 to 10000)"),
        ("concurrency = -8", "2:15: recipients.bank.concurrency = -8: is out of range", "(allowed: 1 to 10000)"),
        ("concurrency = 10001", "2:15: recipients.bank.concurrency = 10001: is out of range", "(allowed: 1 to 10000)"),
        (
            "concurrency = { adaptive = 0 }",
            "2:28: recipients.bank.concurrency.adaptive = 0: is out of range",
            "(allowed: 1 to 10000)",
        ),
        ("concurrency = {}", "recipients.bank.concurrency.adaptive: is missing", "(allowed: 1 to 10000)"),
        (
            "limits.max_concurrency = 0",
            "2:26: recipients.bank.limits.max_concurrency = 0: is out of range",
            "(allowed: 1 to 10000)",
        ),
        (
            "breaker.mode = \"obsrve\"",
            "2:16: recipients.bank.breaker.mode = \"obsrve\": is not a word known here; did you mean \"observe\"?",
            "(allowed: on, observe, off)",
        ),
        (
            "breaker.slow_call = \"301s\"",
            "2:21: recipients.bank.breaker.slow_call = \"301s\": is out of range",
            "(allowed: 10ms to 5m)",
        ),
        (
            "breaker.probe_lease = \"61m\"",
            "2:23: recipients.bank.breaker.probe_lease = \"61m\": is out of range",
            "(allowed: 1s to 1h)",
        ),
        (
            "breaker.longest_hold = \"0s\"",
            "2:24: recipients.bank.breaker.longest_hold = \"0s\": is out of range",
            "(allowed: 1s to 90d)",
        ),
        ("retry_budget = 100", "2:16: recipients.bank.retry_budget = 100: is a whole number, not true or false", ""),
        (
            "breaker.open_for = \"99ms\"",
            "2:20: recipients.bank.breaker.open_for = \"99ms\": is out of range",
            "(allowed: 100ms to 1h)",
        ),
        (
            "breaker.longest_open = \"25h\"",
            "2:24: recipients.bank.breaker.longest_open = \"25h\": is out of range",
            "(allowed: 100ms to 1d)",
        ),
        (
            "breaker.ramp = \"0s\"",
            "2:16: recipients.bank.breaker.ramp = \"0s\": is out of range",
            "(allowed: 500ms to 1h)",
        ),
        (
            "breaker.opens_after = 5",
            "recipients.bank.breaker.opens_after: is not a key of [recipients.NAME.breaker]",
            "",
        ),
    ];
    cases.into_iter().for_each(refused_in_one_line);
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let cases = [
        (
            "concurrency = 9\nlimits.max_concurrency = 8",
            "2:15: recipients.bank.concurrency = 9: is above limits.max_concurrency",
            "(allowed: at most 8)",
        ),
        (
            "concurrency.adaptive = 9\nlimits.max_concurrency = 8",
            "2:24: recipients.bank.concurrency.adaptive = 9: is above limits.max_concurrency",
            "(allowed: at most 8)",
        ),
        (
            "rate_limit = \"50/s\"\nlimits.max_rate = \"300/min\"",
            "2:14: recipients.bank.rate_limit = \"50/s\": is above limits.max_rate",
            "(allowed: at most 300/min)",
        ),
        (
            "breaker = { open_for = \"3m\", longest_open = \"2m\" }",
            "2:24: recipients.bank.breaker.open_for = \"3m\": is above longest_open",
            "(allowed: at most 2m)",
        ),
        (
            "breaker = { on_open = \"review\", longest_hold = \"2h\" }",
            "2:48: recipients.bank.breaker.longest_hold = \"2h\": is how long a delivery is held at most, and on_open = \
             \"review\" holds none",
            "(allowed: only with on_open = \"hold\" or \"next_leg\")",
        ),
        (
            "breaker.on_open = \"next_leg\"",
            "2:19: recipients.bank.breaker.on_open = \"next_leg\": has no leg to go on to",
            "(allowed: hold or review, or a fallback after a step that sends to it)",
        ),
    ];
    cases.into_iter().for_each(refused_in_one_line);
}

#[test]
fn what_is_only_odd_is_warned_of() {
    let cases = [
        (
            "breaker = { mode = \"off\", slow_call = \"5s\" }",
            "breaker.slow_call: slow_call is not used with mode = \"off\"",
        ),
        (
            "breaker = { mode = \"observe\", on_open = \"review\" }",
            "breaker.on_open: on_open is not used with mode = \"observe\"",
        ),
        (
            "breaker.slow_call = \"30s\"",
            "breaker.slow_call: no answer takes 30s: the longest timeout of its steps is 30s",
        ),
        (
            "breaker.longest_hold = \"2d\"",
            "breaker.longest_hold: never reached: its leads are too old after 1d, before 2d of being held",
        ),
        ("concurrency = 600", "recipients.bank.concurrency: never reached: server.concurrency is 512"),
    ];
    let quiet = read_text(&with("breaker = { slow_call = \"5s\", longest_hold = \"2h\" }")).unwrap().warnings.count();
    for (keys, expected) in cases {
        let warnings = read_text(&with(keys)).map_err(|problems| problems.plain()).unwrap().warnings;
        assert!(warnings.plain().contains(expected), "{}\n{expected}", warnings.plain());
        assert_eq!(warnings.count(), quiet + 1, "{}", warnings.plain());
    }
}
