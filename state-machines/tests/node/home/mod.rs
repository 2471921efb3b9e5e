//! A home in memory: an owner, an operator, a node, an agent and one connector, and a disk that answers at once.
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fcp_proto_core::crypto::proof::{CallProof, SessionProof};
use fcp_proto_core::crypto::role;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::cbor::ByteString;
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::ids::{ConnectorId, Digest, NodeId, ObjectId, OperationId, PrincipalId, TokenId, ZoneId};
use fcp_proto_core::manifest::Manifest;
use fcp_proto_core::object::{
    AnyObject, ApprovalDecision, ApprovalToken, CallDigestInput, ConnectorInstall, CredentialRecord, Effect,
    Enrolment, FaultModel, Grant, Grantee, Header, Membership, NodeAttestation, Object, ObjectIdKey,
    OperatorDelegation, OperatorRight, OwnerRoot, RevocationObject, RevocationScope, Signed, SignedBody,
    StoredObject, Usage, ZoneDefinition, ZonePolicy,
};
use fcp_proto_core::random::Entropy;
use fcp_proto_core::time::{Instant, Now, UnixTime};
use fcp_proto_core::token::Token;
use fcp_proto_core::token::claims::Claims;
use fcp_proto_core::token::constraints::Constraints;
use fcp_proto_core::zone::{Label, Risk, SafetyTier, WELL_KNOWN};
use fcp_state_machines::node::{
    Answer, CallAnswer, CallLimits, CallRequest, CalledBy, Dispatch, Failure, FiledApproval, HeldToken,
    HolderProof, MintedToken, Node, NodeConfig, NodeKeys, Outcome, Output, Refusal, Request, RequestId,
    SchemaCheck, SessionId, SessionRequest, ZoneKeys,
};
use fcp_state_machines::persist::{Completion, Record};

/// The connection of every caller here.
pub(crate) const BINDING: [u8; 32] = [7; 32];

/// Takes every object that has the fields that the manifest requires.
pub(crate) struct Fields;

impl SchemaCheck for Fields {
    fn check(&self, _: &ConnectorId, operation: &OperationId, input: &Json) -> Result<(), String> {
        let manifest = Manifest::parse(include_bytes!("notes.toml")).expect("the manifest is valid");
        let Some(operation) = manifest.operation(operation) else { return Ok(()) };
        let required = operation.input.schema["required"].as_array().cloned().unwrap_or_default();
        match required.iter().filter_map(|name| name.as_str()).find(|name| input.get(name).is_none()) {
            Some(missing) => Err(format!("/{missing} is missing")),
            None => Ok(()),
        }
    }
}

/// The secrets of a home, made from one seed.
pub(crate) struct Keys {
    pub(crate) owner: SigningKey<role::Owner>,
    pub(crate) operator: SigningKey<role::Operator>,
    pub(crate) agent: SigningKey<role::Agent>,
    seed: u8,
}

/// A home in memory.
pub(crate) struct Home {
    pub(crate) node: Node,
    pub(crate) keys: Keys,
    pub(crate) now: Now,
    pub(crate) journal: Vec<Record>,
    pub(crate) dispatched: VecDeque<Dispatch>,
    pub(crate) answers: BTreeMap<RequestId, Result<Answer, Failure>>,
    /// Whether batches are answered as they come.
    pub(crate) disk_answers: bool,
    pub(crate) waiting:
        VecDeque<(fcp_state_machines::persist::BatchToken, fcp_state_machines::persist::Batch)>,
    pub(crate) session: SessionId,
    next: u64,
}

pub(crate) fn zone(name: &str) -> ZoneId {
    ZoneId::new(name).expect("a zone")
}

pub(crate) fn work() -> ZoneId {
    zone("z:work")
}

pub(crate) fn agent() -> PrincipalId {
    PrincipalId::new("ada").expect("a principal")
}

/// Asks for a session of `principal`, proved by `key`.
pub(crate) fn session_request(principal: PrincipalId, key: &SigningKey<role::Agent>) -> Request {
    let challenge = [5; 32];
    let proof = SessionProof {
        principal_id: principal.clone(),
        node_id: node_id(),
        channel_binding: BINDING,
        challenge,
    };
    let proof = proof.sign(key).expect("a proof");
    Request::OpenSession(SessionRequest { principal, challenge, binding: BINDING, proof })
}

