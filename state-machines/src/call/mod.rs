//! One call: what decides it, carries it and lets it leave.

pub mod egress;
