//! The bounds of a stated length.

use super::*;

//= docs/spec/egress.md#order
#[test]
fn a_length_is_no_longer_than_a_number_that_every_reader_holds() {
    let check = |digits: usize| {
        let value = "1".repeat(digits);
        headers::check_framing([("content-length", value.as_bytes())].into_iter())
    };
    assert_eq!(check(19), Ok(()));
    assert_eq!(check(20), Err(Refusal::FramingAmbiguous));
}
