//! The dev CA and the server certificate it signs. The CA is made once and never again; the server certificate is
//! reissued when its names change or it nears its end. Must not know who is served.

use anyhow::Context as _;
use dps_model::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::server::data_dir::DataDir;

const CA_DAYS: i64 = 3_650;
/// Clients refuse server certificates of more than 825 days.
const SERVER_DAYS: i64 = 397;
/// Left less than this, the server certificate is reissued at start.
const RENEW_DAYS: i64 = 30;
/// Validity begins a day early, for devices whose clocks are behind.
const EARLY_DAYS: i64 = 1;

/// The server certificate with its chain and key, as PEM texts.
pub struct ServerCertificate {
    /// Leaf and CA.
    pub chain: String,
    /// The leaf's key.
    pub key: String,
}

/// The dev CA, ready to sign.
pub struct Authority {
    certificate: String,
    key: KeyPair,
}

impl Authority {
    /// The CA of a data directory; made when there is none.
    pub fn open(directory: &DataDir, now: Timestamp) -> anyhow::Result<Self> {
        let (certificate, key) = authority(directory, &authority_params(now))?;
        Ok(Self { certificate, key })
    }

    /// A new certificate for these names and addresses, with a new key.
    pub fn issue(&self, names: &[String], now: Timestamp) -> anyhow::Result<ServerCertificate> {
        let authority_params = authority_params(now);
        let issuer = Issuer::from_params(&authority_params, &self.key);
        let key = KeyPair::generate()?;
        let mut params =
            CertificateParams::new(names.to_vec()).context("a --host or --hub name is no host name")?;
        params.distinguished_name = name(names.first().map_or("localhost", String::as_str));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        valid(&mut params, now, SERVER_DAYS);
        let chain = params.signed_by(&key, &issuer)?.pem() + &self.certificate;
        Ok(ServerCertificate { chain, key: key.serialize_pem() })
    }
}

/// The certificate for these names and addresses, made or reissued as needed.
pub fn server_certificate(
    directory: &DataDir,
    authority: &Authority,
    names: &[String],
    now: Timestamp,
) -> anyhow::Result<ServerCertificate> {
    if let (Some(chain), Some(key)) = (directory.read("server.pem")?, directory.read("server.key.pem")?)
        && serves(&chain, names, now)
    {
        return Ok(ServerCertificate { chain, key });
    }
    let issued = authority.issue(names, now)?;
    directory.write("server.key.pem", &issued.key)?;
    directory.write("server.pem", &issued.chain)?;
    Ok(issued)
}

/// Certificate and key of the CA.
fn authority(directory: &DataDir, params: &CertificateParams) -> anyhow::Result<(String, KeyPair)> {
    let parts = (directory.read("ca.pem")?, directory.read("ca.key.pem")?);
    match parts {
        (Some(ca), Some(key)) => {
            let key = KeyPair::from_pem(&key).context("cannot read ca.key.pem of the data directory")?;
            Ok((ca, key))
        }
        (Some(_), None) => anyhow::bail!(
            "{} is missing; restore it, or remove ca.pem too for a new CA",
            directory.file("ca.key.pem").display()
        ),
        (None, _) => {
            let key = KeyPair::generate()?;
            let ca = params.self_signed(&key)?.pem();
            // The key first: a certificate without its key would be of no use after a crash here.
            directory.write("ca.key.pem", &key.serialize_pem())?;
            directory.write("ca.pem", &ca)?;
            Ok((ca, key))
        }
    }
}

/// The CA's certificate but for its key. Name and key identifier never change: the server's certificates name them.
fn authority_params(now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("Muster development CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params, now, CA_DAYS);
    params
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn valid(params: &mut CertificateParams, now: Timestamp, days: i64) {
    params.not_before = date(now, -EARLY_DAYS);
    params.not_after = date(now, days);
}

fn date(now: Timestamp, days: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(now.seconds() + days * 86_400)
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
}

/// Is this the certificate of exactly these names, with time left?
fn serves(chain: &str, names: &[String], now: Timestamp) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(chain.as_bytes()) else { return false };
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else { return false };
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return false };
    let mut held: Vec<SanType> = Vec::new();
    for general in &extension.value.general_names {
        match general {
            GeneralName::DNSName(name) => {
                let Ok(name) = (*name).try_into() else { return false };
                held.push(SanType::DnsName(name));
            }
            GeneralName::IPAddress(bytes) => {
                let address = <[u8; 4]>::try_from(*bytes)
                    .map(std::net::IpAddr::from)
                    .or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from));
                let Ok(address) = address else { return false };
                held.push(SanType::IpAddress(address));
            }
            _ => return false,
        }
    }
    let wanted = CertificateParams::new(names.to_vec()).map(|params| params.subject_alt_names);
    let ends = certificate.validity().not_after.timestamp();
    wanted.is_ok_and(|wanted| wanted == held) && ends > now.seconds() + RENEW_DAYS * 86_400
}

#[cfg(test)]
mod tests {
    use dps_model::Timestamp;

    use super::{Authority, server_certificate};
    use crate::server::data_dir::DataDir;

    const DAY: i64 = 86_400_000;

    #[test]
    fn certificate_is_kept_until_names_change_or_it_nears_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let directory = DataDir::open(folder.path()).unwrap();
        let now = Timestamp::from_millis(1_800_000_000_000);
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let issue = |list: &[&str], days: i64| {
            let now = now.plus_millis(days * DAY);
            let authority = Authority::open(&directory, now).unwrap();
            server_certificate(&directory, &authority, &names(list), now).unwrap().chain
        };
        let first = issue(&["localhost", "10.0.0.7"], 0);
        let ca = directory.read("ca.pem").unwrap();
        assert_eq!(issue(&["localhost", "10.0.0.7"], 100), first);
        let renamed = issue(&["localhost", "hub.local"], 100);
        assert_ne!(renamed, first);
        assert_eq!(issue(&["localhost", "hub.local"], 100 + 360), renamed);
        assert_ne!(issue(&["localhost", "hub.local"], 100 + 370), renamed);
        assert_eq!(directory.read("ca.pem").unwrap(), ca);
    }
}
