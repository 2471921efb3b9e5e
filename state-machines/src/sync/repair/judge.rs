//! What one object needs, and who is to see to it.

use alloc::collections::{BTreeMap, BTreeSet};

use fcp_proto_core::ids::NodeId;
use fcp_proto_core::symbol::{Block, PayloadId};

use crate::sync::coverage::{Coverage, FULL_BPS, Share, SymbolSet};
use crate::sync::placement::{Deal, Device, Kept, MAX_DEALT, Supply, Unmet};
use crate::trust::lease::{Subject, ranking};

/// How urgent it is, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// It cannot be rebuilt, or could not after the loss of one more node.
    AtRisk,
    /// It is at too few nodes or domains, or too much of it is at one.
    BelowMinimum,
    /// There are fewer symbols than the policy wants.
    BelowTarget,
    /// Somebody is to have it before it is needed there.
    PreStage,
}

/// What an object needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The object.
    pub subject: Subject,
    /// How urgent it is.
    pub urgency: Urgency,
    /// Distinct symbols that the policy wants and that are not there, for each source symbol, in basis points.
    pub deficit_bps: u32,
    /// Who is to be given which symbols.
    pub gives: BTreeMap<NodeId, SymbolSet>,
    /// What cannot be met with the devices that there are.
    pub unmet: BTreeSet<Unmet>,
    /// Who makes the symbols.
    pub builder: Result<Builder, TooFewSymbols>,
    /// Source symbols of the object.
    pub(super) sources: u32,
    /// Bytes of a symbol.
    pub(super) symbol_bytes: u64,
}

/// Who makes the symbols that are lacking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builder {
    /// Its name.
    pub node: NodeId,
    /// Symbols that it must fetch before it has the object.
    pub fetches: u32,
}

/// The object cannot be rebuilt from what can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFewSymbols {
    /// So many are lacking; none, if nobody who is there may rebuild it.
    pub lacking: u32,
}

impl Case {
    /// What `kept` needs, of which the nodes in `wanted_at` are to have all; `None` if nothing.
    //= docs/spec/storage.md#urgency
    pub fn judge(kept: &Kept<'_>, wanted_at: &BTreeSet<NodeId>) -> Option<Self> {
        let mut deal = Deal::new(kept);
        let coverage = Coverage::of(kept.information, kept.counted().map(|(_, _, share)| share));
        let urgency = if deal.gives.is_empty() && deal.unmet.is_empty() {
            deal.gives = pre_staged(kept, wanted_at);
            if deal.gives.is_empty() {
                return None;
            }
            Urgency::PreStage
        } else {
            urgency(kept, &coverage)
        };
        Some(Self {
            subject: kept.subject.clone(),
            urgency,
            deficit_bps: kept.policy.target_coverage_bps.saturating_sub(coverage.distinct_bps),
            gives: deal.gives,
            unmet: deal.unmet,
            builder: Builder::choose(kept),
            sources: kept.information.source_symbols(),
            symbol_bytes: kept.information.symbol_size() as u64,
        })
    }

    /// Bytes that are fetched and sent.
    pub fn bytes(&self) -> u64 {
        let fetches = self.builder.as_ref().map_or(0, |builder| builder.fetches);
        let builder = self.builder.as_ref().ok().map(|builder| &builder.node);
        let sent = self.gives.iter().filter(|(node, _)| Some(*node) != builder);
        let symbols = sent.map(|(_, set)| set.len()).sum::<u64>().saturating_add(fetches.into());
        symbols.saturating_mul(self.symbol_bytes)
    }

    /// Milliseconds that it may take to decode and encode: the reference's estimate.
    pub fn decode_millis(&self) -> u64 {
        let symbols: u64 = self.gives.values().map(SymbolSet::len).sum();
        (2 * symbols).saturating_add(u64::from(self.sources) / 8).max(1)
    }
}

