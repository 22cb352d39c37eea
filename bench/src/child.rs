//! Processes under measurement: started, waited for until ready, read in `/proc`, and ended whatever happens.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a process may take to be ready, and to end by itself.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The kernel's clock tick, in which it tells processor time: 100 a second on every Linux there is.
const TICK: Duration = Duration::from_millis(10);

/// A running process. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    address: SocketAddr,
}

/// What a process has used since it began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time, its own and the kernel's for it.
    pub(crate) cpu: Duration,
    /// Memory held now, in bytes.
    pub(crate) rss_bytes: u64,
    /// Bytes it caused to be written to disk.
    pub(crate) written_bytes: u64,
    /// How often one of its threads went to sleep by itself, and so was woken.
    pub(crate) wakeups: u64,
}

impl Child {
    /// Starts a process and waits until it says `ready on http://ADDRESS` on its stdout. Its stderr goes to a file.
    ///
    /// # Errors
    /// When it cannot be started or ends before it is ready; with the end of what it said.
    pub(crate) fn start(command: &mut Command, errors: &Path) -> Result<Self> {
        let said = std::fs::File::options().create(true).append(true).open(errors)?;
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(said);
        let process = command.spawn().with_context(|| format!("starting {}", command.get_program().display()))?;
        let mut child = Child { process, address: ([127, 0, 0, 1], 0).into() };
        let stdout = child.process.stdout.take().context("no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.split("http://").nth(1).and_then(|rest| rest.split([',', ' ', '\n']).next());
        let Some(address) = address.and_then(|text| text.parse().ok()) else {
            let said = std::fs::read_to_string(errors).unwrap_or_default();
            bail!("not ready: {}", said.lines().last().unwrap_or("it said nothing"));
        };
        child.address = address;
        Ok(child)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has used.
    ///
    /// # Errors
    /// When it has ended, or this is not Linux.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let folder = Path::new("/proc").join(self.process.id().to_string());
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).with_context(|| format!("/proc/PID/{name}"));
        let ticks = cpu_ticks(&read("stat")?).context("/proc/PID/stat is not as expected")?;
        let mut wakeups = 0;
        for task in std::fs::read_dir(folder.join("task"))? {
            // A thread may end meanwhile.
            let status = std::fs::read_to_string(task?.path().join("status")).unwrap_or_default();
            wakeups += number_after(&status, "voluntary_ctxt_switches:").unwrap_or(0);
        }
        Ok(Usage {
            cpu: TICK * u32::try_from(ticks)?,
            rss_bytes: number_after(&read("status")?, "VmRSS:").context("no VmRSS")? * 1_024,
            written_bytes: number_after(&read("io")?, "write_bytes:").context("no write_bytes")?,
            wakeups,
        })
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// When it does not, or ends badly; it is killed then.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::TERM)?;
        let ended = async {
            loop {
                match self.process.try_wait()? {
                    Some(status) => return Ok::<_, std::io::Error>(status),
                    None => sleep(LOOK_EVERY).await,
                }
            }
        };
        let status = timeout(PATIENCE, ended).await.context("it does not end")??;
        if !status.success() {
            bail!("it ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already.
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

fn cpu_ticks(stat: &str) -> Option<u64> {
    // The name in parentheses may hold anything; user and system time are the 12th and 13th after it.
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn number_after(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_figures_are_read() {
        let stat = "7 (a ) name) S 1 7 7 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 9 0 100 1 2";
        assert_eq!(cpu_ticks(stat), Some(175));
        assert_eq!(number_after("VmPeak:\t 9 kB\nVmRSS:\t  12 kB\n", "VmRSS:"), Some(12));
        assert_eq!(number_after("nothing", "VmRSS:"), None);
    }

    #[test]
    fn a_process_that_is_not_ready_is_an_error_with_what_it_said() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo first >&2; echo the last word >&2"]);
        let error = Child::start(&mut command, &folder.path().join("errors")).unwrap_err();
        assert_eq!(error.to_string(), "not ready: the last word");
    }

    #[tokio::test]
    async fn a_process_is_read_and_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap 'exit 0' TERM; echo x ready on http://127.0.0.1:9, more; while :; do sleep 0.01; done"]);
        let child = Child::start(&mut command, &folder.path().join("errors")).unwrap();
        assert_eq!(child.address().port(), 9);
        assert!(child.usage().unwrap().rss_bytes > 0);
        child.stop().await.unwrap();
    }
}
