//! `[retention]` as an operator writes it.

use super::references::Surroundings;
use super::{Loaded, Problems, read};
use std::path::Path;
use std::time::Duration;
use steadfast_flow::Keep;

const DAY: Duration = Duration::from_secs(86_400);

fn loaded(text: &str) -> Result<Loaded, Problems> {
    let around = Surroundings {
        variable: &|_| None,
        file: &|_| Err("is not there".to_owned()),
        now: steadfast_lead::Timestamp::MIN,
    };
    read("steadfast.toml", text.to_owned(), &around)
}

fn told(text: &str) -> String {
    loaded(text).unwrap_err().to_string()
}

#[test]
fn what_has_ended_is_kept_for_a_while_without_a_word() {
    let rules = loaded("").unwrap().book.retention;
    assert_eq!((rules.leads, rules.journal), (Keep::For(90 * DAY), Keep::For(30 * DAY)));
    assert_eq!(rules.erasures, Keep::For(1_096 * DAY));
}

#[test]
fn every_key_is_read() {
    let text = "[recipients.bigbank]\nrequest = { url = \"https://api.bigbank.example/leads\" }\n\
                [[flows.auto.steps]]\nid = \"sell\"\nrecipient = \"bigbank\"\n[retention]\nleads = \"400d\"\njournal = \"forever\"\nerasures = \"5d\"\narchive = \"old\"\n\
                [flows.auto.retention]\nleads = \"14d\"\n";
    let loaded = loaded(text).unwrap();
    let rules = loaded.book.retention;
    assert_eq!((rules.leads, rules.journal), (Keep::For(400 * DAY), Keep::Forever));
    assert_eq!(rules.erasures, Keep::For(5 * DAY));
    assert_eq!(loaded.server.archive.as_deref(), Some(Path::new("old")));
    let flows: Vec<_> = loaded.book.flow_retention.iter().map(|(name, keep)| (name.as_str(), *keep)).collect();
    assert_eq!(flows, [("auto", Keep::For(14 * DAY))]);
}

#[test]
fn what_is_out_of_range_is_told_with_what_is_allowed() {
    let said = told("[retention]\nleads = \"2h\"\njournal = \"9999d\"\nerasures = \"always\"\narchive = \"\"\n");
    for part in ["retention.leads", "retention.journal", "1d to 3660d, or forever", "retention.erasures", "is empty"] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    let said = told("[flows.auto.retention]\nleads = \"1h\"\nleeds = \"3d\"\n");
    assert!(said.contains("flows.auto.retention.leads") && said.contains("leeds"), "{said}");
}

const GUARDED: &str = "\
[recipients.bigbank]
request = { url = \"https://api.bigbank.example/leads\" }
duplicates = { fields = [\"email\"], window = \"120d\" }
[[flows.auto.steps]]
id = \"sell\"
recipient = \"bigbank\"
";

#[test]
fn leads_are_not_deleted_while_a_duplicate_guard_asks_for_them() {
    let said = told(GUARDED);
    assert!(
        said.contains("the duplicate guard of bigbank looks back, 120d") && said.contains("retention.leads"),
        "{said}"
    );
    loaded(&format!("{GUARDED}[retention]\nleads = \"120d\"\n")).unwrap();
    loaded(&format!("{GUARDED}[flows.auto.retention]\nleads = \"forever\"\n")).unwrap();
    let said = told(&format!("{GUARDED}[retention]\nleads = \"120d\"\n[flows.auto.retention]\nleads = \"7d\"\n"));
    assert!(said.contains("flows.auto.retention.leads"), "{said}");
}
