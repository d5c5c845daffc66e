//! Encryption at rest: AES-256-GCM under the key of the key file, bound to the place of the document.
//!
//! Owns the sealed format (a format byte, a 12-byte random nonce, ciphertext and tag) and the key file. Must not know
//! what it seals.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use dps_core::ports::store::{Collection, StoreError};
use dps_model::Secret;

/// Length of the key.
const KEY: usize = 32;
/// First byte of everything sealed; another format gets another number.
const FORMAT: u8 = 1;
/// What is sealed once, so that a wrong key is noticed at start and not at the first read.
const CHECK: &[u8] = b"muster store";

/// Seals and opens.
pub(super) struct Seal(RandomizedNonceKey);

impl Seal {
    fn new(key: &Secret) -> Result<Self, StoreError> {
        RandomizedNonceKey::new(&AES_256_GCM, key.expose())
            .map(Self)
            .map_err(|_| StoreError::Failed("the key of the store cannot be used".into()))
    }

    /// Encrypts; only the same collection, instance and id open it.
    pub fn seal(
        &self,
        collection: Collection,
        instance: &str,
        id: &str,
        secret: &Secret,
    ) -> Result<Vec<u8>, StoreError> {
        self.seal_as(&place(collection.name(), instance, id), secret.expose())
            .ok_or_else(|| StoreError::Failed(format!("{id} of {} could not be sealed", collection.name())))
    }

    /// Decrypts; `None` when it was sealed elsewhere, with another key, or is damaged.
    pub fn open(&self, collection: Collection, instance: &str, id: &str, sealed: &[u8]) -> Option<Secret> {
        self.open_as(&place(collection.name(), instance, id), sealed)
    }

    /// The value that tells whether a key is the store's.
    pub fn check_value(&self) -> Option<Vec<u8>> {
        self.seal_as(&place("meta", "", "key_check"), CHECK)
    }

    /// True when the check value was made with this key.
    pub fn fits(&self, check_value: &[u8]) -> bool {
        self.open_as(&place("meta", "", "key_check"), check_value).is_some_and(|check| check.matches(CHECK))
    }

    fn seal_as(&self, place: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
        let mut text = Vec::with_capacity(secret.len() + AES_256_GCM.tag_len());
        text.extend_from_slice(secret);
        // Encrypted in place: no copy of the secret stays behind in the buffer.
        let nonce = self.0.seal_in_place_append_tag(Aad::from(place), &mut text).ok()?;
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + text.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut text);
        Some(sealed)
    }

    fn open_as(&self, place: &[u8], sealed: &[u8]) -> Option<Secret> {
        let (nonce, text) = sealed.strip_prefix(&[FORMAT])?.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let length = self.0.open_in_place(nonce, Aad::from(place), &mut text).ok()?.len();
        text.truncate(length);
        Some(Secret::new(text))
    }
}

/// The place of a document as authenticated data; lengths make it unambiguous.
fn place(collection: &str, instance: &str, id: &str) -> Vec<u8> {
    let mut place = Vec::with_capacity(24 + collection.len() + instance.len() + id.len());
    for part in [collection, instance, id] {
        place.extend_from_slice(&(part.len() as u64).to_le_bytes());
        place.extend_from_slice(part.as_bytes());
    }
    place
}

/// Reads the key file; makes one when there is none and `may_create`.
pub(super) fn key(path: &Path, may_create: bool) -> Result<Seal, StoreError> {
    let told = |what: &str| StoreError::Failed(format!("the key file {} {what}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if !may_create {
                return Err(told(
                    "is missing, and the store was sealed with it; put it back, or its secrets are lost",
                ));
            }
            create(path).map_err(|error| told(&format!("cannot be created: {error}")))?;
            File::open(path).map_err(|error| told(&format!("cannot be read: {error}")))?
        }
        Err(error) => return Err(told(&format!("cannot be read: {error}"))),
    };
    let metadata = file.metadata().map_err(|error| told(&format!("cannot be read: {error}")))?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(told(&format!(
            "is open to other users (mode {mode:04o}); run: chmod 600 {}",
            path.display()
        )));
    }
    let mut bytes = Vec::with_capacity(KEY + 1);
    let read = file.take(KEY as u64 + 1).read_to_end(&mut bytes);
    let key = Secret::new(bytes);
    read.map_err(|error| told(&format!("cannot be read: {error}")))?;
    if key.expose().len() != KEY {
        return Err(told(&format!("does not hold a key: it must have exactly {KEY} bytes")));
    }
    Seal::new(&key)
}

/// Makes a key file, whole or not at all.
fn create(path: &Path) -> std::io::Result<()> {
    let mut bytes = vec![0; KEY];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| std::io::Error::other("no random bytes"))?;
    let key = Secret::new(bytes);
    let draft = path.with_extension("key.new");
    // Left by a crash before the rename; nothing was sealed with it.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(key.expose())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    sync_directory_of(path)
}

/// Makes the names in the directory of that path survive a crash.
pub(super) fn sync_directory_of(path: &Path) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use dps_core::ports::store::Collection::{Enrollments, Registrations};
    use dps_model::Secret;

    use super::{Seal, key};

    fn seal(byte: u8) -> Seal {
        Seal::new(&Secret::new(vec![byte; 32])).unwrap()
    }

    #[test]
    fn sealed_opens_only_in_its_place_and_with_its_key() {
        let secret = Secret::new(b"primary key".to_vec());
        let sealed = seal(1).seal(Enrollments, "i", "device-1", &secret).unwrap();
        assert!(seal(1).open(Enrollments, "i", "device-1", &sealed).unwrap() == secret);
        assert!(seal(1).open(Enrollments, "i", "device-2", &sealed).is_none());
        assert!(seal(1).open(Enrollments, "id", "evice-1", &sealed).is_none());
        assert!(seal(1).open(Registrations, "i", "device-1", &sealed).is_none());
        assert!(seal(2).open(Enrollments, "i", "device-1", &sealed).is_none());
    }

    #[test]
    fn sealed_any_byte_changed_or_cut_does_not_open() {
        let sealed = seal(1).seal(Enrollments, "i", "d", &Secret::new(vec![7; 5])).unwrap();
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(seal(1).open(Enrollments, "i", "d", &damaged).is_none(), "byte {at}");
            assert!(seal(1).open(Enrollments, "i", "d", &sealed[..at]).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn sealed_twice_differs() {
        let secret = Secret::new(vec![7; 5]);
        let one = seal(1).seal(Enrollments, "i", "d", &secret).unwrap();
        assert_ne!(one, seal(1).seal(Enrollments, "i", "d", &secret).unwrap());
        assert!(!one.windows(5).any(|window| window == [7; 5]));
    }

    #[test]
    fn key_file_made_once_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.key");
        assert!(key(&path, false).err().unwrap().to_string().contains("is missing"));
        std::fs::write(directory.path().join("store.key.new"), b"half").unwrap();
        let check = key(&path, true).unwrap().check_value().unwrap();
        assert!(key(&path, false).unwrap().fits(&check));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn key_file_open_to_others_or_of_wrong_length_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.key");
        key(&path, true).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = key(&path, true).err().unwrap().to_string();
        assert!(error.contains("0640") && error.contains("chmod 600"), "{error}");
        for length in [0, 31, 33] {
            std::fs::write(&path, vec![0; length]).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let error = key(&path, true).err().unwrap().to_string();
            assert!(error.contains("exactly 32 bytes"), "{error}");
        }
    }
}
