//! Homes that are made, half-made, newer, foreign or open; settings that are wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{KeyId, NodeId, PrincipalId};
use fcp_proto_core::manifest::Restart;
use fcp_runtime_tokio::storage::error::{Step, StorageError};
use fcp_runtime_tokio::storage::{Options, Storage};
use fcp_state_machines::call::supervisor;

use super::faulty::{FAULTS, Faulty};
use super::*;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn facts() -> HomeFacts {
    HomeFacts {
        home_id: [0xab; 32],
        node: NodeId::new("laptop").unwrap(),
        operator: PrincipalId::new("alice").unwrap(),
        owner_key: KeyId::from_bytes([1; 8]),
    }
}

#[test]
fn a_home_is_made_for_its_owner_alone_and_made_again_without_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep").join("home");
    assert_eq!(Home::open(&path).unwrap_err().code(), Code::HomeMissing);
    let home = Home::create(&path).unwrap();
    for part in ["", "keys", "vault", "journal", "index", "packages", "agents", "run"] {
        assert_eq!(mode(&path.join(part)), 0o700, "{part}");
    }
    assert_eq!(mode(&path.join("config.toml")), 0o600);
    assert_eq!(home.config().unwrap(), Config::default());
    assert_eq!(home.state().unwrap(), HomeState::New);
    home.write_facts(&facts()).unwrap();
    fs::write(path.join("config.toml"), "version = 1\n[limits]\ncalls = 3\n").unwrap();
    let again = Home::create(&path).unwrap();
    assert_eq!(again.state().unwrap(), HomeState::Made(facts()));
    assert_eq!(again.config().unwrap().limits.calls, 3);
    assert_eq!(Home::open(&path).unwrap().facts().unwrap(), Some(facts()));
}

#[test]
fn a_home_half_made_is_completed() {
    for fault in FAULTS {
        for at in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("home");
            let files = Faulty::new(at, fault);
            let first = Home::create_in(Arc::new(files.clone()), &path);
            let home = Home::create(&path).unwrap();
            home.remove_leftovers().unwrap();
            assert_eq!(home.state().unwrap(), HomeState::New);
            assert_eq!(home.list(&path).unwrap().len(), 8, "{fault:?} {at}");
            if !files.happened() {
                assert!(first.is_ok());
                break;
            }
        }
    }
}

#[test]
fn folders_that_are_no_home_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "").unwrap();
    let refused = Home::create(folder.path()).unwrap_err();
    assert_eq!(refused, HomeError::NotAHome(folder.path().to_owned()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(refused.remedy().is_some());
    // What the demonstration puts into a folder before it makes a home of it is no other thing; with one, it is.
    fs::create_dir(folder.path().join("quickstart")).unwrap();
    assert_eq!(Home::create(folder.path()).unwrap_err(), HomeError::NotAHome(folder.path().to_owned()));
    let file = folder.path().join("thesis.tex");
    assert_eq!(Home::create(&file).unwrap_err(), HomeError::NoFolder { path: file, leads_to: None });
    let long = folder.path().join("x".repeat(100));
    assert_eq!(Home::create(&long).unwrap_err().code(), Code::OutOfRange);
    assert!(!long.exists());
}

//= docs/spec/home.md#the-home
#[test]
fn what_stands_in_the_way_is_no_fault_of_the_disk() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("home");
    Home::create(&path).unwrap();
    fs::remove_dir(path.join("index")).unwrap();
    fs::write(path.join("index"), "").unwrap();
    for refused in [Home::create(&path).unwrap_err(), Home::open(&path).unwrap_err()] {
        assert_eq!(refused, HomeError::wrong_kind(&path.join("index")));
        assert_eq!(refused.code(), Code::StoreCorrupt);
        assert!(refused.remedy().unwrap().contains("`mv "), "{refused}");
    }
    // A link to a home is refused with what opens that.
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    let real = fs::canonicalize(&path).unwrap();
    for refused in [Home::create(&link).unwrap_err(), Home::open(&link).unwrap_err()] {
        assert_eq!(refused, HomeError::NoFolder { path: link.clone(), leads_to: Some(real.clone()) });
        let remedy = refused.remedy().unwrap();
        assert!(remedy.contains(&format!("`fwc --home {} up`", real.display())), "{remedy}");
    }
    for (kind, code, part) in [
        (std::io::ErrorKind::ReadOnlyFilesystem, Code::FileForbidden, "`mount -o remount,rw "),
        (std::io::ErrorKind::PermissionDenied, Code::FileForbidden, "`ls -ld "),
    ] {
        let refused = HomeError::io("open", &path)(kind.into());
        assert_eq!(refused.code(), code);
        assert!(refused.remedy().unwrap().contains(part), "{refused}");
        let opened = StorageError::Io { step: Step::Open, path: path.clone(), kind };
        assert_eq!((opened.code(), HomeError::from(opened).code()), (code, code));
    }
    let below = path.join("config.toml/home");
    let refused = Home::create(&below).unwrap_err();
    assert_ne!(refused.code(), Code::StoreFailed, "{refused}");
    assert!(refused.remedy().unwrap().contains("fwc --home DIR up"), "{refused}");
}

