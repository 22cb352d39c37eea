//! The audit of dependencies, without a network: where each comes from, under which licence, whether it is banned, doubled,
//! or known to be vulnerable. What is allowed stands in `xtask/audit.toml`; what there is, in `Cargo.lock`.
//!
//! Licences are read for this machine's platform, because only those packages are on it; everything else is checked for
//! every platform.

mod advisories;
mod bans;
mod licence;
mod rules;
mod sources;

use crate::Report;
use crate::problem::Problem;
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use rules::Rules;
use semver::Version;
use serde::Deserialize;

const LOCK: &str = "Cargo.lock";
const RULES: &str = "xtask/audit.toml";

/// Checks every dependency.
///
/// # Errors
/// When the lock file or the rules cannot be read.
pub(crate) fn check(workspace: &Workspace) -> Result<Report> {
    let rules: Rules = toml::from_str(&workspace.must_text(RULES)?).with_context(|| format!("reading {RULES}"))?;
    let lock = Lock::read(&workspace.must_text(LOCK)?)?;
    let ours: Vec<&str> = workspace.crates().iter().map(|package| package.name.as_str()).collect();
    let mut problems = sources::check(&lock, &ours);
    problems.extend(bans::check(&lock, &rules));
    problems.extend(advisories::check(&lock, &rules));
    for package in workspace.metadata.packages.iter().filter(|package| package.source.is_some()) {
        let version = package.version.to_string();
        problems.extend(licence::check(&package.name, &version, package.license.as_deref(), &rules.licences));
    }
    problems.extend(licence::check_reviews(&lock, &rules.licences));
    problems.sort();
    let (packages, advisories) = (lock.packages.len(), rules.advisories.len());
    let as_of = &rules.advisories_as_of;
    let looked_at = format!("{packages} packages against {advisories} advisories (as of {as_of})");
    Ok(Report { looked_at, problems })
}

/// What the lock file says.
#[derive(Debug, Deserialize)]
struct Lock {
    #[serde(rename = "package")]
    packages: Vec<Locked>,
}

/// One package of the lock file.
#[derive(Clone, Debug, Deserialize)]
struct Locked {
    name: String,
    version: Version,
    source: Option<String>,
    checksum: Option<String>,
}

impl Lock {
    fn read(text: &str) -> Result<Self> {
        toml::from_str(text).with_context(|| format!("reading {LOCK}"))
    }
}

/// A problem with a package of the lock file.
fn about(package: &Locked, says: &str, remedy: &str) -> Problem {
    let Locked { name, version, .. } = package;
    Problem::at(
        LOCK,
        0,
        format!("{name} {version} {says}"),
        format!("{remedy} (`cargo tree -i {name}` says who needs it)"),
    )
}

/// A lock file for a fixture: packages of crates.io.
#[cfg(test)]
fn locked(packages: &[(&str, &str)]) -> Lock {
    let packages = packages.iter().map(|(name, version)| Locked {
        name: (*name).to_owned(),
        version: version.parse().unwrap(),
        source: Some(sources::REGISTRY.to_owned()),
        checksum: Some("00".repeat(32)),
    });
    Lock { packages: packages.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_this_repository_are_readable_and_no_advisory_stands_twice() {
        let text = std::fs::read_to_string("audit.toml").unwrap();
        let rules: Rules = toml::from_str(&text).unwrap();
        let mut ids: Vec<&str> = rules.advisories.iter().map(|advisory| advisory.id.as_str()).collect();
        assert!(ids.iter().all(|id| id.starts_with("RUSTSEC-20") && id.len() == 17), "{ids:?}");
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert!(all == ids.len() && all >= 20, "{all} advisories, {} ids", ids.len());
    }

    #[test]
    fn a_lock_file_is_read_whole() {
        let text = "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n";
        assert_eq!(Lock::read(text).unwrap().packages[0].name, "a");
        assert!(Lock::read("[[package]]\nname = \"a\"\nversion = \"one\"\n").is_err());
    }
}
