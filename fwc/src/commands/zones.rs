//! `zones`: the zones and what may happen in them.

use clap::{Args, Subcommand};
use fcp_api::routes::{AddZone, ChangePolicy, GetZone, ListZones, RekeyZone};
use fcp_api::types::{self, BudgetSetting, Nothing, PolicyChange, ZoneView};
use fcp_proto_core::ids::ZoneId;
use fcp_proto_core::zone::{Risk, SafetyTier};

use crate::cli::one_of;
use crate::context::Context;
use crate::lifetime::Lifetime;
use crate::phrase::PhraseArgs;
use crate::render::{Answer, Outcome};
use crate::{Result, usage};

/// Zones.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Zones {
    /// Lists the zones, most trusted first
    List(List),
    /// Shows a zone with its policy
    Show(Show),
    /// Defines a zone; what its policy does not say is as strict as can be
    Add(Add),
    /// Changes a zone's policy; what is not named stays as it is
    Policy(Policy),
    /// Has the owner give a zone whose key is revoked another; then calls are made in it again
    Rekey(Rekey),
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

/// Defines a zone.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc zones add z:project:apollo --integrity 60 --confidentiality 60 --connector github \\\n    --max-tier risky --max-risk medium --description 'the apollo project'"
)]
pub(crate) struct Add {
    /// The zone, such as `z:project:apollo`
    pub(crate) zone: ZoneId,
    /// How far what the zone itself says is trusted, 0 to 99; z:work has 60. It never changes
    #[arg(long, value_parser = clap::value_parser!(u8).range(..=99))]
    pub(crate) integrity: u8,
    /// How secret what the zone holds may be, 0 to 99; z:work has 60. It never changes
    #[arg(long, value_parser = clap::value_parser!(u8).range(..=99))]
    pub(crate) confidentiality: u8,
    /// What it is for
    #[arg(long, default_value = "")]
    pub(crate) description: String,
    /// Its policy
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

/// Changes a policy.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc zones policy z:work --approval-from safe\n  \
    fwc zones policy z:work --connector github --connector slack --deny slack.admin.* --budget day=requests:5000/1d")]
pub(crate) struct Policy {
    /// The zone
    pub(crate) zone: ZoneId,
    /// What changes
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

/// Gives a zone another key.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  fwc zones rekey z:work\n  fwc zones rekey z:work --phrase-file words.txt"
)]
pub(crate) struct Rekey {
    /// The zone
    pub(crate) zone: ZoneId,
    /// The words
    #[command(flatten)]
    pub(crate) phrase: PhraseArgs,
}

/// What a policy says.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Policy")]
pub(crate) struct PolicyArgs {
    /// A connector that may be called, `*` for any; names all there are
    #[arg(long)]
    pub(crate) connector: Vec<String>,
    /// No connector may be called
    #[arg(long, conflicts_with = "connector")]
    pub(crate) no_connector: bool,
    /// An operation that may not, exact or ending in `*`; names all there are
    #[arg(long, value_name = "OPERATION")]
    pub(crate) deny: Vec<String>,
    /// No operation is denied by name
    #[arg(long, conflicts_with = "deny")]
    pub(crate) no_deny: bool,
    /// The highest risk that may be called: low, medium, high or critical
    #[arg(long, value_name = "RISK", value_parser = one_of(Risk::ALL, Risk::as_str), hide_possible_values = true)]
    pub(crate) max_risk: Option<Risk>,
    /// The highest tier that may be called: safe, risky, dangerous or critical
    #[arg(long, value_name = "TIER", value_parser = one_of(SafetyTier::ALL, SafetyTier::as_str), hide_possible_values = true)]
    pub(crate) max_tier: Option<SafetyTier>,
    /// From this tier on, an operation needs a person, whatever its author declares
    #[arg(long, value_name = "TIER", value_parser = one_of(SafetyTier::ALL, SafetyTier::as_str), hide_possible_values = true)]
    pub(crate) approval_from: Option<SafetyTier>,
    /// The longest life of a capability token
    #[arg(long, value_name = "TIME")]
    pub(crate) max_capability: Option<Lifetime>,
    /// The longest life of a grant
    #[arg(long, value_name = "TIME")]
    pub(crate) max_grant: Option<Lifetime>,
    /// A ceiling over all calls, such as `day=requests:5000/1d`; names all there are
    #[arg(long, value_name = "NAME=UNIT:AMOUNT/TIME")]
    pub(crate) budget: Vec<String>,
    /// No ceiling
    #[arg(long, conflicts_with = "budget")]
    pub(crate) no_budget: bool,
}

