//! What `fcp-host examine` finds in a damaged home, and that it changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use fcp_api::examination::{Finding, Look};
use fcp_api::routes::GetStatus;
use fcp_api::types::{Nothing, WarningKind};
use fcp_proto_core::error::Code;

use crate::released::copy;
use crate::world::{Daemon, folder};

/// A copy of a home that a release left.
fn home() -> (tempfile::TempDir, PathBuf) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/home-1/home");
    let (guard, home) = folder();
    copy(&fixture, &home);
    (guard, home)
}

/// Every file and folder below: mode, when it was changed, content.
fn everything(folder: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let about = path.symlink_metadata().unwrap();
        if about.is_dir() {
            found.extend(everything(&path));
        }
        let content = if about.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
        found.insert(path, (about.mode(), about.mtime(), about.ctime_nsec(), content));
    }
    found
}

fn examine(home: &Path) -> Vec<Look> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_fcp-host")).arg("examine").arg("--home").arg(home).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn problems(looks: &[Look]) -> Vec<&Look> {
    looks.iter().filter(|look| look.finding == Finding::Problem).collect()
}

/// The only file below a folder of the home.
fn only(folder: &Path) -> PathBuf {
    let mut path = folder.to_owned();
    while path.is_dir() {
        path = fs::read_dir(&path).unwrap().next().unwrap().unwrap().path();
    }
    path
}

fn flip(path: &Path, at: impl Fn(usize) -> usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 0xff;
    fs::write(path, bytes).unwrap();
}

fn truncate(path: &Path, at: impl Fn(u64) -> u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(at(file.metadata().unwrap().len())).unwrap();
}

//= docs/spec/home.md#examination
#[test]
fn a_sound_home_has_no_problems_and_is_left_as_it_is() {
    let (_guard, home) = home();
    let before = everything(&home);
    let looks = examine(&home);
    // The packages were left out of the fixture: declarative connectors run without.
    for look in problems(&looks) {
        assert!(look.check.starts_with("connector "), "{look:?}");
    }
    for check in ["home", "room", "config.toml", "home.toml", "journal", "keys", "records", "audit", "vault"]
    {
        let look =
            looks.iter().find(|look| look.check == check).unwrap_or_else(|| panic!("{check}: {looks:?}"));
        assert_eq!(look.finding, Finding::Ok, "{look:?}");
    }
    assert!(everything(&home) == before, "it changed the home");
}

/// A name, what is done to a home, the check that must name it, with which code, and what place and remedy must hold.
type Damage = (&'static str, fn(&Path), &'static str, Code, &'static str, &'static str);

fn mode(path: PathBuf, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn pipe(path: &Path) {
    fs::remove_file(path).ok();
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::from(0o600), 0)
        .unwrap();
}

/// Moves it out of the home, and puts a link in its place.
fn moved_and_linked(path: &Path) {
    let away = path.ancestors().find(|it| it.join("config.toml").exists()).unwrap().with_extension("away");
    fs::rename(path, &away).unwrap();
    std::os::unix::fs::symlink(away, path).unwrap();
}

fn journal(home: &Path) -> PathBuf {
    home.join("journal/000001.fcj")
}

fn sealed(home: &Path) -> PathBuf {
    only(&home.join("vault"))
}

