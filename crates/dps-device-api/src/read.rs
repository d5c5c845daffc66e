//! Reading once, without a buffer that would wait with the connection. Must not know what is read.

use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use crate::foreign::Stream;

/// Bytes read at a time, on the stack.
const CHUNK: usize = 4 * 1024;

/// Gives what has come to `take`, and its length; 0 is the end.
pub(crate) async fn read(stream: &mut Box<dyn Stream>, mut take: impl FnMut(&[u8])) -> io::Result<usize> {
    std::future::poll_fn(|cx| {
        let mut chunk = [const { std::mem::MaybeUninit::uninit() }; CHUNK];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut chunk))?;
        take(chunk.filled());
        Poll::Ready(Ok(chunk.filled().len()))
    })
    .await
}
