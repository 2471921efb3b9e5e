//! What becomes of the symbols that come: of which fetch they are, how much room they have, and who is believed.

use fcp_proto_core::crypto::hash;
use fcp_proto_core::frame::header::Header;
use fcp_proto_core::ids::NodeId;
use fcp_proto_core::symbol::EncodingSet;
use fcp_proto_core::time::Instant;

use super::received::{self, Received};
use super::{Context, Delivery, Holding, Kept};

impl Delivery {
    /// The fetch that a frame is of.
    pub(super) fn set_of(&self, header: &Header) -> Option<EncodingSet> {
        let named = |set: &&EncodingSet| {
            set.object_id == header.object_id
                && set.zone_key_id == header.zone_key_id
                && hash::zone_id_hash(&set.zone_id) == header.zone_id_hash
        };
        self.fetches.keys().find(named).cloned()
    }

    /// Takes a frame's symbols; what is kept of them.
    pub(super) fn take(
        &mut self,
        from: &NodeId,
        set: &EncodingSet,
        frame: &mut [u8],
        context: &Context<'_, '_>,
    ) -> Option<Kept> {
        let now = context.local.now.mono;
        let fetch = self.fetches.get_mut(set)?;
        let received = fetch.received.as_mut()?;
        let (sealed, information) = (frame.to_vec(), received.information());
        let opened = received::symbols(from, frame, set, information, context);
        (0..opened.bad).for_each(|_| self.admission.failed(from, now));
        let kept = received.keep(from, sealed.clone(), &opened.symbols);
        let stored = kept && received.is_worth_storing();
        fetch.brought(from, &opened.symbols, kept, now);
        if kept {
            fetch.progress = now;
            fetch.make_room(&mut self.admission, now);
        }
        stored.then(|| Kept { set: set.clone(), from: from.clone(), information, frame: sealed })
    }

    /// What this node keeps of the object for others counts like what others send.
    pub(super) fn take_own(&mut self, set: &EncodingSet, context: &mut Context<'_, '_>) {
        let holdings = context.holdings;
        let Some(Holding::Part(part)) = holdings.holding(set) else { return };
        let (me, now) = (context.local.me.clone(), context.local.now.mono);
        let Some(fetch) = self.fetches.get_mut(set) else { return };
        fetch.add(&me, false, now);
        fetch.offered(&me, part.information, now);
        self.choose(set, now);
        let Some(fetch) = self.fetches.get_mut(set) else { return };
        let cut = fetch.received.as_ref().map(Received::information);
        if fetch.took_own || cut != Some(part.information) {
            return;
        }
        fetch.took_own = true;
        for mut frame in self.provider.own(set, fetch.epoch_id, part, context) {
            self.take(&me, set, &mut frame, context);
        }
    }

    /// Settles how the object is cut, and reserves room for it.
    //= docs/spec/delivery.md#bounds
    pub(super) fn choose(&mut self, set: &EncodingSet, now: Instant) {
        let Some(fetch) = self.fetches.get_mut(set) else { return };
        let current = fetch.received.as_ref().map(Received::information);
        let Some(chosen) = fetch.choose(now).filter(|chosen| Some(*chosen) != current) else { return };
        self.admission.release(fetch.reserved);
        (fetch.received, fetch.reserved) = (None, 0);
        let share = Received::share_bytes(chosen);
        if self.admission.reserve(share).is_ok() {
            (fetch.received, fetch.reserved, fetch.progress) = (Some(Received::new(chosen)), share, now);
            fetch.took_own = false;
        }
    }

    /// From now on each sender's symbols stand apart, and need room of their own; without it, others are left out.
    //= docs/spec/delivery.md#who-lied
    pub(super) fn doubted(&mut self, set: &EncodingSet, now: Instant) {
        let Some(fetch) = self.fetches.get_mut(set) else { return };
        if fetch.received.as_ref().is_some_and(Received::is_apart) {
            fetch.make_room(&mut self.admission, now);
            fetch.ask_all_anew(now);
        } else {
            fetch.leave_out(now);
        }
    }

    /// Where senders are left out, others are in their turn.
    pub(super) fn take_turns(&mut self, set: &EncodingSet, now: Instant) {
        if let Some(fetch) = self.fetches.get_mut(set).filter(|fetch| fetch.others_have_their_turn(now)) {
            fetch.leave_out(now);
        }
    }
}
