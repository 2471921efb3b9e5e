//! What `fwc` prints: one [`Answer`] or one [`Failure`] a command, in the format that was asked for.
//!
//! ```text
//! let console = Console::detect(args.format, args.json);   // once, at the start
//! let answer = Answer::new("agent list", TruthSource::Host, data)
//!     .table(TableSpec::rows("agents", &[Column::new("name", "NAME"), Column::new("zone", "ZONE")]))
//!     .next("fwc agent show NAME");
//! console.answer(&answer)         // ends with the exit code
//! console.failure(&failure)         // or failure_in_words, where standard output is another document
//! ```
//!
//! Data goes to standard output and everything else to standard error. Whatever came from a service is made safe to
//! show before a terminal sees it ([`text`]). The contract of each format: `docs/spec/output.md`.

mod answer;
mod console;
pub(crate) mod csv;
pub(crate) mod json;
mod markdown;
mod page;
pub(crate) mod progress;
mod render;
mod table;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub(crate) mod toon;
mod units;
pub(crate) mod value;
#[cfg(test)]
pub(crate) mod value_strategy;

pub(crate) use answer::{Answer, Column, Failure, TableSpec, TruthSource};
pub(crate) use console::{Console, Format};
