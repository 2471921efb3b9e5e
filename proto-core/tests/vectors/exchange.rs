//! What the two ends of a handshake or a rekey take and refuse. This implementation is the one end, with its entropy; what
//! the other says is the vector's.

use fcp_proto_core::crypto::provider::Pure;
use fcp_proto_core::crypto::role::Node;
use fcp_proto_core::crypto::sign::SigningKey;
use fcp_proto_core::encoding::json::Json;
use fcp_proto_core::frame::datagram;
use fcp_proto_core::ids::{MeshSessionId, SessionNonce};
use fcp_proto_core::limits::DEFAULT_DATAGRAM_BYTES;
use fcp_proto_core::random::Entropy;
use fcp_proto_core::session::cookie::{Cookies, cookie};
use fcp_proto_core::session::error::SessionError;
use fcp_proto_core::session::handshake::{Context, FreshHello, Initiator, Offer, SessionPolicy};
use fcp_proto_core::session::keys::{KeyLimits, Session, Side};
use fcp_proto_core::session::message::{Ack, Hello, HelloRetry, Message};
use fcp_proto_core::session::rekey::{
    Lineage, PendingRekey, RekeyAck, RekeyRequest, RekeySecret, VerifiedRequest,
};
use fcp_proto_core::session::replay::HelloReplay;
use fcp_proto_core::session::schedule::Secrets;
use fcp_proto_core::session::suite::{Suite, SuiteId, SuitePolicy};
use fcp_proto_core::time::{Instant, Now, UnixTime};
use zeroize::Zeroizing;

use super::{Case, Check};

pub(crate) const FILES: [(&str, Check); 10] = [
    ("sessions/acks.json", acks),
    ("sessions/acks_reject.json", acks_reject),
    ("sessions/hellos.json", hellos),
    ("sessions/hellos_reject.json", hellos_reject),
    ("sessions/rekey_acks.json", rekey_acks),
    ("sessions/rekey_acks_reject.json", rekey_acks_reject),
    ("sessions/rekey_requests.json", rekey_requests),
    ("sessions/rekey_requests_reject.json", rekey_requests_reject),
    ("sessions/retries.json", retries),
    ("sessions/retries_reject.json", retries_reject),
];

const START: Instant = Instant::from_nanos(0);

impl Case<'_> {
    fn entropy(&self, name: &str) -> Entropy {
        Entropy::from_seed(&self.secret(name))
    }

    fn signing_key(&self, name: &str) -> SigningKey<Node> {
        SigningKey::from_seed(&self.secret(name))
    }

    fn time(&self, name: &str) -> UnixTime {
        UnixTime::from_secs(self.number(name))
    }

    fn nonce(&self, name: &str) -> SessionNonce {
        SessionNonce::from_bytes(self.array(name))
    }

    fn floor(&self) -> Suite {
        let [id] = self.array("floor");
        SuiteId::new(id).suite().expect("a suite")
    }

    fn side(&self) -> Side {
        match self.array("side") {
            [0] => Side::Initiator,
            [1] => Side::Responder,
            [other] => panic!("{}: side {other}", self.place),
        }
    }

    /// The objects of a list.
    pub(crate) fn list(&self, name: &str) -> impl Iterator<Item = Self> {
        let items = self.fields.get(name).and_then(Json::as_array).expect("a list");
        items.iter().map(|fields| Case { place: self.place.clone(), fields })
    }
}

/// Who answers what is to be refused.
fn anybody() -> SigningKey<Node> {
    SigningKey::from_seed(&Zeroizing::new([0; 32]))
}

fn known(suites: &[SuiteId]) -> Vec<Suite> {
    suites.iter().map(|id| id.suite().expect("a suite")).collect()
}

fn context<'a>(case: &Case<'_>, policy: &'a SessionPolicy) -> Context<'a> {
    Context { policy, provider: &Pure, now: Now { mono: START, unix: case.time("now") } }
}

/// The first datagram of `sender`, without a frame, as the case has it.
fn says_first(case: &Case<'_>, sender: &mut Session) {
    let mut bytes = vec![0; datagram::PREFIX_BYTES];
    datagram::seal(&mut sender.send, &mut bytes, DEFAULT_DATAGRAM_BYTES, START).expect("sealed");
    case.same(bytes, case.bytes("datagram"));
}

