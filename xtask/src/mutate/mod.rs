//! `cargo xtask mutate`: breaks the code on purpose, one promise at a time, and sees that a test goes red for it. Works on a copy
//! of the repository below `target`, so that nothing of it can end up in what is committed.

mod table;
mod testing;
mod tree;

use crate::workspace::Workspace;
use anyhow::{Result, bail};
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};
use table::{Mutation, Table};
use testing::{Bench, Outcome};
use tree::Tree;

/// Which to try.
#[derive(Args)]
pub(crate) struct MutateArgs {
    /// Names of mutations, or how they begin; all of them unless given.
    names: Vec<String>,
}

/// What became of one mutation.
enum Verdict {
    Caught(Vec<String>),
    Survived,
    /// It proves nothing: the text is not there, or the code does not compile any more.
    Void(String),
}

/// Tries the mutations and prints a table. True when a test caught each.
///
/// # Errors
/// When the table cannot be read, the copy cannot be made, or the tests are red without any mutation.
pub(crate) fn run(args: &MutateArgs) -> Result<bool> {
    let workspace = Workspace::load()?;
    let table = Table::read(&workspace.must_text(table::FILE)?)?;
    let chosen: Vec<&Mutation> = table.mutations.iter().filter(|mutation| is_wanted(&args.names, mutation)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = table.mutations.iter().map(|mutation| &*mutation.name).collect();
        bail!("no mutation is named so: known are {}", names.join(", "));
    }
    let tree = Tree::copy(&workspace)?;
    let bench = Bench::new(tree.root(), workspace.root());
    see_green(&bench, &chosen)?;
    println!("| mutation | the promise it breaks | caught by |\n|---|---|---|");
    let mut all_caught = true;
    for mutation in chosen {
        let verdict = try_one(&tree, &bench, mutation)?;
        all_caught &= matches!(verdict, Verdict::Caught(_));
        println!("| `{}` | {} | {} |", mutation.name, mutation.breaks, shown(&verdict));
    }
    Ok(all_caught)
}

fn is_wanted(names: &[String], mutation: &Mutation) -> bool {
    names.is_empty() || names.iter().any(|name| mutation.name.starts_with(name.as_str()))
}

/// Without a mutation the tests must pass, or red would prove nothing.
fn see_green(bench: &Bench, chosen: &[&Mutation]) -> Result<()> {
    let mut tests: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for mutation in chosen {
        tests.entry(&mutation.package).or_default().extend(mutation.tests.iter().cloned());
    }
    for (package, names) in tests {
        let names: Vec<String> = names.into_iter().collect();
        match bench.run(package, &names)? {
            Outcome::Green => {}
            Outcome::Red(red) => bail!("{package} is red before anything was changed: {}", red.join(", ")),
            Outcome::Unbuilt(why) => bail!("{package} could not be tested before anything was changed:\n{why}"),
        }
    }
    Ok(())
}

fn try_one(tree: &Tree, bench: &Bench, mutation: &Mutation) -> Result<Verdict> {
    let text = tree.text(&mutation.file)?;
    let mutated = match mutation.apply(&text) {
        Ok(mutated) => mutated,
        Err(why) => return Ok(Verdict::Void(why)),
    };
    tree.write(&mutation.file, &mutated)?;
    let outcome = bench.run(&mutation.package, &mutation.tests);
    // Whatever came of it, the next one begins with whole code.
    tree.write(&mutation.file, &text)?;
    Ok(match outcome? {
        Outcome::Green => Verdict::Survived,
        Outcome::Red(tests) => Verdict::Caught(tests),
        Outcome::Unbuilt(why) => Verdict::Void(format!("it does not compile: {why}")),
    })
}

fn shown(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Caught(tests) => {
            const SHOWN_MAX: usize = 2;
            let first: Vec<String> = tests.iter().take(SHOWN_MAX).map(|test| format!("`{test}`")).collect();
            let more = tests.len().saturating_sub(SHOWN_MAX);
            first.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
        }
        Verdict::Survived => "**NOT CAUGHT**".to_owned(),
        Verdict::Void(why) => format!("**PROVES NOTHING**: {}", why.lines().next().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_red_test_counts_as_caught() {
        assert_eq!(
            shown(&Verdict::Caught(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()])),
            "`a`, `b` and 1 more"
        );
        assert_eq!(shown(&Verdict::Survived), "**NOT CAUGHT**");
        assert_eq!(shown(&Verdict::Void("gone\nmore".to_owned())), "**PROVES NOTHING**: gone");
    }
}
