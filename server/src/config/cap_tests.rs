//! Caps, as an operator writes them.

use super::references::Surroundings;
use super::{Loaded, Problems, read};
use steadfast_retry::OnCap;

fn loaded(text: &str) -> Result<Loaded, Problems> {
    let around = Surroundings {
        variable: &|_| None,
        file: &|_| Err("is not there".to_owned()),
        now: steadfast_lead::Timestamp::MIN,
    };
    let head = "[accounts.acme]\ntime_zone = \"America/Chicago\"\n\
                [recipients.bank]\nrequest = { url = \"https://bank.example/leads\" }\n";
    read("steadfast.toml", format!("{head}{text}"), &around)
}

#[test]
fn caps_stand_on_flow_source_recipient_and_step() {
    let text = "caps = [{ per = \"day\", max = 50, time_zone = \"Europe/Berlin\" }]\non_cap = \"next\"\n\
                [flows.auto]\naccount = \"acme\"\ncaps = [{ per = \"hour\", max = 10 }, { per = \"month\", max = 900 }]\n\
                [flows.auto.sources.web]\ncaps = [{ per = \"week\", max = 70 }]\non_cap = \"reject\"\n\
                [[flows.auto.steps]]\nid = \"sell\"\nrecipient = \"bank\"\ncaps = [{ per = \"day\", max = 7 }]\non_cap = \"skip\"\n";
    let book = loaded(text).unwrap().book;
    let mut caps: Vec<String> = book.caps.all().map(|cap| format!("{cap} in {}: {}", cap.zone, cap.on_cap)).collect();
    caps.sort();
    let expected = [
        "10 per hour of flow auto in America/Chicago: hold",
        "50 per day of recipient bank in Europe/Berlin: next",
        "7 per day of step auto.sell in America/Chicago: skip",
        "70 per week of source auto.web in America/Chicago: reject",
        "900 per month of flow auto in America/Chicago: hold",
    ];
    assert_eq!(caps, expected);
    assert_eq!(book.caps.all().filter(|cap| cap.on_cap == OnCap::Hold).count(), 2);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let cases = [
        ("caps = [{ per = \"day\", max = 0 }]", "recipients.bank.caps[0].max = 0: is out of range"),
        ("caps = [{ per = \"day\", max = -1 }]", "recipients.bank.caps[0].max = -1: is out of range"),
        ("caps = [{ per = \"day\", max = 1000000001 }]", "is out of range"),
        ("caps = [{ per = \"year\", max = 1 }]", "recipients.bank.caps[0].per"),
        ("caps = [{ per = \"day\" }]", "recipients.bank.caps[0].max"),
        ("caps = [{ per = \"day\", max = 1, time_zone = \"Chicago\" }]", "did you mean \"America/Chicago\""),
        ("caps = [{ per = \"day\", max = 1 }, { per = \"day\", max = 2 }]", "caps[1].per = \"day\": stands twice here"),
        (
            "caps = [{ per = \"hour\", max = 30 }, { per = \"day\", max = 20 }]",
            "caps[0].max = 30: is never reached: the cap of 20 per day is full before",
        ),
        ("caps = []", "recipients.bank.caps"),
        ("on_cap = \"skip\"", "recipients.bank.on_cap"),
        ("caps = [{ per = \"day\", max = 1 }]\non_cap = \"wait\"", "recipients.bank.on_cap"),
    ];
    for (text, expected) in cases {
        let told = loaded(text).unwrap_err().to_string();
        let squeezed = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(squeezed.contains(expected), "{text}: {told}");
    }
}

#[test]
fn a_cap_that_holds_a_sale_is_warned_of() {
    let sale = |bank: &str, flow: &str, step: &str| {
        let text = format!(
            "{bank}\n[recipients.mill]\nrequest = {{ url = \"https://mill.example/leads\" }}\ncaps = [{{ per = \"day\", max = 3 }}]\n\
             [flows.auto]\nsale = {{ mode = \"first_accepted\" }}\n{flow}\n\
             [[flows.auto.steps]]\nid = \"sell\"\nrecipient = \"bank\"\n{step}\n\
             [[flows.auto.steps]]\nid = \"copy\"\nrecipient = \"mill\"\nbuyer = false\n"
        );
        loaded(&text).map_err(|problems| problems.to_string()).unwrap().warnings.plain()
    };
    let cap = "caps = [{ per = \"day\", max = 50 }]";
    let said = "is held, and its sale with it";
    for (bank, flow, step, place) in [
        (cap, "", "", "recipients.bank.caps"),
        ("", cap, "", "flows.auto.caps"),
        ("", "", &*format!("{cap}\non_cap = \"hold\""), "flows.auto.steps[0].on_cap"),
    ] {
        let told = sale(bank, flow, step);
        let warned: Vec<&str> = told.lines().filter(|line| line.contains(said)).collect();
        assert!(warned.len() == 1 && warned[0].contains(place), "{place}: {told}");
    }
    let next = format!("{cap}\non_cap = \"next\"");
    assert!(!sale(&next, &next, &next).contains(said), "mill is no buyer");
}
