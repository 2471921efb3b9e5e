//! The FCP daemon and its egress process.

pub mod ceremony;
pub mod egress;
pub mod home;
pub mod keys;
pub mod sandbox;
pub mod vault;