/// As a journal's segment is opened, by a start and by an examination.
//= docs/spec/home.md#the-home
#[test]
fn a_linked_part_of_the_journal_is_put_in_its_place_and_not_blamed_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("home");
    Home::create(&path).unwrap();
    Storage::open(&path, &Options::default()).unwrap().0.close().unwrap();
    let (segment, away) = (path.join("journal/000001.fcj"), folder.path().join("away"));
    fs::rename(&segment, &away).unwrap();
    std::os::unix::fs::symlink(&away, &segment).unwrap();
    let refused = HomeError::from(Storage::open(&path, &Options::default()).unwrap_err());
    let found = Misplaced::LinkToFile(fs::canonicalize(&away).unwrap());
    assert_eq!(refused, HomeError::WrongKind { path: segment, found });
    assert_eq!(refused.code(), Code::StoreCorrupt);
}

#[test]
fn a_home_open_to_others_or_of_another_user_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("home");
    Home::create(&path).unwrap();
    for part in ["", "keys", "vault", "journal", "run"] {
        let part = path.join(part);
        for bad in [0o750, 0o705, 0o710] {
            chmod(&part, bad);
            let refused = Home::open(&path).unwrap_err();
            assert_eq!(refused.code(), Code::FileForbidden, "{refused}");
            assert!(refused.remedy().unwrap().contains("chmod"));
        }
        chmod(&part, 0o700);
    }
    Home::open(&path).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(path.join("keys"), Some(12_345), None).unwrap();
        let refused = Home::open(&path).unwrap_err();
        assert_eq!(refused, HomeError::ForeignOwner { path: path.join("keys"), uid: 12_345 });
    } else {
        // The root folder is never ours.
        let refused = check_private(Path::new("/"), Kind::Folder).unwrap_err();
        assert_eq!(refused, HomeError::ForeignOwner { path: "/".into(), uid: 0 });
    }
}

#[test]
fn a_newer_home_is_refused_by_name_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("home");
    let home = Home::create(&path).unwrap();
    home.write_facts(&facts()).unwrap();
    fs::write(path.join("home.toml"), "version = 2\nsomething_new = true\n").unwrap();
    let refused = Home::open(&path).unwrap_err();
    assert_eq!(refused.code(), Code::HomeTooNew);
    assert!(refused.to_string().contains("home.toml has format version 2"), "{refused}");
    assert_eq!(Home::create(&path).unwrap_err(), refused);
    for bad in ["", "version = 1\n", "version = 0\n", "not toml", "\u{0}"] {
        fs::write(path.join("home.toml"), bad).unwrap();
        let refused = Home::open(&path).unwrap_err();
        assert_eq!(refused.code(), Code::StoreCorrupt, "{bad:?}: {refused}");
        assert!(refused.to_string().contains("home.toml"));
    }
}

#[test]
fn a_confirmed_ceremony_makes_a_home_half_made() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::create(&folder.path().join("home")).unwrap();
    atomic_file::write(&home.ceremony_record(), b"x").unwrap();
    assert_eq!(home.state().unwrap(), HomeState::HalfMade);
    home.write_facts(&facts()).unwrap();
    assert_eq!(home.state().unwrap(), HomeState::HalfMade, "the record goes last");
}

