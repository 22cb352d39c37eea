//! Between the kept corpus, one escaped input a line, and the folders of files libFuzzer works on.

use super::form::{line, read};
use anyhow::{Context, Result, anyhow};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Inputs longer than this are not kept, in bytes.
const KEPT_BYTES_MAX: usize = 512;
/// How large a corpus file may become by keeping, in bytes.
const FILE_BYTES_MAX: usize = 16_384;

/// Writes each kept input into a file of its own.
pub(super) fn unpack(kept: &Path, folder: &Path) -> Result<()> {
    let text = fs::read_to_string(kept).with_context(|| format!("{} cannot be read", kept.display()))?;
    let inputs = read(&text).map_err(|line| anyhow!("{}:{line} cannot be read", kept.display()))?;
    for (number, input) in inputs.iter().enumerate() {
        fs::write(folder.join(number.to_string()), input).context("unpacking the corpus")?;
    }
    Ok(())
}

/// The files of a folder as lines, shortest first.
pub(super) fn lines_of(folder: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for file in fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
        lines.push(line(&fs::read(file?.path())?));
    }
    lines.sort_by_key(String::len);
    Ok(lines)
}

/// Adds to the kept corpus what is short, until the file is as large as one looks through; how many.
pub(super) fn add(folder: &Path, kept: &Path) -> Result<usize> {
    let mut text = fs::read_to_string(kept).with_context(|| format!("{} cannot be read", kept.display()))?;
    let known: HashSet<String> = text.lines().map(str::to_owned).collect();
    let mut added = 0;
    for line in lines_of(folder)?.into_iter().filter(|line| !known.contains(line)) {
        if line.len() > KEPT_BYTES_MAX || text.len() + line.len() >= FILE_BYTES_MAX {
            break;
        }
        text.push_str(&line);
        text.push('\n');
        added += 1;
    }
    fs::write(kept, text).with_context(|| format!("{} cannot be written", kept.display()))?;
    Ok(added)
}
