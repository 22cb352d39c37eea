//! `steadfast init`: a commented config to start from. Never overwrites.

use anyhow::Context as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// What is written.
pub(crate) const STARTER: &str = include_str!("starter.toml");

/// Writes a config to start from. False when there is a file already, which is left alone.
///
/// # Errors
/// When the file or `out` cannot be written.
pub(crate) fn init(path: &Path, out: &mut impl Write) -> anyhow::Result<bool> {
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            writeln!(out, "{} is there already and was left alone", path.display())?;
            return Ok(false);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot write {}", path.display())),
    };
    file.write_all(STARTER.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    let shown = path.display();
    writeln!(out, "wrote {shown}; next: steadfast check {shown}, then steadfast serve --config {shown}")?;
    Ok(true)
}
