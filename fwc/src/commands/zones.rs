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
pub(crate) enum Zones {
    /// Lists the zones, most trusted first
    List(List),
    /// Shows a zone with its policy
    Show(Show),
}

/// Lists the zones.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc zones list")]
pub(crate) struct List {}

/// Shows a zone.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc zones show z:work")]
pub(crate) struct Show {
    /// The zone
    pub(crate) zone: ZoneId,
}

/// `fwc zones`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(command: Zones, context: &mut Context) -> Result<Outcome> {
    let client = context.client()?;
    match command {
        Zones::List(List {}) => Ok(Answer::of(client.get::<ListZones>(&[], &Nothing {}).await?)?
            .table(
                "zones",
                &[
                    ("zone", "ZONE"),
                    ("integrity", "INTEGRITY"),
                    ("confidentiality", "CONFIDENTIALITY"),
                    ("max_tier", "HIGHEST TIER"),
                    ("approval_from", "APPROVAL FROM"),
                    ("connectors", "CONNECTORS"),
                    ("agents", "AGENTS"),
                ],
            )
            .into()),
        Zones::Show(args) => {
            Ok(Answer::of(client.get::<GetZone>(&[args.zone.as_str()], &Nothing {}).await?)?.into())
        }
    }
}
