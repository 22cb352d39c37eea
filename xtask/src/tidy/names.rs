//! Rule 7: named by responsibility. A file that could hold anything ends up holding everything.

use crate::problem::Problem;
use crate::source::{Token, stands_at};

const EMPTY_NAMES: [&str; 10] =
    ["util", "utils", "common", "helpers", "core", "manager", "types", "models", "misc", "errors"];
/// What counts as code: pages may be called what they like.
const CODE: [&str; 7] = ["rs", "sh", "py", "ts", "js", "svelte", "sql"];
const REMEDY: &str = "name it for what it is responsible for, or move each part to where it is used";

/// Folders and files of code with an empty name.
pub(crate) fn check_path(file: &str) -> Vec<Problem> {
    let Some((stem, extension)) = file.rsplit_once('.') else { return Vec::new() };
    if !CODE.contains(&extension) {
        return Vec::new();
    }
    let empty = stem.split('/').filter(|part| EMPTY_NAMES.contains(part));
    empty.map(|part| Problem::at(file, 0, format!("`{part}` says nothing"), REMEDY)).collect()
}

/// Modules with an empty name, wherever they are declared.
pub(crate) fn check_modules(file: &str, tokens: &[Token]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for place in 0..tokens.len() {
        for name in EMPTY_NAMES.iter().filter(|name| stands_at(tokens, place, &["mod", name])) {
            problems.push(Problem::at(file, tokens[place].line, format!("module `{name}` says nothing"), REMEDY));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tokens;

    #[test]
    fn every_empty_name_is_found_as_file_folder_and_module() {
        for name in EMPTY_NAMES {
            assert_eq!(check_path(&format!("crates/lead/src/{name}.rs")).len(), 1, "{name}");
            assert_eq!(check_path(&format!("web/{name}/chart.ts")).len(), 1, "{name}");
            let found = check_modules("f.rs", &tokens(&format!("fn a() {{}}\nmod {name} {{}}"), true).unwrap());
            assert_eq!(found.iter().map(|problem| problem.line).collect::<Vec<_>>(), [2], "{name}");
        }
    }

    #[test]
    fn names_that_only_contain_one_are_fine() {
        for fine in ["crates/lead/src/commons.rs", "docs/common/page.md", "crates/api/src/lead_types.rs", "LICENSE"] {
            assert_eq!(check_path(fine), [], "{fine}");
        }
        assert_eq!(check_modules("f.rs", &tokens("use core::fmt; mod decide;", true).unwrap()), []);
    }
}
