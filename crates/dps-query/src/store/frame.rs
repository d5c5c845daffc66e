//! Frames of a write-ahead segment: a mark, a length, a hash, a payload. Owns how a torn end is told from damage in the
//! middle; must not know what a payload means.

use twox_hash::XxHash64;

use super::limits::MAX_RESUMPTIONS;

/// Before each frame, so that reading can go on after damage.
const MARK: [u8; 4] = [0xD5, b'r', b'o', 0x1A];
/// Mark, length of the payload (32 bits, little-endian), its hash (64 bits, little-endian).
pub const HEAD: usize = 4 + 4 + 8;

/// Appends a frame. The payload is shorter than `u32::MAX`: the caller bounds it far below.
pub fn write(into: &mut Vec<u8>, payload: &[u8]) {
    into.extend_from_slice(&MARK);
    into.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    into.extend_from_slice(&hash(payload).to_le_bytes());
    into.extend_from_slice(payload);
}

/// What a segment holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Frames<'a> {
    /// Whole frames, in order.
    pub payloads: Vec<&'a [u8]>,
    /// Bytes at the end that are no frame: what a crash left of a write that nobody was told of.
    pub torn: usize,
    /// Stretches of bytes between whole frames that are none: damage.
    pub damaged: usize,
}

/// Reads what is whole.
pub fn read(mut bytes: &[u8]) -> Frames<'_> {
    let mut frames = Frames::default();
    let mut budget = MAX_RESUMPTIONS;
    while !bytes.is_empty() {
        if let Some((payload, rest)) = first(bytes) {
            frames.payloads.push(payload);
            bytes = rest;
            continue;
        }
        let Some(rest) = resume(bytes, &mut budget) else {
            frames.torn = bytes.len();
            break;
        };
        frames.damaged += 1;
        bytes = rest;
    }
    frames
}

/// The hash of frames and of manifests.
pub fn hash(bytes: &[u8]) -> u64 {
    XxHash64::oneshot(0, bytes)
}

fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = bytes.strip_prefix(&MARK)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (expected, rest) = rest.split_first_chunk::<8>()?;
    let (payload, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    (hash(payload) == u64::from_le_bytes(*expected)).then_some((payload, rest))
}

/// From the next whole frame on.
fn resume<'a>(bytes: &'a [u8], budget: &mut usize) -> Option<&'a [u8]> {
    let mut from = 1;
    while let Some(found) = bytes.get(from..)?.windows(MARK.len()).position(|w| w == MARK) {
        *budget = budget.checked_sub(1)?;
        let rest = bytes.get(from + found..)?;
        if first(rest).is_some() {
            return Some(rest);
        }
        from += found + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Vec<u8> {
        let mut bytes = Vec::new();
        for payload in [&b"one"[..], b"", b"three"] {
            write(&mut bytes, payload);
        }
        bytes
    }

    #[test]
    fn frames_written_are_read_whole() {
        let bytes = three();
        let frames = read(&bytes);
        assert_eq!(frames, Frames { payloads: vec![&b"one"[..], b"", b"three"], torn: 0, damaged: 0 });
    }

    #[test]
    fn end_torn_at_each_byte_leaves_the_frames_before_it() {
        let bytes = three();
        let ends = [HEAD + 3, 2 * HEAD + 3, 3 * HEAD + 8];
        for length in 0..bytes.len() {
            let frames = read(&bytes[..length]);
            let whole = ends.iter().filter(|e| **e <= length).count();
            assert_eq!(frames.payloads.len(), whole, "{length}");
            assert_eq!(frames.damaged, 0, "{length}");
            assert_eq!(frames.torn > 0, length != 0 && !ends.contains(&length), "{length}");
        }
    }

    #[test]
    fn byte_changed_anywhere_costs_its_frame_alone() {
        for at in 0..three().len() {
            let mut bytes = three();
            bytes[at] ^= 0x40;
            let frames = read(&bytes);
            assert_eq!(frames.payloads.len(), 2, "{at}");
            assert_eq!(frames.damaged + usize::from(frames.torn > 0), 1, "{at}");
        }
    }
}
