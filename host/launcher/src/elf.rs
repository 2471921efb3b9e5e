//! Which files of the system a program needs to start: its loader and the libraries it is linked to.
//!
//! The program is hostile, so its wishes are names, never paths: libraries are looked up in the system's folders only,
//! and the loader must lie in one of them. A library a program would load later by itself is not there.

use fcp_launcher::Refusal;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The system's files a program is linked to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Linkage {
    /// The loader; none if the program is static.
    pub(crate) loader: Option<PathBuf>,
    /// The libraries, where the loader will look for them.
    pub(crate) libraries: BTreeSet<PathBuf>,
}

/// Reads what the program is linked to.
pub(crate) fn linkage(code: &File) -> Result<Linkage, Refusal> {
    let program = Elf::read(code).map_err(|error| Refusal::Code(format!("it is not a 64-bit ELF program: {error}")))?;
    let Some(interpreter) = program.interpreter else { return Ok(Linkage::default()) };
    let loader = permitted_loader(&interpreter)
        .ok_or_else(|| Refusal::Code(format!("its loader {interpreter:?} is not one of the system's")))?;
    let mut found = Linkage { libraries: BTreeSet::new(), loader: Some(loader) };
    let mut wanted = program.needed;
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if found.loader.as_deref().and_then(Path::file_name).is_some_and(|file| file == name.as_str())
            || !seen.insert(name.clone())
        {
            continue;
        }
        if seen.len() > MAX_LIBRARIES {
            return Err(Refusal::Code(format!("it needs more than {MAX_LIBRARIES} libraries")));
        }
        let (path, library) = find_library(&name)?;
        found.libraries.insert(path);
        wanted.extend(library.needed);
    }
    Ok(found)
}

fn permitted_loader(interpreter: &str) -> Option<PathBuf> {
    let path = Path::new(interpreter);
    let name = path.file_name()?.to_str()?;
    let folder = path.parent()?.to_str()?;
    let fits = is_plain_name(name) && name.starts_with("ld-") && FOLDERS.contains(&folder);
    (fits && path.to_str() == Some(&format!("{folder}/{name}")) && path.is_file()).then(|| path.to_owned())
}

fn find_library(name: &str) -> Result<(PathBuf, Elf), Refusal> {
    if !is_plain_name(name) {
        return Err(Refusal::Code(format!("it asks for the library {name:?}, which is not a plain name")));
    }
    for folder in FOLDERS {
        let path = Path::new(folder).join(name);
        // A file of another architecture in one of the folders is passed over, as the loader does.
        if let Some(elf) = File::open(&path).ok().and_then(|file| Elf::read(&file).ok()) {
            return Ok((path, elf));
        }
    }
    Err(Refusal::Code(format!("the library {name} it is linked to is not among the system's")))
}

fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
}

/// The parts of an ELF file this module reads.
#[derive(Debug)]
struct Elf {
    interpreter: Option<String>,
    needed: Vec<String>,
}

/// A piece of the file that is loaded at an address.
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    length: u64,
}

impl Elf {
    fn read(file: &File) -> io::Result<Self> {
        let header: [u8; 64] = read_at(file, 0)?;
        if header[..6] != *b"\x7fELF\x02\x01" || u16_at(&header, 18) != MACHINE {
            return Err(invalid("its header is of another format or machine"));
        }
        let (table, size, count) = (u64_at(&header, 32), u16_at(&header, 54), u16_at(&header, 56));
        if size != 56 || count > MAX_SEGMENTS {
            return Err(invalid("its segment table is malformed"));
        }
        let segments: Vec<Segment> =
            (0..u64::from(count)).map(|index| Segment::read(file, table, index)).collect::<io::Result<_>>()?;
        let interpreter = segments.iter().find(|segment| segment.kind == PT_INTERP);
        let interpreter = interpreter.map(|segment| string_at(file, segment.offset)).transpose()?;
        let dynamic = segments.iter().find(|segment| segment.kind == PT_DYNAMIC);
        let needed = dynamic.map(|dynamic| needed(file, dynamic, &segments)).transpose()?.unwrap_or_default();
        Ok(Self { interpreter, needed })
    }
}

