//! Known vulnerabilities, from the list kept in the repository: the audit says the same on every machine, online or not.
//!
//! An advisory that does not reach us can be accepted with its reason; an acceptance nobody needs any more is a problem too.

use super::rules::Rules;
use super::{Lock, RULES, about};
use crate::problem::Problem;

/// Affected packages that were not accepted, and acceptances without a cause.
pub(super) fn check(lock: &Lock, rules: &Rules) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut needed = Vec::new();
    for advisory in &rules.advisories {
        let found = lock.packages.iter().filter(|package| package.name == advisory.package);
        for package in found.filter(|package| advisory.affects(&package.version)) {
            needed.push(advisory.id.as_str());
            if rules.accepted.iter().any(|accepted| accepted.id == advisory.id) {
                continue;
            }
            let says = format!("is affected by {}: {}", advisory.id, advisory.title);
            problems.push(about(package, &says, "update or replace it, or accept the advisory with a reason"));
        }
    }
    for accepted in rules.accepted.iter().filter(|accepted| !needed.contains(&accepted.id.as_str())) {
        let says = format!("{} is accepted ({}) but affects nothing", accepted.id, accepted.why);
        problems.push(Problem::at(RULES, 0, says, "remove the acceptance"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::locked;
    use super::*;

    const ADVISORIES: &str = "advisories_as_of = \"x\"\n[licences]\nallowed = []\n\
        [[advisories]]\nid = \"A\"\ncrate = \"tokio\"\ntitle = \"bad\"\n\
        patched = [\">=1.38.2, <1.39.0\", \">=1.44.2\"]\nunaffected = [\"<0.2.5\"]\n\
        [[advisories]]\nid = \"B\"\ncrate = \"rsa\"\ntitle = \"leaks\"\n";

    fn said(packages: &[(&str, &str)], more: &str) -> Vec<String> {
        let rules: Rules = toml::from_str(&format!("{ADVISORIES}{more}")).unwrap();
        check(&locked(packages), &rules).into_iter().map(|problem| problem.says).collect()
    }

    #[test]
    fn affected_is_what_is_neither_patched_nor_unaffected() {
        for fine in ["0.2.4", "1.38.2", "1.38.9", "1.44.2", "1.54.1"] {
            assert_eq!(said(&[("tokio", fine)], ""), Vec::<String>::new(), "{fine}");
        }
        for bad in ["0.2.5", "1.38.1", "1.39.0", "1.44.1"] {
            assert_eq!(said(&[("tokio", bad)], ""), [format!("tokio {bad} is affected by A: bad")]);
        }
        assert_eq!(said(&[("rsa", "99.0.0")], ""), ["rsa 99.0.0 is affected by B: leaks"]);
    }

    #[test]
    fn an_acceptance_silences_its_advisory_and_is_found_when_it_is_not_needed() {
        let accepted = "[[accepted]]\nid = \"B\"\nwhy = \"no key of ours\"\n";
        assert_eq!(said(&[("rsa", "0.9.0")], accepted), Vec::<String>::new());
        assert_eq!(said(&[("tokio", "1.54.1")], accepted), ["B is accepted (no key of ours) but affects nothing"]);
    }
}
