//! Which change is chosen.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static CHOSEN: OnceLock<u32> = OnceLock::new();
static RECORD: OnceLock<Option<std::path::PathBuf>> = OnceLock::new();
static SEEN: [AtomicBool; 16_384] = [const { AtomicBool::new(false) }; 16_384];

/// Whether the change `id` is the chosen one.
pub fn is(id: u32) -> bool {
    if let Some(record) = RECORD.get_or_init(|| std::env::var_os("FCP_MUTANTS_REACHED").map(Into::into))
        && !SEEN[id as usize].swap(true, Ordering::Relaxed)
    {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(record);
        let line = std::format!("{id}\n");
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the record can be written");
    }
    let chosen = || std::env::var("FCP_MUTANT").ok().and_then(|it| it.parse().ok()).unwrap_or(0);
    *CHOSEN.get_or_init(chosen) == id
}
