//! `cargo xtask storm`: builds the storm with optimizations and hands over what it is told.

use std::process::{Command, ExitCode};

/// Runs it. Fails when it does, or when it cannot be built.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let run = ["run", "--release", "--quiet", "--locked", "--package", "steadfast-storm", "--"];
    match Command::new(cargo).args(run).args(arguments).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("storm: cargo could not be run: {error}");
            ExitCode::from(2)
        }
    }
}
