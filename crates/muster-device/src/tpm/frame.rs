//! The bytes of TPM 2.0 commands and answers (TCG, TPM 2.0 Library Part 1 §18): header, handles, authorisations,
//! parameters, all big-endian. Owns lengths and bounds; must not know what a command is for. Both directions may carry
//! a key, so their buffers are erased.

use zeroize::Zeroizing;

use super::code::ReturnCode;
use crate::limits::MAX_TPM_FRAME;

/// Tag, size, and command or return code.
pub(super) const HEADER: usize = 10;
/// `TPM_ST_NO_SESSIONS`.
const NO_SESSIONS: u16 = 0x8001;
/// `TPM_ST_SESSIONS`.
const SESSIONS: u16 = 0x8002;
/// `TPM_RS_PW`: a password, here an empty one.
const PASSWORD: u32 = 0x4000_0009;

/// A handle of an object, a session or a hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(pub(super) u32);

/// What authorises the use of a handle.
#[derive(Clone, Copy)]
pub(super) enum Authorisation {
    /// An empty password.
    Empty,
    /// A policy session, which ends with the command.
    Policy(Handle),
}

/// A command on its way out.
pub(super) struct Command(Zeroizing<Vec<u8>>);

impl Command {
    /// With its handles, and what authorises the first of them.
    pub(super) fn new(code: u32, handles: &[Handle], authorisations: &[Authorisation]) -> Self {
        // Of the largest size from the start: a vector that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_TPM_FRAME));
        let tag = if authorisations.is_empty() { NO_SESSIONS } else { SESSIONS };
        bytes.extend(tag.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(code.to_be_bytes());
        for handle in handles {
            bytes.extend(handle.0.to_be_bytes());
        }
        if !authorisations.is_empty() {
            // Each: handle, empty nonce, attributes (none: a policy session is not continued), empty password or HMAC.
            let area: Vec<u8> = authorisations
                .iter()
                .flat_map(|authorisation| {
                    let handle = match authorisation {
                        Authorisation::Empty => PASSWORD,
                        Authorisation::Policy(session) => session.0,
                    };
                    handle.to_be_bytes().into_iter().chain([0; 5])
                })
                .collect();
            // A command has at most three of nine bytes each.
            bytes.extend(u32::try_from(area.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend(area);
        }
        Self(bytes)
    }

    /// Adds bytes as they are.
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds a number of two bytes.
    pub(super) fn u16(self, number: u16) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    /// Adds a number of four bytes.
    pub(super) fn u32(self, number: u32) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    /// Adds a `TPM2B`. One that is longer than any TPM takes makes the whole command too long, which `finish` tells.
    pub(super) fn sized(self, bytes: &[u8]) -> Self {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.u16(length).bytes(bytes)
    }

    /// The whole command with its size; none when it is longer than a TPM takes.
    pub(super) fn finish(mut self) -> Option<Zeroizing<Vec<u8>>> {
        let size = self.0.len();
        if size > MAX_TPM_FRAME {
            return None;
        }
        let size = u32::try_from(size).ok()?.to_be_bytes();
        self.0.get_mut(2..6)?.copy_from_slice(&size);
        Some(self.0)
    }
}

/// What a TPM's answer lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its answer cannot be read: {0}")]
pub(super) struct Malformed(pub(super) &'static str);

/// An answer's bytes, read from the front. Whatever they are, nothing outside of them is touched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'a>(&'a [u8]);

impl<'a> Answer<'a> {
    /// The return code, and behind it what a successful answer says: handles, then parameters.
    pub(super) fn open(bytes: &'a [u8]) -> Result<(ReturnCode, Self), Malformed> {
        let mut answer = Self(bytes);
        let tag = answer.u16()?;
        let size = answer.u32()?;
        let code = ReturnCode(answer.u32()?);
        if bytes.len() > MAX_TPM_FRAME || u32::try_from(bytes.len()) != Ok(size) {
            return Err(Malformed("its size is not the one that it names"));
        }
        // A TPM of another family answers a command that it does not know with a tag of its own.
        match tag {
            NO_SESSIONS | SESSIONS => Ok((code, answer)),
            _ if code != ReturnCode::SUCCESS => Ok((code, answer)),
            _ => Err(Malformed("its tag is none of TPM 2.0's")),
        }
    }

    /// Behind the handles of an answer to an authorised command: the parameters alone.
    pub(super) fn parameters(mut self) -> Result<Self, Malformed> {
        let length = self.u32()?;
        let length = usize::try_from(length).map_err(|_| SHORT)?;
        self.take(length).map(Self)
    }

    pub(super) fn handle(&mut self) -> Result<Handle, Malformed> {
        self.u32().map(Handle)
    }

    /// The content of a `TPM2B`.
    pub(super) fn sized(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::from(self.u16()?);
        self.take(length)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }
}

const SHORT: Malformed = Malformed("it ends too early");

/// The six parts of an activation blob, each a `TPM2B` with its length, as commands take them (facts:
/// wire-protocol.md §5.1). The last one, a text for the device, may be missing: nothing here needs it.
pub(super) struct BlobParts<'a> {
    pub(super) credential: &'a [u8],
    pub(super) credential_secret: &'a [u8],
    pub(super) duplicate: &'a [u8],
    pub(super) duplicate_secret: &'a [u8],
    pub(super) public: &'a [u8],
}

impl<'a> BlobParts<'a> {
    /// Cuts a blob, which comes from the network: parts that are no `TPM2B`, or more of them, are refused.
    pub(super) fn cut(blob: &'a [u8]) -> Option<Self> {
        let mut rest = blob;
        let mut part = || {
            let length = usize::from(u16::from_be_bytes(*rest.first_chunk::<2>()?));
            let (taken, behind) = rest.split_at_checked(length + 2)?;
            rest = behind;
            Some(taken)
        };
        let parts = Self {
            credential: part()?,
            credential_secret: part()?,
            duplicate: part()?,
            duplicate_secret: part()?,
            public: part()?,
        };
        if !rest.is_empty() {
            let mut answer = Answer(rest);
            answer.sized().ok()?;
            answer.0.is_empty().then_some(())?;
        }
        Some(parts)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame's head before any bytes, so that most of them get past it.
    fn framed(code: u32, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(HEADER + body.len()).unwrap();
        [&SESSIONS.to_be_bytes()[..], &size.to_be_bytes(), &code.to_be_bytes(), body].concat()
    }

    proptest! {
        #[test]
        fn answer_of_any_bytes_is_read_within_them(
            body in prop::collection::vec(any::<u8>(), 0..200),
            small in any::<bool>(),
            cut in 0..220_usize,
        ) {
            // Lengths that could be true are small.
            let body: Vec<u8> = if small { body.iter().map(|byte| byte & 3).collect() } else { body };
            let frame = framed(0, &body);
            let (_, answer) = Answer::open(&frame).unwrap();
            let mut parts = answer;
            let mut read = 0;
            while let Ok(part) = parts.sized() {
                read += part.len() + 2;
                if parts.0.is_empty() {
                    break;
                }
            }
            prop_assert!(read <= body.len());
            if let Ok(parameters) = answer.parameters() {
                prop_assert!(parameters.0.len() + 4 <= body.len());
            }
            let cut = &frame[..cut.min(frame.len())];
            prop_assert_eq!(Answer::open(cut).is_ok(), cut.len() == frame.len());
        }

        #[test]
        fn blob_of_any_bytes_is_cut_into_itself(bytes in prop::collection::vec(0..4_u8, 0..60)) {
            if let Some(parts) = BlobParts::cut(&bytes) {
                let BlobParts { credential, credential_secret, duplicate, duplicate_secret, public } = parts;
                let five = [credential, credential_secret, duplicate, duplicate_secret, public].concat();
                prop_assert!(bytes.starts_with(&five));
                for part in [credential, credential_secret, duplicate, duplicate_secret, public] {
                    prop_assert_eq!(usize::from(part[0]) * 256 + usize::from(part[1]) + 2, part.len());
                }
            }
        }
    }

    #[test]
    fn command_with_authorisations_has_their_sizes() {
        let authorisations = [Authorisation::Empty, Authorisation::Policy(Handle(0x0300_0000))];
        let command = Command::new(0x147, &[Handle(1), Handle(2)], &authorisations).sized(&[7]);
        assert_eq!(
            hex::encode(&*command.finish().unwrap()),
            "8002 0000002b 00000147 00000001 00000002 00000012 40000009 0000 00 0000 03000000 0000 00 0000 000107"
                .replace(' ', "")
        );
    }

    #[test]
    fn command_longer_than_a_tpm_takes_is_none() {
        assert!(Command::new(1, &[], &[]).bytes(&vec![0; MAX_TPM_FRAME - HEADER]).finish().is_some());
        assert!(Command::new(1, &[], &[]).bytes(&vec![0; MAX_TPM_FRAME - HEADER + 1]).finish().is_none());
        assert!(Command::new(1, &[], &[]).sized(&vec![0; 70_000]).finish().is_none());
    }

    #[test]
    fn answer_truncated_or_with_a_wrong_size_is_refused() {
        let whole = hex::decode("800200000013000000000000000500031122330000".replace(' ', "")).unwrap();
        let mut whole = whole[..].to_vec();
        let length = u8::try_from(whole.len()).unwrap();
        whole[5] = length;
        let (code, answer) = Answer::open(&whole).unwrap();
        assert_eq!(code, ReturnCode::SUCCESS);
        assert_eq!(answer.parameters().unwrap().sized().unwrap(), [0x11, 0x22, 0x33]);
        for end in 0..whole.len() {
            assert!(Answer::open(&whole[..end]).is_err(), "{end}");
        }
        for size in [0, length - 1, length + 1, 255] {
            whole[5] = size;
            assert!(Answer::open(&whole).is_err(), "{size}");
        }
        let huge = vec![0x80; MAX_TPM_FRAME + 1];
        assert!(Answer::open(&huge).is_err());
    }

    #[test]
    fn answer_parts_that_reach_beyond_it_are_refused() {
        let mut answer = Answer(&[0, 3, 1, 2]);
        assert_eq!(answer.sized(), Err(SHORT));
        assert_eq!(Answer(&[0xff, 0xff, 0xff, 0xff, 0]).parameters().err(), Some(SHORT));
        assert_eq!(Answer(&[0, 0, 1]).handle(), Err(SHORT));
    }

    #[test]
    fn answer_of_another_family_with_a_code_is_its_code() {
        // TPM 1.2: TPM_TAG_RSP_COMMAND, TPM_BADTAG.
        let (code, _) = Answer::open(&hex::decode("00c40000000a0000001e").unwrap()).unwrap();
        assert_eq!(code, ReturnCode(0x1e));
        assert!(Answer::open(&hex::decode("00c40000000a00000000").unwrap()).is_err());
    }

    #[test]
    fn blob_cut_gives_parts_with_their_lengths() {
        let blob = [0, 1, 1, 0, 2, 2, 2, 0, 0, 0, 1, 4, 0, 1, 5, 0, 1, 6];
        let parts = BlobParts::cut(&blob).unwrap();
        assert_eq!((parts.credential, parts.credential_secret), (&[0, 1, 1][..], &[0, 2, 2, 2][..]));
        assert_eq!((parts.duplicate, parts.duplicate_secret), (&[0, 0][..], &[0, 1, 4][..]));
        assert_eq!(parts.public, [0, 1, 5]);
        for end in 0..blob.len() {
            // Without its last part it is whole enough.
            assert_eq!(BlobParts::cut(&blob[..end]).is_some(), end == blob.len() - 3, "{end}");
        }
        assert!(BlobParts::cut(&[&blob[..], &[0]].concat()).is_none());
    }
}
