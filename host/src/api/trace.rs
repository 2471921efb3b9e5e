//! W3C trace context (level 1): read from a caller, handed on, and answered with.

use fcp_api::headers::TRACEPARENT;
use fcp_proto_core::object::TraceContext;
use http::HeaderMap;

/// The caller's trace; one that is not well-formed counts as none, as the recommendation says.
pub(super) fn read(headers: &HeaderMap) -> Option<TraceContext> {
    let mut given = headers.get_all(TRACEPARENT).iter();
    let (first, None) = (given.next()?, given.next()) else { return None };
    parse(first.to_str().ok()?)
}

fn parse(text: &str) -> Option<TraceContext> {
    let mut fields = text.split('-');
    let version = bytes::<1>(fields.next()?)?;
    let (trace_id, span_id) = (bytes::<16>(fields.next()?)?, bytes::<8>(fields.next()?)?);
    let flags = bytes::<1>(fields.next()?)?;
    // Version 00 has four fields; later ones may have more.
    let extra = fields.next().is_some();
    let sound = version[0] != 0xff && (version[0] != 0 || !extra) && trace_id != [0; 16] && span_id != [0; 8];
    sound.then_some(TraceContext { trace_id, span_id, flags: u16::from(flags[0] & 1) })
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    text.parse::<fcp_api::hex::Hex<N>>().ok().map(|hex| hex.0)
}

/// The header that names a trace and its present span.
pub(super) fn write(trace: &TraceContext) -> String {
    let (trace_id, span_id) = (fcp_api::hex::Hex(trace.trace_id), fcp_api::hex::Hex(trace.span_id));
    format!("00-{trace_id}-{span_id}-{:02x}", trace.flags & 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_context_is_read_and_written_back() {
        let trace = parse(GOOD).unwrap();
        assert_eq!(write(&trace), GOOD);
        assert_eq!(
            parse(&format!("cc{}-what-the-future", &GOOD[2..])).map(|it| write(&it)),
            Some(GOOD.into())
        );
    }

    #[test]
    fn what_is_not_well_formed_is_none() {
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
