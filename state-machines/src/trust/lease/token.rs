//! Fencing tokens: the epoch above, a counter below, so that they rise through every change of membership.

/// How far a token may lie above the highest one that a voter knows (chosen: no mesh misses so many, and a lie burns
/// less than a thousandth of an epoch's tokens).
pub const MAX_TOKEN_JUMP: u64 = 1_000_000;

const COUNTER_BITS: u32 = 32;

/// The epoch in which `token` was given.
//= docs/spec/leases.md#tokens
pub const fn epoch_of(token: u64) -> u64 {
    token >> COUNTER_BITS
}

/// What all tokens of `epoch` are above; none if the epoch has no tokens.
//= docs/spec/leases.md#tokens
pub(super) fn floor(epoch: u64) -> Option<u64> {
    (epoch <= u64::from(u32::MAX)).then_some(epoch << COUNTER_BITS)
}

/// The next token of `epoch` above `highest`; none if the epoch's are used up.
//= docs/spec/leases.md#tokens
pub(super) fn next(epoch: u64, highest: u64) -> Option<u64> {
    let next = highest.max(floor(epoch)?).checked_add(1)?;
    (epoch_of(next) == epoch).then_some(next)
}
