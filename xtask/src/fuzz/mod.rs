//! `cargo xtask fuzz`: the long run. Builds the fuzz targets with the instrumentation libFuzzer needs, on the stable compiler,
//! and runs each for a number of executions. What it finds is told as a line for the kept corpus; it never writes there unless
//! it is asked to.

mod corpus;
mod figures;
mod instrument;
// Importing the crate of the targets would build the server whenever a tool is run.
#[allow(unreachable_pub, reason = "public where it is a library's")]
#[path = "../../../fuzz/src/corpus.rs"]
mod form;

use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::Args;
use figures::{Figures, Finished};
pub(crate) use instrument::as_wrapper;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How long one input may take, in seconds, before it counts as a hang. Far above what any takes, since machines are busy.
const HANG_SECONDS: u32 = 30;
/// Memory of the whole process, in mebibytes, before it counts as a find.
const MEMORY_MIB_MAX: u32 = 1_024;
/// How long inputs grow, in bytes.
const INPUT_BYTES_MAX: u32 = 4_096;
/// Shorter where each byte is dear: what is long there takes more time and shows nothing new.
const SHORTER_BYTES_MAX: [(&str, u32); 7] = [
    ("answer", 768),
    ("classify", 1_024),
    ("condition", 512),
    ("config", 1_536),
    ("normal", 512),
    ("scenario", 1_024),
    ("template", 512),
];

/// What to run.
#[derive(Args)]
pub(crate) struct FuzzArgs {
    /// Which target; all of them unless given.
    target: Option<String>,
    /// How often each is run.
    #[arg(long, default_value_t = 1_000_000)]
    executions: u64,
    /// Add to the kept corpus what reached something new.
    #[arg(long)]
    keep: bool,
}

/// Runs the targets and prints a table. True when nothing was found.
///
/// # Errors
/// When there is no such target, or it cannot be built or run.
pub(crate) fn run(args: &FuzzArgs) -> Result<bool> {
    let workspace = Workspace::load()?;
    let kept = workspace.root().join("fuzz/corpus");
    let targets = targets(&kept, args.target.as_deref())?;
    let binary = build(workspace.root())?;
    let mut fine = true;
    println!("{}", figures::HEADING);
    for name in targets {
        let place = Place {
            kept: kept.join(format!("{name}.txt")),
            scratch: workspace.root().join("target/fuzz/runs").join(&name),
        };
        let figures = run_one(&binary, &name, args.executions, &place)?;
        println!("{}", figures.row(&name));
        fine &= figures.finds.is_empty();
        for find in &figures.finds {
            println!("  keep this line in fuzz/corpus/{name}.txt: {find}");
        }
        if args.keep {
            keep(&binary, &name, &place)?;
        }
    }
    Ok(fine)
}

/// Where a target's inputs are.
struct Place {
    /// The kept corpus, one input a line.
    kept: PathBuf,
    /// Where a run works.
    scratch: PathBuf,
}

fn input_bytes_max(target: &str) -> u32 {
    let shorter = SHORTER_BYTES_MAX.iter().find(|(name, _)| *name == target);
    shorter.map_or(INPUT_BYTES_MAX, |(_, bytes)| *bytes)
}

fn targets(kept: &Path, wanted: Option<&str>) -> Result<Vec<String>> {
    let files = fs::read_dir(kept).with_context(|| format!("{} cannot be read", kept.display()))?;
    let stems = files.filter_map(|file| Some(file.ok()?.path().file_stem()?.to_str()?.to_owned()));
    let mut names: Vec<String> = stems.collect();
    names.sort();
    let Some(wanted) = wanted else { return Ok(names) };
    if !names.iter().any(|name| name == wanted) {
        bail!("there is no target {wanted}: known are {}", names.join(", "));
    }
    Ok(vec![wanted.to_owned()])
}

/// Builds the binary, optimised and yet with every assertion and overflow check; where it is.
fn build(root: &Path) -> Result<PathBuf> {
    let host = host()?;
    let folder = root.join("target/fuzz");
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--locked", "--release", "--package", "steadfast-fuzz", "--features", "libfuzzer"])
        // With a target named, build scripts and macros are not instrumented.
        .args(["--target", &host, "--target-dir"])
        .arg(&folder)
        .env("RUSTFLAGS", instrument::mark())
        .env("RUSTC_WRAPPER", std::env::current_exe().context("where this tool is")?)
        .env(instrument::WRAPS, "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
        .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true")
        .current_dir(root)
        .status()
        .context("cargo build")?;
    if !status.success() {
        bail!("the fuzz targets cannot be built");
    }
    Ok(folder.join(host).join("release/steadfast-fuzz"))
}

fn host() -> Result<String> {
    let output = Command::new("rustc").args(["--print", "host-tuple"]).output().context("rustc --print host-tuple")?;
    Ok(String::from_utf8(output.stdout).context("rustc --print host-tuple")?.trim().to_owned())
}

fn run_one(binary: &Path, name: &str, executions: u64, place: &Place) -> Result<Figures> {
    let (seeds, found, finds) = (place.scratch.join("kept"), place.scratch.join("found"), place.scratch.join("finds"));
    for folder in [&seeds, &finds] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("{} cannot be cleared", folder.display()))?;
        }
    }
    for folder in [&seeds, &found, &finds] {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    corpus::unpack(&place.kept, &seeds)?;
    let output = Command::new(binary)
        .env("STEADFAST_FUZZ_TARGET", name)
        .arg(format!("-runs={executions}"))
        .arg(format!("-timeout={HANG_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .arg(format!("-max_len={}", input_bytes_max(name)))
        .arg(format!("-artifact_prefix={}/", finds.display()))
        .arg("-print_final_stats=1")
        .args([&found, &seeds])
        .output()
        .with_context(|| format!("{} cannot be run", binary.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let finished = if output.status.success() { Finished::InOrder } else { Finished::Stopped };
    Figures::read(&said, finished, corpus::lines_of(&finds)?)
}

/// Keeps the smallest set that reaches all that was reached.
fn keep(binary: &Path, name: &str, place: &Place) -> Result<()> {
    let merged = place.scratch.join("merged");
    if merged.exists() {
        fs::remove_dir_all(&merged).with_context(|| format!("{} cannot be cleared", merged.display()))?;
    }
    fs::create_dir_all(&merged).with_context(|| format!("{} cannot be made", merged.display()))?;
    let output = Command::new(binary)
        .env("STEADFAST_FUZZ_TARGET", name)
        .arg("-merge=1")
        .args([&merged, &place.scratch.join("kept"), &place.scratch.join("found")])
        .output()
        .context("merging")?;
    if !output.status.success() {
        bail!("{name}: the corpus cannot be merged");
    }
    let added = corpus::add(&merged, &place.kept)?;
    println!("  {added} inputs kept");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shorter_target_is_one_and_takes_all_that_was_kept_whole() {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for name in targets(&kept, None).unwrap() {
            let text = fs::read_to_string(kept.join(format!("{name}.txt"))).unwrap();
            let longest = form::read(&text).unwrap().iter().map(Vec::len).max().unwrap();
            assert!(longest <= input_bytes_max(&name) as usize, "{name}: an input of {longest} bytes is cut");
        }
        for (name, _) in SHORTER_BYTES_MAX {
            assert_eq!(targets(&kept, Some(name)).unwrap(), [name]);
        }
    }
}
