//! The service API at size: enrollments imported by bulk operations of ten over kept-alive HTTPS, then queried in pages
//! to the end, everything and by a condition that few meet. What is looked at is the server's memory, which must not
//! follow the number of enrollments, and the rates.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use dps_attestation::SasToken;
use tokio::task::JoinSet;

use super::Bench;
use crate::devices::name;
use crate::load::http::{Answer, Connection};
use crate::load::tls::Tls;
use crate::muster::Muster;
use crate::process::Process;

/// Enrollments.
const ENROLLMENTS: u32 = 1_000_000;
/// Enrollments of one bulk operation.
const BULK: usize = 10;
/// Rows of one page.
const PAGE: usize = 1_000;
/// One enrollment in so many has the tag that the condition asks for.
const TAGGED: usize = 1_000;
/// Expiry of the token: 2100-01-01.
const EXPIRY: i64 = 4_102_444_800;
const FAMILY: &str = "imported";

/// Where the service API is, and what a caller shows.
struct Service {
    address: SocketAddr,
    tls: Tls,
    token: String,
}

/// One thing that was done, and the server's memory after it.
struct Step {
    what: String,
    /// Rows, and seconds they took.
    rows: Option<(usize, f64)>,
    /// CPU seconds of the server.
    cpu: f64,
    /// Bytes.
    resident: f64,
}

/// Prints the table.
pub async fn run(bench: &Bench) -> Result<()> {
    let data_dir = bench.folder("enrollments")?.join("muster");
    let server = Muster::start(&bench.muster, &data_dir).await?;
    let owner = server.service()?;
    let service = Arc::new(Service {
        address: server.https()?,
        tls: Tls::pinned(&data_dir.join("server.pem"))?,
        token: SasToken::sign("localhost", &owner.key, EXPIRY, Some(&owner.policy)),
    });
    let count = bench.count(ENROLLMENTS).next_multiple_of(BULK);
    let mut steps = vec![Step {
        what: "started".into(),
        rows: None,
        cpu: server.process.cpu()?,
        resident: server.process.resident()?,
    }];
    eprintln!("enrollments: importing {count}");
    let begun = Instant::now();
    import(&service, count, bench.clients).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let what = format!("{count} imported, {BULK} a call, {} at once", bench.clients);
    steps.push(step(&server.process, &steps, what, count, seconds)?);
    let tagged = count.div_ceil(TAGGED);
    for (text, expected) in [
        ("SELECT * FROM enrollments", count),
        ("SELECT * WHERE initialTwin.tags.sampled AND registrationId >= 'a'", tagged),
    ] {
        eprintln!("enrollments: {text}");
        let begun = Instant::now();
        let (rows, pages) = query(&service, text).await?;
        if rows != expected {
            bail!("{text} found {rows} enrollments, not {expected}");
        }
        let what = format!("`{text}`: {rows} rows in {pages} pages, one client");
        // Every enrollment was looked at, whatever was found.
        steps.push(step(&server.process, &steps, what, count, begun.elapsed().as_secs_f64())?);
    }
    print(count, &steps);
    server.stop().await
}

fn step(server: &Process, before: &[Step], what: String, rows: usize, seconds: f64) -> Result<Step> {
    let spent: f64 = before.iter().map(|step| step.cpu).sum();
    Ok(Step { what, rows: Some((rows, seconds)), cpu: server.cpu()? - spent, resident: server.resident()? })
}

/// Imports that many, by clients that take the next ten until there are none.
async fn import(service: &Arc<Service>, count: usize, clients: usize) -> Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut running = JoinSet::new();
    for _ in 0..clients {
        let (service, next) = (Arc::clone(service), Arc::clone(&next));
        running.spawn(async move {
            let mut connection = service.connect().await?;
            loop {
                let first = next.fetch_add(BULK, Ordering::Relaxed);
                if first >= count {
                    return anyhow::Ok(());
                }
                let answer = connection.ask(&service.request("/enrollments", "", &bulk(first))).await?;
                if answer.status != 200 || &answer.body[..] != br#"{"errors":[],"isSuccessful":true}"# {
                    bail!("a bulk operation was answered {}", told(&answer));
                }
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}

/// Body of a bulk operation of ten new enrollments.
fn bulk(first: usize) -> String {
    let items: Vec<String> = (first..first + BULK)
        .map(|number| {
            let id = name(FAMILY, number);
            let sampled = if number.is_multiple_of(TAGGED) { ",\"sampled\":true" } else { "" };
            format!(
                "{{\"registrationId\":\"{id}\",\"deviceId\":\"{id}\",\"attestation\":{{\"type\":\"symmetricKey\"}},\
                 \"initialTwin\":{{\"tags\":{{\"line\":{}{sampled}}}}},\"provisioningStatus\":\"enabled\"}}",
                number % 7
            )
        })
        .collect();
    format!("{{\"mode\":\"create\",\"enrollments\":[{}]}}", items.join(","))
}

/// Rows and pages of a query, followed to its end.
async fn query(service: &Service, text: &str) -> Result<(usize, usize)> {
    let mut connection = service.connect().await?;
    let body = format!("{{\"query\":\"{text}\"}}");
    let (mut rows, mut pages, mut headers) = (0, 0, format!("x-ms-max-item-count: {PAGE}\r\n"));
    loop {
        let answer = connection.ask(&service.request("/enrollments/query", &headers, &body)).await?;
        if answer.status != 200 {
            bail!("a query was answered {}", told(&answer));
        }
        let page: Vec<&serde_json::value::RawValue> =
            serde_json::from_slice(&answer.body).context("a page of a query")?;
        rows += page.len();
        pages += 1;
        match answer.header("x-ms-continuation") {
            None => return Ok((rows, pages)),
            Some(token) => {
                headers = format!("x-ms-max-item-count: {PAGE}\r\nx-ms-continuation: {token}\r\n");
            }
        }
    }
}

impl Service {
    async fn connect(&self) -> Result<Connection> {
        Ok(Connection::over(self.tls.connect_plainly(self.address).await?))
    }

    fn request(&self, path: &str, headers: &str, body: &str) -> String {
        format!(
            "POST {path}?api-version=2021-10-01 HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\n\
             Content-Type: application/json; charset=utf-8\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        )
    }
}

fn told(answer: &Answer) -> String {
    let text: String = String::from_utf8_lossy(&answer.body).chars().take(500).collect();
    format!("{}: {text}", answer.status)
}

fn print(count: usize, steps: &[Step]) {
    println!("\n### enrollments: {count} over the service API\n");
    println!(
        "| | seconds | enrollments/s | per second of server CPU | server's memory, MiB |\n|---|---|---|---|---|"
    );
    for Step { what, rows, cpu, resident } in steps {
        let mib = resident / (1024.0 * 1024.0);
        match rows {
            None => println!("| {what} | | | | {mib:.1} |"),
            Some((rows, seconds)) => {
                #[allow(clippy::cast_precision_loss)] // far below 2^52
                let rows = *rows as f64;
                println!("| {what} | {seconds:.1} | {:.0} | {:.0} | {mib:.1} |", rows / seconds, rows / cpu);
            }
        }
    }
}
