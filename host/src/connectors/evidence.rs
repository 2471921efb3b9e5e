//! What a call did, judged from what was seen rather than from what the connector says.
//! Source: docs/spec/connectors.md#evidence.

use fcp_proto_core::object::Effect;

use crate::egress::{self, CallReport};

/// What is known of a call beside the connector's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Evidence {
    /// What the operation can do at all.
    pub(super) power: Power,
    /// Whether the process can change anything without egress.
    pub(super) local: Local,
    /// What egress saw.
    pub(super) sent: Sent,
    /// Who read the service's answers.
    pub(super) reader: Reader,
}

/// What an operation can do, as its pinned interface declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    /// It changes nothing, or can only send requests that change nothing.
    Read,
    /// It changes something.
    Write,
}

/// What the sandbox lets a process change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Local {
    /// Nothing.
    Nothing,
    /// Files.
    Files,
}

/// What left the machine for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Nothing: egress says so, or the call never had a way out.
    Nothing,
    /// Requests, and each was answered with a refusal (a status from 400 to 499 other than 408).
    Refused,
    /// Requests, and each was answered.
    Answered,
    /// Requests of which at least one has no answer, or nobody can tell.
    Unknown,
}

/// What program reads the service's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// The audited engine, by the rules of the signed manifest.
    Engine,
    /// The package's own.
    Package,
}

impl Evidence {
    /// Whether the call provably changed nothing.
    const fn is_harmless(self) -> bool {
        let silent = matches!(self.sent, Sent::Nothing) && matches!(self.local, Local::Nothing);
        silent || matches!(self.power, Power::Read)
    }

    /// The effect of a call that was answered, the connector claiming `claim`.
    pub(super) const fn settle(self, claim: Effect) -> Effect {
        if self.is_harmless() {
            return Effect::None;
        }
        match claim {
            Effect::Made => Effect::Made,
            Effect::Unknown => Effect::Unknown,
            Effect::None => match (self.sent, self.reader) {
                // What happened in files only the connector can know; it was given them to change.
                (Sent::Nothing | Sent::Refused, Reader::Engine | Reader::Package)
                | (Sent::Answered, Reader::Engine) => Effect::None,
                (Sent::Answered, Reader::Package) | (Sent::Unknown, Reader::Engine | Reader::Package) => {
                    Effect::Unknown
                }
            },
        }
    }

    /// The effect of a call whose answer is not what its operation declares. Of such an answer only an admission is
    /// believed.
    pub(super) const fn misanswered(self, claim: Effect) -> Effect {
        match (self.unanswered(), claim) {
            (Effect::Unknown, Effect::Made) => Effect::Made,
            (effect, Effect::None | Effect::Made | Effect::Unknown) => effect,
        }
    }

    /// The effect of a call that was delivered and not answered.
    pub(super) const fn unanswered(self) -> Effect {
        if self.is_harmless() { Effect::None } else { Effect::Unknown }
    }
}

/// Whether a service took at least one request of the call well: so far its path works, whoever speaks for it.
//= docs/spec/connectors.md#health
pub(super) fn reached(report: &CallReport) -> bool {
    report.statuses.iter().any(|status| *status < 400)
}

