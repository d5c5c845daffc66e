//! The bytes of every packet, written down by hand from the standard. The fuzz targets start from the same files.

use std::path::Path;

use crate::samples::{all, bytes_of, decode};

/// The bytes, where `'…'` is text.
const GOLDEN: &[(&str, &str)] = &[
    (
        "connect",
        "10 41  00 04 'MQTT' 04 c0 00 3c  00 02 'd1'  00 2c \
         '0ne1/registrations/d1/api-version=2019-03-31'  00 03 'sas'",
    ),
    ("connect_will", "10 16  00 04 'MQTT' 04 2e 00 00  00 02 'd1'  00 01 'w'  00 03 'bye'"),
    ("connect_31", "10 10  00 06 'MQIsdp' 03 00 00 3c  00 02 'd1'"),
    ("connack_accepted", "20 02 00 00"),
    ("connack_present", "20 02 01 00"),
    ("connack_scope_unknown", "20 02 00 03"),
    ("publish_qos0_retained", "31 05  00 03 'a/b'"),
    ("publish_register", "32 34  00 2e '$dps/registrations/PUT/iotdps-register/?$rid=1'  00 02  '{}'"),
    ("publish_qos2_dup", "3c 06  00 01 't'  ff ff  'x'"),
    ("publish_response", "32 36  00 30 '$dps/registrations/res/202/?$rid=1&retry-after=3'  00 01  '{}'"),
    ("puback", "40 02 01 02"),
    ("pubrec", "50 02 00 01"),
    ("pubrel", "62 02 00 01"),
    ("pubcomp", "70 02 00 01"),
    ("subscribe", "82 23  00 01  00 18 '$dps/registrations/res/#' 01  00 03 '+/x' 00"),
    ("suback", "90 04 00 01 01 80"),
    ("unsubscribe", "a2 1c  00 03  00 18 '$dps/registrations/res/#'"),
    ("unsuback", "b0 02 00 03"),
    ("pingreq", "c0 00"),
    ("pingresp", "d0 00"),
    ("disconnect", "e0 00"),
];

fn read(golden: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, part) in golden.split('\'').enumerate() {
        if index % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
        } else {
            bytes.extend(
                part.split_whitespace().map(|hex| u8::from_str_radix(hex, 16).expect("two hex digits")),
            );
        }
    }
    bytes
}

#[test]
fn every_packet_has_its_golden_bytes_in_both_directions() {
    let samples = all();
    assert_eq!(samples.len(), GOLDEN.len());
    for ((name, packet, role), (golden_name, golden)) in samples.into_iter().zip(GOLDEN) {
        assert_eq!(name, *golden_name);
        let golden = read(golden);
        assert_eq!(bytes_of(&packet), golden, "{name} encoded");
        assert_eq!(decode(role, &golden), Ok(Some(packet)), "{name} decoded");
    }
}

#[test]
fn fuzz_seeds_are_the_golden_bytes() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/mqtt_packet");
    for (name, golden) in GOLDEN {
        let seed = std::fs::read(seeds.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        // The target's first byte chooses role and chunking; see fuzz_targets/mqtt_packet.rs.
        assert_eq!(seed.get(1..), Some(read(golden).as_slice()), "{name}");
    }
}
