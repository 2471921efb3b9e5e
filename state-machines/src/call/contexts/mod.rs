//! What each principal has read: the label that its own words carry from then on.
//!
//! Whatever a principal reads joins its context before it sees it. A context only grows more tainted, more secret and
//! less trusted; the owner can open another, which begins afresh. Spec: `docs/spec/labels.md`.

use alloc::collections::BTreeMap;

use fcp_proto_core::ids::PrincipalId;
use fcp_proto_core::object::{ContextEntry, ContextOpened};
use fcp_proto_core::zone::Label;

/// A principal's present context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Its number, one more each time the owner opens another.
    pub number: u64,
    /// What the principal's own words are labelled with.
    pub label: Label,
}

/// The contexts of all principals.
#[derive(Clone, Debug, Default)]
pub struct Contexts {
    open: BTreeMap<PrincipalId, Context>,
    /// Contexts that are not yet durable.
    opening: BTreeMap<PrincipalId, Context>,
    /// What has joined a context and was not yet shown: how much of it, and its label.
    unseen: BTreeMap<PrincipalId, (usize, Label)>,
}

impl Contexts {
    /// The context of `principal`; one that was never opened counts as number 0 with `fresh`, the label of its zone.
    pub fn of(&self, principal: &PrincipalId, fresh: &Label) -> Context {
        self.open.get(principal).cloned().unwrap_or_else(|| Context { number: 0, label: fresh.clone() })
    }

    /// The entry that joins `read` to the context of `principal`, if that changes anything.
    pub fn joining(
        &self,
        principal: &PrincipalId,
        fresh: &Label,
        read: &Label,
        cause: fcp_proto_core::ids::ObjectId,
    ) -> Option<ContextEntry> {
        let present = self.of(principal, fresh);
        let context = self.opening.get(principal).unwrap_or(&present);
        let label = context.label.merge(read);
        let changes = label != context.label || present.label.merge(read) != present.label;
        changes.then(|| ContextEntry { principal: principal.clone(), context: context.number, label, cause })
    }

    /// Something labelled `read` is about to be shown to `principal`; [`Contexts::seen`] once it was.
    pub fn show(&mut self, principal: &PrincipalId, read: &Label) {
        let (count, label) = self.unseen.entry(principal.clone()).or_insert_with(|| (0, read.clone()));
        *count += 1;
        *label = label.merge(read);
    }

    /// Something was shown to `principal`, or never will be.
    pub fn seen(&mut self, principal: &PrincipalId) {
        if let Some((count, _)) = self.unseen.get_mut(principal) {
            *count = count.saturating_sub(1);
        }
        self.unseen.retain(|_, (count, _)| *count > 0);
    }

    /// The object that opens the next context of `principal` with `fresh` and what is on its way to be shown; none while
    /// another opening is not yet durable. What joins from now on joins both the present context and the next.
    pub fn begin(&mut self, principal: &PrincipalId, fresh: &Label) -> Option<ContextOpened> {
        if self.opening.contains_key(principal) {
            return None;
        }
        let number = self.of(principal, fresh).number + 1;
        let label =
            self.unseen.get(principal).map_or_else(|| fresh.clone(), |(_, unseen)| fresh.merge(unseen));
        self.opening.insert(principal.clone(), Context { number, label: label.clone() });
        Some(ContextOpened { principal: principal.clone(), context: number, label })
    }

    /// The opening was not stored.
    pub fn abandon(&mut self, principal: &PrincipalId) {
        self.opening.remove(principal);
    }

    /// Applies an opening. One that is not newer than the present context is history and changes nothing.
    pub fn apply_opened(&mut self, opened: &ContextOpened) {
        let joined = self.opening.remove(&opened.principal).filter(|it| it.number == opened.context);
        let label = joined.map_or_else(|| opened.label.clone(), |it| it.label.merge(&opened.label));
        if self.open.get(&opened.principal).is_none_or(|present| present.number < opened.context) {
            self.open.insert(opened.principal.clone(), Context { number: opened.context, label });
        }
    }

    /// Applies an entry: whatever the order in which entries come, nothing that was read is forgotten. One of an older
    /// context is history and changes nothing.
    pub fn apply_entry(&mut self, entry: &ContextEntry) {
        let merged = |label: &Label| label.merge(&entry.label);
        if let Some(next) = self.opening.get_mut(&entry.principal).filter(|it| it.number == entry.context) {
            next.label = merged(&next.label);
        }
        match self.open.get_mut(&entry.principal) {
            Some(present) if entry.context < present.number => {}
            Some(present) => present.label = merged(&present.label),
            None => {
                let context = Context { number: 0, label: entry.label.clone() };
                self.open.insert(entry.principal.clone(), context);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fcp_proto_core::ids::ObjectId;
    use fcp_proto_core::zone::{Level, Taint};

    //= docs/spec/labels.md#contexts
    #[test]
    fn reading_taints_until_the_owner_opens_another() {
        let (who, fresh) = (PrincipalId::new("a").unwrap(), Label::trusted(Level::WORK));
        let read = Label {
            integrity: Level::PUBLIC,
            confidentiality: Level::WORK,
            taints: [Taint::PublicInput].into(),
        };
        let mut contexts = Contexts::default();
        let entry = contexts.joining(&who, &fresh, &read, ObjectId::default()).unwrap();
        contexts.apply_entry(&entry);
        assert_eq!(contexts.of(&who, &fresh).label, read);
        assert_eq!(contexts.joining(&who, &fresh, &read, ObjectId::default()), None, "nothing new was read");

        let opened = contexts.begin(&who, &fresh).unwrap();
        contexts.apply_opened(&opened);
        assert_eq!(contexts.of(&who, &fresh), Context { number: 1, label: fresh.clone() });
        contexts.apply_entry(&entry);
        assert_eq!(contexts.of(&who, &fresh).label, fresh, "an entry of the old context is history");
        for context in [1, 7] {
            let mut contexts = contexts.clone();
            contexts.apply_entry(&ContextEntry { context, ..entry.clone() });
            assert_eq!(contexts.of(&who, &fresh).label, read, "any other joins the present one: {context}");
        }
    }
}
