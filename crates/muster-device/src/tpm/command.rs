//! The few commands that a device needs of its TPM (TCG, TPM 2.0 Library Part 3): bytes out, an answer judged. Owns
//! their parameters. Must not know in which order they make an identity.

use dps_model::Secret;
use zeroize::Zeroizing;

use super::code::ReturnCode;
use super::frame::{Answer, Authorisation, BlobParts, Command, Handle, Malformed};
use super::tcti::{Line, Tcti};
use crate::limits::MAX_TPM_SIGNED;

/// Hierarchies (`TPM_RH`).
pub(super) const OWNER: Handle = Handle(0x4000_0001);
pub(super) const ENDORSEMENT: Handle = Handle(0x4000_000b);
const NULL: Handle = Handle(0x4000_0007);

const SHA256: u16 = 0x000b;
const ALG_NULL: u16 = 0x0010;
/// `TPM_SU_CLEAR`.
const CLEAR: u16 = 0;
/// `TPM_SE_POLICY`.
const POLICY: u8 = 1;
/// Bytes of randomness that a session begins with.
const NONCE: usize = 32;
/// AES-128 in CFB mode, the cipher of an activation blob's inner key (`TPMT_SYM_DEF_OBJECT`).
const INNER_CIPHER: [u8; 6] = [0, 6, 0, 0x80, 0, 0x43];

/// Command codes (`TPM_CC`).
mod cc {
    pub const EVICT_CONTROL: u32 = 0x120;
    pub const CREATE_PRIMARY: u32 = 0x131;
    pub const STARTUP: u32 = 0x144;
    pub const ACTIVATE_CREDENTIAL: u32 = 0x147;
    pub const POLICY_SECRET: u32 = 0x151;
    pub const HMAC: u32 = 0x155;
    pub const IMPORT: u32 = 0x156;
    pub const LOAD: u32 = 0x157;
    pub const FLUSH_CONTEXT: u32 = 0x165;
    pub const READ_PUBLIC: u32 = 0x173;
    pub const START_AUTH_SESSION: u32 = 0x176;
}

/// Why the TPM did not do a command. Holds no byte of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// The way to it.
    #[error("{0}")]
    Line(String),
    /// It refused.
    #[error("{command} gives {code}")]
    Refused { command: &'static str, code: ReturnCode },
    /// It did it, and said something else.
    #[error("{command}: {reason}")]
    Malformed { command: &'static str, reason: Malformed },
    /// What was to be sent is more than a TPM takes.
    #[error("{command} would be longer than a TPM takes")]
    TooLong { command: &'static str },
    /// A session begins with some.
    #[error("the system has no randomness to give")]
    Randomness,
}

impl CommandError {
    /// There is nothing at the handle.
    pub(super) fn no_such_handle(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code.no_such_handle())
    }

    /// It is busy, and takes the same again later.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code.passes())
    }

    /// A password is wanted.
    pub(super) fn wants_authorisation(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code.wants_authorisation())
    }
}

/// A TPM that is spoken with.
pub(super) struct Conversation {
    line: Line,
    tcti: Tcti,
}

impl Conversation {
    pub(super) fn open(tcti: &Tcti) -> Result<Self, CommandError> {
        let line = tcti.open().map_err(CommandError::Line)?;
        Ok(Self { line, tcti: tcti.clone() })
    }

    /// The content of the public area at a handle (`TPMT_PUBLIC`).
    pub(super) fn read_public(&mut self, handle: Handle) -> Result<Vec<u8>, CommandError> {
        const NAME: &str = "TPM2_ReadPublic";
        let answer = self.run(NAME, read_public(handle))?;
        let area = Answer::open(&answer).and_then(|(_, mut answer)| answer.sized());
        area.map(<[u8]>::to_vec).map_err(malformed(NAME))
    }

