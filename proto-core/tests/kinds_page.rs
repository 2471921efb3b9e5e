//! The tables of `docs/spec/kinds.md` and `docs/spec/values.md` are those of the code: every kind of object is there with
//! its fields, every struct of the objects has a table, and each kind has objects that are taken and that are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fcp_proto_core::encoding::cbor::{self, ByteString, Map, ShapeError, Value};
use fcp_proto_core::encoding::json::{Json, parse};
use fcp_proto_core::object::{
    AnyObject, GossipMessage, MeshObject, SCHEMA_HASH_BYTES, Schema, StoredObject, SymbolMessage,
};

/// The fields of a table in their order, and whether each may be left out.
type Fields = Vec<(String, bool)>;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The tables of fields on a page, under the names of their headings.
fn tables(page: &str) -> BTreeMap<String, Fields> {
    let mut tables = BTreeMap::new();
    for section in page.split("\n### `").skip(1) {
        let (name, rest) = section.split_once('`').expect("a name");
        let rest = rest.split("\n#").next().unwrap_or_default();
        let fields: Fields =
            rest.lines().filter(|line| line.starts_with("| `")).skip_while(is_choice).map(field).collect();
        assert!(tables.insert(name.into(), fields).is_none(), "{name} stands twice");
    }
    tables
}

/// The head of a table of shapes, which are no fields.
fn is_choice(line: &&str) -> bool {
    line.starts_with("| `type` |")
}

fn field(row: &str) -> (String, bool) {
    let cell = row.split('|').nth(1).expect("a cell").trim();
    (cell.trim_end_matches('?').trim_matches('`').into(), cell.ends_with('?'))
}

fn schemas() -> impl Iterator<Item = &'static Schema> {
    [AnyObject::SCHEMAS, MeshObject::SCHEMAS, GossipMessage::SCHEMAS, SymbolMessage::SCHEMAS]
        .into_iter()
        .flatten()
}

/// The cases of a file of vectors by the kind of their object: the objects.
fn cases(file: &str) -> BTreeMap<String, Vec<Vec<u8>>> {
    let text = read(file);
    let document = parse(text.as_bytes(), text.len()).expect("JSON");
    let mut found: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for case in document.get("cases").and_then(Json::as_array).expect("cases") {
        let text = |name| case.get(name).and_then(Json::as_str).expect("a text");
        found
            .entry(text("schema").into())
            .or_default()
            .push(hex::decode(text("object")).expect("hexadecimal"));
    }
    found
}

/// What the object's reader says.
fn judge(stored: &StoredObject) -> Result<(), ShapeError> {
    let is_in = |set: &[Schema]| set.iter().any(|schema| stored.header.schema == schema.id());
    if is_in(AnyObject::SCHEMAS) {
        AnyObject::open(stored).map(drop)
    } else if is_in(MeshObject::SCHEMAS) {
        MeshObject::open(stored).map(drop)
    } else if is_in(GossipMessage::SCHEMAS) {
        GossipMessage::open(stored).map(drop)
    } else {
        SymbolMessage::open(stored).map(drop)
    }
}

//= docs/spec/kinds.md#kinds-of-objects
#[test]
fn every_kind_has_a_table_a_vector_and_one_that_is_refused() {
    let known: BTreeSet<String> = schemas().map(|schema| schema.id().to_string()).collect();
    let told: BTreeSet<String> = tables(&read("docs/spec/kinds.md")).into_keys().collect();
    assert_eq!(told, known);
    for file in ["vectors/objects/kinds.json", "vectors/objects/kinds_reject.json"] {
        assert_eq!(cases(file).into_keys().collect::<BTreeSet<_>>(), known, "{file}");
    }
}

/// The page that lists the kinds says the version of each that is not of the first one, and of no other.
//= docs/spec/objects.md#versions
#[test]
fn the_list_of_kinds_tells_each_later_version() {
    let later = schemas().filter(|schema| schema.version != "1.0.0");
    let known: BTreeSet<String> =
        later.map(|schema| format!("{}` version `{}", schema.name, schema.version)).collect();
    let page = read("docs/spec/objects.md");
    let told = page.match_indices("` version `").map(|(at, joint)| {
        let name = page[..at].rsplit('`').next().unwrap_or_default();
        let version = page[at + joint.len()..].split('`').next().unwrap_or_default();
        [name, joint, version].concat()
    });
    assert_eq!(told.collect::<BTreeSet<_>>(), known);
}

/// The body of an object without the field `name`.
fn without(bytes: &[u8], name: &str) -> Option<StoredObject> {
    let mut stored = StoredObject::from_bytes(bytes).expect("a sound object");
    let (hash, body) = stored.body.0.split_at(SCHEMA_HASH_BYTES);
    let Value::Map(map) = cbor::decode(body).expect("canonical") else { panic!("a map") };
    let mut entries = map.into_entries();
    let place = entries.iter().position(|(key, _)| *key == Value::Text(name.into()))?;
    entries.remove(place);
    let rest = cbor::encode(&Value::Map(Map::new(entries).expect("distinct"))).expect("small");
    stored.body = ByteString([hash, &rest].concat());
    Some(stored)
}