pub(crate) fn operation(name: &str) -> OperationId {
    OperationId::new(name).expect("an operation")
}

fn node_id() -> NodeId {
    NodeId::new("node-1").expect("a node")
}

/// The node's own secrets, always the same for one seed.
fn node_keys(seed: u8) -> NodeKeys {
    let mut entropy = Entropy::from_seed(&[seed; 32].into());
    let (signing, issuance) = (SigningKey::generate(&mut entropy), SigningKey::generate(&mut entropy));
    let mut first = || ZoneKeys::from(ObjectIdKey::generate(&mut entropy));
    let mut zones: BTreeMap<_, _> = WELL_KNOWN.iter().map(|(name, _)| (zone(name), first())).collect();
    let keys = zones.get_mut(&work()).expect("a well-known zone");
    [1, 2].into_iter().for_each(|generation| keys.hold(later_zone_key(generation)));
    NodeKeys { signing, issuance, zones }
}

/// A key that is stored for a later generation of z:work.
pub(crate) fn later_zone_key(generation: u8) -> ObjectIdKey {
    ObjectIdKey::generate(&mut Entropy::from_seed(&[50 + generation; 32].into()))
}

fn header<T: SignedBody>(zone: &ZoneId, now: Now) -> Header {
    Header::new(&T::SCHEMA, zone, now.unix, Label::default(), None)
}

impl Home {
    /// A home whose agent has a session and nothing else.
    pub(crate) fn new() -> Self {
        let mut home = Self::empty(1);
        home.found();
        home.operate::<Enrolment>(
            &work(),
            Enrolment {
                principal: agent(),
                public_key: home.keys.agent.verifying_key(),
                key_source: "file".into(),
            },
        );
        home.install();
        home.store_credential("main");
        home.session = home.open_session();
        home
    }

    /// A home whose agent may do everything that the connector can.
    pub(crate) fn with_grant() -> (Self, ObjectId) {
        let mut home = Self::new();
        let grant = home.grant(everything());
        (home, grant)
    }

    fn empty(seed: u8) -> Self {
        let mut entropy = Entropy::from_seed(&[seed.wrapping_add(100); 32].into());
        let keys = Keys {
            owner: SigningKey::generate(&mut entropy),
            operator: SigningKey::generate(&mut entropy),
            agent: SigningKey::generate(&mut entropy),
            seed,
        };
        Self {
            node: new_node(seed, 0),
            keys,
            now: Now { mono: Instant::from_nanos(1_000_000_000), unix: UnixTime::from_secs(1_800_000_000) },
            journal: Vec::new(),
            dispatched: VecDeque::new(),
            answers: BTreeMap::new(),
            disk_answers: true,
            waiting: VecDeque::new(),
            session: SessionId::from_bytes([0; 32]),
            next: 0,
        }
    }

    fn found(&mut self) {
        let id = self.request_id();
        let objects = self.founding();
        self.node.found(id, objects, self.now).expect("a ceremony");
        self.run();
        assert_eq!(self.take(id), Ok(Answer::Done));
    }

    /// A home before its ceremony.
    pub(crate) fn unfounded(seed: u8) -> Self {
        Self::empty(seed)
    }