    /// Makes the key of that template in a hierarchy, always the same one; its handle and its public area.
    pub(super) fn create_primary(
        &mut self,
        hierarchy: Handle,
        template: &[u8],
    ) -> Result<(Handle, Vec<u8>), CommandError> {
        const NAME: &str = "TPM2_CreatePrimary";
        let answer = self.run(NAME, create_primary(hierarchy, template))?;
        let read = || {
            let (_, mut answer) = Answer::open(&answer)?;
            let handle = answer.handle()?;
            Ok((handle, answer.parameters()?.sized()?.to_vec()))
        };
        read().map_err(malformed(NAME))
    }

    /// Makes an object persistent at a handle; with that handle itself, removes it.
    pub(super) fn evict_control(&mut self, object: Handle, at: Handle) -> Result<(), CommandError> {
        self.run("TPM2_EvictControl", evict_control(object, at)).map(drop)
    }

    /// A session that the endorsement key's policy is content with: the owner of the endorsement hierarchy asks.
    pub(super) fn endorsement_session(&mut self) -> Result<Handle, CommandError> {
        const NAME: &str = "TPM2_StartAuthSession";
        let mut nonce = [0; NONCE];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| CommandError::Randomness)?;
        let answer = self.run(NAME, start_policy_session(&nonce))?;
        let session = Answer::open(&answer).and_then(|(_, mut answer)| answer.handle());
        let session = session.map_err(malformed(NAME))?;
        match self.run("TPM2_PolicySecret", policy_secret(session)) {
            Ok(_) => Ok(session),
            Err(error) => {
                self.flush(session);
                Err(error)
            }
        }
    }

    /// Decrypts the inner key of a blob. The session is over afterwards when the TPM did it.
    pub(super) fn activate_credential(
        &mut self,
        storage: Handle,
        endorsement: Handle,
        session: Handle,
        blob: &BlobParts<'_>,
    ) -> Result<Secret, CommandError> {
        const NAME: &str = "TPM2_ActivateCredential";
        let answer = self.run(NAME, activate_credential(storage, endorsement, session, blob))?;
        let read = || Answer::open(&answer)?.1.parameters()?.sized().map(|key| Secret::new(key.to_vec()));
        read().map_err(malformed(NAME))
    }

    /// Wraps a blob's object for its new parent (`TPM2B_PRIVATE`, without its length).
    pub(super) fn import(
        &mut self,
        parent: Handle,
        inner_key: &Secret,
        blob: &BlobParts<'_>,
    ) -> Result<Vec<u8>, CommandError> {
        const NAME: &str = "TPM2_Import";
        let answer = self.run(NAME, import(parent, inner_key, blob))?;
        let read = || Ok(Answer::open(&answer)?.1.parameters()?.sized()?.to_vec());
        read().map_err(malformed(NAME))
    }

    /// Loads a wrapped object.
    pub(super) fn load(
        &mut self,
        parent: Handle,
        private: &[u8],
        blob: &BlobParts<'_>,
    ) -> Result<Handle, CommandError> {
        const NAME: &str = "TPM2_Load";
        let answer = self.run(NAME, load(parent, private, blob))?;
        Answer::open(&answer).and_then(|(_, mut answer)| answer.handle()).map_err(malformed(NAME))
    }

    /// HMAC-SHA256 with the key at a handle.
    pub(super) fn hmac(&mut self, key: Handle, data: &[u8]) -> Result<Vec<u8>, CommandError> {
        const NAME: &str = "TPM2_HMAC";
        if data.len() > MAX_TPM_SIGNED {
            return Err(CommandError::TooLong { command: NAME });
        }
        let answer = self.run(NAME, hmac(key, data))?;
        let read = || Ok(Answer::open(&answer)?.1.parameters()?.sized()?.to_vec());
        read().map_err(malformed(NAME))
    }

    /// Forgets an object or a session. Of no consequence where it fails: a resource manager does it, too.
    pub(super) fn flush(&mut self, handle: Handle) {
        self.run("TPM2_FlushContext", flush_context(handle)).ok();
    }

    /// Sends a command and judges its return code. A TPM that nobody has started is started.
    fn run(&mut self, name: &'static str, command: Command) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        let command = command.finish().ok_or(CommandError::TooLong { command: name })?;
        let mut started = false;
        loop {
            let answer = self.exchange(name, &command)?;
            let code = Answer::open(&answer).map_err(malformed(name))?.0;
            if code == ReturnCode::SUCCESS {
                return Ok(answer);
            }
            if code != ReturnCode::INITIALIZE || started {
                return Err(CommandError::Refused { command: name, code });
            }
            started = true;
            // What it says does not matter: the command itself tells whether it helped.
            let startup = startup().finish().ok_or(CommandError::TooLong { command: name })?;
            self.exchange("TPM2_Startup", &startup)?;
        }
    }

    fn exchange(&mut self, name: &'static str, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, CommandError> {
        self.line
            .exchange(command)
            .map_err(|error| CommandError::Line(format!("{} broke off at {name}: {error}", self.tcti)))
    }
}

