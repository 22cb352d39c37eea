//! Several endpoints of a step as a config file has them: read, and refused with line and column.

use super::tests::{read_text, refused};
use steadfast_retry::{Balance, Criterion, ShareOf};

const START: &str = "[recipients.bank]\n[recipients.mill]\nrequest.url = \"https://mill.example/\"\n\
                     [[flows.auto.steps]]\nid = \"sell\"\nrecipient = \"bank\"\n";
const EAST: &str = "[[flows.auto.steps.endpoints]]\nname = \"east\"\nrequest.url = \"https://east.bank.example/\"\n";
const WEST: &str = "[[flows.auto.steps.endpoints]]\nname = \"west\"\nrequest.url = \"https://west.bank.example/\"\n";

#[test]
fn everything_an_endpoint_and_a_balance_may_say_is_read() {
    let text = format!(
        "{START}balance = {{ by = \"best\", criteria = [\"cost\", \"health\"], explore = 3, region_field = \"state\", \
         regulation_field = \"law\", time_zone = \"America/Chicago\" }}\n{EAST}weight = 60\ncost = 0.05\n\
         regions = [\"TX\", \" OK \"]\nregulations = [\"ccpa\"]\n\
         [[flows.auto.steps.endpoints]]\nname = \"mill\"\nrecipient = \"mill\"\ncost = \"0.07\"\n\
         auth = {{ type = \"bearer\", token = \"t\" }}\n\
         [[flows.auto.steps.fallbacks]]\nbalance = \"least_loaded\"\n\
         [[flows.auto.steps.fallbacks.endpoints]]\nname = \"spare\"\nrequest.url = \"https://spare.bank.example/\"\n"
    );
    let loaded = read_text(&text).map_err(|problems| problems.plain()).unwrap();
    let step = &loaded.book.flows["auto"].steps[0];
    let balance = step.balance.as_ref().unwrap();
    assert_eq!((balance.rules.by, balance.rules.explore_percent), (Balance::Best, 3));
    assert_eq!(balance.rules.criteria, [Criterion::Cost, Criterion::Health]);
    assert_eq!((balance.zone.name(), balance.region_field.as_deref()), ("America/Chicago", Some("state")));
    let told: Vec<_> =
        balance.candidates.iter().map(|one| (one.weight, one.cost_millionths, one.regions.len())).collect();
    assert_eq!(told, [(60, Some(50_000), 2), (1, Some(70_000), 0)]);
    assert_eq!((&*balance.candidates[0].regions[1], &*balance.candidates[0].regulations[0]), ("OK", "ccpa"));
    let spare = step.legs().nth(1).unwrap();
    assert_eq!(spare.balance.as_ref().unwrap().rules.by, Balance::LeastLoaded);
    let shares = format!("{START}balance = {{ share_of = \"answered\", catch_up = 1.5 }}\n{EAST}{WEST}");
    let loaded = read_text(&shares).map_err(|problems| problems.plain()).unwrap();
    let rules = &loaded.book.flows["auto"].steps[0].balance.as_ref().unwrap().rules;
    assert_eq!((rules.by, rules.share_of, rules.catch_up_thousandths), (Balance::Weighted, ShareOf::Answered, 1_500));
}

#[test]
fn what_is_wrong_with_endpoints_is_told_at_its_line() {
    let cases = [
        (
            format!("{EAST}weight = -1\n"),
            "test.toml:10:10: flows.auto.steps[0].endpoints[0].weight = -1: is out of range (allowed: 1 to 1000)",
        ),
        (
            format!("{EAST}weight = 0\n{WEST}weight = 0\n"),
            "test.toml:14:10: flows.auto.steps[0].endpoints[1].weight = 0: is out of range (allowed: 1 to 1000)",
        ),
        (
            format!("{EAST}weight = 0.5\n"),
            "test.toml:10:10: flows.auto.steps[0].endpoints[0].weight = 0.5: is a number with decimals, not a whole number (allowed: 1 to 1000)",
        ),
        (
            format!("{EAST}{EAST}"),
            "test.toml:11:8: flows.auto.steps[0].endpoints[1].name = \"east\": stands twice in this leg (allowed: a name of its own for each endpoint)",
        ),
        (
            "endpoints = []\n".to_owned(),
            "test.toml:7:13: flows.auto.steps[0].endpoints: is empty: leave the key out where there is one endpoint (allowed: at most 16, see [[flows.NAME.steps.endpoints]])",
        ),
        (
            "[[flows.auto.steps.endpoints]]\nrequest.url = \"https://x.example/\"\n".to_owned(),
            "test.toml:7:1: flows.auto.steps[0].endpoints[0].name: is missing",
        ),
        (
            format!("balance = \"random\"\n{EAST}"),
            "test.toml:7:11: flows.auto.steps[0].balance = \"random\": is not a word known here (allowed: weighted, least_loaded, best, all; or a table, see balance)",
        ),
        (
            format!("balance = \"best\"\n{EAST}{WEST}"),
            "test.toml:7:1: flows.auto.steps[0].balance.criteria: is missing: the best is the best in something (allowed: health, speed, cost, region)",
        ),
        (
            format!("balance = {{ catch_up = 0.5 }}\n{EAST}"),
            "test.toml:7:24: flows.auto.steps[0].balance.catch_up = 0.5: is out of range (allowed: 1 to 10)",
        ),
        (
            format!("balance = {{ by = \"best\", criteria = [\"luck\"], explore = 6 }}\n{EAST}"),
            "test.toml:7:57: flows.auto.steps[0].balance.explore = 6: is out of range (allowed: 0 to 5)",
        ),
        (
            format!("{EAST}recipient = \"nobody\"\n"),
            "test.toml:10:13: flows.auto.steps[0].endpoints[0].recipient = \"nobody\": is not a recipient (allowed: bank, mill)",
        ),
        (
            "balance = \"weighted\"\nrequest.url = \"https://x.example/\"\n".to_owned(),
            "test.toml:7:11: flows.auto.steps[0].balance: has nothing to choose between (allowed: endpoints beside it: see [[flows.NAME.steps.endpoints]])",
        ),
        (
            format!("[[flows.auto.steps.endpoints]]\nname = \"sub\"\nendpoints = []\n{EAST}"),
            "test.toml:9:1: flows.auto.steps[0].endpoints[0].endpoints: is not a key of [[flows.NAME.steps.endpoints]]",
        ),
    ];
    let told = |keys: &str, expected: &str| {
        let found = refused(&format!("{START}{keys}"));
        (!found.lines().any(|line| line.starts_with(expected))).then(|| format!("{expected}\n{found}"))
    };
    let wrong: Vec<String> = cases.iter().filter_map(|(keys, expected)| told(keys, expected)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_step_that_sends_to_all_is_told_of_where_it_is_written() {
    let text = format!("{START}balance = \"all\"\n{EAST}{WEST}");
    let loaded = read_text(&text).map_err(|problems| problems.plain()).unwrap();
    let names: Vec<_> = loaded.book.flows["auto"].steps.iter().map(|step| step.step.to_string()).collect();
    assert_eq!(names, ["sell.east", "sell.west"]);
    let found = refused(&format!("{text}request.timeout = \"9h\"\n"));
    let expected = "test.toml:14:19: flows.auto.steps[0].endpoints[1].request.timeout = \"9h\"";
    assert!(found.lines().any(|line| line.starts_with(expected)), "{found}");
}
