//! Every scenario file runs and says what it expects; every line of the specification it covers has its scenario.
//!
//! `UPDATE_EXPECT=1 cargo test -p steadfast-sim` rewrites the expectations: read every changed line before committing it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use steadfast_sim::{ScenarioFile, run};

mod lines;

fn files() -> Vec<(PathBuf, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() >= 90, "only {} scenario files were found in {}", files.len(), folder.display());
    files
}

fn parse(path: &Path, text: &str) -> ScenarioFile {
    toml::from_str(text).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

fn ran(path: &Path, file: &ScenarioFile) -> String {
    let scenario = file.compile().unwrap_or_else(|faults| panic!("{}: {faults:?}", path.display()));
    run(&scenario).unwrap_or_else(|stopped| panic!("{}: {stopped}", path.display())).text()
}

/// The file with another expectation, at its place or where the tables begin: it is a key of the file itself.
fn with_expectation(text: &str, expect: &str) -> String {
    let block = format!("expect = '''\n{expect}'''\n");
    match text.split_once("expect = '''\n") {
        Some((before, after)) => {
            let after = after.split_once("'''\n").map_or("", |(_, after)| after);
            format!("{before}{block}{after}")
        }
        None => match text.split_once("\n\n[") {
            Some((before, after)) => format!("{before}\n{block}\n[{after}"),
            None => format!("{text}{block}"),
        },
    }
}

#[test]
fn every_scenario_goes_as_expected() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    for (path, text) in files() {
        let file = parse(&path, &text);
        assert_eq!(path.file_stem().unwrap().to_str(), Some(file.name.as_str()), "the name is that of the file");
        let said = ran(&path, &file);
        if update {
            // Moved into place whole: the other tests read the same files meanwhile.
            let new = path.with_extension("new");
            fs::write(&new, with_expectation(&text, &said)).unwrap();
            fs::rename(&new, &path).unwrap();
        } else if file.expect.as_deref() != Some(&said) {
            wrong.push(format!("{}\nexpected:\n{}\ncame:\n{said}", path.display(), file.expect.unwrap_or_default()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_one_another() {
    for (path, text) in files() {
        let file = parse(&path, &text);
        assert_eq!(ran(&path, &file), ran(&path, &file));
    }
    let (path, text) = files().into_iter().find(|(path, _)| path.ends_with("policy-standard.toml")).unwrap();
    let file = parse(&path, &text);
    let other = ScenarioFile { seed: file.seed + 1, ..file.clone() };
    assert_ne!(ran(&path, &file), ran(&path, &other));
}

#[test]
fn every_line_of_the_specification_has_its_scenario() {
    let mut titles: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in files() {
        let file = parse(&path, &text);
        titles.entry(file.title).or_default().push(file.name);
    }
    let mut known = BTreeSet::new();
    let mut missing = Vec::new();
    for (section, lines) in lines::LINES {
        for line in *lines {
            let title = format!("{section}: {line}");
            if !titles.contains_key(&title) {
                missing.push(title.clone());
            }
            known.insert(title);
        }
    }
    assert!(missing.is_empty(), "without a scenario:\n{}", missing.join("\n"));
    let strange: Vec<_> = titles.keys().filter(|title| !known.contains(*title)).collect();
    assert!(strange.is_empty(), "stand for no line: {strange:?}");
}
