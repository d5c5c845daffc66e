//! Each command's bytes, written down from Part 3's tables, and read by another implementation.

use tpm2_protocol::frame::TpmCommand;

use super::*;

const SESSION: Handle = Handle(0x0300_0000);
const KEY: Handle = Handle(0x8000_0001);
const STORAGE: Handle = Handle(0x8100_0001);
/// One empty password in an authorisation area.
const EMPTY: &str = "00000009 40000009 0000 00 0000";

fn assert_bytes(command: Command, expected: &str) {
    let bytes = command.finish().unwrap();
    assert_eq!(hex::encode(&*bytes), expected.replace([' ', '\n'], ""));
    TpmCommand::cast(&bytes).unwrap().validate().unwrap();
}

/// A blob with short parts of the right shape, whose key's area is that of the service.
fn blob() -> Vec<u8> {
    let area = format!("0008000b0004044000000005000b0020{}", "55".repeat(32));
    let parts = ["0002a1a1", "0003b2b2b2", "0002c3c3", "0004d4d4d4d4", &format!("0030{area}"), "0001e5"];
    hex::decode(parts.concat()).unwrap()
}

#[test]
fn startup_and_read_public_and_flush_have_no_authorisation() {
    assert_bytes(startup(), "8001 0000000c 00000144 0000");
    assert_bytes(read_public(STORAGE), "8001 0000000e 00000173 81000001");
    assert_bytes(flush_context(SESSION), "8001 0000000e 00000165 03000000");
}

#[test]
fn create_primary_sends_the_template_alone() {
    // An RSA storage key, its modulus left to the TPM.
    let template = hex::decode("0001000b00030472000000060080004300100800000000000000").unwrap();
    let expected = format!(
        "8002 00000043 00000131 4000000b {EMPTY} 0004 0000 0000
         001a 0001000b00030472000000060080004300100800000000000000 0000 00000000"
    );
    assert_bytes(create_primary(ENDORSEMENT, &template), &expected);
}

#[test]
fn evict_control_is_authorised_by_the_owner() {
    let expected = format!("8002 00000023 00000120 40000001 80000001 {EMPTY} 81000001");
    assert_bytes(evict_control(KEY, STORAGE), &expected);
}

#[test]
fn policy_session_is_unsalted_and_for_sha256() {
    let nonce = "77".repeat(32);
    let expected = format!("8001 0000003b 00000176 40000007 40000007 0020 {nonce} 0000 01 0010 000b");
    assert_bytes(start_policy_session(&[0x77; NONCE]), &expected);
}

#[test]
fn policy_secret_asks_the_endorsement_hierarchy() {
    let expected = format!("8002 00000029 00000151 4000000b 03000000 {EMPTY} 0000 0000 0000 00000000");
    assert_bytes(policy_secret(SESSION), &expected);
}

#[test]
fn activate_credential_shows_password_and_policy() {
    let blob = blob();
    let blob = BlobParts::cut(&blob).unwrap();
    let command = activate_credential(STORAGE, Handle(0x8101_0001), SESSION, &blob);
    let expected = "8002 00000031 00000147 81000001 81010001
         00000012 40000009 0000 00 0000 03000000 0000 00 0000 0002a1a1 0003b2b2b2";
    assert_bytes(command, expected);
}

#[test]
fn import_names_the_inner_cipher() {
    let blob = blob();
    let blob = BlobParts::cut(&blob).unwrap();
    let expected = format!(
        "8002 0000006f 00000156 81000001 {EMPTY} 0010 {} 0030 0008000b0004044000000005000b0020 {}
         0002c3c3 0004d4d4d4d4 000600800043",
        "66".repeat(16),
        "55".repeat(32)
    );
    assert_bytes(import(STORAGE, &Secret::new(vec![0x66; 16]), &blob), &expected);
}

#[test]
fn load_gives_the_private_and_the_public_part() {
    let blob = blob();
    let blob = BlobParts::cut(&blob).unwrap();
    let expected = format!(
        "8002 00000050 00000157 81000001 {EMPTY} 0001 99 0030 0008000b0004044000000005000b0020 {}",
        "55".repeat(32)
    );
    assert_bytes(load(STORAGE, &[0x99], &blob), &expected);
}

