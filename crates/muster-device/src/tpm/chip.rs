//! A device's identity in a TPM 2.0: where its keys live, and the commands in their order (facts: wire-protocol.md
//! §5.3, §5.4). Owns handles and templates. Keeps nothing itself: all that is secret stays in the TPM. Must not know
//! what is signed.

use dps_attestation::tpm::{PublicArea, PublicAreaError, Template};

use super::command::{CommandError, Conversation, ENDORSEMENT, OWNER};
use super::frame::{BlobParts, Handle};
use super::tcti::Tcti;
use super::{SecurityProviderTpm, TpmFailure, TpmKeyMissing};

/// Where the endorsement key lives (TCG, "Registry of Reserved TPM 2.0 Handles").
const ENDORSEMENT_KEY: Handle = Handle(0x8101_0001);
/// Where the storage root key lives.
const STORAGE_ROOT_KEY: Handle = Handle(0x8100_0001);
/// Where Azure's SDKs keep the key for the hub.
const IDENTITY_KEY: Handle = Handle(0x8100_0100);

/// `fixedTPM | fixedParent | sensitiveDataOrigin | adminWithPolicy | restricted | decrypt`.
const ENDORSEMENT_ATTRIBUTES: [u8; 4] = [0, 3, 0, 0xb2];
/// `fixedTPM | fixedParent | sensitiveDataOrigin | userWithAuth | noDA | restricted | decrypt`.
const STORAGE_ATTRIBUTES: [u8; 4] = [0, 3, 4, 0x72];
/// `PolicySecret` of the endorsement hierarchy.
const ENDORSEMENT_POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd,
    0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];
/// AES-128 in CFB mode, no scheme, 2,048 bits, the usual exponent.
const RSA_2048: [u8; 14] = [0, 6, 0, 0x80, 0, 0x43, 0, 0x10, 8, 0, 0, 0, 0, 0];
/// Bytes of the modulus.
const MODULUS: usize = 256;
/// `KEYEDHASH`, the type of a key that makes HMACs.
const KEYED_HASH: [u8; 2] = [0, 8];

/// A TPM 2.0 of this machine, or a simulator, with the keys at the handles that Azure's SDKs use: the endorsement key
/// at `0x81010001`, the storage root key at `0x81000001` (both made where they are absent, and kept where the TPM
/// permits it), the key for the hub at `0x81000100`. The owner and endorsement hierarchies must have empty passwords.
///
/// ```no_run
/// use muster_device::{Attestation, Device, ProvisioningClient, SecurityProviderTpm, Tpm2, Transport};
/// use muster_device::{AssignmentCache, default_registration_id};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// let tpm = Tpm2::new("device:/dev/tpmrm0".parse()?);
/// // Calls to the chip block.
/// let (tpm, endorsement_key) = tokio::task::spawn_blocking(move || {
///     let key = tpm.endorsement_key()?;
///     Ok::<_, Box<dyn std::error::Error + Send + Sync>>((tpm, key))
/// })
/// .await??;
/// let id = default_registration_id(&endorsement_key);
/// let client = ProvisioningClient::builder("localhost", "0ne00ABCDEF", &id, Attestation::tpm(tpm))
///     .transport(Transport::Https)
///     .build()?;
/// let mut device = Device::new(client, AssignmentCache::file("assignment.json"));
/// device.ensure_connected().await?.send_telemetry("{}", &[]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Tpm2 {
    tcti: Tcti,
}

impl Tpm2 {
    /// The TPM there. It is not touched before it is needed, and held no longer.
    pub fn new(tcti: Tcti) -> Self {
        Self { tcti }
    }

    /// Speaks with the TPM; an error names where it is.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut Conversation) -> Result<T, TpmFailure>,
    ) -> Result<T, TpmFailure> {
        let mut tpm = Conversation::open(&self.tcti)?;
        work(&mut tpm)
    }
}

impl SecurityProviderTpm for Tpm2 {
    fn endorsement_key(&self) -> Result<Vec<u8>, TpmFailure> {
        self.with(|tpm| Ok(public(tpm, endorsement_key)?.to_bytes()))
    }

