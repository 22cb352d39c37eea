//! Packages that must not come in, and packages of which there must be one version only.

use super::rules::Rules;
use super::{Lock, about};
use crate::problem::Problem;

/// Checks both lists.
pub(super) fn check(lock: &Lock, rules: &Rules) -> Vec<Problem> {
    let mut problems = Vec::new();
    for banned in &rules.banned {
        let found = lock.packages.iter().filter(|package| package.name == banned.name);
        for package in found.filter(|package| banned.versions.matches(&package.version)) {
            problems.push(about(package, "is banned", &banned.why));
        }
    }
    for single in &rules.single {
        let versions: Vec<_> = lock.packages.iter().filter(|package| package.name == single.name).collect();
        // One problem for each version but the newest, which is the one to keep.
        let Some(newest) = versions.iter().map(|package| &package.version).max() else { continue };
        for package in versions.iter().filter(|package| package.version != *newest) {
            problems.push(about(package, &format!("stands beside {newest}"), &single.why));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::locked;
    use super::*;

    fn said(packages: &[(&str, &str)]) -> Vec<String> {
        let rules = "advisories_as_of = \"x\"\n[licences]\nallowed = []\n\
                     [[banned]]\nname = \"openssl-sys\"\nwhy = \"one TLS\"\n\
                     [[banned]]\nname = \"time\"\nversions = \"<0.2\"\nwhy = \"old\"\n\
                     [[single]]\nname = \"rustls\"\nwhy = \"one TLS\"\n";
        let rules: Rules = toml::from_str(rules).unwrap();
        check(&locked(packages), &rules).into_iter().map(|problem| problem.says).collect()
    }

    #[test]
    fn banned_packages_are_found_in_the_versions_named() {
        assert_eq!(said(&[("openssl-sys", "0.9.1"), ("openssl-probe", "0.1.0")]), ["openssl-sys 0.9.1 is banned"]);
        assert_eq!(said(&[("time", "0.1.45"), ("time", "0.3.1")]), ["time 0.1.45 is banned"]);
    }

    #[test]
    fn a_second_version_of_a_single_package_is_found() {
        assert_eq!(said(&[("rustls", "0.22.1"), ("rustls", "0.23.1")]), ["rustls 0.22.1 stands beside 0.23.1"]);
        assert_eq!(said(&[("rustls", "0.23.1"), ("syn", "1.0.0"), ("syn", "2.0.0")]), Vec::<String>::new());
    }
}
