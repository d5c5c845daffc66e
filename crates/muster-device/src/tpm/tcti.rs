//! The way to a TPM: a character device of Linux, or a simulator's socket. Owns its names, which are those of tpm2-tss
//! (TCTI), and the moving of one command and one answer. Must not know what they say.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::frame::HEADER;
use crate::limits::{MAX_TPM_FRAME, TPM_CONNECT_TIMEOUT, TPM_TIMEOUT};

/// The device of the kernel's resource manager.
const DEVICE: &str = "/dev/tpmrm0";
/// Where swtpm listens unless it is told otherwise.
const SWTPM_HOST: &str = "127.0.0.1";
const SWTPM_PORT: u16 = 2321;

/// Where a TPM 2.0 is found: `device:/dev/tpmrm0`, or `swtpm:host=127.0.0.1,port=2321`. What is left out is as in
/// these two.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tcti {
    /// A character device of Linux.
    Device(PathBuf),
    /// A `swtpm socket --tpm2 --server type=tcp`.
    Swtpm {
        /// Name or address.
        host: String,
        /// Of its commands; the control port is not used.
        port: u16,
    },
}

impl Default for Tcti {
    fn default() -> Self {
        Self::Device(DEVICE.into())
    }
}

/// A text that names no TPM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; write device:/dev/tpmrm0 or swtpm:host=127.0.0.1,port=2321")]
pub struct InvalidTcti(String);

impl FromStr for Tcti {
    type Err = InvalidTcti;

    fn from_str(text: &str) -> Result<Self, InvalidTcti> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "device" if rest.is_empty() => Ok(Self::default()),
            "device" => Ok(Self::Device(rest.into())),
            "swtpm" => swtpm(rest),
            _ => Err(InvalidTcti(format!("{kind:?} is no way to a TPM that is known here"))),
        }
    }
}

fn swtpm(settings: &str) -> Result<Tcti, InvalidTcti> {
    let (mut host, mut port) = (SWTPM_HOST.to_owned(), SWTPM_PORT);
    for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
        match setting.split_once('=') {
            Some(("host", value)) if !value.is_empty() => value.clone_into(&mut host),
            Some(("port", value)) => {
                port = value.parse().map_err(|_| InvalidTcti(format!("{value:?} is no port")))?;
            }
            _ => return Err(InvalidTcti(format!("{setting:?} is no setting of swtpm"))),
        }
    }
    Ok(Tcti::Swtpm { host, port })
}

impl std::fmt::Display for Tcti {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Device(path) => write!(f, "{}", path.display()),
            Self::Swtpm { host, port } => write!(f, "the swtpm at {host}:{port}"),
        }
    }
}

/// An open way, for one command after the other. It ends with the operation that needed it: a device without a resource
/// manager, and a simulator, serve one program at a time.
pub(super) enum Line {
    Device(File),
    Socket(TcpStream),
}

impl Tcti {
    /// Opens it; an error says what can be done.
    pub(super) fn open(&self) -> Result<Line, String> {
        match self {
            Self::Device(path) => {
                let opened = OpenOptions::new().read(true).write(true).open(path);
                opened.map(Line::Device).map_err(|error| not_opened(self, &error))
            }
            Self::Swtpm { host, port } => dial(host, *port).map(Line::Socket).map_err(|error| {
                format!("{self} cannot be reached: {error}; is it running, and with --server type=tcp?")
            }),
        }
    }
}

fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, TPM_CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(TPM_TIMEOUT))?;
                stream.set_write_timeout(Some(TPM_TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn not_opened(tcti: &Tcti, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => {
            "; is there a TPM 2.0, enabled in the firmware's setup? The kernel's resource manager is /dev/tpmrm0"
        }
        io::ErrorKind::PermissionDenied => "; add the user to the group tss, and sign in again",
        io::ErrorKind::ResourceBusy => "; another program holds it: use the resource manager, /dev/tpmrm0",
        _ => "",
    };
    format!("{tcti} cannot be opened: {error}{advice}")
}

impl Line {
    /// Sends a command and waits for its answer.
    pub(super) fn exchange(&mut self, command: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        match self {
            Self::Device(device) => {
                // The kernel takes a command in one piece, and gives its answer in one.
                device.write_all(command)?;
                let mut answer = Zeroizing::new(vec![0; MAX_TPM_FRAME]);
                let length = device.read(&mut answer)?;
                answer.truncate(length);
                Ok(answer)
            }
            Self::Socket(stream) => {
                stream.write_all(command)?;
                receive(stream).map_err(|error| match error.kind() {
                    // What a read timeout is called differs between systems.
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        io::Error::new(io::ErrorKind::TimedOut, "it does not answer")
                    }
                    io::ErrorKind::UnexpectedEof => {
                        io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection")
                    }
                    _ => error,
                })
            }
        }
    }
}

