//! Leads from a file into a running server: in parts, several at once, to be gone on with after whatever stopped it.
//!
//! A client like any other. Every line goes under an idempotency key made of the file's content and the line's number, so
//! that a line sent twice is one lead; how far all lines are settled is kept in a small file beside the leads.

mod progress;
mod records;
mod screen;
mod sending;

use crate::client::ApiClient;
use anyhow::{Context, Result, bail};
use futures::StreamExt as _;
use futures::stream::FuturesOrdered;
use progress::{Progress, What};
pub(crate) use records::Format;
use records::{Layout, Record, Records};
use screen::Screen;
use sending::{Part, Sender, Settled};
use serde::Serialize;
use std::io::{BufWriter, Seek as _, Write};
use std::path::{Path, PathBuf};

/// Lines of one part, at most; each part is settled whole.
const PART_LINES_MAX: usize = 200;
/// Bytes of one part, unless one line alone has more.
const PART_BYTES_MAX: usize = 1 << 20;

/// What to import, and whereto.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) file: PathBuf,
    pub(crate) flow: String,
    pub(crate) format: Option<Format>,
    pub(crate) map: Vec<(String, String)>,
    pub(crate) delimiter: Option<u8>,
    pub(crate) rejects: Option<PathBuf>,
    pub(crate) resume: bool,
    pub(crate) test: bool,
    /// Parts under way at once.
    pub(crate) parts: usize,
}

/// One line that was refused, as it is kept for whoever mends it.
#[derive(Serialize)]
struct Reject<'a> {
    line: u64,
    r#type: &'a str,
    reason: &'a str,
    /// As it stands in the file.
    record: &'a str,
}

impl Import {
    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.file.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    }

    fn layout(&self) -> Layout {
        let format = self.format.unwrap_or_else(|| Format::by_name(&self.file));
        let delimiter = self.delimiter.unwrap_or(if format == Format::Tsv { b'\t' } else { b',' });
        Layout { format, delimiter, map: self.map.clone() }
    }
}

/// Imports a file; whether every line was taken.
///
/// # Errors
/// When the file cannot be read or was changed, the server refuses the import as a whole, or is gone for too long. What was
/// settled until then is kept, and gone on from with `resume`.
pub(crate) async fn import(wanted: &Import, client: ApiClient, out: &mut impl Write) -> Result<bool> {
    let what = What::of(&wanted.file, &wanted.flow)?;
    let state = wanted.beside(".import");
    let begun = Progress::load(&state)?;
    let progress = match (begun, wanted.resume) {
        (Some(begun), true) => begun.for_the_same(&what, &state)?,
        (Some(begun), false) if begun.what == what => {
            let (line, state) = (begun.line, state.display());
            bail!(
                "an import of this file has come to line {line}: go on with --resume, or remove {state} to begin again"
            )
        }
        (Some(_) | None, _) => Progress::beginning(what),
    };
    let rejects_path = wanted.rejects.clone().unwrap_or_else(|| wanted.beside(".rejects"));
    let rejects = open_rejects(&rejects_path, progress.rejects_bytes)?;
    let sender = Sender::new(client, &wanted.flow, &progress.what.fingerprint, wanted.test)?;
    let records = Records::open(&wanted.file, wanted.layout(), progress.offset, progress.line)?;
    let screen = Screen::new(progress.what.bytes, progress.offset);
    let mut run = Run { progress, state: state.clone(), rejects, screen };
    run.all(records, sender, wanted.parts).await?;
    run.screen.finish();
    let Progress { accepted, refused, .. } = run.progress;
    // A file that is through begins anew, under the same keys.
    std::fs::remove_file(&state).or_else(ignoring_missing).context("removing the state of a finished import")?;
    writeln!(out, "{accepted} accepted, {refused} refused")?;
    if refused == 0 {
        std::fs::remove_file(&rejects_path).or_else(ignoring_missing)?;
    } else {
        writeln!(out, "refused lines and why: {}", rejects_path.display())?;
    }
    Ok(refused == 0)
}

fn ignoring_missing(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// The file of refused lines, cut back to what the state knows of.
fn open_rejects(path: &Path, bytes: u64) -> Result<BufWriter<std::fs::File>> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).open(path);
    let mut file = file.with_context(|| format!("opening {}", path.display()))?;
    file.set_len(bytes)?;
    file.seek(std::io::SeekFrom::End(0))?;
    Ok(BufWriter::new(file))
}

struct Run {
    progress: Progress,
    state: PathBuf,
    rejects: BufWriter<std::fs::File>,
    screen: Screen,
}

impl Run {
    async fn all(&mut self, mut records: Records, sender: Sender, parts: usize) -> Result<()> {
        let mut under_way = FuturesOrdered::new();
        let mut more = true;
        while more || !under_way.is_empty() {
            while more && under_way.len() < parts {
                match next_part(&mut records)? {
                    Some(part) => under_way.push_back(sender.clone().settle(part)),
                    None => more = false,
                }
            }
            if let Some(settled) = under_way.next().await {
                self.keep(&settled?)?;
            }
        }
        Ok(())
    }

    /// Notes a settled part; the parts before it are settled already.
    fn keep(&mut self, settled: &Settled) -> Result<()> {
        for (record, refusal) in &settled.refused {
            let record_text = String::from_utf8_lossy(&record.raw);
            let (kind, reason) = (&*refusal.kind, &*refusal.reason);
            let reject = Reject { line: record.line, r#type: kind, reason, record: record_text.trim_end() };
            let mut line = serde_json::to_vec(&reject)?;
            line.push(b'\n');
            self.rejects.write_all(&line)?;
            self.progress.rejects_bytes += u64::try_from(line.len())?;
        }
        self.rejects.flush()?;
        self.progress.accepted += settled.accepted;
        self.progress.refused += u64::try_from(settled.refused.len())?;
        (self.progress.offset, self.progress.line) = (settled.end, settled.next_line);
        self.progress.save(&self.state)?;
        self.screen.show(&self.progress);
        Ok(())
    }
}

fn next_part(records: &mut Records) -> Result<Option<Part>> {
    let mut taken: Vec<Record> = Vec::new();
    let mut bytes = 0;
    while taken.len() < PART_LINES_MAX && bytes < PART_BYTES_MAX {
        let Some(record) = records.next()? else { break };
        bytes += record.raw.len();
        taken.push(record);
    }
    Ok(taken.last().map(|last| (last.end, last.next_line)).map(|(end, next_line)| Part {
        records: taken,
        end,
        next_line,
    }))
}
