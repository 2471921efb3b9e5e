use super::Code;
use alloc::collections::BTreeSet;
use alloc::string::ToString;

#[test]
fn numbers_ascend_and_names_are_unique() {
    assert!(Code::ALL.windows(2).all(|pair| pair[0].number() < pair[1].number()));
    let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(names.len(), Code::ALL.len());
}

#[test]
fn text_reads_back() {
    for code in Code::ALL {
        assert_eq!(code.to_string().parse(), Ok(*code));
    }
    for bad in ["", "FCP-", "FCP-0000", "FCP-01001", "fcp-1001", "FCP-+100"] {
        assert!(bad.parse::<Code>().is_err(), "{bad}");
    }
}

#[test]
fn every_code_says_what_and_what_next() {
    for code in Code::ALL {
        assert!(code.meaning().ends_with('.') && !code.next_step().is_empty(), "{code}");
        assert!((400..=599).contains(&code.http_status()), "{code}");
    }
}

#[test]
fn a_denial_is_never_a_server_error() {
    for code in Code::ALL.iter().filter(|code| code.exit_code() == super::ExitCode::Denied) {
        assert!(code.http_status() < 500 || code.retryable(), "{code}");
    }
}

/// What another device sends fails in the terms of frames, sessions and symbols; each has its place here.
#[test]
fn failures_of_other_devices_have_their_codes() {
    use crate::frame::control::ControlError;
    use crate::frame::datagram::DatagramError;
    use crate::frame::error::FrameError;
    use crate::frame::signed::SignedFrameError;
    use crate::frame::symbols::SymbolError;
    use crate::session::error::SessionError;
    use crate::sketch::Undecodable;
    use crate::symbol::{AdmissionError, DecodeError, TransmissionError};

    let codes = [
        (FrameError::InvalidUtf8.code(), Code::PeerFrameInvalid),
        (SymbolError::Frame(FrameError::UnsupportedVersion { got: 2 }).code(), Code::VersionUnsupported),
        (SymbolError::DecryptFailed.code(), Code::PeerNotAuthentic),
        (DatagramError::ReplayRejected { seq: 1 }.code(), Code::PeerReplayed),
        (ControlError::OtherSession.code(), Code::PeerSessionOver),
        (SignedFrameError::TimestampSkew { delta: 9, max: 1 }.code(), Code::ClockSuspect),
        (SessionError::NoMutualSuite.code(), Code::PeerSuiteRefused),
        (SessionError::TooManyHellos.code(), Code::RateLimited),
        (Undecodable.code(), Code::PeerFrameInvalid),
        (TransmissionError::Empty.code(), Code::SymbolInvalid),
        (AdmissionError::TimedOut.code(), Code::ObjectIncomplete),
        (AdmissionError::Decode(DecodeError::Duplicate).code(), Code::PeerReplayed),
    ];
    for (number, (code, expected)) in codes.into_iter().enumerate() {
        assert_eq!(code, expected, "row {number}");
    }
}