const DAMAGES: &[Damage] = &[
    (
        "folder open",
        |home| mode(home.join("keys"), 0o755),
        "layout",
        Code::FileForbidden,
        "keys",
        "`chmod 700 ",
    ),
    ("home open", |home| mode(home.to_owned(), 0o750), "home", Code::FileForbidden, "home", "`chmod 700 "),
    (
        "key open",
        |home| mode(home.join("keys/node.secret"), 0o644),
        "layout",
        Code::FileForbidden,
        "node.secret",
        "`chmod 600 ",
    ),
    (
        "record open",
        |home| mode(sealed(home), 0o640),
        "layout",
        Code::FileForbidden,
        ".sealed",
        "`chmod 600 ",
    ),
    (
        "an operator's key gone",
        |home| fs::remove_file(home.join("keys/operator.owner.key")).unwrap(),
        "keys",
        Code::StoreCorrupt,
        "operator.owner.key",
        "that file alone",
    ),
    (
        "the owner's key gone",
        |home| fs::remove_file(home.join("keys/owner.key")).unwrap(),
        "keys",
        Code::StoreCorrupt,
        "keys/owner.key",
        "that file alone",
    ),
    (
        "its file and every key gone",
        |home| {
            fs::remove_file(home.join("home.toml")).unwrap();
            fs::remove_dir_all(home.join("keys")).unwrap();
            fs::create_dir(home.join("keys")).unwrap();
            mode(home.join("keys"), 0o700);
        },
        "home.toml",
        Code::StoreCorrupt,
        "home.toml",
        "umask 077",
    ),
    (
        "key a link",
        |home| {
            fs::remove_file(home.join("keys/vault.key")).unwrap();
            std::os::unix::fs::symlink("node-signing.key", home.join("keys/vault.key")).unwrap();
        },
        "layout",
        Code::StoreCorrupt,
        "vault.key",
        "put the file itself",
    ),
    (
        "the journal on another disk",
        |home| moved_and_linked(&journal(home)),
        "layout",
        Code::StoreCorrupt,
        "000001.fcj",
        "`cp -p --remove-destination ",
    ),
    (
        "home.toml elsewhere",
        |home| moved_and_linked(&home.join("home.toml")),
        "layout",
        Code::StoreCorrupt,
        "home.toml",
        "`cp -p --remove-destination ",
    ),
    (
        "the keys elsewhere",
        |home| moved_and_linked(&home.join("keys")),
        "layout",
        Code::StoreCorrupt,
        "keys",
        " && cp -aT ",
    ),
    (
        "index a file",
        |home| {
            fs::remove_dir_all(home.join("index")).ok();
            fs::write(home.join("index"), "").unwrap();
        },
        "layout",
        Code::StoreCorrupt,
        "index",
        "`mv ",
    ),
    (
        "publishers a pipe",
        |home| pipe(&home.join("publishers.txt")),
        "publishers.txt",
        Code::ConfigInvalid,
        "publishers.txt",
        "",
    ),
    ("lock a pipe", |home| pipe(&home.join("lock")), "layout", Code::StoreCorrupt, "lock", "`mv "),
    (
        "lock a folder",
        |home| {
            fs::remove_file(home.join("lock")).ok();
            fs::create_dir(home.join("lock")).unwrap();
        },
        "layout",
        Code::StoreCorrupt,
        "lock",
        "`mv ",
    ),
    (
        "a pipe in the journal",
        |home| pipe(&home.join("journal/zzz")),
        "layout",
        Code::StoreCorrupt,
        "zzz",
        "`mv ",
    ),
    (
        "publishers",
        |home| fs::write(home.join("publishers.txt"), "no key\n").unwrap(),
        "publishers.txt",
        Code::ConfigInvalid,
        "publishers.txt",
        "line",
    ),
    (
        "publishers open",
        |home| mode(home.join("publishers.txt"), 0o666),
        "layout",
        Code::FileForbidden,
        "publishers.txt",
        "`chmod 600 ",
    ),
    (
        "settings",
        |home| fs::write(home.join("config.toml"), "version = 1\nspeed = 9\n").unwrap(),
        "config.toml",
        Code::ConfigInvalid,
        "",
        "line",
    ),
    (
        "admission",
        |home| {
            let text = format!(
                "version = 1\n[listen]\ntcp = \"127.0.0.1:1\"\ntcp_token_file = \"{}/token\"\n",
                home.display()
            );
            fs::write(home.join("config.toml"), text).unwrap();
        },
        "admission",
        Code::ConfigInvalid,
        "token",
        "umask 077",
    ),
    (
        "admission too short",
        |home| {
            let text = format!(
                "version = 1\n[listen]\ntcp = \"127.0.0.1:1\"\ntcp_token_file = \"{}/token\"\n",
                home.display()
            );
            fs::write(home.join("config.toml"), text).unwrap();
            fs::write(home.join("token"), "hunter2").unwrap();
            mode(home.join("token"), 0o600);
        },
        "admission",
        Code::ConfigInvalid,
        "token",
        "umask 077",
    ),
    (
        "home.toml gone",
        |home| fs::remove_file(home.join("home.toml")).unwrap(),
        "home.toml",
        Code::StoreCorrupt,
        "home.toml",
        "printf",
    ),
    (
        "home.toml cut",
        |home| truncate(&home.join("home.toml"), |length| length / 2),
        "home.toml",
        Code::StoreCorrupt,
        "home.toml",
        "restore",
    ),
    (
        "home.toml newer",
        |home| {
            let text =
                fs::read_to_string(home.join("home.toml")).unwrap().replace("version = 1", "version = 9");
            fs::write(home.join("home.toml"), text).unwrap();
        },
        "home.toml",
        Code::HomeTooNew,
        "home.toml",
        "release",
    ),
    (
        "journal flipped",
        |home| flip(&journal(home), |_| 3000),
        "journal",
        Code::StoreCorrupt,
        "000001.fcj",
        "restore",
    ),
    (
        "journal header",
        |home| flip(&journal(home), |_| 20),
        "journal",
        Code::StoreCorrupt,
        "000001.fcj",
        "restore",
    ),
    (
        "journal gone",
        |home| fs::remove_file(journal(home)).unwrap(),
        "records",
        Code::StoreCorrupt,
        "journal",
        "restore",
    ),
    (
        "secret gone",
        |home| fs::remove_file(home.join("keys/node.secret")).unwrap(),
        "keys",
        Code::StoreCorrupt,
        "node.secret",
        "restore",
    ),
    (
        "secret cut",
        |home| truncate(&home.join("keys/node.secret"), |_| 31),
        "keys",
        Code::StoreCorrupt,
        "keys",
        "",
    ),
    (
        "key flipped",
        |home| flip(&home.join("keys/vault.key"), |length| length - 4),
        "keys",
        Code::StoreCorrupt,
        "keys",
        "restore",
    ),
    (
        "key gone",
        |home| fs::remove_file(home.join("keys/zone.z_work.key")).unwrap(),
        "keys",
        Code::StoreCorrupt,
        "keys/zone.z_work.key",
        "keys/zone.z_work.key from a backup",
    ),
    (
        "secret flipped",
        |home| flip(&sealed(home), |length| length / 2),
        "vault",
        Code::VaultInvalid,
        ".sealed",
        "fwc auth set",
    ),
    (
        "sealed cut",
        |home| truncate(&sealed(home), |_| 10),
        "vault",
        Code::VaultInvalid,
        ".sealed",
        "fwc auth set",
    ),
    (
        "sealed gone",
        |home| fs::remove_file(sealed(home)).unwrap(),
        "vault",
        Code::CredentialMissing,
        "vault",
        "fwc auth set",
    ),
    (
        "socket",
        |home| {
            fs::create_dir_all(home.join("run")).unwrap();
            mode(home.join("run"), 0o700);
            fs::write(home.join("run/fcp.sock"), "").unwrap();
        },
        "socket",
        Code::StoreCorrupt,
        "fcp.sock",
        "mv ",
    ),
];

