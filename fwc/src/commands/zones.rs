//! `zones`: the zones and what may happen in them.

use clap::{Args, Subcommand};
use fcp_api::routes::{GetZone, ListZones};
use fcp_api::types::Nothing;
use fcp_proto_core::ids::ZoneId;

use crate::Result;
use crate::context::Context;
use crate::render::{Answer, Outcome};

/// Zones.
#[derive(Subcommand, Clone, Debug)]
pub enum Zones {
    /// Lists the zones, most trusted first
    List(List),
    /// Shows a zone with its policy
    Show(Show),
}

/// Lists the zones.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc zones list")]
pub struct List {}

/// Shows a zone.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc zones show z:work")]
pub struct Show {
    /// The zone
    pub zone: ZoneId,
}

/// `fwc zones`.
///
/// # Errors
/// What failed, why, and what to do next.
pub async fn run(command: Zones, context: &mut Context) -> Result<Outcome> {
    let client = context.client()?;
    match command {
        Zones::List(List {}) => Ok(Answer::of(client.get::<ListZones>(&[], &Nothing {}).await?)?.into()),
        Zones::Show(args) => {
            Ok(Answer::of(client.get::<GetZone>(&[args.zone.as_str()], &Nothing {}).await?)?.into())
        }
    }
}
