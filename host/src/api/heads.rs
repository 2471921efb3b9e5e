//! Heads that are no request, refused in words. The protocol's library answers them by a status alone, before there is a
//! request to answer; what it writes then gets the body that every other refusal has.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use fcp_api::types::ErrorBody;
use fcp_proto_core::error::Code;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection on which a bare refusal gets its words.
#[derive(Debug)]
pub(super) struct InWords<S> {
    stream: S,
    /// What goes out in place of a bare refusal, and how long that was.
    refusal: Option<(Bytes, usize)>,
}

impl<S> InWords<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, refusal: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for InWords<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

//= docs/spec/api.md#transport
impl<S: AsyncWrite + Unpin> AsyncWrite for InWords<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.refusal.is_none() {
            this.refusal = in_words(bytes).map(|refusal| (refusal, bytes.len()));
        }
        let Some((refusal, replaced)) = &mut this.refusal else {
            return Pin::new(&mut this.stream).poll_write(context, bytes);
        };
        while refusal.has_remaining() {
            let written = ready!(Pin::new(&mut this.stream).poll_write(context, refusal))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            refusal.advance(written);
        }
        let replaced = *replaced;
        this.refusal = None;
        Poll::Ready(Ok(replaced))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The whole answer in place of a bare refusal. Every answer of ours has a body, so none is taken for one.
fn in_words(answer: &[u8]) -> Option<Bytes> {
    let head = std::str::from_utf8(answer).ok()?.strip_suffix("\r\n\r\n")?;
    let (status, fields) = head.strip_prefix("HTTP/1.1 ")?.split_once("\r\n")?;
    let (code, why) = match status.split(' ').next()? {
        "400" => (Code::MalformedInput, "the head is no request of HTTP/1.1"),
        "414" => (Code::InputTooLarge, "the path is longer than is read"),
        "431" => (Code::InputTooLarge, "the head has more fields, or more bytes, than are read"),
        _ => return None,
    };
    let (bare, others): (Vec<_>, Vec<_>) =
        fields.split("\r\n").partition(|field| *field == "content-length: 0");
    bare.first()?;
    let body = fcp_api::body::write(&ErrorBody::new(code).because(why)).ok()?;
    let mut words =
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncache-control: no-store\r\n");
    others.iter().for_each(|field| words.extend([field, "\r\n"]));
    words.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    Some([words.as_bytes(), &body].concat().into())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn only_a_refusal_without_a_body_is_given_one() {
        let bare =
            "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let words = in_words(bare.as_bytes()).expect("a refusal");
        let words = std::str::from_utf8(&words).unwrap();
        let (head, body) = words.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{head}");
        assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
        assert!(head.ends_with(&format!("\r\ncontent-length: {}", body.len())), "{head}");
        let error: ErrorBody = serde_json::from_str(body).unwrap();
        assert_eq!(error.code, Code::InputTooLarge);
        for other in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 20\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\n",
            "",
        ] {
            assert_eq!(in_words(other.as_bytes()), None, "{other:?}");
        }
    }

    #[tokio::test]
    async fn the_words_arrive_whole_through_a_narrow_way_and_what_follows_is_untouched() {
        let (mut caller, server) = tokio::io::duplex(7);
        let sent = tokio::spawn(async move {
            let mut stream = InWords::new(server);
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            stream.write_all(b"and more").await.unwrap();
        });
        let mut arrived = String::new();
        caller.read_to_string(&mut arrived).await.unwrap();
        sent.await.unwrap();
        assert!(arrived.starts_with("HTTP/1.1 400 ") && arrived.ends_with("}and more"), "{arrived}");
    }
}