fn malformed(command: &'static str) -> impl Fn(Malformed) -> CommandError {
    move |reason| CommandError::Malformed { command, reason }
}

fn startup() -> Command {
    Command::new(cc::STARTUP, &[], &[]).u16(CLEAR)
}

fn read_public(handle: Handle) -> Command {
    Command::new(cc::READ_PUBLIC, &[handle], &[])
}

fn create_primary(hierarchy: Handle, template: &[u8]) -> Command {
    Command::new(cc::CREATE_PRIMARY, &[hierarchy], &[Authorisation::Empty])
        // No password, no data; the template; no outside data, no registers.
        .sized(&[0; 4])
        .sized(template)
        .sized(&[])
        .u32(0)
}

fn evict_control(object: Handle, at: Handle) -> Command {
    Command::new(cc::EVICT_CONTROL, &[OWNER, object], &[Authorisation::Empty]).u32(at.0)
}

fn start_policy_session(nonce: &[u8]) -> Command {
    Command::new(cc::START_AUTH_SESSION, &[NULL, NULL], &[])
        // No salt, no encryption of parameters.
        .sized(nonce)
        .sized(&[])
        .bytes(&[POLICY])
        .u16(ALG_NULL)
        .u16(SHA256)
}

fn policy_secret(session: Handle) -> Command {
    Command::new(cc::POLICY_SECRET, &[ENDORSEMENT, session], &[Authorisation::Empty])
        // Bound to no nonce, no command, no reference; no expiry.
        .sized(&[])
        .sized(&[])
        .sized(&[])
        .u32(0)
}

fn activate_credential(
    storage: Handle,
    endorsement: Handle,
    session: Handle,
    blob: &BlobParts<'_>,
) -> Command {
    let authorisations = [Authorisation::Empty, Authorisation::Policy(session)];
    Command::new(cc::ACTIVATE_CREDENTIAL, &[storage, endorsement], &authorisations)
        .bytes(blob.credential)
        .bytes(blob.credential_secret)
}

fn import(parent: Handle, inner_key: &Secret, blob: &BlobParts<'_>) -> Command {
    Command::new(cc::IMPORT, &[parent], &[Authorisation::Empty])
        .sized(inner_key.expose())
        .bytes(blob.public)
        .bytes(blob.duplicate)
        .bytes(blob.duplicate_secret)
        .bytes(&INNER_CIPHER)
}

fn load(parent: Handle, private: &[u8], blob: &BlobParts<'_>) -> Command {
    Command::new(cc::LOAD, &[parent], &[Authorisation::Empty]).sized(private).bytes(blob.public)
}

fn hmac(key: Handle, data: &[u8]) -> Command {
    Command::new(cc::HMAC, &[key], &[Authorisation::Empty]).sized(data).u16(SHA256)
}

fn flush_context(handle: Handle) -> Command {
    Command::new(cc::FLUSH_CONTEXT, &[handle], &[])
}

#[cfg(test)]
mod tests;
