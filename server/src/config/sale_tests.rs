//! How a flow sells its leads, as an operator writes it.

use super::references::Surroundings;
use super::{Loaded, Problems, read};
use steadfast_flow::FlowPlan;
use steadfast_lead::{FlowName, StepName};
use steadfast_retry::{InDoubt, StateName, Tie};

fn loaded(text: &str) -> Result<Loaded, Problems> {
    let recipients = ["a", "b", "c", "crm"]
        .map(|name| format!("[recipients.{name}]\nrequest = {{ url = \"https://{name}.example/leads\" }}\n"));
    let around = Surroundings {
        variable: &|_| None,
        file: &|_| Err("is not there".to_owned()),
        now: steadfast_lead::Timestamp::MIN,
    };
    read("steadfast.toml", format!("{}{text}", recipients.concat()), &around)
}

fn flow(text: &str) -> FlowPlan {
    let loaded = loaded(text).unwrap();
    FlowPlan::clone(&loaded.book.flows[&FlowName::new("auto").unwrap()])
}

fn told(text: &str) -> String {
    loaded(text).unwrap_err().to_string()
}

fn step(name: &str) -> StepName {
    StepName::new(name).unwrap()
}

fn steps(more: [&str; 3]) -> String {
    let names = ["a", "b", "c"].iter().zip(more);
    let one = |(name, more): (&&str, &str)| {
        format!("[[flows.auto.steps]]\nid = \"{name}\"\nrecipient = \"{name}\"\n{more}\n")
    };
    names.map(one).collect()
}

#[test]
fn without_a_word_every_step_is_on_its_own() {
    let flow = flow(&steps(["", "", ""]));
    assert!(flow.steps.iter().all(|step| step.tie == Tie::default() && step.in_doubt != InDoubt::Hold));
    assert!(flow.ties.order.is_empty() && flow.ties.follows.is_empty());
}

#[test]
fn buyers_are_tried_in_the_order_the_sale_says_and_keep_a_lead_they_may_have() {
    let listed =
        flow(&format!("[flows.auto]\nsale.mode = \"first_accepted\"\n{}", steps(["", "in_doubt = \"retry\"", ""])));
    assert_eq!(listed.ties.order, ["a", "b", "c"].map(step));
    let in_doubt: Vec<bool> = listed.steps.iter().map(|step| step.in_doubt == InDoubt::Hold).collect();
    assert_eq!(in_doubt, [true, false, true], "what a step says itself goes before the sale's default");
    let sale = |order: &str| format!("[flows.auto.sale]\nmode = \"first_accepted\"\norder = \"{order}\"\n");
    let by_price = sale("price") + &steps(["price = 9.5", "price = \"10\"", "price = 9.50\nbuyer = true"]);
    assert_eq!(flow(&by_price).ties.order, ["b", "a", "c"].map(step), "equal ones as they are listed");
    let by_score = sale("score") + &steps(["score = 1", "score = 0.5", "score = 3"]);
    assert_eq!(flow(&by_score).ties.order, ["c", "a", "b"].map(step));
}

