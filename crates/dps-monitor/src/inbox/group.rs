//! A group of unknown devices: what they have in common, how often and from where they asked, and what would let them in.
//! Owns its form in the state; must not know what becomes of it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dps_model::limits::{MAX_INBOX_CERTIFICATES, MAX_INBOX_NETWORKS, MAX_INBOX_SAMPLES};
use dps_model::{Protocol, Timestamp};
use serde::{Deserialize, Serialize};

use super::sighting::Sighting;

/// What its devices have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Certificates of one issuer.
    Issuer,
    /// One certificate that signed itself.
    Certificate,
    /// One TPM.
    Tpm,
    /// One registration id, with a SAS token.
    SymmetricKey,
    /// One registration id, without any evidence.
    NoEvidence,
    /// An id scope that no provisioning service here has.
    IdScope,
}

impl Kind {
    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Certificate => "certificate",
            Self::Tpm => "tpm",
            Self::SymmetricKey => "symmetricKey",
            Self::NoEvidence => "noEvidence",
            Self::IdScope => "idScope",
        }
    }
}

/// What it is, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct About {
    /// Issuer of the devices' certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Which of its keys signed them, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority_key_id: Option<String>,
    /// SHA-256 thumbprint of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbprint: Option<String>,
    /// Name of the endorsement key, hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endorsement_key_name: Option<String>,
    /// The registration id, as the device wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<String>,
    /// The id scope, as the device wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_scope: Option<String>,
}

/// The best explanation of the last attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Because {
    /// Code of the catalogue of causes.
    pub code: String,
    /// What the cause says of this device.
    pub sentence: String,
}

/// A device of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// As it wrote its id.
    pub registration_id: String,
    /// Its attempts.
    pub count: u64,
    /// The last of them.
    pub last_seen: Timestamp,
    /// The enrolled registration id that is nearly its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
    /// Its certificate in DER, where it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "der")]
    pub certificate: Option<Vec<u8>>,
}

/// A group of unknown devices.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Made of what it is, so that it is the same after a restart.
    pub id: String,
    /// Name of the provisioning service that was asked; none where there is none of that id scope.
    pub instance: Option<String>,
    /// What its devices have in common.
    pub kind: Kind,
    /// What that is.
    pub about: About,
    /// Attempts.
    pub count: u64,
    /// The first of them.
    pub first_seen: Timestamp,
    /// The last of them.
    pub last_seen: Timestamp,
    /// Devices that were seen, the latest last; not all of them.
    pub samples: Vec<Sample>,
    /// More devices were seen than are remembered.
    pub more: bool,
    /// Attempts by protocol.
    pub protocols: BTreeMap<String, u64>,
    /// Networks that they came from; not all of them.
    pub networks: Vec<String>,
    /// Why nobody knew the last device that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Because>,
    /// Nobody wants to see it.
    pub ignored: bool,
    /// The issuer's certificate in DER, where a device presented it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "der")]
    pub issuer_certificate: Option<Vec<u8>>,
    /// Base64 of the endorsement key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endorsement_key: Option<String>,
}

impl Group {
    /// Of its first attempt.
    pub(super) fn of(sighting: &Sighting<'_>) -> Self {
        let mut group = Self {
            id: sighting.id(),
            instance: sighting.instance.map(str::to_owned),
            kind: sighting.kind,
            about: sighting.about.clone(),
            count: 0,
            first_seen: sighting.time,
            last_seen: sighting.time,
            samples: Vec::new(),
            more: false,
            protocols: BTreeMap::new(),
            networks: Vec::new(),
            cause: None,
            ignored: false,
            issuer_certificate: None,
            endorsement_key: None,
        };
        group.note(sighting);
        group
    }

    /// One more attempt.
    pub(super) fn note(&mut self, sighting: &Sighting<'_>) {
        self.count = self.count.saturating_add(1);
        self.last_seen = self.last_seen.max(sighting.time);
        *self.protocols.entry(protocol(sighting.protocol).to_owned()).or_default() += 1;
        let network = network(sighting.peer);
        if self.networks.len() < MAX_INBOX_NETWORKS && !self.networks.contains(&network) {
            self.networks.push(network);
        }
        if self.issuer_certificate.is_none() {
            self.issuer_certificate = sighting.issuer_certificate.map(<[u8]>::to_vec);
        }
        if self.endorsement_key.is_none() {
            self.endorsement_key = sighting.endorsement_key.map(str::to_owned);
        }
        // In a storm not everything is explained: what was known before still holds.
        self.cause = sighting.cause().or(self.cause.take());
        self.sample(sighting);
    }

    fn sample(&mut self, sighting: &Sighting<'_>) {
        if sighting.registration_id.is_empty() {
            return;
        }
        let place = self.place(sighting.registration_id);
        let mut sample = match place {
            Some(place) => self.samples.remove(place),
            None => Sample {
                registration_id: sighting.registration_id.to_owned(),
                count: 0,
                last_seen: sighting.time,
                nearest: None,
                certificate: None,
            },
        };
        sample.count = sample.count.saturating_add(1);
        sample.last_seen = sample.last_seen.max(sighting.time);
        sample.nearest = sighting.nearest().or(sample.nearest);
        let kept = self.samples.iter().filter(|sample| sample.certificate.is_some()).count();
        if sample.certificate.is_some() || kept < MAX_INBOX_CERTIFICATES {
            sample.certificate = sighting.certificate.map(<[u8]>::to_vec).or(sample.certificate);
        }
        if self.samples.len() >= MAX_INBOX_SAMPLES {
            // The one that was not seen for longest makes room, and one that can be let in stays before one that cannot.
            let least = self.samples.iter().position(|sample| sample.certificate.is_none()).unwrap_or(0);
            self.samples.remove(least);
            self.more = true;
        }
        self.samples.push(sample);
    }

    fn place(&self, registration_id: &str) -> Option<usize> {
        self.samples.iter().position(|sample| sample.registration_id.eq_ignore_ascii_case(registration_id))
    }

    /// The device of that id, in any case.
    pub fn device(&self, registration_id: &str) -> Option<&Sample> {
        self.samples.get(self.place(registration_id)?)
    }

    /// Forgets a device; true when none is left.
    pub(super) fn forget(&mut self, registration_id: &str) -> bool {
        if let Some(place) = self.place(registration_id) {
            self.samples.remove(place);
        }
        self.samples.is_empty() && !self.more
    }

    /// Bytes that certificates, keys and explanations take up.
    pub(super) fn bytes(&self) -> usize {
        let certificates = self.samples.iter().filter_map(|sample| sample.certificate.as_ref());
        let certificates = certificates.chain(&self.issuer_certificate).map(Vec::len).sum::<usize>();
        let cause = self.cause.as_ref().map_or(0, |cause| cause.sentence.len());
        certificates + cause + self.endorsement_key.as_ref().map_or(0, String::len)
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    protocol.as_str()
}

/// The network that an address stands for: 24 bits of IPv4, 64 of IPv6.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("{}/24", Ipv4Addr::from_bits(address.to_bits() & 0xffff_ff00)),
        IpAddr::V6(address) => format!("{}/64", Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// Bytes as base64.
mod der {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[allow(clippy::ref_option)] // serde's form
    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => to.serialize_some(&STANDARD.encode(bytes)),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| STANDARD.decode(text).map_err(serde::de::Error::custom)).transpose()
    }
}