    fn storage_root_key(&self) -> Result<Vec<u8>, TpmFailure> {
        self.with(|tpm| Ok(public(tpm, storage_root_key)?.to_bytes()))
    }

    fn activate_identity_key(&self, blob: &[u8]) -> Result<(), TpmFailure> {
        self.with(|tpm| {
            let key = load(tpm, blob)?;
            let kept = keep(tpm, key);
            tpm.flush(key);
            kept
        })
    }

    fn sign(&self, data: &[u8]) -> Result<Vec<u8>, TpmFailure> {
        self.with(|tpm| match tpm.hmac(IDENTITY_KEY, data) {
            Err(error) if error.no_such_handle() => Err(TpmKeyMissing.into()),
            other => Ok(other?),
        })
    }

    fn answer_challenge(&self, blob: &[u8], data: &[u8]) -> Result<Vec<u8>, TpmFailure> {
        self.with(|tpm| {
            let key = load(tpm, blob)?;
            let signed = tpm.hmac(key, data);
            tpm.flush(key);
            Ok(signed?)
        })
    }
}

/// A primary key while it is used.
struct Primary {
    handle: Handle,
    /// Made for this use, and forgotten after it.
    transient: bool,
    public: PublicArea,
}

/// What a key is for a person.
struct Kind {
    name: &'static str,
    hierarchy: Handle,
    at: Handle,
    template: fn() -> Vec<u8>,
    serves: fn(&PublicArea) -> bool,
}

fn endorsement_key(tpm: &mut Conversation) -> Result<Primary, TpmFailure> {
    const KIND: Kind = Kind {
        name: "endorsement key",
        hierarchy: ENDORSEMENT,
        at: ENDORSEMENT_KEY,
        template: || template(ENDORSEMENT_ATTRIBUTES, &ENDORSEMENT_POLICY),
        serves: |key| key.template() == Template::EndorsementLowRange,
    };
    match find(tpm, &KIND)? {
        Found::Usable(primary) => Ok(primary),
        Found::Absent => create(tpm, &KIND, true),
        // The enrolled one, most likely: another would be refused anyway.
        Found::Other(why) => Err(format!(
            "the key at {:#x} is no endorsement key that can be used here: {why}",
            ENDORSEMENT_KEY.0
        )
        .into()),
    }
}

fn storage_root_key(tpm: &mut Conversation) -> Result<Primary, TpmFailure> {
    const KIND: Kind = Kind {
        name: "storage root key",
        hierarchy: OWNER,
        at: STORAGE_ROOT_KEY,
        template: || template(STORAGE_ATTRIBUTES, &[]),
        serves: |key| key.template() == Template::Storage && key.bits() == 2048,
    };
    match find(tpm, &KIND)? {
        Found::Usable(primary) => Ok(primary),
        Found::Absent => create(tpm, &KIND, true),
        // An elliptic one of the system's, say. It is not ours to replace, and ours is the same each time it is made.
        Found::Other(_) => create(tpm, &KIND, false),
    }
}

enum Found {
    Usable(Primary),
    Absent,
    Other(String),
}

fn find(tpm: &mut Conversation, kind: &Kind) -> Result<Found, TpmFailure> {
    let area = match tpm.read_public(kind.at) {
        Ok(area) => area,
        Err(error) if error.no_such_handle() => return Ok(Found::Absent),
        Err(error) => return Err(error.into()),
    };
    Ok(match parse(&area) {
        Ok(public) if (kind.serves)(&public) => {
            Found::Usable(Primary { handle: kind.at, transient: false, public })
        }
        Ok(public) => Found::Other(format!("it has {}", public.template().as_str())),
        Err(error) => Found::Other(error.to_string()),
    })
}

