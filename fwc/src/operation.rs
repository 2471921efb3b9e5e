//! How a command line names an operation: `github.issues.create`, or `github issues.create`.

use clap::Args;
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::{ConnectorId, OperationId};

use crate::{Failure, Result};

/// An operation's name on the command line.
#[derive(Args, Clone, Debug)]
pub(crate) struct OperationName {
    /// The operation, such as `github.issues.create`, or the connector followed by the operation
    #[arg(value_name = "OPERATION", required = true, num_args = 1..=2)]
    pub(crate) words: Vec<String>,
}

impl OperationName {
    /// The connector and the operation's full name.
    ///
    /// # Errors
    /// [`Code::InvalidName`] with the rule that the name breaks.
    pub(crate) fn resolve(&self) -> Result<(ConnectorId, OperationId)> {
        let (connector, operation) = match self.words.as_slice() {
            [operation] => (operation.split('.').next().unwrap_or_default(), operation.clone()),
            [connector, operation] if belongs(operation, connector) => {
                (connector.as_str(), operation.clone())
            }
            [connector, operation] => (connector.as_str(), format!("{connector}.{operation}")),
            _ => return Err(crate::usage("an operation is one or two words")),
        };
        let invalid = |name: &str, error: fcp_proto_core::ids::IdError| {
            Failure::new(Code::InvalidName)
                .because(format!("{name:?} {error}"))
                .next("`fwc ops CONNECTOR` lists the operations")
        };
        let connector = ConnectorId::new(connector).map_err(|error| invalid(connector, error))?;
        let operation = OperationId::new(&operation).map_err(|error| invalid(&operation, error))?;
        Ok((connector, operation))
    }
}

fn belongs(operation: &str, connector: &str) -> bool {
    operation.strip_prefix(connector).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(words: &[&str]) -> Result<(String, String)> {
        let name = OperationName { words: words.iter().map(|&word| word.into()).collect() };
        name.resolve().map(|(connector, operation)| (connector.to_string(), operation.to_string()))
    }

    #[test]
    fn one_and_two_words_name_the_same() {
        let expected = ("github".to_owned(), "github.issues.create".to_owned());
        for words in
            [&["github.issues.create"][..], &["github", "issues.create"], &["github", "github.issues.create"]]
        {
            assert_eq!(resolve(words).unwrap(), expected);
        }
        assert_eq!(resolve(&["git", "github.x"]).unwrap().1, "git.github.x");
        assert_eq!(resolve(&["GitHub.x"]).unwrap_err().code, Code::InvalidName);
        assert_eq!(resolve(&[".x"]).unwrap_err().code, Code::InvalidName);
    }
}