//= docs/spec/home.md#examination
#[test]
fn each_damage_is_named_with_its_place_its_reason_and_its_remedy() {
    for (name, damage, check, code, place, remedy) in DAMAGES {
        let (_guard, home) = home();
        damage(&home);
        let before = everything(&home);
        let looks = examine(&home);
        let named = problems(&looks).into_iter().find(|look| {
            look.check == *check
                && look.code == Some(*code)
                && look.place.as_deref().unwrap_or_default().contains(place)
                && look.remedy.as_deref().unwrap_or_default().contains(remedy)
        });
        let named = named.unwrap_or_else(|| panic!("{name}: {looks:#?}"));
        assert!(named.why.is_some() && named.remedy.is_some(), "{name}: {named:?}");
        assert!(
            !named.detail.starts_with(&format!("{check}: ")),
            "{name}: its place is said twice: {named:?}"
        );
        assert!(everything(&home) == before, "{name}: it changed the home");
    }
}

/// Whoever is told to restore a sound journal loses what came after the backup.
//= docs/spec/home.md#keys
#[test]
fn missing_keys_of_zones_are_named_by_a_start_and_nothing_else_is_blamed() {
    let (_guard, home) = home();
    let missing = ["z_private", "z_work"].map(|zone| home.join(format!("keys/zone.{zone}.key")));
    for file in &missing {
        fs::remove_file(file).unwrap();
    }
    let looks = examine(&home);
    let named: Vec<_> = problems(&looks).iter().map(|look| look.place.clone().unwrap()).collect();
    assert_eq!(named, missing.each_ref().map(|file| file.display().to_string()), "{looks:#?}");
    let started =
        Command::new(env!("CARGO_BIN_EXE_fcp-host")).arg("daemon").arg("--home").arg(&home).output().unwrap();
    let said = String::from_utf8(started.stderr).unwrap();
    let said = said.lines().last().unwrap();
    assert!(!started.status.success() && said.contains("FCP-8007"), "{said}");
    assert!(missing.iter().any(|file| said.contains(&format!("restore {} from", file.display()))), "{said}");
    assert!(!said.contains("journal") && !said.contains("the record"), "{said}");
}