impl Builder {
    /// Who makes the symbols: first who need not fetch anything, then who has power and an unmetered link, then who lacks
    /// least; of equal ones by highest random weight, so that all nodes choose alike.
    //= docs/spec/storage.md#who-repairs
    pub(super) fn choose(kept: &Kept<'_>) -> Result<Self, TooFewSymbols> {
        let Kept { subject, information, policy, shares, devices, .. } = *kept;
        let reachable = |node: &NodeId| devices.get(node).is_some_and(Device::is_here);
        let here = shares.iter().filter(|(node, _)| reachable(node)).map(|(_, share)| share);
        let lacking = Coverage::of(information, here).lacking;
        if lacking > 0 {
            return Err(TooFewSymbols { lacking });
        }
        let able = devices.iter().filter(|(node, device)| {
            let whole = shares.get(*node) == Some(&Share::Whole);
            let room = device.free_bytes >= information.transfer_length() as u64;
            device.is_here() && (whole || (policy.admits(&subject.zone, node, device) && room))
        });
        let ranked = ranking(subject, able.map(|(node, _)| node));
        let fetches = |node: &NodeId| {
            shares.get(node).map_or(information.source_symbols(), |share| share.lacking(information))
        };
        let supply = |node: &NodeId| devices.get(node).map_or(Supply::Scarce, |device| device.supply);
        let node = ranked.into_iter().min_by_key(|node| (fetches(node) > 0, supply(node), fetches(node)));
        let node = node.ok_or(TooFewSymbols { lacking: 0 })?;
        Ok(Self { node: node.clone(), fetches: fetches(node) })
    }
}

/// How urgent it is that the policy is kept.
//= docs/spec/storage.md#urgency
fn urgency(kept: &Kept<'_>, coverage: &Coverage) -> Urgency {
    let policy = kept.policy;
    let holders = || kept.counted().map(|(_, device, _)| device);
    let domains: BTreeSet<_> = holders().map(Device::domain).collect();
    let one_is_enough = policy.min_nodes <= 1;
    if !coverage.is_there() || (!coverage.survives_a_loss && !one_is_enough) {
        Urgency::AtRisk
    } else if holders().count() < usize::from(policy.min_nodes)
        || domains.len() < usize::from(policy.min_domains)
        || coverage.concentration_bps > u32::from(policy.max_node_fraction_bps)
        || coverage.distinct_bps < FULL_BPS
    {
        Urgency::BelowMinimum
    } else {
        Urgency::BelowTarget
    }
}

/// The source symbols that nodes lack which are to have the object. Who may not have it is given nothing.
//= docs/spec/storage.md#pre-staging
fn pre_staged(kept: &Kept<'_>, wanted_at: &BTreeSet<NodeId>) -> BTreeMap<NodeId, SymbolSet> {
    let mut left = MAX_DEALT;
    let mut gives = BTreeMap::new();
    for node in wanted_at {
        let Some(device) = kept.devices.get(node) else { continue };
        let symbols = lacking_sources(kept, node, left);
        let bytes = symbols.len().saturating_mul(kept.information.symbol_size() as u64);
        let may = device.is_here() && kept.policy.admits(&kept.subject.zone, node, device);
        if may && !symbols.is_empty() && bytes <= device.free_bytes {
            left = left.saturating_sub(u32::try_from(symbols.len()).unwrap_or(u32::MAX));
            gives.insert(node.clone(), symbols);
        }
    }
    gives
}

/// At most `most` source symbols, as many in each block as a node needs to rebuild it.
fn lacking_sources(kept: &Kept<'_>, node: &NodeId, most: u32) -> SymbolSet {
    let none = Share::Symbols(SymbolSet::default());
    let share = kept.shares.get(node).unwrap_or(&none).symbols(kept.information);
    let of_block = |block: Block| {
        let sources = u32::from(block.source_symbols);
        let needed = sources.saturating_sub(share.in_block(block.number));
        let ids = (0..sources).filter_map(move |esi| PayloadId::new(block.number, esi).ok());
        ids.filter(|id| !share.contains(*id)).take(needed as usize).collect::<alloc::vec::Vec<_>>()
    };
    kept.information.blocks().flat_map(of_block).take(most as usize).collect()
}