fn hears_first(case: &Case<'_>, receiver: &mut Session) {
    let mut bytes = case.bytes("datagram");
    let opened = datagram::open(&mut receiver.receive, &mut bytes, DEFAULT_DATAGRAM_BYTES);
    case.same(opened.map(|frame| frame.to_vec()), Ok(Vec::new()));
}

fn hellos(case: &Case<'_>) {
    let answer = answer(case, &case.signing_key("responder_seed"));
    let (ack, mut session) = answer.unwrap_or_else(|error| panic!("{}: {error}", case.place));
    case.same(ack.encode(), Ok(case.bytes("ack")));
    hears_first(case, &mut session);
}

//= docs/spec/mesh-sessions.md#hello
//= docs/spec/mesh-sessions.md#cookies
//= docs/spec/mesh-sessions.md#suites
//= docs/spec/mesh-sessions.md#replay
fn hellos_reject(case: &Case<'_>) {
    case.refuses(answer(case, &anybody()).map(drop));
}

fn answer(case: &Case<'_>, key: &SigningKey<Node>) -> Result<(Ack, Session), SessionError> {
    let preference: Vec<_> = case.bytes("preference").into_iter().map(SuiteId::new).collect();
    let suites = SuitePolicy { preference: known(&preference), floor: case.floor() };
    let policy = SessionPolicy { suites, key_limits: KeyLimits::default() };
    fresh(case)?.answer(key, context(case, &policy), &mut case.entropy("seed"))
}

/// The case's hello after all checks of the hello alone.
fn fresh(case: &Case<'_>) -> Result<FreshHello, SessionError> {
    let hello = Hello::decode(&case.bytes("hello"))?;
    if case.optional("cookie_key").is_some() {
        check_cookie(case, &hello)?;
    }
    let (key, me) = (case.signing_key("initiator_seed"), case.node("me"));
    let mut heard = HelloReplay::default();
    for old in case.list("answered") {
        let (timestamp, nonce) = (old.time("timestamp"), old.nonce("nonce"));
        let mut earlier = Hello { timestamp, nonce, ..hello.clone() };
        earlier.signature = key.sign(earlier.transcript()?.as_bytes());
        let at = old.time("at");
        heard.admit(earlier.verify(&key.verifying_key(), &me, at)?, at)?;
    }
    let now = case.time("now");
    heard.admit(hello.verify(&key.verifying_key(), &me, now)?, now)
}

/// The responder's key of cookies is the first that its entropy gives.
fn check_cookie(case: &Case<'_>, hello: &Hello) -> Result<(), SessionError> {
    let entropy = &mut case.entropy("cookie_seed");
    let mut cookies = Cookies::new(START, entropy);
    let made = cookies.retry(hello, Now { mono: START, unix: case.time("now") }, entropy)?;
    case.same(Ok(made.cookie), cookie(&case.array("cookie_key"), hello));
    let age = std::time::Duration::from_secs(case.number("cookie_age"));
    cookies.check(hello, START.saturating_add(age), entropy)
}

/// The initiator of a case, which has made the case's hello.
fn initiator(case: &Case<'_>) -> Initiator {
    let hello = Hello::decode(&case.bytes("hello")).expect("a hello");
    let suites = SuitePolicy { preference: known(&hello.suites), floor: Suite::HmacSha256 };
    let offer =
        Offer { from: hello.from, to: hello.to, suites: &suites, transport_limits: hello.transport_limits };
    let key = case.signing_key("initiator_seed");
    let made = Initiator::new(offer, &key, hello.timestamp, &mut case.entropy("seed")).expect("a hello");
    case.same(made.hello().encode(), Ok(case.bytes("hello")));
    made
}

fn retries(case: &Case<'_>) {
    let hello = retry(case).unwrap_or_else(|error| panic!("{}: {error}", case.place));
    case.same(hello.encode(), Ok(case.bytes("again")));
}

//= docs/spec/mesh-sessions.md#cookies
fn retries_reject(case: &Case<'_>) {
    case.refuses(retry(case).map(drop));
}