//= docs/spec/home.md#examination
#[tokio::test]
async fn what_is_rebuilt_or_cut_by_a_start_is_a_warning() {
    let (_guard, home) = home();
    Daemon::start_after_long(&home).await.stop();
    let index = home.join("index/objects.redb");
    flip(&index, |length| length / 2);
    truncate(&index, |length| length / 2 + 7);
    let last = fs::read_dir(home.join("journal")).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let length = fs::metadata(&last).unwrap().len();
    truncate(&last, |_| length - 5);
    let looks = examine(&home);
    let warned: Vec<_> = looks
        .iter()
        .filter(|look| look.finding == Finding::Warning)
        .map(|look| look.check.as_str())
        .collect();
    assert!(warned.contains(&"journal") && warned.contains(&"index"), "{looks:#?}");
    assert!(
        !problems(&looks).iter().any(|look| look.check == "journal" || look.check == "index"),
        "{looks:#?}"
    );
    let lock = looks.iter().find(|look| look.check == "lock").unwrap();
    assert!(lock.finding == Finding::Ok && lock.detail.contains("no daemon runs"), "{lock:?}");
}

//= docs/spec/home.md#examination
#[tokio::test]
async fn a_damaged_copy_of_a_manifest_is_written_again_by_the_remedy() {
    let (_guard, home) = home();
    Daemon::start_after_long(&home).await.stop();
    let copy = only(&home.join("connectors"));
    let whole = fs::read(&copy).unwrap();
    let named = |looks: Vec<Look>| looks.into_iter().find(|look| look.check == "connectors");
    assert_eq!(named(examine(&home)), None);
    truncate(&copy, |length| length / 2);
    fs::write(home.join("connectors/other.toml"), "[manifest").unwrap();
    mode(home.join("connectors/other.toml"), 0o600);
    let looks = examine(&home);
    let warned = looks.iter().filter(|look| look.check == "connectors");
    assert_eq!(warned.count(), 2, "{looks:#?}");
    let look = named(looks).unwrap();
    assert_eq!((look.finding, look.code), (Finding::Warning, Some(Code::ManifestInvalid)));
    assert!(look.remedy.unwrap().contains("fwc up"));
    Daemon::start_after_long(&home).await.stop();
    assert_eq!(named(examine(&home)), None);
    assert_eq!(fs::read(&copy).unwrap(), whole);
}

/// A remedy that is `fwc up` leads nowhere: it cannot start beside what listens.
//= docs/spec/api.md#transport
#[test]
fn whoever_listens_in_the_daemons_place_is_named_by_examination_and_start_alike() {
    let (_guard, home) = home();
    fs::create_dir_all(home.join("run")).unwrap();
    mode(home.join("run"), 0o700);
    let socket = home.join("run/fcp.sock");
    let stranger = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let remedy = format!("`rm {}`", socket.display());
    let looks = examine(&home);
    let named = looks.iter().find(|look| look.check == "socket").unwrap();
    assert_eq!((named.finding, named.code), (Finding::Problem, Some(Code::AddressInUse)), "{named:?}");
    assert!(named.detail.contains(&std::process::id().to_string()), "{named:?}");
    assert!(named.remedy.as_deref().unwrap().contains(&remedy), "{named:?}");
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_fcp-host"));
    let daemon = daemon.env("FCP_ACCEPT_CLOCK", "1").arg("daemon").arg("--home").arg(&home).output().unwrap();
    let said = String::from_utf8(daemon.stderr).unwrap();
    let last = said.lines().last().unwrap();
    assert!(last.contains("FCP-8006") && last.contains(&remedy), "{last}");
    drop(stranger);
    mode(socket.clone(), 0o600);
    let looks = examine(&home);
    assert!(looks.iter().any(|look| look.check == "socket" && look.finding == Finding::Ok), "{looks:#?}");
}

