//! A WebSocket as a byte stream, by an independent client. Dropped, it is cut without a close frame.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::Stream;

/// Bytes of one message: less than most packets have.
const PIECE: usize = 200;

pub async fn open(tls: TlsStream<TcpStream>, subprotocol: &str) -> Stream {
    let mut request = "wss://localhost/$iothub/websocket".into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", subprotocol.parse().unwrap());
    let (mut socket, response) = client_async(request, tls).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], subprotocol);
    let (near, mut far) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let mut piece = vec![0; PIECE];
        loop {
            tokio::select! {
                read = far.read(&mut piece) => match read {
                    Ok(count @ 1..) => {
                        let bytes = Bytes::copy_from_slice(&piece[..count]);
                        if socket.send(Message::Binary(bytes)).await.is_err() {
                            return;
                        }
                    }
                    _ => return,
                },
                message = socket.next() => match message {
                    Some(Ok(Message::Binary(bytes))) => {
                        if far.write_all(&bytes).await.is_err() {
                            return;
                        }
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    _ => return,
                },
            }
        }
    });
    Box::new(near)
}
