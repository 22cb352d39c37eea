//! How far an import has come, kept beside the file so that another run can go on from there.
//!
//! Written whole and put in place in one step: a kill leaves the old one or the new one.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::path::Path;

/// The only version there has been.
const VERSION: u32 = 1;
/// A state is a few hundred bytes.
const STATE_BYTES_MAX: u64 = 64 << 10;

/// What is being imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct What {
    /// SHA-256 of the content, in hexadecimal.
    pub(super) fingerprint: String,
    /// Bytes of the content.
    pub(super) bytes: u64,
    /// Into which flow.
    pub(super) flow: String,
}

impl What {
    /// Reads a file through once.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn of(file: &Path, flow: &str) -> Result<Self> {
        let mut opened = std::fs::File::open(file).with_context(|| format!("opening {}", file.display()))?;
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = opened.read(&mut buffer).with_context(|| format!("reading {}", file.display()))?;
            if read == 0 {
                break;
            }
            hash.update(buffer.get(..read).unwrap_or_default());
            bytes += u64::try_from(read)?;
        }
        let mut fingerprint = String::with_capacity(64);
        for byte in hash.finalize() {
            write!(fingerprint, "{byte:02x}")?;
        }
        Ok(What { fingerprint, bytes, flow: flow.to_owned() })
    }
}

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    version: u32,
    pub(super) what: What,
    /// Everything before this byte is settled.
    pub(super) offset: u64,
    /// The number of the line that begins there.
    pub(super) line: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    /// What stands in the file of refused lines for what is settled.
    pub(super) rejects_bytes: u64,
}

impl Progress {
    /// Before the first line.
    pub(super) fn beginning(what: What) -> Self {
        Progress { version: VERSION, what, offset: 0, line: 1, accepted: 0, refused: 0, rejects_bytes: 0 }
    }

    /// What an earlier run has left, if it left something.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(super) fn load(path: &Path) -> Result<Option<Self>> {
        let file = match std::fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("opening {}", path.display())),
        };
        let mut text = String::new();
        file.take(STATE_BYTES_MAX).read_to_string(&mut text).with_context(|| format!("reading {}", path.display()))?;
        let read: Progress = serde_json::from_str(&text)
            .with_context(|| format!("{} is not the state of an import; remove it to begin again", path.display()))?;
        if read.version != VERSION {
            bail!("{} was written by another version; remove it to begin again", path.display());
        }
        Ok(Some(read))
    }

    /// The same import again.
    ///
    /// # Errors
    /// When the file or the flow is another one than this state is about.
    pub(super) fn for_the_same(self, what: &What, path: &Path) -> Result<Self> {
        if self.what.flow != what.flow {
            bail!("{} is about an import into flow {}", path.display(), self.what.flow);
        }
        if self.what != *what {
            bail!("the file was changed since its import began; remove {} to begin again", path.display());
        }
        Ok(self)
    }

    /// Keeps it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = || format!("writing {}", path.display());
        let mut file = tempfile::NamedTempFile::new_in(folder).with_context(failed)?;
        serde_json::to_writer(&mut file, self)?;
        file.flush()?;
        file.as_file().sync_data().with_context(failed)?;
        file.persist(path).with_context(failed)?;
        Ok(())
    }
}
