//! What is measured: the server, with a configuration written for the round, and the yardsticks.

use crate::child::Child;
use crate::sink::Sink;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// What is started, and where it keeps what it writes.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// The server's binary.
    pub(crate) steadfast: PathBuf,
    /// This tool's own, for the yardsticks.
    pub(crate) bench: PathBuf,
}

/// How the flows and recipients of a round are made: flow n goes to recipient n, by one step.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Each recipient's path at the sink.
    pub(crate) paths: Vec<&'static str>,
    /// Lines put under `[retry]`.
    pub(crate) retry: &'static str,
    /// Lines put under `[retention]`.
    pub(crate) retention: &'static str,
    /// Lines put under each recipient.
    pub(crate) recipient: &'static str,
    /// How many may wait.
    pub(crate) queue_capacity: u64,
}

impl Setup {
    /// So many recipients that take everything at once.
    pub(crate) fn plain(recipients: usize) -> Self {
        Setup { paths: vec!["/ok"; recipients], retry: "", retention: "", recipient: "", queue_capacity: 1_000_000 }
    }

    /// Where leads are posted, flow by flow.
    pub(crate) fn posts(&self) -> Arc<[String]> {
        (0..self.paths.len()).map(|number| format!("/v1/flows/{}/leads", flow(number))).collect()
    }

    fn config(&self, sink: &Sink) -> String {
        let mut text = String::from("[server]\nallow_private_networks = [\"127.0.0.0/8\"]\n");
        // Writing into a text cannot fail.
        let _written = write!(text, "[store]\nqueue_capacity = {}\n[retry]\n{}\n", self.queue_capacity, self.retry);
        let _written = write!(text, "[retention]\n{}\n", self.retention);
        for (number, path) in self.paths.iter().enumerate() {
            let (flow, recipient, address) = (flow(number), recipient(number), sink.address());
            let _written = write!(
                text,
                "[recipients.{recipient}]\n{}\nrequest = {{ url = \"http://{address}{path}\", timeout = \"5s\" }}\n\
                 [[flows.{flow}.steps]]\nid = \"send\"\nrecipient = \"{recipient}\"\n",
                self.recipient
            );
        }
        text
    }
}

/// The name of flow n.
pub(crate) fn flow(number: usize) -> String {
    format!("flow-{number}")
}

/// The name of recipient n.
pub(crate) fn recipient(number: usize) -> String {
    format!("recipient-{number}")
}

impl Programs {
    /// The binaries beside this one.
    ///
    /// # Errors
    /// When the server's is not there.
    pub(crate) fn beside_this() -> Result<Self> {
        let bench = std::env::current_exe()?;
        let steadfast = bench.with_file_name("steadfast");
        let built = steadfast.metadata().with_context(|| format!("{} is not built", steadfast.display()));
        built.map(|_| Programs { steadfast, bench })
    }

    /// Starts the server with its data in a folder's `data`.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) fn server(&self, folder: &Path, setup: &Setup, sink: &Sink) -> Result<Child> {
        let config = folder.join("bench.toml");
        std::fs::write(&config, setup.config(sink))?;
        let mut command = Command::new(&self.steadfast);
        command.arg("serve").arg("--config").arg(&config).arg("--data").arg(data(folder));
        command.args(["--listen", "127.0.0.1:0"]).env("RUST_LOG", "warn");
        Child::start(&mut command, &folder.join("server.log"))
    }

    /// Writes another configuration for a server that runs in a folder, which takes it over by itself.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn reconfigure(&self, folder: &Path, setup: &Setup, sink: &Sink) -> Result<()> {
        // Under another name first: the server may look while it is written.
        let (written, config) = (folder.join("bench.toml.new"), folder.join("bench.toml"));
        std::fs::write(&written, setup.config(sink))?;
        Ok(std::fs::rename(written, config)?)
    }

    /// Starts a relay, with a log in the folder or without one.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) fn relay(&self, log: Option<&Path>, folder: &Path, sink: &Sink) -> Result<Child> {
        let mut command = Command::new(&self.bench);
        command.arg("relay").arg("--to").arg(sink.address().to_string());
        if let Some(log) = log {
            command.arg("--wal").arg(log);
        }
        Child::start(&mut command, &folder.join("relay.log.txt"))
    }
}

/// Where a server started in a folder keeps its data.
pub(crate) fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// Bytes of all files of a folder.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn bytes_in(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for file in std::fs::read_dir(folder)? {
        bytes += file?.metadata()?.len();
    }
    Ok(bytes)
}
