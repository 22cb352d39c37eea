//! Builds a release of the server and of the measuring tool, and runs the tool. Measures nothing itself.

use crate::workspace::Workspace;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Runs the tool with these arguments; its exit code is ours.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    match build().and_then(|(tool, root)| measure(&tool, &root, arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: could not run: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Where the tool is, and the repository's root.
fn build() -> Result<(PathBuf, PathBuf)> {
    let metadata = Workspace::load()?.metadata;
    let (root, target) = (metadata.workspace_root.into_std_path_buf(), metadata.target_directory.into_std_path_buf());
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(&root).args(["build", "--release", "--locked", "-p", "steadfast", "-p", "steadfast-bench"]);
    // What a decision costs is measured by an example of the crate that decides.
    build.args(["-p", "steadfast-retry", "--bins", "--example", "decision_cost"]);
    if !build.status().context("running cargo")?.success() {
        bail!("the build failed");
    }
    Ok((target.join("release/steadfast-bench"), root))
}

fn measure(tool: &Path, root: &Path, arguments: &[String]) -> Result<bool> {
    let mut run = Command::new(tool);
    run.arg("run").arg("--root").arg(root).args(arguments);
    Ok(run.status().with_context(|| format!("running {}", tool.display()))?.success())
}
