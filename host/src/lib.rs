//! The FCP daemon and its egress process.

pub mod ceremony;
pub mod home;
pub mod keys;
pub mod vault;
