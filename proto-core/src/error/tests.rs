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
