//! The archive: leads as lines of JSON in a folder, one file for each day, written and synced before the store deletes them.
//!
//! Only ever added to. Whoever may not read the data folder may not read these either.

use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steadfast_engine::{Archive, ArchiveError, ArchivedLead};
use steadfast_lead::Timestamp;

/// How much of a time is its day, in RFC 3339.
const DAY_BYTES: usize = "2026-11-28".len();

/// An archive whose folder follows the configuration.
#[derive(Default)]
pub(crate) struct FolderArchive {
    folder: Arc<Mutex<Option<PathBuf>>>,
}

impl FolderArchive {
    /// Writes into this folder from now on; nowhere without one.
    pub(crate) fn use_folder(&self, folder: Option<PathBuf>) {
        *self.folder.lock() = folder;
    }
}

impl Archive for FolderArchive {
    fn wants(&self) -> bool {
        self.folder.lock().is_some()
    }

    fn keep(&self, leads: Vec<ArchivedLead>, now: Timestamp) -> BoxFuture<'static, Result<(), ArchiveError>> {
        let folder = Arc::clone(&self.folder);
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(move || {
                // Held while writing, so that two never write at once.
                let folder = folder.lock();
                folder.as_deref().map_or(Ok(()), |folder| append(folder, &leads, now))
            });
            match written.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(ArchiveError(error.to_string())),
                Err(error) => Err(ArchiveError(error.to_string())),
            }
        })
    }
}

fn append(folder: &Path, leads: &[ArchivedLead], now: Timestamp) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(named)?;
    let mut lines = String::new();
    for lead in leads {
        lines += &steadfast_api::archive_line(lead)?;
    }
    let day = now.to_string();
    let day = day.get(..DAY_BYTES).unwrap_or(&day);
    let path = folder.join(format!("leads-{day}.jsonl"));
    let mut file = OpenOptions::new().append(true).create(true).read(true).mode(0o600).open(path).map_err(named)?;
    let before = file.metadata().map_err(named)?.len();
    let written = file.write_all(lines.as_bytes()).and_then(|()| file.sync_data());
    if let Err(error) = written {
        // Half a line would be taken for the beginning of the next one.
        drop(file.set_len(before));
        return Err(named(error));
    }
    if before == 0 {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(named)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::FolderArchive;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;
    use steadfast_engine::{Archive as _, ArchivedLead};
    use steadfast_lead::{Fields, FlowName, Lead, LeadId, Timestamp, Value};

    fn lead(number: i64) -> ArchivedLead {
        let mut fields = Fields::new();
        fields.insert("note", Value::text("one\nline")).unwrap();
        let lead = Lead {
            id: LeadId::from_raw(number).unwrap(),
            flow: FlowName::new("auto").unwrap(),
            source: None,
            accepted_at: Timestamp::from_millis(1_795_000_000_000),
            test: false,
            fields,
        };
        ArchivedLead { lead: Arc::new(lead), deliveries: Vec::new(), tombstone: None }
    }

    #[tokio::test]
    async fn a_day_is_a_file_of_lines_that_only_its_owner_reads() {
        let folder = tempfile::TempDir::new().unwrap();
        let (archive, into) = (FolderArchive::default(), folder.path().join("old"));
        let now = Timestamp::from_millis(1_795_000_000_000);
        assert!(!archive.wants());
        archive.use_folder(Some(into.clone()));
        assert!(archive.wants());
        archive.keep(vec![lead(1), lead(2)], now).await.unwrap();
        archive.keep(vec![lead(3)], now).await.unwrap();
        archive.keep(vec![lead(4)], Timestamp::from_millis(1_795_100_000_000)).await.unwrap();
        let mut names: Vec<_> = std::fs::read_dir(&into).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let lines: Vec<usize> =
            names.iter().map(|path| std::fs::read_to_string(path).unwrap().lines().count()).collect();
        assert_eq!(lines, [3, 1]);
        assert!(names[0].ends_with("leads-2026-11-18.jsonl"), "{names:?}");
        for line in std::fs::read_to_string(&names[0]).unwrap().lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["fields"]["note"], "one\nline");
        }
        let mode = std::fs::metadata(&names[0]).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_said_with_the_folder() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "mine").unwrap();
        let archive = FolderArchive::default();
        archive.use_folder(Some(file.clone()));
        let said = archive.keep(vec![lead(1)], Timestamp::from_millis(0)).await.unwrap_err().to_string();
        assert!(said.contains(&file.display().to_string()), "{said}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }
}
