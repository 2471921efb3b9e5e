//! What a call of unknown outcome did, learnt by the read that its operation declares.
//!
//! The read is a call like any other, on the word of the operator who asks for it. Its answer settles the call in the batch
//! of its own receipt, or leaves it as unknown as it was. Spec: `docs/spec/calls.md#probing`.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};

use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ObjectId, OperationId};
use fcp_proto_core::manifest::{Finds, Inquiry, Operation, Settling as Declared};
use fcp_proto_core::object::{
    AnyObject, Body, CallOutcome, CallRecord, Effect, Object, OperationIntent, OutcomeProbe, SettledBy,
    Signed,
};
use fcp_proto_core::time::{Now, UnixTime};
use fcp_proto_core::zone::Label;

use super::super::ledger::{Unit, Unstorable};
use super::super::word::{Purpose, WordCall};
use super::super::{Failure, Installed, Node, RequestId, SchemaCheck, Then, Verdict};
use super::ending::Ended;
use super::{Call, Settling, internal};

/// A call of unknown outcome, and what the answer of its probe would mean.
#[derive(Clone, Debug)]
pub(in crate::node) struct Doubt {
    pub intent: ObjectId,
    inquiry: Inquiry,
    /// The label of what the question is made from.
    pub label: Label,
    /// Milliseconds for which `none` still proves nothing.
    wait_ms: u64,
}

/// A call of unknown outcome as it was stored.
#[derive(Debug)]
pub struct DoubtfulCall {
    /// Its intent.
    pub intent: Object<Signed<OperationIntent>>,
    /// Its record.
    pub record: Object<CallRecord>,
}

impl Node {
    //= docs/spec/calls.md#probing
    pub(in crate::node) fn probe_outcome(
        &mut self,
        request: RequestId,
        probe: Object<Signed<OutcomeProbe>>,
        doubtful: &DoubtfulCall,
        actor: &str,
        now: Now,
        schema: &dyn SchemaCheck,
    ) -> Result<(), Failure> {
        let (OutcomeProbe { operator, intent }, signer) = (probe.body.fields.clone(), probe.body.signer);
        let spoken = self.hear(AnyObject::from(probe), (&operator, signer), actor, now.unix)?;
        self.is_as_stored(intent, doubtful)?;
        let asked = self.unsettled.get(&intent).filter(|it| !it.settling && it.zone == spoken.zone);
        let asked =
            asked.ok_or_else(|| Failure::new(Code::NotFound, "no such intent waits for a settlement"))?;
        let record = &doubtful.record.body;
        let (installed, declared, id, operation) = self.declared_probe(&doubtful.intent.body.fields)?;
        let input = serde_json::from_str(&record.input).map_err(|_| internal("an input that is no JSON"))?;
        let inquiry = declared.inquiry(&input, &installed.config).map_err(|error| {
            Failure::new(Code::OperationUnknown, format!("the probe cannot be asked: {error}"))
        })?;
        let call = WordCall {
            installed,
            id,
            operation,
            input: Json::try_from(inquiry.input.clone())
                .map_err(|_| Failure::new(Code::InputInvalid, "the probe's input is no canonical JSON"))?,
            credentials: record.credentials.clone(),
        };
        let given = spoken.gives(call, now.unix)?;
        let since = u64::try_from(now.mono.saturating_since(asked.since).as_millis()).unwrap_or(u64::MAX);
        let wait_ms = u64::from(declared.none_after_ms.unwrap_or_default()).saturating_sub(since);
        let label = doubtful.intent.body.fields.input_label.clone();
        let doubt = Doubt { intent, inquiry, label, wait_ms };
        self.call_by_word(request, spoken, given, Purpose::OutcomeProbe(Box::new(doubt)), now, schema)
    }

    /// Whether these are the stored objects that they say: the zone's key is secret.
    fn is_as_stored(&self, intent: ObjectId, doubtful: &DoubtfulCall) -> Result<(), Failure> {
        let DoubtfulCall { intent: stored, record } = doubtful;
        if self.is_named(stored, intent) && self.is_named(record, stored.body.fields.request) {
            return Ok(());
        }
        Err(internal("the call in doubt is not as it was stored"))
    }