impl PolicyArgs {
    /// The change that this makes.
    ///
    /// # Errors
    /// Which budget is malformed.
    fn read(&self) -> Result<PolicyChange> {
        let budgets = self.budget.iter().map(|text| budget(text)).collect::<Result<Vec<_>>>()?;
        Ok(PolicyChange {
            allowed_connectors: list(&self.connector, self.no_connector),
            denied_operations: list(&self.deny, self.no_deny),
            max_risk: self.max_risk,
            max_tier: self.max_tier,
            approval_from: self.approval_from,
            max_token_secs: self.max_capability.map(Lifetime::as_secs),
            max_grant_secs: self.max_grant.map(Lifetime::as_secs),
            budgets: list(&budgets, self.no_budget),
        })
    }
}

/// What a list becomes; nothing if nothing was said of it.
fn list<T: Clone>(items: &[T], none: bool) -> Option<Vec<T>> {
    (none || !items.is_empty()).then(|| items.to_vec())
}

fn budget(text: &str) -> Result<BudgetSetting> {
    let read = || {
        let (name, rest) = text.split_once('=')?;
        let (unit, rest) = rest.split_once(':')?;
        let (amount, period) = rest.split_once('/')?;
        let (amount, period) = (amount.parse().ok()?, period.parse::<Lifetime>().ok()?);
        Some(BudgetSetting { name: name.into(), unit: unit.into(), amount, period_secs: period.as_secs() })
    };
    read().ok_or_else(|| {
        usage(format!("{text:?} is no budget"))
            .next("write it so: `fwc zones policy ZONE --budget day=requests:5000/1d`")
    })
}

/// `fwc zones`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(command: Zones, context: &mut Context) -> Result<Outcome> {
    match command {
        Zones::List(List {}) => list_zones(context).await,
        Zones::Show(args) => {
            let path = [args.zone.as_str()];
            let reply = context.client()?.get::<GetZone>(&path, &Nothing {}).await?;
            let revoked = rekeys(std::slice::from_ref(&reply.body));
            Ok(noted(Answer::of(reply)?, revoked).into())
        }
        Zones::Rekey(args) => rekey(args, context).await,
        Zones::Add(args) => {
            let request = types::AddZone {
                policy: args.policy.read()?,
                zone: args.zone,
                description: args.description,
                integrity: args.integrity,
                confidentiality: args.confidentiality,
            };
            Ok(Answer::of(context.as_operator().await?.send::<AddZone>(&[], &request).await?)?.into())
        }
        Zones::Policy(args) => {
            let change = args.policy.read()?;
            if change == PolicyChange::default() {
                return Err(usage("nothing was named that changes"));
            }
            let path = [args.zone.as_str()];
            Ok(Answer::of(context.as_operator().await?.send::<ChangePolicy>(&path, &change).await?)?.into())
        }
    }
}

async fn list_zones(context: &mut Context) -> Result<Outcome> {
    let reply = context.client()?.get::<ListZones>(&[], &Nothing {}).await?;
    let revoked = rekeys(&reply.body.zones);
    let columns = [
        ("zone", "ZONE"),
        ("integrity", "INTEGR"),
        ("confidentiality", "CONFID"),
        ("max_tier", "MAX TIER"),
        ("approval_from", "ASK FROM"),
        ("connectors", "CONNECTORS…"),
        ("agents", "AGENTS…"),
        ("key_revoked", "REVOKED"),
    ];
    Ok(noted(Answer::of(reply)?.table("zones", &columns), revoked).into())
}

async fn rekey(args: Rekey, context: &mut Context) -> Result<Outcome> {
    context.refuse_agents("give a zone another key")?;
    let request = types::RekeyZone { phrase: args.phrase.read()? };
    let reply = context.client()?.send::<RekeyZone>(&[args.zone.as_str()], &request).await?;
    Ok(Answer::of(reply)?
        .note("what is on record under the key before stays readable; `fwc audit verify` proves it")
        .into())
}

/// What gives zones whose key is revoked another.
//= docs/spec/revocation.md#a-zones-key
fn rekeys(zones: &[ZoneView]) -> Vec<String> {
    let revoked = zones.iter().filter(|it| it.key_revoked);
    let told = |it: &ZoneView| {
        format!("no call is made in {}: `fwc zones rekey {}` gives it another key", it.zone, it.zone)
    };
    revoked.map(told).collect()
}

fn noted(answer: Answer, notes: Vec<String>) -> Answer {
    notes.into_iter().fold(answer, Answer::note)
}
