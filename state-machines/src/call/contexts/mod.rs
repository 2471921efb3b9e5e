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
        let context = self.of(principal, fresh);
        let label = context.label.merge(read);
        (label != context.label).then(|| ContextEntry {
            principal: principal.clone(),
            context: context.number,
            label,
            cause,
        })
    }

    /// The object that opens the next context of `principal` with `fresh`.
    pub fn opening(&self, principal: &PrincipalId, fresh: &Label) -> ContextOpened {
        let number = self.of(principal, fresh).number + 1;
        ContextOpened { principal: principal.clone(), context: number, label: fresh.clone() }
    }

    /// Applies an opening.
    pub fn apply_opened(&mut self, opened: &ContextOpened) {
        let context = Context { number: opened.context, label: opened.label.clone() };
        self.open.insert(opened.principal.clone(), context);
    }

    /// Applies an entry. One of an older context is history and changes nothing.
    pub fn apply_entry(&mut self, entry: &ContextEntry) {
        let current = self.open.get(&entry.principal).map_or(0, |context| context.number);
        if entry.context == current {
            let context = Context { number: entry.context, label: entry.label.clone() };
            self.open.insert(entry.principal.clone(), context);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fcp_proto_core::ids::ObjectId;
    use fcp_proto_core::zone::{Level, Taint};

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

        contexts.apply_opened(&contexts.opening(&who, &fresh));
        assert_eq!(contexts.of(&who, &fresh), Context { number: 1, label: fresh.clone() });
        contexts.apply_entry(&entry);
        assert_eq!(contexts.of(&who, &fresh).label, fresh, "an entry of the old context is history");
    }
}
