//! Ten thousand idle connections, and clients that are slow on purpose: each is sent away in its time, and none costs
//! an honest device its registration.

use std::io::{BufRead as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use rustix::process::{Resource, getrlimit};

use crate::harness::output::Output;
use crate::harness::run;
use crate::harness::victim::Victim;
use crate::idle_clients::{self, PROGRAM};

/// Connections that stay.
const LASTING: usize = 10_000;
/// Connections that never say what they should, and are sent away.
const FLEETING: usize = 2_000;
/// Files that a process has beside its connections.
const OTHER_FILES: usize = 500;
/// Memory of the server with all of them, in bytes.
const MEMORY: usize = 768 * 1024 * 1024;

/// The clients: this very test, in a process of its own.
struct Clients {
    child: Child,
    stdout: Output,
}

impl Clients {
    fn start(victim: &Victim, lasting: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg0(PROGRAM)
            .args(["--exact", "endurance::ten_thousand_idle_connections_cost_no_device_its_registration"])
            .args(["--nocapture", "--test-threads", "1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let (endpoint, ca) = (&victim.endpoint, &victim.server.env["MUSTER_CA_FILE"]);
        let orders = format!(
            "{} {} {} {} {lasting} {FLEETING} {ca}\n",
            endpoint.https, endpoint.mqtt, endpoint.amqp, endpoint.id_scope
        );
        child.stdin.as_mut().unwrap().write_all(orders.as_bytes()).unwrap();
        let stdout = Output::of(child.stdout.take().unwrap());
        Self { child, stdout }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
    }
}

#[test]
fn ten_thousand_idle_connections_cost_no_device_its_registration() {
    if std::env::args().next().is_some_and(|program| program == PROGRAM) {
        let mut orders = String::new();
        std::io::stdin().lock().read_line(&mut orders).unwrap();
        return run(async move { idle_clients::hold(&orders).await });
    }
    let files =
        getrlimit(Resource::Nofile).maximum.map_or(usize::MAX, |most: u64| usize::try_from(most).unwrap());
    let lasting = LASTING.min(files.saturating_sub(FLEETING + OTHER_FILES));
    if lasting < LASTING {
        println!("{lasting} connections instead of {LASTING}: a process may open {files} files");
    }
    run(async move {
        let victim = Victim::start().await;
        let clients = Clients::start(&victim, lasting);
        let said = clients.stdout.clone();
        let story = async {
            said.said("idle: all are here").await;
            assert!(victim.server.process.open_files() > lasting, "connections were closed that may stay");
            victim.serves().await;
            said.said("idle: the silent were sent away").await;
            victim.serves().await;
            said.said("idle: the others are still served").await;
        };
        let ((), registered) = victim.serves_during(Box::pin(story)).await;
        println!("{registered} devices registered meanwhile; {} bytes", victim.server.process.peak_memory());
        drop(clients);
        victim.unharmed(MEMORY).await;
    });
}