/// A field that must be there is missed by its name; one that may be absent is not missed. Each stands in a vector.
#[test]
fn what_may_be_left_out_is_what_the_tables_say() {
    let (tables, cases) = (tables(&read("docs/spec/kinds.md")), cases("vectors/objects/kinds.json"));
    for (kind, fields) in tables {
        for (name, optional) in fields {
            let objects = cases[&kind].iter().filter_map(|object| without(object, &name));
            let missed: Vec<bool> = objects
                .map(|stored| matches!(judge(&stored), Err(ShapeError::MissingField(missing)) if missing == name))
                .collect();
            assert!(!missed.is_empty(), "{kind} has no vector with {name}");
            assert!(missed.iter().all(|missed| *missed != optional), "{kind}: {name}");
        }
    }
}

/// The definitions that a macro makes in the files of a folder: what stands between its braces.
fn definitions(folder: &str, macro_name: &str) -> Vec<String> {
    let opening = format!("{macro_name}! {{");
    let mut found = Vec::new();
    for entry in fs::read_dir(repository().join("proto-core/src").join(folder)).expect("the folder") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(path).expect("UTF-8");
            let bodies = text.split(&opening).skip(1);
            found.extend(bodies.map(|body| body.split("\n}").next().unwrap_or_default().into()));
        }
    }
    found
}

/// The name that a definition has after `keyword`, and what follows it.
fn named<'a>(definition: &'a str, keyword: &str) -> (&'a str, &'a str) {
    let (_, rest) = definition.split_once(keyword).expect("a definition");
    rest.split_once(' ').expect("a name")
}

/// A field that is added to a struct, also to one within an object, is missed here until its table has it.
#[test]
fn every_struct_of_the_objects_has_a_table() {
    let pages = ["docs/spec/kinds.md", "docs/spec/values.md"].map(|page| tables(&read(page)));
    let told: BTreeSet<&Fields> = pages.iter().flat_map(BTreeMap::values).collect();
    // These stand in chapters of their own: what a call's digest covers, the header, the layout.
    let elsewhere = ["CallDigestInput", "Header", "StoredObject"];
    let structs: Vec<_> = ["object", "zone"].iter().flat_map(|it| definitions(it, "cbor_map")).collect();
    assert!(structs.len() > 60, "{}", structs.len());
    for definition in structs {
        let (name, rest) = named(&definition, " struct ");
        let fields = rest.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": "));
        let fields: Fields = fields.map(|(name, kind)| (name.into(), kind.starts_with("Option<"))).collect();
        assert!(told.contains(&fields) || elsewhere.contains(&name), "{name} has no table: {fields:?}");
    }
}

/// The order of words is that of their sets, so it is held too.
#[test]
fn every_choice_of_words_is_told_in_its_order() {
    let page = read("docs/spec/values.md");
    let section = page.split("\n## ").find(|it| it.starts_with("Words")).expect("the section");
    let told: BTreeMap<&str, Vec<&str>> = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|row| {
            let mut quoted = row.split('`').skip(1).step_by(2);
            (quoted.next().expect("a name"), quoted.collect())
        })
        .collect();
    let folders = ["object", "zone", "crypto", "crypto/hpke", "token"];
    let enums: Vec<_> = folders.iter().flat_map(|it| definitions(it, "cbor_enum")).collect();
    // These stand in no object: words of manifests and of key files.
    let elsewhere = ["Approval", "Idempotency", "KeyRole"];
    for definition in &enums {
        let (name, rest) = named(definition, "pub enum ");
        let words: Vec<_> = rest.split(" = \"").skip(1).filter_map(|it| it.split('"').next()).collect();
        assert!(elsewhere.contains(&name) || told.get(name) == Some(&words), "{name}: {words:?}");
    }
    assert_eq!(told.len() + elsewhere.len(), enums.len());
}

/// The shapes of a choice, each with its fields.
#[test]
fn every_choice_of_shapes_is_told_in_its_order() {
    let page = read("docs/spec/values.md");
    let choices = definitions("object", "cbor_tagged");
    assert!(choices.len() >= 4, "{}", choices.len());
    for definition in choices {
        let (name, rest) = named(&definition, "pub enum ");
        let section = page.split("\n### `").find(|it| it.starts_with(name)).expect("a section");
        let told: Vec<(String, String)> = section
            .split("\n#")
            .next()
            .unwrap_or_default()
            .lines()
            .filter(|line| line.starts_with("| `") && !line.starts_with("| `type`"))
            .map(|row| row.split('|').map(|cell| cell.trim().replace('`', "")).collect::<Vec<_>>())
            .map(|cells| (cells[1].clone(), cells[2].clone()))
            .collect();
        let mut defined = Vec::new();
        for shape in rest.split(" = \"").skip(1) {
            let (kind, body) = shape.split_once('"').expect("a word");
            let body = body.split("},").next().unwrap_or_default();
            let fields = body.lines().filter(|line| !line.trim().starts_with("///"));
            let fields = fields.filter_map(|line| line.trim().split_once(": "));
            let mut fields: Vec<String> = fields
                .map(|(name, kind)| format!("{name}{}", if kind.starts_with("Option<") { "?" } else { "" }))
                .collect();
            if fields.is_empty() {
                fields.push(String::new());
            }
            defined.extend(fields.into_iter().map(|name| (String::from(kind), name)));
        }
        assert_eq!(told, defined, "{name}");
    }
}