/// One answer from a stream: its header names its size.
fn receive(stream: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut answer = Zeroizing::new(vec![0; MAX_TPM_FRAME]);
    let (header, _) = answer.split_at_mut(HEADER);
    stream.read_exact(header)?;
    let size = header.get(2..6).and_then(<[u8]>::first_chunk).map_or(0, |size| u32::from_be_bytes(*size));
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let Some(rest) = answer.get_mut(HEADER..size) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("its answer names a size of {size} bytes, and {HEADER} to {MAX_TPM_FRAME} are read"),
        ));
    };
    stream.read_exact(rest)?;
    answer.truncate(size);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swtpm_at(host: &str, port: u16) -> Tcti {
        Tcti::Swtpm { host: host.into(), port }
    }

    #[test]
    fn tcti_reads_names_as_tpm2_tss_writes_them() {
        for (text, expected) in [
            ("device", Tcti::Device("/dev/tpmrm0".into())),
            ("device:", Tcti::Device("/dev/tpmrm0".into())),
            ("device:/dev/tpm0", Tcti::Device("/dev/tpm0".into())),
            ("swtpm", swtpm_at("127.0.0.1", 2321)),
            ("swtpm:port=4000", swtpm_at("127.0.0.1", 4000)),
            ("swtpm:host=localhost,port=4000", swtpm_at("localhost", 4000)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn tcti_other_text_refused_with_the_way_to_write_it() {
        for text in
            ["", "/dev/tpmrm0", "mssim:host=a", "swtpm:port=70000", "swtpm:host=", "swtpm:path=/x", "swtpm:a"]
        {
            let error = text.parse::<Tcti>().unwrap_err().to_string();
            assert!(error.ends_with("write device:/dev/tpmrm0 or swtpm:host=127.0.0.1,port=2321"), "{error}");
        }
    }

    #[test]
    fn receive_answer_whose_size_cannot_be_is_refused() {
        for size in [0_u32, 9, 4_097, u32::MAX] {
            let mut bytes = vec![0x80, 1];
            bytes.extend(size.to_be_bytes());
            bytes.extend([0; 8_000]);
            let error = receive(&mut &bytes[..]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{size}");
        }
        let whole = [0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0, 7, 8];
        assert_eq!(*receive(&mut &[&whole[..], &[9]].concat()[..]).unwrap(), whole);
        for end in 0..whole.len() {
            assert!(receive(&mut &whole[..end]).is_err());
        }
    }

    /// A device's end of a pair, and a chip at the other end that answers one command so.
    #[cfg(unix)]
    fn device(answer: Vec<u8>) -> (Line, std::thread::JoinHandle<Vec<u8>>) {
        use std::os::fd::OwnedFd;
        use std::os::unix::net::UnixStream;
        let (ours, mut chip) = UnixStream::pair().unwrap();
        let served = std::thread::spawn(move || {
            let mut command = vec![0; 64];
            let length = chip.read(&mut command).unwrap();
            command.truncate(length);
            chip.write_all(&answer).unwrap();
            command
        });
        (Line::Device(File::from(OwnedFd::from(ours))), served)
    }

    #[cfg(unix)]
    #[test]
    fn device_takes_a_command_and_gives_its_answer_in_one_piece() {
        let answer = vec![0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0, 7, 8];
        let (mut line, served) = device(answer.clone());
        assert_eq!(*line.exchange(&[1, 2, 3]).unwrap(), answer);
        assert_eq!(served.join().unwrap(), [1, 2, 3]);
        // A device that is gone gives nothing.
        let (mut line, served) = device(Vec::new());
        assert!(line.exchange(&[1]).unwrap().is_empty());
        served.join().unwrap();
    }

    #[test]
    fn device_that_cannot_be_opened_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let absent = Tcti::Device(folder.path().join("tpmrm0"));
        assert!(absent.open().err().unwrap().contains("enabled in the firmware's setup"));
        for (kind, advice) in
            [(io::ErrorKind::PermissionDenied, "group tss"), (io::ErrorKind::ResourceBusy, "/dev/tpmrm0")]
        {
            assert!(not_opened(&Tcti::default(), &kind.into()).contains(advice), "{kind}");
        }
    }
}