    /// What a ceremony makes.
    pub(crate) fn founding(&self) -> Vec<AnyObject> {
        let (owner, now) = (&self.keys.owner, self.now);
        let keys = node_keys(self.keys.seed);
        let z_owner = zone("z:owner");
        let mut objects: Vec<AnyObject> = vec![
            sign(&z_owner, now, OwnerRoot { home_id: [1; 32], public_key: owner.verifying_key() }, owner)
                .into(),
            sign(
                &z_owner,
                now,
                OperatorDelegation {
                    operator: PrincipalId::new("op").expect("a name"),
                    public_key: self.keys.operator.verifying_key(),
                    rights: OperatorRight::ALL.iter().copied().collect(),
                    not_before: now.unix,
                    expires_at: None,
                },
                owner,
            )
            .into(),
            sign(
                &z_owner,
                now,
                NodeAttestation {
                    node_id: node_id(),
                    signing_key: keys.signing.verifying_key(),
                    encryption_key: [9; 32],
                    issuance_key: keys.issuance.verifying_key(),
                    tags: Vec::new(),
                    issued_at: now.unix,
                    expires_at: now.unix.saturating_add(365 * 86_400),
                    nonce: [3; 32],
                },
                owner,
            )
            .into(),
            sign(
                &z_owner,
                now,
                Membership { epoch: 1, nodes: [node_id()].into(), fault_model: FaultModel::Crash },
                owner,
            )
            .into(),
        ];
        for (name, level) in WELL_KNOWN {
            let definition = ZoneDefinition {
                integrity: level,
                confidentiality: level,
                description: String::new(),
                key: None,
            };
            objects.push(sign(&zone(name), now, definition, owner).into());
            objects.push(sign(&zone(name), now, policy(1), owner).into());
        }
        objects
    }

    /// Installs the connector, or installs it again.
    pub(crate) fn install(&mut self) {
        self.install_from(include_bytes!("notes.toml"));
    }

    /// Installs the connector with an operation that tells whether a credential is good.
    pub(crate) fn install_with_health(&mut self) {
        let manifest = concat!(include_str!("notes.toml"), include_str!("notes_health.toml"));
        self.install_from(manifest.as_bytes());
    }

    /// Has the operator install the notes connector with this manifest.
    pub(crate) fn install_from(&mut self, manifest: &[u8]) {
        self.install_as(manifest, [2; 32]);
    }

    /// Installs the connector with other code behind the same manifest.
    pub(crate) fn install_code(&mut self, code: [u8; 32]) {
        self.install_as(include_bytes!("notes.toml"), code);
    }

    fn install_as(&mut self, manifest: &[u8], code: [u8; 32]) {
        self.try_install(manifest, code).expect("the operator may");
    }

    /// Installs the connector, if the node takes it.
    pub(crate) fn try_install(&mut self, manifest: &[u8], code: [u8; 32]) -> Result<ObjectId, Failure> {
        let parsed = Manifest::parse(manifest).expect("the manifest is valid");
        let fields = ConnectorInstall {
            connector: "notes".parse().expect("a connector"),
            version: "1.0.0".into(),
            manifest: ByteString(manifest.to_vec()),
            package_digest: Digest::from_bytes([1; 32]),
            code_digest: Digest::from_bytes(code),
            interface_hash: parsed.interface_hash(),
            zones: [work()].into(),
            config: "{}".into(),
            publishers: BTreeSet::new(),
            dev: true,
        };
        self.try_operate(&work(), fields)
    }

    /// Has the operator sign `fields`, and the node take it.
    pub(crate) fn operate<T: SignedBody>(&mut self, zone: &ZoneId, fields: T) -> ObjectId
    where
        AnyObject: From<Object<Signed<T>>>,
    {
        self.try_operate(zone, fields).expect("the operator may")
    }

    /// As [`Home::operate`], if the node takes it.
    pub(crate) fn try_operate<T: SignedBody>(&mut self, zone: &ZoneId, fields: T) -> Result<ObjectId, Failure>
    where
        AnyObject: From<Object<Signed<T>>>,
    {
        let object = sign(zone, self.now, fields, &self.keys.operator);
        let request = Request::Admit { object: Box::new(object.into()), actor: "op".into() };
        let answer = self.ask(request)?;
        let Answer::Admitted(id) = answer else { panic!("{answer:?}") };
        Ok(id)
    }

    /// Stores another credential for the connector.
    pub(crate) fn store_credential(&mut self, name: &str) {
        self.operate(&work(), credential(name));
    }

    /// Grants the agent what `constraints` bound, for an hour.
    pub(crate) fn grant(&mut self, constraints: Constraints) -> ObjectId {
        let fields = grant_fields(constraints, self.now);
        self.operate(&work(), fields)
    }