#[test]
fn hmac_is_sha256_of_the_data() {
    let expected = format!("8002 00000022 00000155 80000001 {EMPTY} 0003 616263 000b");
    assert_bytes(hmac(KEY, b"abc"), &expected);
}

/// A TPM of answers prepared in order, on a real socket; gives the commands that came.
fn prepared(answers: &[&str]) -> (Tcti, std::thread::JoinHandle<Vec<String>>) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers: Vec<Vec<u8>> =
        answers.iter().map(|answer| hex::decode(answer.replace(' ', "")).unwrap()).collect();
    let serve = move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        let mut commands = Vec::new();
        for answer in answers {
            let mut header = [0; 10];
            stream.read_exact(&mut header).unwrap();
            let size = u32::from_be_bytes(header[2..6].try_into().unwrap());
            stream.read_exact(&mut vec![0; usize::try_from(size).unwrap() - 10]).unwrap();
            commands.push(hex::encode(&header[6..]));
            stream.write_all(&answer).unwrap();
        }
        commands
    };
    (Tcti::Swtpm { host: "127.0.0.1".into(), port }, std::thread::spawn(serve))
}

#[test]
fn command_to_a_tpm_that_nobody_started_starts_it_once() {
    let hmac = "8002 00000011 00000000 00000003 0001 42";
    let (tcti, served) = prepared(&["8001 0000000a 00000100", "8001 0000000a 00000000", hmac]);
    assert_eq!(Conversation::open(&tcti).unwrap().hmac(KEY, b"a").unwrap(), [0x42]);
    assert_eq!(served.join().unwrap(), ["00000155", "00000144", "00000155"]);

    let never = "8001 0000000a 00000100";
    let (tcti, served) = prepared(&[never; 3]);
    let error = Conversation::open(&tcti).unwrap().hmac(KEY, b"a").unwrap_err().to_string();
    assert_eq!(error, "TPM2_HMAC gives TPM_RC_INITIALIZE (0x100)");
    assert_eq!(served.join().unwrap().len(), 3);
}

#[test]
fn command_that_a_busy_tpm_refuses_is_told_apart() {
    for (answer, busy) in [("8001 0000000a 00000922", true), ("8001 0000000a 0000018b", false)] {
        let (tcti, served) = prepared(&[answer]);
        let error = Conversation::open(&tcti).unwrap().hmac(KEY, b"a").unwrap_err();
        assert_eq!(error.is_busy(), busy, "{error}");
        served.join().unwrap();
    }
}

#[test]
fn command_refused_or_answered_with_nonsense_says_which_and_why() {
    for (answer, expected) in [
        ("8001 0000000a 0000018b", "TPM2_HMAC gives TPM_RC_HANDLE (0x18b)"),
        ("8002 0000000a 00000000", "TPM2_HMAC: its answer cannot be read: it ends too early"),
        ("8002 00000010 00000000 00000002 0001", "TPM2_HMAC: its answer cannot be read: it ends too early"),
        (
            "8002 00000011 00000000 ffffffff 0001 42",
            "TPM2_HMAC: its answer cannot be read: it ends too early",
        ),
        (
            "00c4 0000000a 0000001e",
            "TPM2_HMAC gives TPM_RC_BAD_TAG (0x1e): this is a TPM 1.2, and a TPM 2.0 is needed",
        ),
    ] {
        let (tcti, served) = prepared(&[answer]);
        let error = Conversation::open(&tcti).unwrap().hmac(KEY, b"a").unwrap_err().to_string();
        assert_eq!(error, expected);
        served.join().unwrap();
    }
}

#[test]
fn tpm_that_hangs_up_says_at_which_command() {
    let (tcti, served) = prepared(&[]);
    let error = Conversation::open(&tcti).unwrap().hmac(KEY, b"a").unwrap_err().to_string();
    assert!(
        error.starts_with("the swtpm at 127.0.0.1:") && error.contains("broke off at TPM2_HMAC"),
        "{error}"
    );
    served.join().unwrap();
}

#[test]
fn text_longer_than_a_tpm_signs_is_not_sent() {
    let (tcti, served) = prepared(&[]);
    let mut tpm = Conversation::open(&tcti).unwrap();
    let error = tpm.hmac(KEY, &[0; MAX_TPM_SIGNED + 1]).unwrap_err();
    assert!(matches!(error, CommandError::TooLong { .. }), "{error}");
    served.join().unwrap();
}