#[test]
fn the_commented_settings_are_the_defaults() {
    let commented = config::DEFAULT_FILE;
    assert_eq!(Config::parse(commented.as_bytes()).unwrap(), Config::default());
    // With every setting but those of the listener in force, the file says the same.
    let listens = |line: &&str| ["socket", "tcp"].iter().any(|key| line.starts_with(&format!("# {key}")));
    let lines = commented.lines().filter(|line| !listens(line)).map(|line| {
        let setting = line.strip_prefix("# ").filter(|rest| rest.contains(" = "));
        setting.unwrap_or(line)
    });
    let active: String = lines.map(|line| format!("{line}\n")).collect();
    assert!(active.contains("\ncalls = 64\n"));
    assert_eq!(Config::parse(active.as_bytes()).unwrap(), Config::default());
}

#[test]
fn a_health_credential_is_named_once_for_a_connector_in_a_zone() {
    let entry = "[[health]]\nconnector = \"github\"\nzone = \"z:work\"\ncredential = \"main\"\n";
    let once = Config::parse(format!("version = 1\n{entry}").as_bytes()).unwrap();
    assert_eq!(once.health[0].credential.as_str(), "main");
    assert_eq!(Config::default().changes(&once)[0].to, "github in z:work: main");
    let twice = Config::parse(format!("version = 1\n{entry}{entry}").as_bytes()).unwrap_err();
    assert_eq!(twice.field.as_deref(), Some("health"), "{twice}");
    let wrong = Config::parse(format!("version = 1\n{}", entry.replace("z:work", "work")).as_bytes());
    assert!(wrong.is_err(), "{wrong:?}");
}

#[test]
//= docs/spec/supervisor.md#choices
fn the_owner_chooses_how_a_connector_is_supervised_and_what_is_left_out_stays() {
    let text = b"version = 1\n[[supervision]]\nconnector = \"a\"\nrestart = \"never\"\ncrash_limit = 2\n";
    let config = Config::parse(text).unwrap();
    let given = supervisor::Config::default();
    let over = config.supervision[0].over(given.clone());
    let expected = supervisor::Config { restart: Restart::Never, crash_limit: 2, ..given.clone() };
    assert_eq!(over, expected);
    let change = &Config::default().changes(&config)[0];
    assert_eq!((change.field, change.applies), ("supervision", Applies::AtRestart));
    let text = b"version = 1\n[[supervision]]\nconnector = \"a\"\nbackoff_first_ms = 20\nbackoff_max_ms = 30\ncrash_window_secs = 40\n";
    let over = Config::parse(text).unwrap().supervision[0].over(given);
    assert_eq!(over.restart, Restart::OnFailure);
    let (first, most, window) = (over.backoff_first, over.backoff_max, over.crash_window);
    assert_eq!([first.as_millis(), most.as_millis(), window.as_millis()], [20, 30, 40_000]);
}

