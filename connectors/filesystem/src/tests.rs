use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use fcp_proto_core::error::Code;
use fcp_sdk::Blocking;
use fcp_sdk::testing::{Host, Reply};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Filesystem;

struct Bench {
    directory: TempDir,
    host: Host,
}

/// A secret outside the roots, a root to write in, and one to read from.
impl Bench {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        for path in ["work/sub", "library"] {
            fs::create_dir_all(directory.path().join(path)).unwrap();
        }
        for (path, text) in [
            ("secret.txt", "secret"),
            ("work/a.txt", "alpha"),
            ("work/sub/b.txt", "Beta"),
            ("library/c.txt", "gamma"),
        ] {
            fs::write(directory.path().join(path), text).unwrap();
        }
        let mut host = Host::start::<Blocking<Filesystem>>(None).unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        initialize(&mut host, &[path("work")], &[path("library"), "/dev".to_owned()]).result();
        Self { directory, host }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn call(&mut self, operation: &str, path: &str, more: Value) -> Reply {
        let mut input = json!({ "path": self.at(path).to_str() });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.host.invoke(&format!("filesystem.{operation}"), input)
    }

    fn rename(&mut self, from: &str, to: &str) -> Reply {
        let input = json!({ "from": self.at(from).to_str(), "to": self.at(to).to_str() });
        self.host.invoke("filesystem.move", input)
    }

    /// Names in a directory, sorted.
    fn names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.at(path))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn initialize(host: &mut Host, roots: &[String], read_only: &[String]) -> Reply {
    let config = json!({ "roots": roots, "read_only_roots": read_only });
    host.initialize(json!({ "connector": "filesystem", "zone": "z:work", "config": config }))
}

#[test]
fn the_roots_are_named_as_long_as_they_are_there() {
    let mut bench = Bench::new();
    let answer = bench.host.invoke("filesystem.roots", json!({})).result();
    let roots = answer["output"]["roots"].as_array().unwrap().clone();
    let named = |name: &str| roots.iter().find(|root| root["path"] == json!(bench.at(name))).cloned();
    assert_eq!(named("work").unwrap()["writable"], true);
    assert_eq!(named("library").unwrap()["writable"], false);
    assert_eq!(roots.len(), 3);
    fs::remove_dir_all(bench.at("library")).unwrap();
    assert_eq!(bench.host.invoke("filesystem.roots", json!({})).code(), Code::NotFound);
}

#[test]
fn files_are_listed_described_and_read() {
    let mut bench = Bench::new();
    let list = bench.call("list", "work", json!({})).output();
    assert_eq!(list["entries"][0]["path"], "a.txt");
    assert_eq!((&list["entries"][0]["type"], &list["entries"][0]["size"]), (&json!("file"), &json!(5)));
    assert_eq!((&list["entries"][1]["type"], &list["truncated"]), (&json!("directory"), &json!(false)));
    assert_eq!(bench.call("list", "work", json!({ "limit": 1 })).output()["truncated"], true);
    assert_eq!(bench.call("stat", "work/sub", json!({})).output()["type"], "directory");
    let read = bench.call("read", "library/c.txt", json!({})).output();
    assert_eq!(read, json!({ "size": 5, "offset": 0, "length": 5, "end": true, "text": "gamma" }));
    let part = bench.call("read", "work/a.txt", json!({ "offset": 1, "length": 3 })).output();
    assert_eq!((&part["text"], &part["end"]), (&json!("lph"), &json!(false)));
    assert_eq!(bench.call("read", "work/a.txt", json!({ "offset": 99 })).output()["length"], 0);
    assert_eq!(bench.call("read", "work/absent", json!({})).code(), Code::NotFound);
    assert_eq!(bench.call("read", "work/sub", json!({})).code(), Code::InputInvalid);
    assert_eq!(bench.call("list", "work/a.txt", json!({})).code(), Code::InputInvalid);
}

#[test]
fn bytes_survive_in_both_directions() {
    let mut bench = Bench::new();
    let written = bench.call("write", "work/x.bin", json!({ "content_base64": "AP+AQQ==" })).result();
    assert_eq!((&written["effect"], &written["output"]["size"]), (&json!("made"), &json!(4)));
    assert_eq!(fs::read(bench.at("work/x.bin")).unwrap(), [0, 255, 128, 65]);
    assert_eq!(bench.call("read", "work/x.bin", json!({})).output()["content_base64"], "AP+AQQ==");
}

