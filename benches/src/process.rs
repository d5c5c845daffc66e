//! Processes that the bench starts: their end, their CPU time and their memory. Must not know what they serve.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// How long a server may take to accept connections, and to end when asked.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one may take to end when the bench itself must.
const GRACE: Duration = Duration::from_secs(8);
/// Open files needed for the held connections of one process, with some to spare.
const FILES_NEEDED: u64 = 12_000;

/// A process that ends with this value: by `stop`, or when dropped. It is asked first, for one that is killed leaves its
/// own children behind (nginx its workers).
pub struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    /// Starts it.
    pub fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child })
    }

    /// Waits until something accepts connections there.
    pub async fn accepts(&mut self, address: SocketAddr) -> Result<()> {
        let tries = async {
            loop {
                if TcpStream::connect(address).await.is_ok() {
                    return Ok(());
                }
                self.alive()?;
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, tries).await.with_context(|| format!("nothing accepts connections at {address}"))?
    }

    /// Fails when it has ended by itself.
    pub fn alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended by itself: {status}", self.name),
            None => Ok(()),
        }
    }

    /// Asks it to end, and waits for that.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(pid) = self.pid() {
            kill_process(pid, Signal::TERM)?;
        }
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.with_context(|| format!("{} does not end", self.name))??;
        Ok(())
    }

    /// CPU seconds, user and system, of the process and of its children that live.
    pub fn cpu(&self) -> Result<f64> {
        let pid = self.pid().with_context(|| format!("{} has ended", self.name))?.as_raw_nonzero().get();
        let (_, own) = stat(pid)?;
        let ticks = own + ticks_of_children(pid)?;
        #[allow(clippy::cast_precision_loss)] // far below 2^52
        Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    /// Resident memory, in bytes.
    pub fn resident(&self) -> Result<f64> {
        let pid = self.pid().with_context(|| format!("{} has ended", self.name))?.as_raw_nonzero();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024.0)
    }

    /// None once it has ended and that was seen.
    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let Some(pid) = self.pid() else { return };
        // A process that has just ended needs no signal.
        let _ = kill_process(pid, Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// User and system time, in clock ticks, of the children of a process that live.
fn ticks_of_children(parent: i32) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while this looks.
        if let Ok((its_parent, ticks)) = stat(pid)
            && its_parent == parent
        {
            sum += ticks;
        }
    }
    Ok(sum)
}

/// Parent and CPU ticks (`proc_pid_stat(5)`: fields 4, 14 and 15; the name before them may hold anything).
fn stat(pid: i32) -> Result<(i32, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = text.rsplit_once(')').context("stat has no name")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied().context("stat is short");
    Ok((field(4)?.parse()?, field(14)?.parse::<u64>()? + field(15)?.parse::<u64>()?))
}

/// Takes as many open files as the system allows: each held connection is one, on either side.
pub fn raise_file_limit() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("cannot raise the limit of open files")?;
    if limit.maximum.is_some_and(|most| most < FILES_NEEDED) {
        eprintln!(
            "note: fewer than {FILES_NEEDED} open files are allowed; mqtt-memory will not reach its number"
        );
    }
    Ok(())
}

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Is there such a program?
pub fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}
