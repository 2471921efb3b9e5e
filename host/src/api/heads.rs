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
    beginning: Beginning,
}

/// How a connection begins.
#[derive(Debug)]
enum Beginning {
    /// As the preface of HTTP/2 does, so far: as many of its bytes came.
    AsPreface(usize),
    /// With the preface: this is left to be written, then nothing more is read.
    Preface(Bytes),
    /// Otherwise.
    Other,
}

impl<S> InWords<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, refusal: None, beginning: Beginning::AsPreface(0) }
    }
}

//= docs/spec/api.md#transport
impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for InWords<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Beginning::AsPreface(seen) = this.beginning {
            let before = into.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(context, into))?;
            this.beginning = after(seen, &into.filled()[before..]);
            if !matches!(this.beginning, Beginning::Preface(_)) {
                return Poll::Ready(Ok(()));
            }
            into.set_filled(before);
        }
        let Beginning::Preface(words) = &mut this.beginning else {
            return Pin::new(&mut this.stream).poll_read(context, into);
        };
        ready!(write_all(&mut this.stream, context, words))?;
        // For the protocol's library the caller has ended.
        Pin::new(&mut this.stream).poll_flush(context)
    }
}

/// Writes what is left of some words.
fn write_all<S>(stream: &mut S, context: &mut Context<'_>, words: &mut Bytes) -> Poll<io::Result<()>>
where
    S: AsyncWrite + Unpin,
{
    while words.has_remaining() {
        let written = ready!(Pin::new(&mut *stream).poll_write(context, words))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        words.advance(written);
    }
    Poll::Ready(Ok(()))
}

/// How a connection begins of whose preface `seen` bytes came, and then these.
fn after(seen: usize, read: &[u8]) -> Beginning {
    let expected = PREFACE.get(seen..).unwrap_or_default();
    let both = expected.len().min(read.len());
    if expected[..both] != read[..both] {
        Beginning::Other
    } else if both < expected.len() {
        Beginning::AsPreface(seen + both)
    } else {
        Beginning::Preface(version_not_supported())
    }
}

/// The answer to the preface, in the one version that is spoken here.
fn version_not_supported() -> Bytes {
    let why = "the connection begins as one of HTTP/2, and HTTP/1.1 alone is spoken here";
    let body = fcp_api::body::write(&ErrorBody::new(Code::MalformedInput).because(why)).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-type: application/json\r\ncache-control: no-store\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat().into()
}

/// How a connection of HTTP/2 begins. Source: RFC 9113, section 3.4; what follows it is not needed to know it.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";

//= docs/spec/api.md#transport
impl<S: AsyncWrite + Unpin> AsyncWrite for InWords<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if matches!(this.beginning, Beginning::Preface(_)) {
            // It has its answer.
            return Poll::Ready(Ok(bytes.len()));
        }
        if this.refusal.is_none() {
            this.refusal = in_words(bytes).map(|refusal| (refusal, bytes.len()));
        }
        let Some((refusal, replaced)) = &mut this.refusal else {
            return Pin::new(&mut this.stream).poll_write(context, bytes);
        };
        ready!(write_all(&mut this.stream, context, refusal))?;
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

    //= docs/spec/api.md#transport
    #[tokio::test]
    async fn the_preface_of_another_version_is_answered_in_words_however_it_comes() {
        // Through a narrow way it comes in pieces, of which the last alone tells.
        for room in [7, 1024] {
            let (mut caller, server) = tokio::io::duplex(room);
            let (reading, mut stream) = tokio::io::split(InWords::new(server));
            let read = tokio::spawn(async move {
                let mut seen = Vec::new();
                let mut reading = reading;
                reading.read_to_end(&mut seen).await.unwrap();
                stream.write_all(b"what nobody needs any more").await.unwrap();
                seen
            });
            caller.write_all(PREFACE).await.unwrap();
            let mut arrived = String::new();
            caller.read_to_string(&mut arrived).await.unwrap();
            let seen = read.await.unwrap();
            assert!(seen.len() < PREFACE.len() && PREFACE.starts_with(&seen), "{seen:?}");
            let (head, body) = arrived.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 505 ") && head.contains("connection: close"), "{head}");
            let error: ErrorBody = serde_json::from_str(body).unwrap();
            assert!(error.why.unwrap().contains("HTTP/2"));
        }
    }

    #[tokio::test]
    async fn what_only_begins_as_the_preface_is_read_as_it_is() {
        let (mut caller, server) = tokio::io::duplex(7);
        let sent = tokio::spawn(async move { caller.write_all(b"PRI /v1/status HTTP/1.1\r\n").await });
        let mut read = String::new();
        InWords::new(server).read_to_string(&mut read).await.unwrap();
        sent.await.unwrap().unwrap();
        assert_eq!(read, "PRI /v1/status HTTP/1.1\r\n");
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