    pub(crate) fn revoke(&mut self, scope: RevocationScope, target: &[u8]) {
        let fields = RevocationObject {
            scope,
            targets: vec![ByteString(target.to_vec())],
            reason: "test".into(),
            effective_at: self.now.unix,
            expires_at: None,
        };
        self.operate(&zone("z:owner"), fields);
    }

    /// Approves everything that a request asks for.
    pub(crate) fn approve(&mut self, filed: &FiledApproval) -> ObjectId {
        let token = approval(filed, self.now);
        self.operate(&work(), token)
    }

    pub(crate) fn open_session(&mut self) -> SessionId {
        match self.ask(session_request(agent(), &self.keys.agent)) {
            Ok(Answer::Session { id, .. }) => id,
            other => panic!("{other:?}"),
        }
    }

    /// A call of the agent.
    pub(crate) fn call(&self, name: &str, input: &str, key: Option<&str>) -> CallRequest {
        CallRequest {
            by: CalledBy::Session { id: self.session, binding: BINDING },
            zone: None,
            connector: "notes".parse().expect("a connector"),
            operation: operation(name),
            input: Ok(fcp_proto_core::encoding::json::parse(input.as_bytes(), 1 << 20).expect("JSON")),
            handles: Vec::new(),
            credential: None,
            idempotency_key: key.map(Into::into),
            approvals: BTreeSet::new(),
            deadline_ms: None,
            keep: false,
            trace: None,
        }
    }

    /// What the gate would say to a call.
    pub(crate) fn simulate(&mut self, call: CallRequest) -> Result<(), Refusal> {
        match self.ask(Request::Simulate(call)) {
            Ok(Answer::Simulated { refused, .. }) => refused.map_or(Ok(()), Err),
            other => panic!("{other:?}"),
        }
    }

    /// A token for an operation, from each grant that gives it.
    pub(crate) fn tokens(&mut self, name: &str) -> Result<Vec<MintedToken>, Failure> {
        let operations = [operation(name)].into();
        let request = Request::MintTokens { session: self.session, binding: BINDING, operations };
        let answer = self.ask(request)?;
        let Answer::Tokens(tokens) = answer else { panic!("{answer:?}") };
        Ok(tokens)
    }

    /// The call as it is made outside a session, with a token and the proof of `key`.
    pub(crate) fn outside(
        &self,
        call: CallRequest,
        token: &[u8],
        key: &SigningKey<role::Agent>,
        change: impl FnOnce(&mut CallProof),
    ) -> CallRequest {
        let covered = covered(&call);
        let mut statement = CallProof {
            call_digest: covered.digest().expect("a digest"),
            token_id: verified(token, self.keys.seed).token_id,
            node_id: node_id(),
            audience: covered.zone,
            challenge: [6; 32],
        };
        change(&mut statement);
        let signature = statement.sign(key).expect("a proof");
        let proof = HolderProof { challenge: [6; 32], signature };
        let held = HeldToken { token: token.to_vec(), proof: Some(proof) };
        CallRequest { by: CalledBy::Token(held), ..call }
    }

    /// A token as the node would mint it, with other claims.
    pub(crate) fn forge(&self, token: &[u8], change: impl FnOnce(&mut Claims)) -> Vec<u8> {
        let mut claims = verified(token, self.keys.seed);
        change(&mut claims);
        mint(claims, self.keys.seed)
    }

    /// The id of the token that a call is made with.
    pub(crate) fn token_id(&self, call: &CallRequest) -> TokenId {
        let CalledBy::Token(held) = &call.by else { panic!("a token") };
        verified(&held.token, self.keys.seed).token_id
    }

    /// Makes a call whose connector succeeds with `output`.
    pub(crate) fn invoke(&mut self, call: CallRequest, output: &str) -> Result<CallAnswer, Failure> {
        let answer = self.invoke_with(call, succeeded(output))?;
        let Answer::Called(answer) = answer else { panic!("{answer:?}") };
        Ok(answer)
    }

    /// Makes a call of which the connector says `outcome`, if it comes to that.
    pub(crate) fn invoke_with(&mut self, call: CallRequest, outcome: Outcome) -> Result<Answer, Failure> {
        let id = self.request_id();
        self.node.handle_request(id, Request::Invoke(call), self.now, &Fields);
        self.run();
        while let Some(dispatch) = self.dispatched.pop_front() {
            self.node.handle_outcome(dispatch.call_id, outcome.clone(), self.now);
            self.run();
        }
        self.take(id)
    }

