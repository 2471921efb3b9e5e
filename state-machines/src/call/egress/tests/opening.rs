//! What an open call must be before it is opened, and how its handle is written.

use super::*;

//= docs/spec/egress.md#open-call
#[test]
fn a_call_that_contradicts_itself_is_not_opened() {
    type Breaker = fn(&mut OpenCall);
    let breakers: [(Breaker, OpenRefusal); 4] = [
        (|call| call.deadline_ms = 0, OpenRefusal::DeadlinePassed),
        (
            |call| call.credentials[0].injection = Injection::Query { name: String::new() },
            OpenRefusal::InjectionInvalid,
        ),
        (
            |call| {
                call.credentials[0].injection =
                    Injection::Header { name: "host".into(), prefix: String::new() }
            },
            OpenRefusal::InjectionInvalid,
        ),
        (|call| call.credentials.push(call.credentials[0].clone()), OpenRefusal::SlotTwice),
    ];
    for (break_it, refusal) in breakers {
        let mut call = call();
        assert_eq!(call.check(), Ok(()));
        break_it(&mut call);
        assert_eq!(call.check(), Err(refusal));
    }
    let mut two = call();
    two.credentials.push(CredentialGrant { slot: "other".into(), ..two.credentials[0].clone() });
    assert_eq!(two.check(), Ok(()), "a slot of its own");
}

//= docs/spec/egress.md#connection
#[test]
fn a_handle_is_read_as_it_is_written() {
    let handle = EgressHandle::from_bytes([0xa7; 32]);
    assert_eq!(handle.to_string(), "a7".repeat(32));
    assert_eq!(EgressHandle::from_hex(&handle.to_string()), Some(handle));
    for bad in ["", "a7", &"a7".repeat(31), &"a7".repeat(33), &"g7".repeat(32)] {
        assert_eq!(EgressHandle::from_hex(bad), None, "{bad}");
    }
}
