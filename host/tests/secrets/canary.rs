//! A secret that is nowhere but where it was put, and the search for it in bytes and files.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::service::forms;

/// Bytes at a time.
const CHUNK: usize = 1 << 16;

/// A credential, and what would give it away.
pub struct Canary {
    pub text: String,
    /// The middle of each of its forms: what frees a block writes over its beginning, and base64 depends on what stands before.
    needles: Vec<Vec<u8>>,
}

impl Canary {
    pub fn new() -> Self {
        let mut bytes = [0; 45];
        getrandom::fill(&mut bytes).unwrap();
        // In each third something that is written otherwise in an address.
        let thirds: Vec<_> = bytes.chunks(15).map(|part| STANDARD.encode(part)).collect();
        let text = thirds.join("+/~");
        let mut needles: Vec<Vec<u8>> = forms(&text).iter().map(|form| middle(form)).collect();
        needles.push(middle(&STANDARD.encode(format!(" {text}"))));
        needles.sort();
        needles.dedup();
        Self { text, needles }
    }
}

fn middle(form: &str) -> Vec<u8> {
    form.as_bytes()[form.len() / 3..form.len() / 3 * 2].to_vec()
}

/// Looks for all forms of all canaries at once.
pub struct Search {
    needles: Vec<Vec<u8>>,
    /// Whether a form begins with these two bytes.
    begins: Vec<bool>,
}

impl Search {
    pub fn of(canaries: &[&Canary]) -> Self {
        let needles: Vec<_> = canaries.iter().flat_map(|canary| canary.needles.clone()).collect();
        let mut begins = vec![false; 1 << 16];
        for needle in &needles {
            begins[usize::from(needle[0]) << 8 | usize::from(needle[1])] = true;
        }
        Self { needles, begins }
    }

    /// The form that stands in `bytes`, if one does.
    pub fn found(&self, bytes: &[u8]) -> Option<String> {
        let mut last = 0;
        for (place, byte) in bytes.iter().enumerate() {
            let pair = last << 8 | usize::from(*byte);
            last = usize::from(*byte);
            if !self.begins[pair] || place == 0 {
                continue;
            }
            let rest = &bytes[place - 1..];
            if let Some(needle) = self.needles.iter().find(|needle| rest.starts_with(needle)) {
                return Some(String::from_utf8_lossy(needle).into_owned());
            }
        }
        None
    }

    /// As [`Search::found`], in what `read` gives for each place on; how many bytes were looked at, too. What was never
    /// written to, or was wiped, is passed over quickly.
    pub fn stream(&self, mut read: impl FnMut(u64, &mut [u8]) -> usize) -> (Option<String>, u64) {
        static NOTHING: [u8; CHUNK] = [0; CHUNK];
        let overlap = self.needles.iter().map(Vec::len).max().unwrap();
        let (mut buffer, mut kept, mut at, mut looked) = (vec![0; overlap + CHUNK], 0, 0, 0);
        loop {
            let length = read(at, &mut buffer[kept..kept + CHUNK]);
            if length == 0 {
                return (None, looked);
            }
            at += length as u64;
            let whole = kept + length;
            if buffer[kept..whole] == NOTHING[..length] {
                kept = 0;
                continue;
            }
            looked += length as u64;
            if let Some(found) = self.found(&buffer[..whole]) {
                return (Some(found), looked);
            }
            let start = whole.saturating_sub(overlap);
            buffer.copy_within(start..whole, 0);
            kept = whole - start;
        }
    }

    /// No file below `folder` holds one.
    pub fn assert_not_below(&self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            // What is gone meanwhile is not there.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.assert_not_below(&entry.path()),
                Ok(kind) if kind.is_file() => self.assert_not_in_file(&entry.path()),
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// No file of `folder` itself that was written since holds one: logs, and what a process would leave there.
    pub fn assert_not_in(&self, folder: &Path, since: SystemTime) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let Ok(about) = entry.metadata() else { continue };
            if about.is_file() && about.modified().is_ok_and(|at| at >= since) {
                self.assert_not_in_file(&entry.path());
            }
        }
    }

    /// The file does not hold one.
    pub fn assert_not_in_file(&self, path: &Path) {
        use std::os::unix::fs::FileExt;
        let Ok(file) = fs::File::open(path) else { return };
        let (found, _) = self.stream(|at, buffer| file.read_at(buffer, at).unwrap_or_default());
        assert_eq!(found, None, "in the file {}", path.display());
    }
}