/// Makes the key, and keeps it for the next time where that is wanted and permitted.
fn create(tpm: &mut Conversation, kind: &Kind, keep: bool) -> Result<Primary, TpmFailure> {
    let (handle, area) = tpm.create_primary(kind.hierarchy, &(kind.template)())?;
    let public = match parse(&area) {
        Ok(public) => public,
        Err(error) => {
            tpm.flush(handle);
            return Err(format!("the TPM made no {}: {error}", kind.name).into());
        }
    };
    // A TPM with no room, or with an owner's password, makes it anew each time: slower, and the same key.
    if keep && tpm.evict_control(handle, kind.at).is_ok() {
        tpm.flush(handle);
        return Ok(Primary { handle: kind.at, transient: false, public });
    }
    Ok(Primary { handle, transient: true, public })
}

/// `TPMT_PUBLIC` of TCG's standard templates (low range): the modulus to be is 256 zero bytes, which gives the very
/// endorsement key that its manufacturer certified, and that tpm2-tools make.
fn template(attributes: [u8; 4], policy: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes();
    let parts: [&[u8]; 7] = [
        // An RSA key whose name is made with SHA-256.
        &[0, 1, 0, 0x0b],
        &attributes,
        &length(policy.len()),
        policy,
        &RSA_2048,
        &length(MODULUS),
        &[0; MODULUS],
    ];
    parts.concat()
}

/// A public area out of `TPMT_PUBLIC`.
fn parse(area: &[u8]) -> Result<PublicArea, PublicAreaError> {
    let length = u16::try_from(area.len()).unwrap_or(u16::MAX).to_be_bytes();
    PublicArea::parse(&[&length, area].concat())
}

/// The public area alone.
fn public(
    tpm: &mut Conversation,
    key: impl FnOnce(&mut Conversation) -> Result<Primary, TpmFailure>,
) -> Result<PublicArea, TpmFailure> {
    let primary = key(tpm)?;
    release(tpm, &primary);
    Ok(primary.public)
}

fn release(tpm: &mut Conversation, primary: &Primary) {
    if primary.transient {
        tpm.flush(primary.handle);
    }
}

/// Takes a blob's key in, transient: its handle.
fn load(tpm: &mut Conversation, blob: &[u8]) -> Result<Handle, TpmFailure> {
    let blob = BlobParts::cut(blob).ok_or("what the service sent is no activation blob")?;
    let storage = storage_root_key(tpm)?;
    let loaded = load_under(tpm, storage.handle, &blob);
    release(tpm, &storage);
    loaded
}

fn load_under(tpm: &mut Conversation, storage: Handle, blob: &BlobParts<'_>) -> Result<Handle, TpmFailure> {
    let endorsement = endorsement_key(tpm)?;
    let inner_key = activate(tpm, storage, endorsement.handle, blob);
    // A TPM without a resource manager has three slots.
    release(tpm, &endorsement);
    let private = tpm.import(storage, &inner_key?, blob)?;
    Ok(tpm.load(storage, &private, blob)?)
}

fn activate(
    tpm: &mut Conversation,
    storage: Handle,
    endorsement: Handle,
    blob: &BlobParts<'_>,
) -> Result<dps_model::Secret, CommandError> {
    let session = tpm.endorsement_session()?;
    let activated = tpm.activate_credential(storage, endorsement, session, blob);
    if activated.is_err() {
        tpm.flush(session);
    }
    activated
}

/// Has the loaded key take the place of the hub's key before.
fn keep(tpm: &mut Conversation, key: Handle) -> Result<(), TpmFailure> {
    let place = IDENTITY_KEY.0;
    match tpm.read_public(IDENTITY_KEY) {
        Ok(area) if area.starts_with(&KEYED_HASH) => tpm.evict_control(IDENTITY_KEY, IDENTITY_KEY)?,
        Ok(_) => {
            return Err(format!(
                "the key at {place:#x}, where the hub's key belongs, is another program's; move it elsewhere"
            )
            .into());
        }
        Err(error) if error.no_such_handle() => {}
        Err(error) => return Err(error.into()),
    }
    match tpm.evict_control(key, IDENTITY_KEY) {
        Ok(()) => Ok(()),
        Err(error) if error.wants_authorisation() => {
            Err(format!("the hub's key cannot be kept at {place:#x}: {error}").into())
        }
        Err(error) => Err(error.into()),
    }
}
