//! `steadfast import`: leads from a file into a running server.

use crate::client::ApiClient;
use crate::import::{Format, Import, import};
use anyhow::{Result, anyhow};
use clap::Args;
use std::io::Write;
use std::path::PathBuf;
use steadfast_lead::read_csv_map;

/// What to import, and whereto.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// CSV with a header, or one JSON object a line.
    file: PathBuf,
    /// The flow.
    #[arg(long)]
    flow: String,
    /// The server's address.
    #[arg(long = "to", env = "STEADFAST_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// An API key with scope ingest.
    #[arg(long, env = "STEADFAST_KEY", hide_env_values = true)]
    key: Option<String>,
    /// How the file is written; by its name unless said otherwise.
    #[arg(long)]
    format: Option<Format>,
    /// CSV: other names for columns, such as "E-Mail:email,Phone No:phone"; an empty name leaves the column out.
    #[arg(long, value_parser = map)]
    map: Option<Map>,
    /// CSV: what stands between columns, one ASCII character or "tab".
    #[arg(long, value_parser = delimiter)]
    delimiter: Option<u8>,
    /// Where refused lines go, with the reason; FILE.rejects unless said otherwise.
    #[arg(long)]
    rejects: Option<PathBuf>,
    /// Go on where an earlier run of the same file has stopped.
    #[arg(long)]
    resume: bool,
    /// Mark all as test leads.
    #[arg(long)]
    test: bool,
    /// Parts of the file on their way at once, 1 to 32.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    parts: u8,
}

/// Pairs of column and field.
#[derive(Clone, Debug)]
struct Map(Vec<(String, String)>);

fn map(text: &str) -> Result<Map, String> {
    read_csv_map(text).map(Map).map_err(|part| format!("{part:?} is not a column and a field with a colon between"))
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii_punctuation() && *byte != b'"' || *byte == b'\t' => Ok(*byte),
        _ => Err("allowed is one of , ; | and the like, or tab".to_owned()),
    }
}

/// Imports; whether every line was taken.
///
/// # Errors
/// When the file cannot be read, the server refuses the import, or is gone for too long.
pub(crate) async fn run(args: ImportArgs, out: &mut impl Write) -> Result<bool> {
    let client = ApiClient::new(&args.server, args.key.as_deref())?;
    let wanted = Import {
        file: args.file,
        flow: args.flow,
        format: args.format,
        map: args.map.map(|Map(pairs)| pairs).unwrap_or_default(),
        delimiter: args.delimiter,
        rejects: args.rejects,
        resume: args.resume,
        test: args.test,
        parts: usize::from(args.parts),
    };
    if !wanted.file.is_file() {
        return Err(anyhow!("{} is not a file", wanted.file.display()));
    }
    import(&wanted, client, out).await
}
