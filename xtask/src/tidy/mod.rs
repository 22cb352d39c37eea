//! The rules of the house that no compiler enforces, one file for each family. Finds every problem at once.
//!
//! A rule is a function from text to problems, so that each is seen red on a fixture in its own tests.

mod imports;
mod leftovers;
mod manifests;
mod names;
mod pages;
mod purity;
mod shape;

use crate::Report;
use crate::problem::Problem;
use crate::source::tokens;
use crate::workspace::Workspace;
use anyhow::Result;

/// The page that holds the table of imports and the code map.
const PAGE: &str = "ARCHITECTURE.md";

/// Checks every rule.
///
/// # Errors
/// When files cannot be read; what is in them is reported, not an error.
pub(crate) fn check(workspace: &Workspace) -> Result<Report> {
    let mut problems = Vec::new();
    for file in &workspace.files {
        let Some(text) = workspace.text(file)? else { continue };
        problems.extend(check_file(file, &text));
        if is_markdown(file) {
            problems.extend(pages::check_links(file, &text, |path| workspace.has(path)));
        }
    }
    check_crates(workspace, &mut problems)?;
    problems.sort();
    problems.dedup();
    let looked_at = format!("{} files, {} crates", workspace.files.len(), workspace.crates().len());
    Ok(Report { looked_at, problems })
}

/// The rules that need one file only.
fn check_file(file: &str, text: &str) -> Vec<Problem> {
    let mut problems = names::check_path(file);
    problems.extend(leftovers::check_text(file, text));
    if !file.ends_with(".rs") {
        return problems;
    }
    problems.extend(shape::check(file, text));
    match tokens(text, true) {
        Ok(all) => {
            problems.extend(leftovers::check_tokens(file, &all));
            problems.extend(names::check_modules(file, &all));
        }
        Err(error) => problems.push(Problem::at(file, 0, format!("{error:#}"), "make it compile")),
    }
    problems
}

/// The rules about crates.
fn check_crates(workspace: &Workspace, problems: &mut Vec<Problem>) -> Result<()> {
    let page = workspace.must_text(PAGE)?;
    let crates = workspace.crates();
    let names: Vec<&str> = crates.iter().map(|package| package.name.as_str()).collect();
    let folders: Vec<String> = crates.iter().map(|package| workspace.folder_of(package)).collect();
    let table = imports::Table::read(PAGE, &page);
    problems.extend(table.check(PAGE, &names));
    problems.extend(pages::check_map(PAGE, &page, &folders));
    for (package, folder) in crates.iter().zip(&folders) {
        let manifest = format!("{folder}/Cargo.toml");
        let text = workspace.must_text(&manifest)?;
        problems.extend(manifests::check(&manifest, &text));
        problems.extend(imports::check(&table, package.name.as_str(), &needs_of(package, &names), (&manifest, &text)));
        if let Some(pure) = purity::of(package.name.as_str()) {
            problems.extend(purity::check_needs(pure, &needs_of(package, &names), (&manifest, &text)));
            check_pure_files(workspace, &format!("{folder}/src/"), problems)?;
        }
    }
    Ok(())
}

/// What ships of a pure crate.
fn check_pure_files(workspace: &Workspace, sources: &str, problems: &mut Vec<Problem>) -> Result<()> {
    let files = workspace.files.iter().filter(|file| file.starts_with(sources) && file.ends_with(".rs"));
    for file in files.filter(|file| !shape::is_tests(file)) {
        // A file that is no Rust has been reported already.
        let shipped = tokens(&workspace.must_text(file)?, false).unwrap_or_default();
        problems.extend(purity::check_tokens(file, &shipped));
    }
    Ok(())
}

/// One line of a crate's dependencies.
struct Need {
    /// The package.
    package: String,
    /// Whether it is one of ours.
    ours: bool,
    /// For tests, examples and benches only.
    dev: bool,
}

fn needs_of(package: &cargo_metadata::Package, ours: &[&str]) -> Vec<Need> {
    let needs = package.dependencies.iter().map(|need| Need {
        package: need.name.clone(),
        ours: ours.contains(&need.name.as_str()),
        dev: need.kind == cargo_metadata::DependencyKind::Development,
    });
    needs.collect()
}

/// The line of a manifest that names a package; 0 where none does.
fn line_naming(manifest: &str, package: &str) -> usize {
    let names =
        |line: &str| line.trim_start().strip_prefix(package).is_some_and(|rest| rest.starts_with([' ', '.', '=']));
    manifest.lines().position(names).map_or(0, |index| index + 1)
}

fn is_markdown(file: &str) -> bool {
    file.ends_with(".md")
}

/// A need for a fixture.
#[cfg(test)]
fn need(package: &str, ours: bool, dev: bool) -> Need {
    Need { package: package.to_owned(), ours, dev }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_of_rules_is_asked_about_a_file() {
        let text =
            format!("mod util {{}}\nfn a() {{ todo!() }} // {}\n{}", concat!("FIX", "ME"), "fn b() {}\n".repeat(500));
        let mut said: Vec<String> =
            check_file("crates/lead/src/misc.rs", &text).into_iter().map(|problem| problem.says).collect();
        said.sort();
        let expected = [
            "502 lines before its tests, at most 500",
            "`misc` says nothing",
            concat!("a note to oneself: FIX", "ME"),
            "does not say what it is for",
            "module `util` says nothing",
            "unfinished: todo!",
        ];
        assert_eq!(said, expected);
        assert_eq!(check_file("f.rs", "//! Says what it is for.\nfn (").len(), 1);
    }
}
