//! Check 15: pools and budgets have room.

use alloc::format;

use fcp_proto_core::error::Code;
use fcp_proto_core::object::GateCheck;

use super::{Leased, Rated};
use crate::call::gate::{Denial, RateFacts};

//= docs/spec/gate.md#15-rates
pub(super) fn check(leased: Leased<'_>) -> Result<Rated<'_>, Denial> {
    match &leased.facts.rates {
        RateFacts::Room => Ok(Rated { before: leased }),
        RateFacts::Limited { pool, retry_after_ms } => Err(Denial {
            retry_after_ms: Some(*retry_after_ms),
            ..Denial::new(GateCheck::Rates, Code::RateLimited, format!("the pool {pool} is used up"))
        }),
        RateFacts::BudgetExceeded { budget } => Err(Denial::new(
            GateCheck::Rates,
            Code::BudgetExceeded,
            format!("the budget {budget} is used up"),
        )),
    }
}