    fn is_named<T: Body>(&self, object: &Object<T>, id: ObjectId) -> bool {
        let keys = self.keys.zones.get(&object.header.zone_id);
        keys.is_some_and(|keys| object.store().is_ok_and(|stored| keys.is_named(&stored, &id)))
    }

    /// How the operation's manifest settles it, as it was when the call was made.
    fn declared_probe(
        &self,
        intent: &OperationIntent,
    ) -> Result<(&Installed, &Declared, &OperationId, &Operation), Failure> {
        let OperationIntent { connector, operation, interface_hash, .. } = intent;
        let installed = self
            .catalog
            .get(connector)
            .ok_or_else(|| Failure::new(Code::ConnectorUnknown, format!("{connector} is not installed")))?;
        if installed.install.interface_hash != *interface_hash {
            let rule = format!("{connector} offers another interface than the one that the call was made by");
            return Err(Failure::new(Code::ConnectorChanged, rule));
        }
        let declared = installed.manifest.operation(operation).and_then(|it| {
            let (settling, probe) = (it.settling.as_ref()?, it.probe.as_ref()?);
            Some((settling, probe, installed.manifest.operation(probe)?))
        });
        let (settling, probe, read) = declared.ok_or_else(|| {
            Failure::new(Code::OperationUnknown, format!("{operation} declares no read that settles it"))
        })?;
        Ok((installed, settling, probe, read))
    }

    /// Settles the call in doubt in `unit`, the receipt of its probe, if the answer says enough.
    pub(super) fn conclude(
        &self,
        unit: &mut Unit<Then>,
        call: &Call,
        ended: &Ended,
        receipt: ObjectId,
        now: UnixTime,
    ) -> Result<Option<Verdict>, Unstorable> {
        let Some(doubt) = call.doubt() else { return Ok(None) };
        let effect = match doubt.says(ended) {
            Ok(effect) => effect,
            Err(why) => return Ok(Some(Verdict::Unclear(why))),
        };
        let Some(unsettled) = self.unsettled.get(&doubt.intent).filter(|it| !it.settling) else {
            return Ok(Some(Verdict::Unclear("it was settled meanwhile".into())));
        };
        let settling = Settling {
            intent: doubt.intent,
            effect,
            settled_by: SettledBy::Probe,
            note: Some(format!("{} answered so; its receipt is {receipt}", call.authorized.operation())),
            actor: call.principal().to_string(),
        };
        let id = self.store_settlement(unit, unsettled, settling, Some(receipt), now)?;
        Ok(Some(Verdict::Settled { settlement: id, effect }))
    }
}

impl Call {
    /// The call that it is the probe of.
    pub(super) fn doubt(&self) -> Option<&Doubt> {
        match &self.word.as_ref()?.purpose {
            Purpose::OutcomeProbe(doubt) => Some(doubt),
            Purpose::CredentialTest => None,
        }
    }
}

impl Doubt {
    /// What the end of the probe says of the call, or why it says nothing.
    //= docs/spec/calls.md#probing
    pub(super) fn says(&self, ended: &Ended) -> Result<Effect, String> {
        let answered = ended.output.as_ref().filter(|_| ended.outcome == CallOutcome::Succeeded);
        let Some(output) = answered else {
            let message = ended.error.as_ref().map_or("it ended without an answer", |(_, it)| it.as_str());
            return Err(format!("the read did not answer: {message}"));
        };
        let answer = serde_json::from_str(output).map_err(|_| String::from("the answer is no JSON"))?;
        match self.inquiry.judge(&answer) {
            Finds::Made => Ok(Effect::Made),
            Finds::None if self.wait_ms == 0 => Ok(Effect::None),
            Finds::None => Err(format!(
                "nothing is there, and the request may still be on its way: ask again in {} s",
                self.wait_ms.div_ceil(1_000)
            )),
            Finds::Unclear => Err("the answer says neither that it was made nor that it was not".into()),
        }
    }
}