#[test]
fn wrong_settings_are_named_by_line_and_field() {
    for (text, line, field, reason) in [
        ("", 1, None, "version"),
        ("version = 1\nport = 1\n", 2, Some("port"), "unknown field"),
        ("version = 1\n\n[limits]\ncals = 1\n", 4, Some("limits.cals"), "unknown field"),
        ("version = 1\n[limit]\n", 2, Some("limit"), "unknown field"),
        ("version = 1\n[limits]\ncalls = \"3\"\n", 3, Some("limits.calls"), "invalid type"),
        ("version = 1\n[limits]\n# calls = 0\ncalls = 0\n", 4, Some("limits.calls"), "from 1 to 10000"),
        ("version = 1\n[limits]\ncalls = -1\n", 3, Some("limits.calls"), "invalid value"),
        ("version = 1\n[log]\nlevel = \"loud\"\n", 3, Some("log.level"), "unknown variant"),
        ("version = 1\n[sessions]\nsession_secs = 10\n", 3, Some("sessions.session_secs"), "from 60"),
        ("version = 1\nlimits = [1, 2, 3, 4, 5]\n", 2, Some("limits"), "invalid type: sequence"),
        ("version = 1\nlog = [\"error\"]\n", 2, Some("log"), "invalid type: sequence"),
        (
            "version = 1\nhealth = [[\"github\", \"z:work\", \"main\"]]\n",
            2,
            Some("health"),
            "invalid type: sequence",
        ),
        (
            "version = 1\n[listen]\ntcp = \"0.0.0.0:1\"\ntcp_token_file = \"/t\"\n",
            3,
            Some("listen.tcp"),
            "loopback",
        ),
        ("version = 1\n[listen]\ntcp = \"127.0.0.1:1\"\n", 3, Some("listen.tcp"), "tcp_token_file"),
        ("version = 1\n[listen]\ntcp_token_file = \"/t\"\n", 3, Some("listen.tcp_token_file"), "no use"),
        ("version = 1\n[log]\nfile_mib = 0\n", 3, Some("log.file_mib"), "from 1 to 1024"),
        ("version = 1\n[[supervision]]\nrestart = \"never\"\n", 2, Some("supervision"), "connector"),
        (
            "version = 1\n[[supervision]]\nconnector = \"a\"\nrestart = \"sometimes\"\n",
            4,
            Some("supervision.restart"),
            "sometimes",
        ),
        (
            "version = 1\n[[supervision]]\nconnector = \"a\"\ncrash_limit = 3\n\
             [[supervision]]\nconnector = \"b\"\ncrash_limit = 0\n",
            7,
            Some("supervision.crash_limit"),
            "from 1 to 100",
        ),
        (
            "version = 1\n[[supervision]]\nconnector = \"a\"\n[[supervision]]\nconnector = \"a\"\n",
            5,
            Some("supervision.connector"),
            "already",
        ),
        (
            "version = 1\n[[supervision]]\nconnector = \"a\"\nbackoff_first_ms = 60001\n",
            2,
            Some("supervision.backoff_max_ms"),
            "at least",
        ),
        ("version = 1\nversion = 1\n", 2, Some("version"), "duplicate"),
        ("version = 1\n[log\n", 2, Some("log"), ""),
    ] {
        let error = Config::parse(text.as_bytes()).unwrap_err();
        assert_eq!((error.line, error.field.as_deref()), (line, field), "{text:?}: {error}");
        assert!(error.reason.contains(reason), "{text:?}: {error}");
        assert_eq!(error.code(), Code::ConfigInvalid);
    }
    let newer = Config::parse(b"version = 2\nnew = 1\n").unwrap_err();
    assert_eq!((newer.code(), newer.line), (Code::HomeTooNew, 1));
    assert_eq!(Config::parse(b"version = 1\n\xff").unwrap_err().line, 2);
}

#[test]
//= docs/spec/home.md#configtoml
fn no_other_socket_than_the_homes_own_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::create(&folder.path().join("home")).unwrap();
    let config = home.path().join("config.toml");
    let named = |socket: &Path| format!("version = 1\n[listen]\nsocket = \"{}\"\n", socket.display());
    fs::write(&config, named(&home.socket())).unwrap();
    home.config().unwrap();
    assert_eq!(mode(&config), 0o600);
    fs::write(&config, named(&folder.path().join("other.sock"))).unwrap();
    let refused = home.config().unwrap_err();
    assert_eq!(refused.code(), Code::ConfigInvalid);
    let why = refused.to_string();
    assert!(why.contains("line 3, `listen.socket`") && why.contains("run/fcp.sock"), "{why}");
}

#[test]
fn a_reload_names_what_changes_and_when() {
    let old = Config::parse(b"version = 1\n").unwrap();
    assert!(old.changes(&Config::default()).is_empty());
    let text =
        "version = 1\n[listen]\ntcp = \"127.0.0.1:9\"\ntcp_token_file = \"/t\"\n[log]\nlevel = \"debug\"\n";
    let new = Config::parse(text.as_bytes()).unwrap();
    let changes = old.changes(&new);
    let named: Vec<_> = changes.iter().map(|change| (change.field, change.applies)).collect();
    let expected = [
        ("listen.tcp", Applies::AtRestart),
        ("listen.tcp_token_file", Applies::AtRestart),
        ("log.level", Applies::Now),
    ];
    assert_eq!(named, expected);
    assert_eq!((changes[2].from.as_str(), changes[2].to.as_str()), ("Info", "Debug"));
}

#[test]
fn leftovers_of_interrupted_writes_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("home");
    Home::create(&path).unwrap();
    let leftover = path.join(".home.toml.0123456789abcdef.new");
    fs::write(&leftover, "half").unwrap();
    Home::open(&path).unwrap().remove_leftovers().unwrap();
    assert!(!leftover.exists());
}