#[test]
fn what_follows_another_step_is_no_buyer() {
    let copy = "[[flows.auto.steps]]\nid = \"copy\"\nrecipient = \"crm\"\nafter = { step = \"b\", on = [\"delivered\", \"rejected\"] }\n\
                [[flows.auto.steps]]\nid = \"log\"\nrecipient = \"crm\"\nbuyer = false\n\
                [[flows.auto.steps]]\nid = \"note\"\nrecipient = \"crm\"\nafter = { step = \"copy\" }\n";
    let flow = flow(&format!("[flows.auto]\nsale.mode = \"first_accepted\"\n{}{copy}", steps(["", "", ""])));
    assert_eq!(flow.ties.order, ["a", "b", "c"].map(step));
    let ties: Vec<Tie> = flow.steps.iter().map(|step| step.tie).collect();
    let buyer = Tie { buyer: true, ..Tie::default() };
    let follows = Tie { follows: true, ..Tie::default() };
    let copied = Tie { followed: true, ..follows };
    assert_eq!(ties, [buyer, Tie { followed: true, ..buyer }, buyer, copied, Tie::default(), follows]);
    assert_eq!(flow.ties.follows[&step("copy")].on, [StateName::Delivered, StateName::Rejected]);
    assert_eq!(flow.ties.follows[&step("note")].on, [StateName::Delivered]);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    for (text, expected) in [
        (
            steps(["after = { step = \"c\" }", "after = { step = \"a\" }", "after = { step = \"b\" }"]),
            vec![
                "flows.auto.steps[0].after.step = \"c\": goes in a circle, so that none of its steps ever begins: a after c after b after a",
                "flows.auto.steps[2].after.step = \"b\": goes in a circle",
            ],
        ),
        (
            steps(["after = { step = \"a\" }", "", ""]),
            vec![
                "flows.auto.steps[0].after.step = \"a\": goes in a circle, so that none of its steps ever begins: a after a",
            ],
        ),
        (
            steps(["after = { step = \"x\" }", "", ""]),
            vec!["flows.auto.steps[0].after.step = \"x\": is not a step of this flow (allowed: a, b, c)"],
        ),
        (
            steps(["after = { step = \"b\", on = [] }", "", ""]),
            vec!["flows.auto.steps[0].after.on", "would never begin"],
        ),
        (
            steps(["after = { step = \"b\", on = \"sold\" }", "", ""]),
            vec!["flows.auto.steps[0].after.on = \"sold\": is not a word known here"],
        ),
        (
            steps(["buyer = true", "", ""]),
            vec!["flows.auto.steps[0].buyer = true: says buyer in a flow that sells to every step"],
        ),
        (
            format!(
                "[flows.auto]\nsale.mode = \"first_accepted\"\n{}",
                steps(["buyer = true\nafter = { step = \"b\" }", "", ""])
            ),
            vec!["flows.auto.steps[0].after: begins after another step, but a buyer begins when its turn comes"],
        ),
        (
            format!(
                "[flows.auto]\nsale.mode = \"first_accepted\"\n{}",
                steps(["buyer = false", "buyer = false", "buyer = false"])
            ),
            vec!["flows.auto.sale: is a sale without a buyer"],
        ),
        (
            format!(
                "[flows.auto]\nsale = {{ mode = \"first_accepted\", order = \"price\" }}\n{}",
                steps(["price = 1", "", "price = \"a lot\""])
            ),
            vec!["flows.auto.steps[1].price: is missing", "flows.auto.steps[2].price = \"a lot\": is not a price"],
        ),
        (
            format!("[flows.auto]\nsale = {{ mode = \"auction\", order = \"best\" }}\n{}", steps(["", "", ""])),
            vec!["flows.auto.sale.mode = \"auction\": is not a word known here", "flows.auto.sale.order = \"best\""],
        ),
        (
            format!("[flows.auto]\nsale.order = \"price\"\n{}", steps(["", "", ""])),
            vec!["flows.auto.sale.order: stands in a flow"],
        ),
    ] {
        let said = told(&text);
        expected.iter().for_each(|part| assert!(said.contains(part), "{part:?} in {said}"));
    }
}

#[test]
fn a_recipients_word_about_returns_goes_before_its_flows() {
    let text = "[flows.auto]\nreturns = { within = \"7d\", resell_within = \"10m\" }\n[recipients.d]\nreturns.within = \"1d\"\n\
                request.url = \"https://d.example/\"\n";
    let flow = flow(&format!("{text}{}", steps(["", "", ""]).replace("recipient = \"c\"", "recipient = \"d\"")));
    let within: Vec<u64> = flow.steps.iter().map(|step| step.returns.within.as_secs() / 86_400).collect();
    assert_eq!(within, [7, 7, 1]);
    assert!(flow.steps.iter().all(|step| step.returns.resell_within.as_secs() == 600));
    let said =
        told(&format!("[flows.auto]\nreturns = {{ within = \"367d\", after = \"1h\" }}\n{}", steps(["", "", ""])));
    for part in ["flows.auto.returns.within", "0s to 366d", "flows.auto.returns.after: is not a key"] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
}
