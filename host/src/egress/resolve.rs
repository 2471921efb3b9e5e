//! The seam between egress and the system's resolver.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

/// The addresses of a name, when they are there.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Turns a name into addresses. Egress asks once a call and name, and uses the answer for check and connection alike.
pub trait Resolver: Send + Sync {
    /// The addresses of `host`.
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a>;
}

/// The system's own resolver (`getaddrinfo`).
#[derive(Debug)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            // The final dot keeps the system's search domains out of it.
            let answers = tokio::net::lookup_host((format!("{host}."), 0)).await?;
            Ok(answers.map(|address| address.ip()).collect())
        })
    }
}
