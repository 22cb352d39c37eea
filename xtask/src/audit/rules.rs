//! What is allowed, as `xtask/audit.toml` says it. Unknown keys are refused, so that a misspelt rule is not a silent hole.

use semver::{Version, VersionReq};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    /// When the advisories were last compared with the public list, such as `2026-11-24`.
    pub(super) advisories_as_of: String,
    pub(super) licences: Licences,
    #[serde(default)]
    pub(super) banned: Vec<Banned>,
    #[serde(default)]
    pub(super) single: Vec<Single>,
    #[serde(default)]
    pub(super) advisories: Vec<Advisory>,
    #[serde(default)]
    pub(super) accepted: Vec<Acceptance>,
}

/// Licences by their SPDX names.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Licences {
    /// Allowed for every package.
    pub(super) allowed: Vec<String>,
    /// Packages that say nothing readable: read by a person, and found to be this.
    #[serde(default)]
    pub(super) read_by_hand: BTreeMap<String, String>,
}

/// A package that must not come in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Banned {
    pub(super) name: String,
    /// Which versions; all where nothing is said.
    #[serde(default)]
    pub(super) versions: VersionReq,
    pub(super) why: String,
}

/// A package of which there must be one version.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Single {
    pub(super) name: String,
    pub(super) why: String,
}

/// A known vulnerability, in the words of the public list: affected is what is neither patched nor unaffected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Advisory {
    pub(super) id: String,
    #[serde(rename = "crate")]
    pub(super) package: String,
    pub(super) title: String,
    #[serde(default)]
    pub(super) patched: Vec<VersionReq>,
    #[serde(default)]
    pub(super) unaffected: Vec<VersionReq>,
}

impl Advisory {
    /// Whether a version is affected.
    pub(super) fn affects(&self, version: &Version) -> bool {
        !self.patched.iter().chain(&self.unaffected).any(|fine| fine.matches(version))
    }
}

/// An advisory that does not reach us, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Acceptance {
    pub(super) id: String,
    pub(super) why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_rule_is_refused() {
        let good = "advisories_as_of = \"2026-11-24\"\n[licences]\nallowed = [\"MIT\"]\n";
        assert!(toml::from_str::<Rules>(good).is_ok());
        for bad in
            ["[[baned]]\nname = \"a\"\nwhy = \"b\"\n", "[[banned]]\nname = \"a\"\nversion = \"1\"\nwhy = \"b\"\n"]
        {
            assert!(toml::from_str::<Rules>(&format!("{good}{bad}")).is_err(), "{bad}");
        }
    }
}
