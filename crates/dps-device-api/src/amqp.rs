//! AMQP 1.0 on its port, as far as it is built: a clean refusal in AMQP's own words (OASIS AMQP 1.0, part 2).
//! Must not hang, and must not leave a client guessing.

use std::sync::Arc;
use std::time::Duration;

use dps_model::{Error, ErrorCode, TrackingId, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::api::DeviceApi;
use crate::listener::Accepted;
use crate::refused::Ended;
use crate::reject;

const HEADER: [u8; 8] = *b"AMQP\x00\x01\x00\x00";

/// Reads the protocol header. Plain AMQP is opened and closed with the catalogue's 404; any other protocol gets the
/// header that would be right and a closed connection (§2.2).
pub(crate) async fn serve(api: Arc<DeviceApi>, accepted: Accepted) {
    let Accepted { mut stream, channel, opened, .. } = accepted;
    let mut wanted = [0; 8];
    let read = stream.read_exact(&mut wanted);
    let reason = match tokio::time::timeout(Duration::from_secs(limits::CONNECT_TIMEOUT), read).await {
        Err(_) => format!("no protocol header came within {} seconds", limits::CONNECT_TIMEOUT),
        Ok(Err(_)) => return,
        Ok(Ok(_)) => {
            let mut answer = HEADER.to_vec();
            if wanted == HEADER {
                let error = Error::new(ErrorCode::RouteNotFound);
                let refusal = reject::amqp(&error, TrackingId::fresh(), api.clock.now());
                open_and_close(&refusal, &mut answer);
            }
            if stream.write_all(&answer).await.is_ok() {
                let _ = stream.shutdown().await;
            }
            "AMQP is not served yet".to_owned()
        }
    };
    api.refused.connection(opened, channel.protocol, channel.peer, Ended::at("protocol", reason));
}

/// OPEN with an empty container id, then CLOSE with the error (§2.7.1, §2.7.9).
fn open_and_close(refusal: &reject::AmqpRefusal, output: &mut Vec<u8>) {
    frame(&[0x00, 0x53, 0x10, 0xc0, 0x03, 0x01, 0xa1, 0x00], output);
    let mut error = vec![0xa3, u8::try_from(refusal.condition.len()).unwrap_or(u8::MAX)];
    error.extend_from_slice(refusal.condition.as_bytes());
    error.push(0xb1);
    error.extend_from_slice(&length(&refusal.description));
    error.extend_from_slice(refusal.description.as_bytes());
    let error = described(0x1d, 2, &error);
    frame(&described(0x18, 1, &error), output);
}

/// A described list: descriptor, list32 with its size and count, the fields.
fn described(descriptor: u8, count: u32, fields: &[u8]) -> Vec<u8> {
    let mut list = vec![0x00, 0x53, descriptor, 0xd0];
    list.extend_from_slice(&u32::try_from(fields.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
    list.extend_from_slice(&count.to_be_bytes());
    list.extend_from_slice(fields);
    list
}

fn length(text: &str) -> [u8; 4] {
    u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes()
}

fn frame(performative: &[u8], output: &mut Vec<u8>) {
    output.extend_from_slice(&u32::try_from(performative.len() + 8).unwrap_or(u32::MAX).to_be_bytes());
    output.extend_from_slice(&[0x02, 0x00, 0x00, 0x00]);
    output.extend_from_slice(performative);
}
