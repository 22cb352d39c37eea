//! Fallbacks as a config file has them: read, explained, and refused with line and column.

use super::tests::{read_text, refused};

const START: &str = "[recipients.bank]\n[recipients.mill]\n[[flows.auto.steps]]\nid = \"sell\"\nrecipient = \"bank\"\n\
                     request.url = \"https://api.bank.example/\"\n";

#[test]
fn a_chain_is_read_with_everything_a_leg_may_say() {
    let text = format!(
        "{START}on_unrecognized = \"close\"\n\
         [[flows.auto.steps.fallbacks]]\nrequest = {{ url = \"https://standby.bank.example/\", timeout = \"5s\" }}\n\
         retry = {{ max_retries = 1 }}\nfinal_errors = [401, \"dns\"]\non_exhausted = \"next_leg\"\n\
         [[flows.auto.steps.fallbacks]]\nrecipient = \"mill\"\nrequest.url = \"https://mill.example/\"\n\
         auth = {{ type = \"bearer\", token = \"t\" }}\non_exhausted = \"close\"\n"
    );
    let loaded = read_text(&text).map_err(|problems| problems.plain()).unwrap();
    let step = &loaded.book.flows["auto"].steps[0];
    let told: Vec<_> = step
        .legs()
        .map(|leg| {
            let ends = &leg.ends;
            let words =
                [ends.exhausted, ends.final_error, ends.unrecognized, ends.held_too_long].map(|word| word.name());
            (leg.endpoint.to_string(), leg.retry.policy.max_retries.get(), words)
        })
        .collect();
    let words = |exhausted, usual| [exhausted, usual, "close", usual];
    assert_eq!(
        told,
        [
            ("bank at https://api.bank.example:443".to_owned(), 3, words("next_leg", "next_leg")),
            ("bank at https://standby.bank.example:443".to_owned(), 1, words("next_leg", "next_leg")),
            ("mill at https://mill.example:443".to_owned(), 3, words("close", "review")),
        ]
    );
    let second = step.legs().nth(1).unwrap();
    assert_eq!(second.ends.final_errors.to_texts(), ["401", "dns"]);
}

#[test]
fn an_open_breaker_lets_go_on_what_has_a_leg_after_it_and_check_names_what_has_none() {
    let breaker = "[recipients.bank]\nbreaker = { on_open = \"next_leg\", longest_hold = \"2h\" }\n";
    let start = START.replacen("[recipients.bank]\n", breaker, 1);
    let fallbacks = "[[flows.auto.steps.fallbacks]]\nrequest.url = \"https://standby.bank.example/\"\n";
    let loaded = read_text(&format!("{start}{fallbacks}")).map_err(|problems| problems.plain()).unwrap();
    let words: Vec<&str> = loaded.book.flows["auto"].steps[0].legs().map(|leg| leg.on_open.name()).collect();
    assert_eq!(words, ["next_leg", "hold"], "the last one is the bank's too, and has nowhere to go");
    assert!(!loaded.warnings.plain().contains("on_open"), "{}", loaded.warnings.plain());

    let alone =
        "[[flows.home.steps]]\nid = \"ask\"\nrecipient = \"bank\"\nrequest.url = \"https://api.bank.example/\"\n";
    let loaded = read_text(&format!("{start}{fallbacks}{alone}")).map_err(|problems| problems.plain()).unwrap();
    let warned = "recipients.bank.breaker.on_open: without a fallback is held all the same: home/ask";
    assert!(loaded.warnings.plain().contains(warned), "{}", loaded.warnings.plain());
}

#[test]
fn what_is_wrong_with_a_chain_is_told_at_its_line() {
    let cases = [
        (
            "on_exhausted = \"next_leg\"\n",
            "test.toml:7:16: flows.auto.steps[0].on_exhausted = \"next_leg\": has no leg to go on to (allowed: review or close, or a fallback after it)",
        ),
        (
            "on_final_error = \"next_step\"\n",
            "test.toml:7:18: flows.auto.steps[0].on_final_error = \"next_step\": is not a word known here; did you mean \"next_leg\"? (allowed: review, next_leg, next_buyer, close)",
        ),
        (
            "on_exhausted = \"next_buyer\"\n",
            "test.toml:7:16: flows.auto.steps[0].on_exhausted = \"next_buyer\": needs a step that is a buyer of a sale (allowed: review, next_leg, close)",
        ),
        (
            "fallbacks = []\n",
            "test.toml:7:13: flows.auto.steps[0].fallbacks: is empty: leave the key out where there is no fallback (allowed: at most 8, see [[flows.NAME.steps.fallbacks]])",
        ),
        (
            "[[flows.auto.steps.fallbacks]]\nurl = \"https://x.example/\"\n",
            "test.toml:8:1: flows.auto.steps[0].fallbacks[0].url: is not a key of [[flows.NAME.steps.fallbacks]]",
        ),
        (
            "[[flows.auto.steps.fallbacks]]\nrecipient = \"mill\"\n",
            "test.toml:7:1: flows.auto.steps[0].fallbacks[0].request.url: is missing",
        ),
        (
            "[[flows.auto.steps.fallbacks]]\nfinal_errors = [\"9xx\"]\nrequest.url = \"https://x.example/\"\n",
            "test.toml:8:17: flows.auto.steps[0].fallbacks[0].final_errors[0] = \"9xx\": is not a word known here",
        ),
    ];
    for (keys, expected) in cases {
        let found = refused(&format!("{START}{keys}"));
        assert!(found.lines().any(|line| line.starts_with(expected)), "{keys}: {found}");
    }
    let many: String =
        (0..40).map(|n| format!("[[flows.auto.steps.fallbacks]]\nrequest.url = \"https://{n}.example/\"\n")).collect();
    let found = refused(&format!("{START}{many}"));
    assert!(
        found.contains(
            "flows.auto.steps[0].fallbacks = [[flows.auto.steps.fallbacks]]: are too many (allowed: at most 8)"
        ),
        "{found}"
    );
}

#[test]
fn what_is_hardly_meant_is_warned_of_in_fallbacks_too_and_once() {
    let warned = |more: &str| {
        let text = format!("{START}{more}");
        let all = read_text(&text).map_err(|problems| problems.plain()).unwrap().warnings.plain();
        all.lines().filter(|line| line.contains("credentials go to an http:// address")).map(str::to_owned).collect()
    };
    let own = "[[flows.auto.steps.fallbacks]]\nrecipient = \"mill\"\nrequest.url = \"http://mill.example/\"\n\
               auth = { type = \"bearer\", token = \"t\" }\n";
    let told: Vec<String> = warned(own);
    assert!(told.len() == 1 && told[0].contains("flows.auto.steps[0].fallbacks[0]"), "{told:?}");
    let same = "auth = { type = \"bearer\", token = \"t\" }\nrequest.method = \"PUT\"\n\
                [[flows.auto.steps.fallbacks]]\nrequest.url = \"http://standby.bank.example/\"\n\
                [[flows.auto.steps.fallbacks]]\nrequest.url = \"http://third.bank.example/\"\n";
    let told: Vec<String> = warned(same);
    assert!(told.len() == 1 && told[0].contains("fallbacks[0]"), "said once: {told:?}");
}
