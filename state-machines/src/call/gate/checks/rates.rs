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
        RateFacts::Limited { pool, retry_after_ms } => {
            let why =
                if retry_after_ms.is_some() { "is used up" } else { "has no room, and gets none by waiting" };
            Err(Denial {
                retry_after_ms: *retry_after_ms,
                ..Denial::new(GateCheck::Rates, Code::RateLimited, format!("the {pool} {why}"))
            })
        }
        RateFacts::BudgetExceeded { budget } => {
            Err(Denial::new(GateCheck::Rates, Code::BudgetExceeded, format!("the {budget} is used up")))
        }
        RateFacts::Exhausted { rule } => Err(Denial::new(GateCheck::Rates, Code::Exhausted, rule.clone())),
    }
}