/// The hello that follows a retry, or a second one.
fn retry(case: &Case<'_>) -> Result<Hello, SessionError> {
    let (mut initiator, key) = (initiator(case), case.signing_key("initiator_seed"));
    for name in ["before", "retry"] {
        if case.optional(name).is_some() {
            initiator.retry(&HelloRetry::decode(&case.bytes(name))?, &key, case.time("now"))?;
        }
    }
    Ok(initiator.hello().clone())
}

fn acks(case: &Case<'_>) {
    let mut session = establish(case).unwrap_or_else(|error| panic!("{}: {error}", case.place));
    says_first(case, &mut session);
}

//= docs/spec/mesh-sessions.md#ack
fn acks_reject(case: &Case<'_>) {
    case.refuses(establish(case).map(drop));
}

fn establish(case: &Case<'_>) -> Result<Session, SessionError> {
    let initiator = initiator(case);
    let suites = SuitePolicy { preference: Suite::ALL.to_vec(), floor: case.floor() };
    let policy = SessionPolicy { suites, key_limits: KeyLimits::default() };
    let ack = Ack::decode(&case.bytes("ack"))?;
    let checked = initiator.check(&ack, &case.key("responder_key"), &policy.suites, case.time("now"))?;
    initiator.establish(&checked, context(case, &policy))
}

/// What the case's node makes its next generation of.
fn rekey_secret(case: &Case<'_>) -> RekeySecret {
    let lineage = Lineage {
        suite: case.suite(),
        parties: case.parties(),
        side: case.side(),
        limits: KeyLimits::default(),
        peer_datagram_bytes: DEFAULT_DATAGRAM_BYTES,
    };
    let unused = || Zeroizing::new([0; 32]);
    let chain = case.secret("chain");
    let secrets = Secrets { initiator_mac: unused(), responder_mac: unused(), context: unused(), chain };
    let session_id = MeshSessionId::from_bytes(case.array("session_id"));
    let generation = u32::from_le_bytes(case.array("generation"));
    Session::new(lineage, session_id, generation, secrets, &Pure, START).rekey
}

fn rekey_requests(case: &Case<'_>) {
    let (secret, request) = asked(case).unwrap_or_else(|error| panic!("{}: {error}", case.place));
    let (policy, key) = (SessionPolicy::default(), case.signing_key("answerer_seed"));
    let answer = secret.answer(&request, &key, context(case, &policy), &mut case.entropy("seed"));
    let (ack, mut session) = answer.unwrap_or_else(|error| panic!("{}: {error}", case.place));
    case.same(ack.encode(), Ok(case.bytes("ack")));
    hears_first(case, &mut session);
}

//= docs/spec/mesh-sessions.md#rekey
fn rekey_requests_reject(case: &Case<'_>) {
    let policy = SessionPolicy::default();
    case.refuses(asked(case).and_then(|(secret, request)| {
        secret.answer(&request, &anybody(), context(case, &policy), &mut case.entropy("seed")).map(drop)
    }));
}

fn asked(case: &Case<'_>) -> Result<(RekeySecret, VerifiedRequest), SessionError> {
    let (secret, request) = (rekey_secret(case), RekeyRequest::decode(&case.bytes("request"))?);
    let checked = secret.check_request(request, &case.key("requester_key"), case.time("now"))?;
    Ok((secret, checked))
}

fn rekey_acks(case: &Case<'_>) {
    let mut session = answered(case).unwrap_or_else(|error| panic!("{}: {error}", case.place));
    says_first(case, &mut session);
}

//= docs/spec/mesh-sessions.md#rekey
fn rekey_acks_reject(case: &Case<'_>) {
    case.refuses(answered(case).map(drop));
}

fn answered(case: &Case<'_>) -> Result<Session, SessionError> {
    let secret = rekey_secret(case);
    let request = RekeyRequest::decode(&case.bytes("request")).expect("a request");
    let key = case.signing_key("requester_seed");
    let pending: PendingRekey = secret.request(&key, request.timestamp, &mut case.entropy("seed"))?;
    case.same(pending.request().encode(), Ok(case.bytes("request")));
    let ack = RekeyAck::decode(&case.bytes("ack"))?;
    let checked = pending.check(ack, &case.key("answerer_key"), case.time("now"))?;
    secret.establish(pending, &checked, context(case, &SessionPolicy::default()))
}