#[test]
fn no_path_leads_out_of_the_roots() {
    let mut bench = Bench::new();
    symlink(bench.at("secret.txt"), bench.at("work/link")).unwrap();
    symlink(bench.directory.path(), bench.at("work/up")).unwrap();
    symlink("a.txt", bench.at("work/inner")).unwrap();
    for path in [
        "secret.txt",
        "work/../secret.txt",
        "work/sub/../../secret.txt",
        "work/./../secret.txt",
        "work/link",
        "work/up/secret.txt",
        "work/inner",
        "workx/a.txt",
        "work/a\0.txt",
    ] {
        for (operation, more) in [
            ("read", json!({})),
            ("list", json!({})),
            ("search", json!({})),
            ("write", json!({ "text": "x", "overwrite": true })),
        ] {
            let code = bench.call(operation, path, more).code();
            assert!(matches!(code, Code::InputInvalid | Code::NotFound), "{operation} {path:?}: {code}");
        }
    }
    for path in ["", "relative", "/", "/etc/passwd", "//etc/passwd"] {
        let code = bench.host.invoke("filesystem.read", json!({ "path": path })).code();
        assert_eq!(code, Code::InputInvalid, "{path:?}");
    }
    assert_eq!(bench.rename("work/a.txt", "stolen.txt").code(), Code::InputInvalid);
    assert_eq!(bench.rename("secret.txt", "work/stolen.txt").code(), Code::InputInvalid);
    assert_eq!(bench.rename("work/up/secret.txt", "work/stolen.txt").code(), Code::InputInvalid);
    assert_eq!(fs::read_to_string(bench.at("secret.txt")).unwrap(), "secret");
    assert_eq!(fs::read_to_string(bench.at("work/a.txt")).unwrap(), "alpha");
}