    /// Sends a request and gives its answer.
    pub(crate) fn ask(&mut self, request: Request) -> Result<Answer, Failure> {
        let id = self.send(request);
        self.run();
        self.take(id)
    }

    /// Sends a request without doing anything that follows.
    pub(crate) fn send(&mut self, request: Request) -> RequestId {
        let id = self.request_id();
        self.node.handle_request(id, request, self.now, &Fields);
        id
    }

    pub(crate) fn take(&mut self, id: RequestId) -> Result<Answer, Failure> {
        self.answers.remove(&id).expect("an answer")
    }

    /// Does what the node says until it says nothing.
    pub(crate) fn run(&mut self) {
        for _ in 0..10_000 {
            let Some(output) = self.node.poll_output() else { return };
            match output {
                Output::Persist { token, batch } if self.disk_answers => {
                    self.journal.extend(batch.records);
                    self.node.handle_completion(token, Completion::Durable, self.now);
                }
                Output::Persist { token, batch } => self.waiting.push_back((token, batch)),
                Output::Dispatch(dispatch) => self.dispatched.push_back(*dispatch),
                Output::Answer { request, answer } => {
                    let answer = answer.map(|it| *it).map_err(|it| *it);
                    assert!(self.answers.insert(request, answer).is_none(), "a request is answered once");
                }
                Output::Cancel(_) | Output::Revoked(_) | Output::Reconfigured(_) => {}
            }
        }
        panic!("the node never rests");
    }

    /// Answers the oldest batch that waits for the disk.
    pub(crate) fn disk(&mut self, completion: Completion) {
        let (token, batch) = self.waiting.pop_front().expect("a batch waits");
        if completion == Completion::Durable {
            self.journal.extend(batch.records);
        }
        self.node.handle_completion(token, completion, self.now);
        self.run();
    }

    pub(crate) fn pass(&mut self, secs: u64) {
        self.now.unix = self.now.unix.saturating_add(secs);
        self.now.mono = self.now.mono.saturating_add(std::time::Duration::from_secs(secs));
    }

    /// Kills the node and starts another from the journal.
    pub(crate) fn restart(&mut self) {
        self.node = new_node(self.keys.seed, 1);
        self.dispatched.clear();
        self.waiting.clear();
        self.answers.clear();
        for record in &self.journal {
            self.node.replay(record.id, &record.bytes, self.now).expect("the journal replays");
        }
        assert!(!self.node.has_failed(), "a node that replayed its journal serves");
        self.node.start(self.now);
        self.run();
        self.session = self.open_session();
    }

    /// The record with what `change` makes of its object, under the name that it has then.
    pub(crate) fn altered(&self, record: &Record, change: impl FnOnce(AnyObject) -> StoredObject) -> Record {
        let stored = StoredObject::from_bytes(&record.bytes).expect("a stored object");
        let changed = change(AnyObject::open(&stored).expect("a known kind"));
        let zones = node_keys(self.keys.seed).zones;
        let key = zones.get(&changed.header.zone_id).expect("a zone of the home");
        let id = changed.id(key.serving()).expect("it encodes");
        Record { id, bytes: changed.to_bytes().expect("it encodes") }
    }

    /// Whether a node takes these records as its journal.
    pub(crate) fn replays(&self, records: &[Record]) -> Result<(), fcp_state_machines::node::ReplayError> {
        let mut node = new_node(self.keys.seed, 1);
        records.iter().try_for_each(|record| node.replay(record.id, &record.bytes, self.now))
    }

    fn request_id(&mut self) -> RequestId {
        self.next += 1;
        RequestId(self.next)
    }
}

