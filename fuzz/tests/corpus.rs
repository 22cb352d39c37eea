//! The short run: for each target everything that was kept, and a fixed number of inputs made from it by a fixed seed. Bounded
//! in inputs and not in time, so that it finds the same on every machine.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's own functions may fail it")]

use std::path::{Path, PathBuf};
use steadfast_fuzz::corpus::{line, read};
use steadfast_fuzz::mutate::{Dice, mutated};
use steadfast_fuzz::{STACK_BYTES, TARGETS, Target, target};

const SEED: u64 = 20_261_128;
/// A kept input is short enough to be read.
const KEPT_BYTES_MAX: usize = 8_192;
/// A corpus file is small enough to be looked through.
const CORPUS_BYTES_MAX: usize = 65_536;

fn corpus_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{name}.txt"))
}

fn kept(name: &str) -> Vec<Vec<u8>> {
    let path = corpus_path(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(text.len() <= CORPUS_BYTES_MAX, "{name}: {} bytes of corpus, at most {CORPUS_BYTES_MAX}", text.len());
    let kept = read(&text).unwrap_or_else(|line| panic!("{}:{line} cannot be read", path.display()));
    assert!(kept.iter().all(|input| input.len() <= KEPT_BYTES_MAX), "{name}: an input longer than {KEPT_BYTES_MAX}");
    kept
}

/// Runs one input and names it where it fails.
fn check(target: &Target, input: &[u8]) {
    let outcome = std::panic::catch_unwind(|| target.check(input));
    if outcome.is_err() {
        panic!("{} fails; keep this line in fuzz/corpus/{}.txt:\n{}", target.name, target.name, line(input));
    }
}

fn short_run(name: &'static str) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || run_all(name)).unwrap();
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

fn run_all(name: &str) {
    let target = target(name).unwrap();
    let kept = kept(name);
    assert!(!kept.is_empty(), "{name} has no kept input");
    kept.iter().for_each(|input| check(target, input));
    let mut dice = Dice::new(SEED);
    for _ in 0..target.short_run {
        check(target, &mutated(&kept, target.words, &mut dice));
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { short_run(stringify!($name)); })*

        #[test]
        fn every_target_has_its_test_and_every_corpus_its_target() {
            let tested = [$(stringify!($name)),*];
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, tested);
            let folder = corpus_path("x").parent().unwrap().to_owned();
            for file in std::fs::read_dir(folder).unwrap() {
                let path = file.unwrap().path();
                let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
                assert!(target(&stem).is_some(), "{} is the corpus of no target", path.display());
            }
        }
    };
}

targets! {
    lead_json lead_xml submission batch_csv batch_lines values normal query key classify answer hint token config masked
    scenario template condition body_path address record_lead record_delivery record_entry record_event
}

#[test]
fn a_corpus_line_reads_back_as_it_was_written() {
    let mut dice = Dice::new(SEED);
    let all: Vec<u8> = (0..=255).collect();
    for input in [all.clone(), b"# no comment".to_vec(), Vec::new()] {
        assert_eq!(read(&(line(&input) + "\n")).unwrap(), [input]);
    }
    for _ in 0..1_000 {
        let input = mutated(std::slice::from_ref(&all), &["\n", "\\"], &mut dice);
        assert_eq!(read(&(line(&input) + "\n")), Ok(vec![input]));
    }
    assert_eq!(read("# why\na\n\\q\n"), Err(3));
}

/// A check that was never seen red proves nothing.
#[test]
fn a_panic_and_work_out_of_proportion_are_seen() {
    fn greedy(input: &[u8]) {
        assert!(!std::hint::black_box(vec![0_u8; input.len() * 100]).is_empty());
    }
    fn busy(input: &[u8]) {
        (0..input.len() * 100_000).for_each(|_| drop(std::hint::black_box(Box::new(0_u8))));
    }
    let tight = Target { bytes_base: 64, bytes_per_byte: 4, allocations_per_byte: 1, ..TARGETS[0] };
    let fails = |run: fn(&[u8])| std::panic::catch_unwind(|| Target { run, ..tight }.check(b"abc")).is_err();
    assert!(fails(|_| panic!("found")));
    assert!(fails(greedy));
    assert!(fails(busy));
    assert!(!fails(|_| {}));
}

/// What another thread allocates is not counted: a target that starts one has no bounds.
#[test]
fn what_is_compiled_inside_a_target_is_counted() {
    for (name, input) in
        [("condition", &b"{}\nlead.value == 1.0 && priority == 'high'"[..]), ("template", b"text\n{}\n{{ a }}")]
    {
        let took = target(name).unwrap().check(input);
        assert!(took.allocations > 100 && took.bytes > 1_000, "{name}: {took:?}");
    }
}
