//! The tokio runtime of FCP: storage, timer and child processes wired to the machines.

pub mod drive;
pub mod storage;
