//! The routes as data: the daemon mounts them, the document describes them, the client calls them, all from here.

mod table;
#[cfg(test)]
mod tests;
mod told;

pub use table::*;
pub use told::Told;

use fcp_proto_core::object::OperatorRight;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

/// An HTTP method that the contract uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Reads.
    Get,
    /// Does something.
    Post,
    /// Stores under a name that the caller chose.
    Put,
    /// Removes.
    Delete,
}

impl Method {
    /// The method as HTTP writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

impl From<Method> for http::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Delete => Self::DELETE,
        }
    }
}

/// What a caller must have proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing beyond being admitted to the socket.
    Public,
    /// An agent's key, by a session.
    Session,
    /// An agent's key: by a session, or by a token and its holder's proof in the body.
    Holder,
    /// An agent's session, which sees its own only, or an unlocked operator.
    Caller,
    /// An unlocked operator, whatever its rights.
    Operator,
    /// An unlocked operator with this right.
    OperatorWith(OperatorRight),
}

/// The schema of a body, and those of everything within it.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The body's name in the document.
    pub name: fn() -> std::borrow::Cow<'static, str>,
    /// Its own schema.
    pub schema: fn() -> RefOr<Schema>,
    /// Adds the schemas that it refers to.
    pub parts: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl Shape {
    /// The shape of `T`.
    pub const fn of<T: ToSchema>() -> Self {
        Self { name: T::name, schema: <T as PartialSchema>::schema, parts: T::schemas }
    }
}

/// One route.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The name that the document and logs use.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path, with parameters in braces.
    pub path: &'static str,
    /// What a caller must have proved.
    pub access: Access,
    /// Its query parameters.
    pub query: Shape,
    /// Its request's body.
    pub request: Shape,
    /// Its answer's body, `meta` apart.
    pub answer: Shape,
    /// Largest request body.
    pub max_request_bytes: usize,
    /// What it leaves in the audit.
    pub told: Told,
}

impl Route {
    /// The names of the path's parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The path with `values` in the place of its parameters, escaped; `None` if their number differs.
    pub fn fill(&self, values: &[&str]) -> Option<String> {
        let mut values = values.iter();
        let mut path = String::new();
        for segment in self.path.split('/').skip(1) {
            path.push('/');
            match segment.strip_prefix('{') {
                Some(_) => path.push_str(&crate::query::escape(values.next()?)),
                None => path.push_str(segment),
            }
        }
        values.next().is_none().then_some(path)
    }
}

/// A route with its types: what one file of the daemon serves and one method of the client calls.
pub trait Endpoint {
    /// The query parameters.
    type Query: Serialize + DeserializeOwned + ToSchema;
    /// The request's body.
    type Request: Serialize + DeserializeOwned + ToSchema;
    /// The answer's body, `meta` apart.
    type Answer: Serialize + DeserializeOwned + ToSchema;
    /// The route.
    const ROUTE: Route;
}
