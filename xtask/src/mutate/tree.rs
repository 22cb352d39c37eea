//! A copy of the repository to break. What did not change since the last run keeps its time, so that it is not built again.

use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Where it is, from the repository's root.
const PLACE: &str = "target/mutate/tree";

/// The copy.
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Copies every file that is ours; one that is gone from the repository goes from the copy.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub(super) fn copy(workspace: &Workspace) -> Result<Self> {
        let root = workspace.root().join(PLACE);
        let tree = Tree { root };
        fs::create_dir_all(&tree.root).with_context(|| format!("{} cannot be made", tree.root.display()))?;
        tree.remove_strangers(&tree.root, workspace)?;
        for file in &workspace.files {
            let (from, to) = (workspace.root().join(file), tree.root.join(file));
            // A file that was removed and not committed yet is listed still.
            let Ok(content) = fs::read(&from) else { continue };
            if fs::read(&to).is_ok_and(|known| known == content) {
                continue;
            }
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
            }
            fs::write(&to, content).with_context(|| format!("{} cannot be written", to.display()))?;
        }
        Ok(tree)
    }

    fn remove_strangers(&self, folder: &Path, workspace: &Workspace) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                self.remove_strangers(&path, workspace)?;
                continue;
            }
            let name = path.strip_prefix(&self.root).unwrap_or(&path);
            let is_ours =
                workspace.files.iter().any(|file| Path::new(file) == name) && workspace.root().join(name).exists();
            if !is_ours {
                fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))?;
            }
        }
        Ok(())
    }

    /// Its folder.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A file's text.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn text(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.root.join(file)).with_context(|| format!("{file} cannot be read"))
    }

    /// Writes a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, file: &str, text: &str) -> Result<()> {
        fs::write(self.root.join(file), text).with_context(|| format!("{file} cannot be written"))
    }
}