impl Sent {
    /// What egress's report proves.
    pub(super) fn reported(report: &CallReport) -> Self {
        match report.effect {
            egress::Effect::None => return Self::Nothing,
            egress::Effect::Maybe => {}
        }
        if report.requests != report.statuses.len() as u64 {
            Self::Unknown
        } else if report.statuses.iter().all(|status| (400..500).contains(status) && *status != 408) {
            Self::Refused
        } else {
            Self::Answered
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fcp_proto_core::ids::CallId;

    fn evidence(power: Power, local: Local, sent: Sent, reader: Reader) -> Evidence {
        Evidence { power, local, sent, reader }
    }

    fn write(sent: Sent, reader: Reader) -> Evidence {
        evidence(Power::Write, Local::Nothing, sent, reader)
    }

    #[test]
    fn nothing_sent_and_nothing_writable_is_no_effect_whatever_is_claimed() {
        let silent = write(Sent::Nothing, Reader::Package);
        for claim in [Effect::None, Effect::Made, Effect::Unknown] {
            assert_eq!(silent.settle(claim), Effect::None);
        }
        assert_eq!(silent.unanswered(), Effect::None);
    }

    #[test]
    fn files_leave_an_unanswered_write_unknown() {
        let files = evidence(Power::Write, Local::Files, Sent::Nothing, Reader::Package);
        assert_eq!(files.unanswered(), Effect::Unknown);
        assert_eq!(files.settle(Effect::Made), Effect::Made);
        assert_eq!(files.settle(Effect::None), Effect::None);
    }

    #[test]
    fn a_claim_of_none_needs_refusals_if_the_package_reads_them() {
        assert_eq!(write(Sent::Refused, Reader::Package).settle(Effect::None), Effect::None);
        assert_eq!(write(Sent::Answered, Reader::Package).settle(Effect::None), Effect::Unknown);
        assert_eq!(write(Sent::Answered, Reader::Engine).settle(Effect::None), Effect::None);
        assert_eq!(write(Sent::Unknown, Reader::Engine).settle(Effect::None), Effect::Unknown);
        assert_eq!(write(Sent::Unknown, Reader::Engine).settle(Effect::Made), Effect::Made);
        assert_eq!(write(Sent::Unknown, Reader::Engine).unanswered(), Effect::Unknown);
        assert_eq!(write(Sent::Refused, Reader::Engine).unanswered(), Effect::Unknown);
    }

    //= docs/spec/connectors.md#health
    #[test]
    fn a_service_is_reached_if_it_took_one_request_well() {
        let statuses = |statuses: &[u16]| CallReport {
            call: CallId::from_bytes([1; 16]),
            effect: egress::Effect::Maybe,
            requests: 2,
            bytes_sent: 0,
            bytes_received: 0,
            hosts: Vec::new(),
            statuses: statuses.to_vec(),
            refusals: Vec::new(),
        };
        for (seen, reaches) in [
            (&[][..], false),
            (&[401], false),
            (&[503, 404], false),
            (&[200], true),
            (&[401, 204], true),
            (&[304], true),
        ] {
            assert_eq!(reached(&statuses(seen)), reaches, "{seen:?}");
        }
    }

    #[test]
    fn of_an_answer_that_does_not_fit_only_an_admission_is_believed() {
        for reader in [Reader::Engine, Reader::Package] {
            for sent in [Sent::Refused, Sent::Answered, Sent::Unknown] {
                assert_eq!(write(sent, reader).misanswered(Effect::None), Effect::Unknown);
                assert_eq!(write(sent, reader).misanswered(Effect::Unknown), Effect::Unknown);
                assert_eq!(write(sent, reader).misanswered(Effect::Made), Effect::Made);
            }
            assert_eq!(write(Sent::Nothing, reader).misanswered(Effect::Made), Effect::None);
        }
        let read = evidence(Power::Read, Local::Files, Sent::Unknown, Reader::Package);
        assert_eq!(read.misanswered(Effect::Made), Effect::None);
    }

    #[test]
    fn a_read_changes_nothing() {
        let read = evidence(Power::Read, Local::Files, Sent::Unknown, Reader::Package);
        assert_eq!(read.settle(Effect::Unknown), Effect::None);
        assert_eq!(read.unanswered(), Effect::None);
    }

    #[test]
    fn the_report_is_read_carefully() {
        let report = |effect, requests, statuses: &[u16]| CallReport {
            call: CallId::from_bytes([0; 16]),
            effect,
            requests,
            bytes_sent: 0,
            bytes_received: 0,
            hosts: Vec::new(),
            statuses: statuses.to_vec(),
            refusals: Vec::new(),
        };
        use egress::Effect::{Maybe, None};
        assert_eq!(Sent::reported(&report(None, 0, &[])), Sent::Nothing);
        assert_eq!(Sent::reported(&report(Maybe, 2, &[404])), Sent::Unknown);
        assert_eq!(Sent::reported(&report(Maybe, 2, &[404, 422])), Sent::Refused);
        assert_eq!(Sent::reported(&report(Maybe, 1, &[408])), Sent::Answered);
        assert_eq!(Sent::reported(&report(Maybe, 2, &[422, 200])), Sent::Answered);
        assert_eq!(Sent::reported(&report(Maybe, 1, &[500])), Sent::Answered);
    }
}
