//! Every package that is not ours comes from crates.io and carries its checksum: what was read is what is built.

use super::{Lock, about};
use crate::problem::Problem;

/// The one place packages come from.
pub(super) const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";
const DIGEST_DIGITS: usize = 64;

/// Packages from elsewhere, and packages without a checksum.
pub(super) fn check(lock: &Lock, ours: &[&str]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for package in &lock.packages {
        match package.source.as_deref() {
            None if ours.contains(&package.name.as_str()) => {}
            None => problems.push(about(package, "comes from a path outside the workspace", "take it from crates.io")),
            Some(REGISTRY) if has_digest(package.checksum.as_deref()) => {}
            Some(REGISTRY) => problems.push(about(package, "has no checksum", "let cargo write the lock file anew")),
            Some(source) => {
                problems.push(about(package, &format!("comes from {source}"), "take it from crates.io"));
            }
        }
    }
    problems
}

fn has_digest(checksum: Option<&str>) -> bool {
    checksum.is_some_and(|text| text.len() == DIGEST_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::super::locked;
    use super::*;

    fn said(change: impl Fn(&mut super::super::Locked)) -> Vec<String> {
        let mut lock = locked(&[("fine", "1.0.0"), ("odd", "1.0.0")]);
        change(&mut lock.packages[1]);
        check(&lock, &["ours"]).into_iter().map(|problem| problem.says).collect()
    }

    #[test]
    fn packages_from_elsewhere_are_found() {
        assert_eq!(said(|_| {}), Vec::<String>::new());
        let git = "git+https://a.example/odd#1234";
        assert_eq!(said(|odd| odd.source = Some(git.to_owned())), [format!("odd 1.0.0 comes from {git}")]);
        assert_eq!(said(|odd| odd.source = Some("registry+https://a.example/".to_owned())).len(), 1);
        assert_eq!(said(|odd| odd.source = None), ["odd 1.0.0 comes from a path outside the workspace"]);
    }

    #[test]
    fn a_missing_or_broken_checksum_is_found() {
        assert_eq!(said(|odd| odd.checksum = None), ["odd 1.0.0 has no checksum"]);
        assert_eq!(said(|odd| odd.checksum = Some("00".to_owned())), ["odd 1.0.0 has no checksum"]);
    }

    #[test]
    fn our_own_need_neither() {
        let mut lock = locked(&[("ours", "0.1.0")]);
        lock.packages[0].source = None;
        lock.packages[0].checksum = None;
        assert_eq!(check(&lock, &["ours"]), []);
    }
}
