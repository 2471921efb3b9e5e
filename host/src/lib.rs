//! The FCP daemon and its egress process.

pub mod api;
pub mod ceremony;
pub mod connectors;
pub mod daemon;
pub mod egress;
pub mod examination;
pub mod home;
pub mod keys;
pub mod private_memory;
mod process_log;
pub mod sandbox;
pub mod vault;