#[test]
fn pipes_sockets_and_devices_are_never_opened() {
    let mut bench = Bench::new();
    let fifo = bench.at("work/fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, fifo.to_str().unwrap(), rustix::fs::Mode::RUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(bench.at("work/socket")).unwrap();
    for path in ["work/fifo", "work/socket"] {
        assert_eq!(bench.call("read", path, json!({})).code(), Code::InputInvalid, "{path}");
        assert_eq!(bench.call("stat", path, json!({})).output()["type"], "special", "{path}");
        let over = json!({ "text": "x", "overwrite": true });
        assert_eq!(bench.call("write", path, over).code(), Code::InputInvalid, "{path}");
    }
    let device = bench.host.invoke("filesystem.read", json!({ "path": "/dev/zero" }));
    assert_eq!(device.code(), Code::InputInvalid);
    assert_eq!(bench.call("search", "work", json!({ "text": "alpha" })).output()["entries"][0]["size"], 5);
}

#[test]
fn a_file_is_replaced_only_when_told_and_whole() {
    let mut bench = Bench::new();
    let path = "work/a.txt";
    assert_eq!(bench.call("write", path, json!({ "text": "new" })).code(), Code::Conflict);
    assert_eq!(fs::read_to_string(bench.at(path)).unwrap(), "alpha");
    fs::set_permissions(bench.at(path), fs::Permissions::from_mode(0o4640)).unwrap();
    fs::hard_link(bench.at(path), bench.at("other-name")).unwrap();
    bench.call("write", path, json!({ "text": "new", "overwrite": true })).output();
    assert_eq!(fs::read_to_string(bench.at(path)).unwrap(), "new");
    assert_eq!(fs::metadata(bench.at(path)).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(
        fs::read_to_string(bench.at("other-name")).unwrap(),
        "alpha",
        "another name keeps its content"
    );
    assert_eq!(bench.names("work"), ["a.txt", "sub"]);
    for more in [json!({}), json!({ "text": "a", "content_base64": "" }), json!({ "content_base64": "*" })] {
        assert_eq!(bench.call("write", "work/y", more).code(), Code::InputInvalid);
    }
    assert_eq!(bench.call("write", "work/absent/y", json!({ "text": "a" })).code(), Code::NotFound);
    let large = "x".repeat(4 * 1024 * 1024 + 1);
    assert_eq!(bench.call("write", "work/y", json!({ "text": large })).code(), Code::InputTooLarge);
    assert_eq!(bench.names("work"), ["a.txt", "sub"]);
}

#[test]
fn a_link_is_removed_itself_and_never_its_target() {
    let mut bench = Bench::new();
    symlink(bench.at("secret.txt"), bench.at("work/link")).unwrap();
    assert_eq!(bench.call("stat", "work/link", json!({})).output()["type"], "symlink");
    bench.call("remove", "work/link", json!({})).output();
    assert!(bench.at("secret.txt").exists() && !bench.at("work/link").exists());
}

#[test]
fn directories_are_made_moved_and_removed() {
    let mut bench = Bench::new();
    bench.call("mkdir", "work/new", json!({})).output();
    assert_eq!(bench.call("mkdir", "work/new", json!({})).code(), Code::Conflict);
    bench.rename("work/a.txt", "work/new/z.txt").output();
    assert_eq!(bench.rename("work/new/z.txt", "work/sub/b.txt").code(), Code::Conflict);
    assert_eq!(bench.rename("work/absent", "work/q").code(), Code::NotFound);
    let error = bench.call("remove", "work/new", json!({})).error();
    assert_eq!((&error["data"]["code"], &error["data"]["effect"]), (&json!(Code::Conflict), &json!("none")));
    bench.call("remove", "work/new/z.txt", json!({})).output();
    bench.call("remove", "work/new", json!({})).output();
    assert_eq!(bench.names("work"), ["sub"]);
    assert_eq!(bench.call("remove", "work", json!({})).code(), Code::InputInvalid);
}

#[test]
fn a_read_only_root_stays_as_it_is() {
    let mut bench = Bench::new();
    for (operation, path) in [("write", "library/new"), ("mkdir", "library/new"), ("remove", "library/c.txt")]
    {
        assert_eq!(
            bench.call(operation, path, json!({ "text": "x" })).code(),
            Code::InputInvalid,
            "{operation}"
        );
    }
    assert_eq!(bench.rename("library/c.txt", "work/c.txt").code(), Code::InputInvalid);
    assert_eq!(bench.rename("work/a.txt", "library/a.txt").code(), Code::InputInvalid);
    assert_eq!(bench.names("library"), ["c.txt"]);
}

#[test]
fn a_search_finds_names_and_text_within_the_tree() {
    let mut bench = Bench::new();
    symlink(bench.directory.path(), bench.at("work/sub/up")).unwrap();
    let paths = |output: &Value| -> Vec<String> {
        let entries = output["entries"].as_array().unwrap();
        entries.iter().map(|entry| entry["path"].as_str().unwrap().to_owned()).collect()
    };
    let b = bench.at("work/sub/b.txt").to_str().unwrap().to_owned();
    let found = bench.call("search", "work", json!({ "text": "beta" })).output();
    assert_eq!(paths(&found), std::slice::from_ref(&b));
    let found = bench.call("search", "work", json!({ "name": "B.TX" })).output();
    assert_eq!(paths(&found), [b]);
    let found = bench.call("search", "work", json!({ "text": "secret" })).output();
    assert_eq!(paths(&found), Vec::<String>::new());
    let found = bench.call("search", "work", json!({ "limit": 2 })).output();
    assert_eq!((paths(&found).len(), &found["truncated"]), (2, &json!(true)));
}

#[test]
fn roots_must_be_real_directories() {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("file"), "x").unwrap();
    symlink(directory.path(), Path::new(&path("link"))).unwrap();
    let mut host = Host::start::<Blocking<Filesystem>>(None).unwrap();
    for roots in
        [vec![], vec![path("file")], vec![path("link")], vec![path("absent")], vec!["relative".to_owned()]]
    {
        assert_eq!(initialize(&mut host, &roots, &[]).code(), Code::ConfigInvalid, "{roots:?}");
    }
    fs::create_dir(path("root")).unwrap();
    initialize(&mut host, &[path("root")], &[]).result();
    assert_eq!(host.request("health", json!({})).result()["status"], "ready");
    fs::remove_dir(path("root")).unwrap();
    assert_eq!(host.request("health", json!({})).result()["status"], "error");
}
