//! The daemon's HTTP contract under `/v1`: types, routes as data, the OpenAPI document made of both, and a client.
//!
//! ```text
//! types    what goes in and out        routes   method, path, who may, types
//!      \                              /
//!       `-> openapi (document)   client (calls a route)   body, query (strict reading on both sides)
//! ```
//!
//! The contract is additive: a client tolerates fields it does not know in an answer, the daemon refuses them in a
//! request. Spec: `docs/spec/api.md`.
#![forbid(unsafe_code)]

pub mod body;
pub mod client;
pub mod examination;
pub mod headers;
pub mod hex;
pub mod limits;
pub mod openapi;
pub mod query;
pub mod routes;
pub mod schema;
pub mod secret;
pub mod shell;
pub mod types;
