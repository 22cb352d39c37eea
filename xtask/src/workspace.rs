//! The repository as the tools see it: its crates by `cargo metadata`, and its files by `git`.
//!
//! Metadata is read offline and for this machine's platform, so that a tool never waits for a network.

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders that hold nothing of ours; only asked where there is no `git`.
const NOT_OURS: [&str; 3] = ["target", "node_modules", ".git"];

/// The repository.
pub(crate) struct Workspace {
    root: PathBuf,
    /// What cargo knows.
    pub(crate) metadata: Metadata,
    /// Every file that is ours, from the root, sorted; new ones that are not committed yet included.
    pub(crate) files: Vec<String>,
}

impl Workspace {
    /// Loads the repository the tool is run in. (Where it was built says nothing: checkouts may share a target folder.)
    ///
    /// # Errors
    /// When cargo cannot say what the crates are, or files cannot be listed.
    pub(crate) fn load() -> Result<Self> {
        let mut command = MetadataCommand::new();
        let offline = ["--locked", "--offline", "--filter-platform", "host-tuple"];
        command.other_options(offline.map(str::to_owned).to_vec());
        let metadata = command.exec().context("cargo metadata (after `cargo fetch --locked` it works offline)")?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let mut files = list_files(&root)?;
        files.sort();
        Ok(Workspace { root, metadata, files })
    }

    /// Its folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The crates that are ours.
    pub(crate) fn crates(&self) -> Vec<&Package> {
        self.metadata.workspace_packages()
    }

    /// A crate's folder from the root, such as `crates/lead`.
    pub(crate) fn folder_of(&self, package: &Package) -> String {
        let manifest = package.manifest_path.as_std_path();
        let folder = manifest.parent().unwrap_or(manifest);
        folder.strip_prefix(&self.root).unwrap_or(folder).to_string_lossy().into_owned()
    }

    /// Whether there is a file or folder at a path from the root.
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.root.join(path).exists()
    }

    /// Where a path from the root is.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// A file's text; `None` where it is no UTF-8.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn text(&self, file: &str) -> Result<Option<String>> {
        let bytes = fs::read(self.root.join(file)).with_context(|| format!("reading {file}"))?;
        Ok(String::from_utf8(bytes).ok())
    }

    /// The text of a file that must be there.
    ///
    /// # Errors
    /// When it cannot be read, or is no UTF-8.
    pub(crate) fn must_text(&self, file: &str) -> Result<String> {
        self.text(file)?.with_context(|| format!("{file} is not UTF-8"))
    }
}

fn list_files(root: &Path) -> Result<Vec<String>> {
    let asked = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output();
    let files = match asked {
        Ok(answer) if answer.status.success() => {
            let names = String::from_utf8(answer.stdout).context("a file's name is not UTF-8")?;
            names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect()
        }
        // A copy without its history: everything but what tools leave behind.
        Ok(_) | Err(_) => walk(root)?,
    };
    // A file that was deleted but not committed is still in the list.
    let files: Vec<String> = files.into_iter().filter(|file| root.join(file).is_file()).collect();
    if files.is_empty() {
        bail!("no files found in {}", root.display());
    }
    Ok(files)
}

fn walk(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !NOT_OURS.contains(&name.as_str()) {
                folders.push(path);
            } else if path.is_file() {
                files.push(path.strip_prefix(root)?.to_string_lossy().into_owned());
            }
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_loads_with_its_crates_and_files() {
        let workspace = Workspace::load().unwrap();
        let folders: Vec<String> = workspace.crates().into_iter().map(|package| workspace.folder_of(package)).collect();
        assert!(folders.contains(&"crates/lead".to_owned()) && folders.contains(&"xtask".to_owned()), "{folders:?}");
        assert!(workspace.files.contains(&"xtask/src/workspace.rs".to_owned()));
        assert!(workspace.files.iter().all(|file| !file.starts_with("target/")));
    }

    #[test]
    fn a_copy_without_history_is_walked() {
        let files = walk(Path::new(".")).unwrap();
        assert!(files.contains(&"src/workspace.rs".to_owned()), "{files:?}");
    }
}