//= docs/spec/home.md#examination
#[tokio::test]
async fn a_running_daemon_is_not_disturbed() {
    let (_guard, home) = folder();
    let daemon = Daemon::start(&home).await;
    let looks = examine(&home);
    assert!(problems(&looks).is_empty(), "{looks:#?}");
    let journal = looks.iter().find(|look| look.check == "journal").unwrap();
    assert_eq!(journal.finding, Finding::Unknown);
    assert!(daemon.stop().0.success());
}

//= docs/spec/home.md#examination
#[tokio::test]
async fn sealed_credentials_are_looked_at_beside_a_running_daemon() {
    let (_guard, home) = home();
    let daemon = Daemon::start_after_long(&home).await;
    let of_vault = |looks: Vec<Look>| looks.into_iter().find(|look| look.check == "vault").unwrap();
    let sound = of_vault(examine(&home));
    assert!(sound.finding == Finding::Ok && sound.detail.contains("each opens"), "{sound:?}");
    flip(&sealed(&home), |length| length / 2);
    let damaged = of_vault(examine(&home));
    assert_eq!(damaged.code, Some(Code::VaultInvalid), "{damaged:?}");
    daemon.stop();
}

//= docs/spec/home.md#configtoml
#[tokio::test]
async fn tables_for_connectors_that_are_not_installed_are_told() {
    let (_guard, home) = home();
    let text = "version = 1\n[[supervision]]\nconnector = \"acme.gone\"\nrestart = \"never\"\n\
                [[health]]\nconnector = \"acme.later\"\nzone = \"z:work\"\ncredential = \"key\"\n";
    fs::write(home.join("config.toml"), text).unwrap();
    mode(home.join("config.toml"), 0o600);
    let warned = |look: &&Look| look.check == "config.toml" && look.finding == Finding::Warning;
    let found: Vec<_> = examine(&home).iter().filter(warned).map(|look| look.detail.clone()).collect();
    let daemon = Daemon::start_after_long(&home).await;
    let status = daemon.client().get::<GetStatus>(&[], &Nothing {}).await.unwrap().body;
    let said = status.warnings.into_iter().filter(|it| it.kind == WarningKind::Settings);
    assert_eq!(said.map(|it| it.message).collect::<Vec<_>>(), found);
    assert!(found[0].contains("`[[health]]`") && found[0].contains("acme.later"), "{found:?}");
    assert!(found[1].contains("`[[supervision]]`") && found[1].contains("acme.gone"), "{found:?}");
    daemon.stop();
}

#[test]
fn a_folder_that_is_no_home_is_said_to_be_none() {
    let (guard, home) = folder();
    let looks = examine(&home);
    assert_eq!(looks[0].code, Some(Code::HomeMissing), "{looks:?}");
    fs::create_dir(&home).unwrap();
    mode(home.clone(), 0o700);
    assert!(problems(&examine(&home)).is_empty());
    fs::write(home.join("letter"), "dear").unwrap();
    mode(home.join("letter"), 0o600);
    let looks = examine(&home);
    assert_eq!(problems(&looks)[0].code, Some(Code::Conflict), "{looks:?}");
    drop(guard);
}

/// The text that puts a lost `home.toml` back is the one that was there.
//= docs/spec/home.md#examination
#[test]
fn a_lost_home_file_is_written_again_by_the_remedy() {
    let (_guard, home) = home();
    let file = home.join("home.toml");
    let before = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let looks = examine(&home);
    let remedy = looks.iter().find(|look| look.check == "home.toml").unwrap().remedy.clone().unwrap();
    let ended = Command::new("sh").arg("-c").arg(remedy.trim_matches('`')).status().unwrap();
    assert!(ended.success());
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    assert!(problems(&examine(&home)).iter().all(|look| look.check.starts_with("connector ")));
}