impl Segment {
    fn read(file: &File, table: u64, index: u64) -> io::Result<Self> {
        let offset = table.checked_add(index * 56).ok_or_else(|| invalid("its segment table is malformed"))?;
        let row: [u8; 56] = read_at(file, offset)?;
        let (kind, offset) = (u32_at(&row, 0), u64_at(&row, 8));
        Ok(Self { kind, offset, address: u64_at(&row, 16), length: u64_at(&row, 32) })
    }
}

fn needed(file: &File, dynamic: &Segment, segments: &[Segment]) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut strings = None;
    for index in 0..(dynamic.length / 16).min(MAX_DYNAMIC) {
        let offset = dynamic.offset.checked_add(index * 16).ok_or_else(|| invalid("its dynamic table is malformed"))?;
        let row: [u8; 16] = read_at(file, offset)?;
        match u64_at(&row, 0) {
            DT_NULL => break,
            DT_NEEDED => names.push(u64_at(&row, 8)),
            DT_STRTAB => strings = Some(u64_at(&row, 8)),
            _ => {}
        }
    }
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let table = strings.and_then(|address| file_offset(segments, address));
    let table = table.ok_or_else(|| invalid("its string table is missing"))?;
    names
        .into_iter()
        .map(|name| string_at(file, table.checked_add(name).ok_or_else(|| invalid("a name lies outside"))?))
        .collect()
}

fn file_offset(segments: &[Segment], address: u64) -> Option<u64> {
    segments.iter().filter(|segment| segment.kind == PT_LOAD).find_map(|segment| {
        let within = address.checked_sub(segment.address)?;
        if within < segment.length { segment.offset.checked_add(within) } else { None }
    })
}

fn string_at(file: &File, offset: u64) -> io::Result<String> {
    let mut bytes = [0; MAX_STRING];
    let length = file.read_at(&mut bytes, offset)?;
    let end = bytes[..length].iter().position(|byte| *byte == 0).ok_or_else(|| invalid("a string does not end"))?;
    String::from_utf8(bytes[..end].to_vec()).map_err(|_| invalid("a string is not UTF-8"))
}

fn read_at<const N: usize>(file: &File, offset: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Where loaders look by default (ld.so(8), and Debian's multi-architecture folders).
#[cfg(target_arch = "x86_64")]
const FOLDERS: [&str; 6] =
    ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];
#[cfg(target_arch = "aarch64")]
const FOLDERS: [&str; 6] =
    ["/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"];

/// `EM_X86_64` and `EM_AARCH64`, the ELF specification's registry of machines.
#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

// The ELF-64 object file format, program headers and dynamic section.
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;

// Bounds for hostile files; chosen, several times what any real program has.
const MAX_SEGMENTS: u16 = 64;
const MAX_DYNAMIC: u64 = 1024;
const MAX_STRING: usize = 256;
const MAX_LIBRARIES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn this_test_is_linked_to_a_loader_and_a_c_library() {
        let found = linkage(&File::open(std::env::current_exe().unwrap()).unwrap()).unwrap();
        assert!(found.loader.is_some());
        assert!(found.libraries.iter().any(|path| path.to_str().unwrap().contains("libc.")), "{found:?}");
    }

    #[test]
    fn hostile_names_are_refused() {
        for name in ["", ".", "..", "../shadow", "/etc/shadow", "lib/x", ".hidden", "a\nb"] {
            assert!(find_library(name).is_err(), "{name}");
        }
        for path in ["/etc/ld-x", "/lib64/../etc/ld-x", "ld-linux-x86-64.so.2", "/lib64/libc.so.6", "/tmp/ld-linux.so"] {
            assert_eq!(permitted_loader(path), None, "{path}");
        }
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_of_the_head_is_survived() {
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let path = std::env::temp_dir().join(format!("fcp-elf-{}", std::process::id()));
        let mut attempt = |bytes: &[u8]| {
            File::create(&path).unwrap().write_all(bytes).unwrap();
            drop(linkage(&File::open(&path).unwrap()));
        };
        let head = &whole[..4096];
        (0..600).for_each(|length| attempt(&head[..length]));
        for index in 0..600 {
            let mut bytes = head.to_vec();
            bytes[index] ^= 0xff;
            attempt(&bytes);
        }
        std::fs::remove_file(&path).unwrap();
    }
}