/// All that the digest of a call of the agent covers, made without the node.
pub(crate) fn covered(call: &CallRequest) -> CallDigestInput {
    let input = call.input.as_ref().expect("JSON");
    let note = input.get("note").and_then(|note| note.as_str());
    CallDigestInput {
        format: 1,
        zone: call.zone.clone().unwrap_or_else(work),
        principal: agent(),
        connector: call.connector.clone(),
        operation: call.operation.clone(),
        input: input.to_canonical(),
        resources: note.map(|note| format!("notes:note/{note}")).into_iter().collect(),
        credentials: [call.credential.clone().unwrap_or_else(|| "main".parse().expect("a credential"))]
            .into(),
        idempotency_key: call.idempotency_key.clone(),
    }
}

/// What a token of the node of this seed says.
pub(crate) fn verified(token: &[u8], seed: u8) -> Claims {
    let issuer = node_keys(seed).issuance.verifying_key();
    let token = Token::decode(token).and_then(|it| it.verify(&issuer));
    token.expect("a token of this node").claims().clone()
}

/// A token of the node of this seed.
pub(crate) fn mint(claims: Claims, seed: u8) -> Vec<u8> {
    Token::mint(claims, &node_keys(seed).issuance).expect("claims").as_bytes().to_vec()
}

fn new_node(seed: u8, start: u8) -> Node {
    Node::new(NodeConfig {
        node_id: node_id(),
        keys: node_keys(seed),
        session_secs: 86_400,
        limits: CallLimits { calls: 64, call_secs: 300 },
        clock_confirmed: false,
        entropy: Entropy::from_seed(&[200 + start; 32].into()),
    })
}

pub(crate) fn sign<T: SignedBody, R: fcp_proto_core::crypto::role::SigningRole>(
    zone: &ZoneId,
    now: Now,
    fields: T,
    key: &SigningKey<R>,
) -> Object<Signed<T>> {
    Object::sign(header::<T>(zone, now), fields, key).expect("it encodes")
}

pub(crate) fn policy(version: u64) -> ZonePolicy {
    ZonePolicy {
        version,
        connectors: vec!["*".into()],
        denied_operations: Vec::new(),
        max_risk: Risk::High,
        max_tier: SafetyTier::Dangerous,
        approval_from: SafetyTier::Dangerous,
        max_token_secs: 900,
        max_grant_secs: 90 * 86_400,
        budgets: Vec::new(),
    }
}

/// Constraints that permit every resource and the one credential.
pub(crate) fn everything() -> Constraints {
    Constraints {
        resource_allow: vec!["*".parse().expect("a pattern")],
        credential_allow: ["main".parse().expect("a credential")].into(),
        ..Constraints::default()
    }
}

pub(crate) fn grant_fields(constraints: Constraints, now: Now) -> Grant {
    Grant {
        grantee: Grantee::Principal(agent()),
        connector: "notes".parse().expect("a connector"),
        capabilities: ["notes.read", "notes.write"].map(|it| it.parse().expect("a capability")).into(),
        operations: ["notes.get", "notes.comments", "notes.put", "notes.touch"].map(operation).into(),
        constraints,
        not_before: now.unix,
        expires_at: now.unix.saturating_add(3_600),
        request: None,
        standing_approval: None,
    }
}

pub(crate) fn approval(filed: &FiledApproval, now: Now) -> ApprovalToken {
    ApprovalToken {
        approval_request: filed.id,
        call_digest: filed.request.call_digest,
        interface_hash: filed.request.interface_hash,
        code_digest: filed.request.code_digest,
        label_digest: filed.request.label_digest,
        kinds: filed.request.kinds.clone(),
        decision: ApprovalDecision::Approve,
        decided_at: now.unix,
        expires_at: now.unix.saturating_add(600),
        note: None,
    }
}

pub(crate) fn usage() -> Usage {
    Usage { requests: 1, bytes_sent: 10, bytes_received: 100, duration_ms: 0 }
}

pub(crate) fn succeeded(output: &str) -> Outcome {
    Outcome::Succeeded { output: output.into(), effect: Effect::Made, usage: usage() }
}

/// A credential of the connector.
pub(crate) fn credential(name: &str) -> CredentialRecord {
    CredentialRecord {
        credential: name.parse().expect("a credential"),
        connector: "notes".parse().expect("a connector"),
        slot: "token".into(),
        kind: "bearer".into(),
        hosts: vec!["api.notes.example".into()],
        version: 1,
        removed: false,
    }
}
