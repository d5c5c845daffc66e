//! TPM challenges per second of server CPU on kept-alive connections, against the RSA that they are made of. A blob
//! needs two RSA-OAEP encryptions, one to each key of the TPM, and no server can challenge with less.

use std::hint::black_box;

use anyhow::{Context as _, Result};
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents,
};
use dps_attestation::tpm::{ActivationBlob, TpmEvidence, system_random};
use dps_model::Secret;
use rustix::time::{ClockId, clock_gettime};
use tokio::process::Command;

use super::Bench;
use super::registration::Side;
use crate::devices::{Credential, Devices};
use crate::fill::{Enroll, fill};
use crate::load::{Plan, Work};
use crate::muster::Muster;
use crate::report::{self, Row, Series};
use crate::tpm::{MODULUS, keys, modulus};

/// Challenges of a round.
const CHALLENGES: u32 = 10_000;
/// Blobs, and pairs of encryptions, of a round.
const PAIRS: u32 = 5_000;
/// Different pairs of keys among them.
const KEYS: usize = 64;
const FAMILY: &str = "tpm";

/// A public key, to which nothing was encrypted yet.
fn public(modulus: &[u8]) -> Result<OaepPublicEncryptingKey> {
    let key: PublicEncryptingKey = PublicKeyComponents { n: modulus, e: &[1, 0, 1][..] }.try_into()?;
    Ok(OaepPublicEncryptingKey::new(key)?)
}

fn encrypt(key: &OaepPublicEncryptingKey) -> Result<()> {
    let (seed, mut out) = ([7; 32], [0; MODULUS]);
    key.encrypt(&OAEP_SHA256_MGF1SHA256, black_box(&seed), &mut out, Some(b"DUPLICATE\0"))?;
    black_box(out);
    Ok(())
}

/// What one core of this process does in a second of its CPU, with the library of the server.
struct Bound {
    moduli: Vec<[Vec<u8>; 2]>,
    ready: Vec<[OaepPublicEncryptingKey; 2]>,
    evidence: Vec<TpmEvidence>,
}

impl Bound {
    fn new() -> Result<Self> {
        let moduli: Vec<_> =
            (0..KEYS).map(|key| ["one", "two"].map(|which| modulus(&format!("{which} {key}")))).collect();
        let ready =
            moduli.iter().map(|[one, two]| Ok([public(one)?, public(two)?])).collect::<Result<_>>()?;
        let evidence = (0..KEYS).map(|key| {
            TpmEvidence::read(&keys(&key.to_string()), None).map_err(|denial| anyhow::anyhow!("{denial:?}"))
        });
        let evidence = evidence.collect::<Result<_>>()?;
        Ok(Self { moduli, ready, evidence })
    }

    /// Two encryptions to keys that are ready.
    fn encryptions(&self, index: usize) -> Result<()> {
        self.ready[index % KEYS].iter().try_for_each(encrypt)
    }

    /// Two encryptions to keys that come as numbers, as every device's do.
    fn encryptions_to_new_keys(&self, index: usize) -> Result<()> {
        self.moduli[index % KEYS].iter().try_for_each(|modulus| encrypt(&public(modulus)?))
    }

    /// A whole blob to keys that were read.
    fn blob(&self, index: usize) -> Result<()> {
        let TpmEvidence { endorsement_key, storage_root_key, .. } = &self.evidence[index % KEYS];
        let storage_root_key = storage_root_key.as_ref().context("no storage root key")?;
        let (key, uri) = (Secret::new(vec![7; 32]), "0ne00000000/registrations/tpm-00000000");
        let blob = ActivationBlob::wrap(endorsement_key, storage_root_key, &key, uri, &mut system_random)?;
        black_box(blob);
        Ok(())
    }
}

/// How often this can be done in a second of CPU.
fn per_cpu(count: usize, one: impl Fn(usize) -> Result<()>) -> Result<f64> {
    let before = cpu();
    (0..count).try_for_each(one)?;
    #[allow(clippy::cast_precision_loss)] // far below 2^52
    Ok(count as f64 / (cpu() - before))
}

