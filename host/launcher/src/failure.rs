//! Turning an error of the system into a refusal that says where it happened.

use fcp_launcher::{Refusal, Step};
use std::io;

/// What every step of the launcher returns.
pub(crate) type Outcome<T> = Result<T, Refusal>;

/// Says where an error happened.
pub(crate) trait At<T> {
    /// At this step.
    fn at(self, step: Step) -> Outcome<T>;
    /// At this step, working on this.
    fn at_subject(self, step: Step, subject: impl ToString) -> Outcome<T>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, step: Step) -> Outcome<T> {
        self.at_subject(step, "")
    }

    fn at_subject(self, step: Step, subject: impl ToString) -> Outcome<T> {
        self.map_err(|error| {
            let errno = error.into().raw_os_error().unwrap_or(libc::EIO);
            Refusal::Failed { step, subject: subject.to_string(), errno }
        })
    }
}
