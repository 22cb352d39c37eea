//! Pages keep up with the repository: links lead somewhere, and the code map names every crate.

use crate::problem::Problem;
use std::path::{Component, Path, PathBuf};

const MAP_HEADING: &str = "## Code map";

/// Links of a page to files of the repository that are not there. `has` answers for a path from the root.
pub(crate) fn check_links(file: &str, text: &str, has: impl Fn(&Path) -> bool) -> Vec<Problem> {
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let mut problems = Vec::new();
    for (line, target) in links(text) {
        let path = target.split(['#', '?']).next().unwrap_or_default();
        let is_ours = !path.is_empty() && !path.contains("://") && !path.starts_with("mailto:");
        if is_ours && !resolve(folder, path).is_some_and(|path| has(&path)) {
            let says = format!("a link leads nowhere: {target}");
            problems.push(Problem::at(file, line, says, "correct the path, or write the page"));
        }
    }
    problems
}

/// A link's path from the root; `None` when it leaves the repository.
fn resolve(folder: &Path, target: &str) -> Option<PathBuf> {
    let joined = match target.strip_prefix('/') {
        Some(from_root) => PathBuf::from(from_root),
        None => folder.join(target),
    };
    let mut path = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::ParentDir if !path.pop() => return None,
            Component::ParentDir | Component::CurDir => {}
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// Every link's line and target, outside of code: `[a](target)`, `![a](target)`, `[a]: target`.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if !fenced {
            found.extend(links_of(&without_code(line)).into_iter().map(|target| (index + 1, target)));
        }
    }
    found
}

fn links_of(line: &str) -> Vec<String> {
    let mut targets: Vec<String> = Vec::new();
    if let Some((_, target)) = line.split_once("]: ").filter(|(label, _)| label.starts_with('[')) {
        targets.extend(target.split_whitespace().next().map(str::to_owned));
    }
    for (at, _) in line.match_indices("](") {
        let rest = &line[at + 2..];
        let target = rest.split(')').next().unwrap_or_default();
        targets.extend(target.split_whitespace().next().map(|target| target.trim_matches(['<', '>']).to_owned()));
    }
    targets
}

/// A line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// Crates the code map does not name, and folders it names that are no crate.
pub(crate) fn check_map(page: &str, text: &str, folders: &[String]) -> Vec<Problem> {
    let section: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .skip_while(|(_, line)| line.trim() != MAP_HEADING)
        .skip(1)
        .take_while(|(_, line)| !line.starts_with('#'))
        .collect();
    let named: Vec<(usize, &str)> =
        section.iter().filter_map(|(index, line)| Some((index + 1, entry(line)?))).collect();
    let missing = folders.iter().filter(|folder| !named.iter().any(|(_, name)| name == folder)).map(|folder| {
        let remedy = format!("add a line for `{folder}` under `{MAP_HEADING}`: what it is responsible for");
        Problem::at(page, 0, format!("the code map does not name {folder}"), remedy)
    });
    let gone = named.iter().filter(|(_, name)| !folders.iter().any(|folder| folder == name)).map(|(line, name)| {
        Problem::at(page, *line, format!("the code map names {name}, which is no crate"), "remove the line")
    });
    missing.chain(gone).collect()
}

/// The folder a line of the map is about: ``| `crates/lead` | what it is for |``.
fn entry(line: &str) -> Option<&str> {
    line.strip_prefix("| `")?.split('`').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead(text: &str) -> Vec<usize> {
        let has = |path: &Path| ["docs/a.md", "README.md", "docs"].iter().any(|known| Path::new(known) == path);
        check_links("docs/page.md", text, has).into_iter().map(|problem| problem.line).collect()
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        assert_eq!(dead("ok\n[a](b.md)"), [2]);
        assert_eq!(dead("[a](a.md) and ![b](b.svg)"), [1]);
        assert_eq!(dead("[a]: gone.md"), [1]);
        assert_eq!(dead("[a](../../README.md)"), [1]);
        assert_eq!(dead("[a](/gone.md)"), [1]);
    }

    #[test]
    fn links_that_lead_somewhere_or_out_and_code_are_fine() {
        let fine = "[a](a.md) [b](../README.md#top) [c](#here) [d](https://a.example/x.md) [e](./a.md \"A\") [f](/docs)\n\
                    [g]: a.md\n`[h](gone.md)`\n```\n[i](gone.md)\n```\nx[0]: not a link\n";
        assert_eq!(dead(fine), Vec::<usize>::new());
    }

    #[test]
    fn the_map_names_every_crate_and_no_other() {
        let page = "# A\n`crates/lead`\n## Code map\n| `crates/lead` | a |\n| `crates/gone` | b |\n### Next\n| `xtask` | c |\n";
        let folders = ["crates/lead", "xtask"].map(str::to_owned);
        let said: Vec<(usize, String)> =
            check_map("P", page, &folders).into_iter().map(|problem| (problem.line, problem.says)).collect();
        let gone = "the code map names crates/gone, which is no crate".to_owned();
        assert_eq!(said, [(0, "the code map does not name xtask".to_owned()), (5, gone)]);
    }
}