/// CPU seconds of this thread.
#[allow(clippy::cast_precision_loss)] // far below 2^52
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Half of the public-key operations that OpenSSL does in a second; none where there is no OpenSSL.
async fn openssl() -> Option<f64> {
    let output = Command::new("openssl").args(["speed", "-seconds", "1", "rsa2048"]).output().await.ok()?;
    verifications(&String::from_utf8_lossy(&output.stdout)).map(|verifications| verifications / 2.0)
}

/// `verify/s` of what `openssl speed` prints: behind `sign/s`, the first figure without a unit. Since 3.2 encryptions
/// follow.
fn verifications(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("rsa"))?;
    let (_, figures) = line.split_once("bits")?;
    figures.split_whitespace().filter_map(|word| word.parse().ok()).nth(1)
}

/// Prints the table.
pub async fn run(bench: &Bench) -> Result<()> {
    let data_dir = bench.folder("tpm")?.join("muster");
    let (id_scope, instance) = Muster::prepare(&bench.muster, &data_dir).await?;
    let count = bench.count(CHALLENGES);
    fill(&data_dir, &instance, &[Enroll::Tpms { family: FAMILY, count }]).await?;
    let server = Muster::start(&bench.muster, &data_dir).await?;
    let address = server.https()?;
    let plan = |work, credential| Plan {
        address,
        certificate: data_dir.join("server.pem"),
        id_scope: id_scope.to_string(),
        devices: Devices { family: FAMILY.to_owned(), first: 0, count, stride: 1, credential },
        work,
        clients: bench.clients,
    };
    let bound = Bound::new()?;
    let pairs = bench.count(PAIRS);
    let (mut challenged, mut refused) = (Side::default(), Side::default());
    let [mut ready, mut new, mut blobs, mut others] = [(); 4].map(|()| Series::default());
    for _ in 0..bench.rounds {
        ready.push(per_cpu(pairs, |index| bound.encryptions(index))?);
        new.push(per_cpu(pairs, |index| bound.encryptions_to_new_keys(index))?);
        blobs.push(per_cpu(pairs, |index| bound.blob(index))?);
        challenged.play(bench, &plan(Work::HttpChallenge, Credential::Tpm), &server.process).await?;
        refused.play(bench, &plan(Work::HttpRefused, Credential::WrongTpm), &server.process).await?;
        if let Some(pairs) = openssl().await {
            others.push(pairs);
        }
    }
    let cpu = "per second of server CPU";
    let mut rows = vec![
        Row::compared(
            format!("challenges {cpu}, beside keys that are ready"),
            challenged.per_cpu.clone(),
            ready.clone(),
            None,
        ),
        Row::compared(
            format!("challenges {cpu}, beside keys as they come"),
            challenged.per_cpu.clone(),
            new.clone(),
            None,
        ),
        Row::compared("blobs per second of CPU, without a server", blobs, new.clone(), None),
        Row::compared(format!("another endorsement key, refused {cpu}"), refused.per_cpu, new.clone(), None),
        Row::compared("challenges/s", challenged.rate, new, None),
    ];
    if others.median().is_finite() {
        let what = format!("challenges {cpu}, beside pairs of `openssl speed` (verify)");
        rows.insert(2, Row::compared(what, challenged.per_cpu, others, None));
    }
    report::print(
        "tpm: register requests without a token, challenged",
        "Muster",
        "pairs of RSA-2048-OAEP per second of CPU",
        &rows,
    );
    server.stop().await
}

#[cfg(test)]
mod tests {
    use super::verifications;

    #[test]
    fn verifications_old_and_new_openssl_the_same_column() {
        let old = "                  sign    verify    sign/s verify/s\n\
                   rsa 2048 bits 0.000883s 0.000025s   1131.9  39794.2\n";
        let new = "                   sign    verify    encrypt   decrypt   sign/s verify/s  encr./s  decr./s\n\
                   rsa  2048 bits 0.000883s 0.000025s 0.000026s 0.000900s   1131.9  39794.2  38000.0   1111.0\n";
        for text in [old, new] {
            assert_eq!(verifications(text), Some(39794.2));
        }
        assert_eq!(verifications("speed: Unknown algorithm rsa2048\n"), None);
    }
}
