//! The FCP daemon and its egress process.

pub mod egress;
pub mod sandbox;
