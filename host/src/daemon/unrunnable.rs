//! Connectors that are installed and cannot be run.

use fcp_api::types::{Warning, WarningKind};
use fcp_proto_core::error::Code;
use fcp_proto_core::ids::ConnectorId;

use super::exceptions::Inapplicable;

/// Why a connector cannot be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unrunnable {
    /// The code of the refusal that a call gets.
    pub(super) code: Code,
    /// What is wrong.
    pub(super) message: String,
    /// What to do about it, where it is more than installing the connector again.
    pub(super) remedy: Option<String>,
}

impl Unrunnable {
    /// What the status says of it.
    pub(super) fn warning(&self, connector: &ConnectorId) -> Warning {
        let again = || format!("install {connector} again with `fwc install PACKAGE`");
        Warning {
            kind: WarningKind::Connector,
            message: format!("{connector} cannot be run: {} ({})", self.message, self.code),
            remedy: Some(self.remedy.clone().unwrap_or_else(again)),
        }
    }
}

impl From<String> for Unrunnable {
    fn from(message: String) -> Self {
        Self { code: Code::ConnectorUnavailable, message, remedy: None }
    }
}

impl From<Inapplicable> for Unrunnable {
    fn from(Inapplicable { exception, why, remedy }: Inapplicable) -> Self {
        let message = format!("exception {exception}: {why}");
        Self { code: Code::ConnectorUnavailable, message, remedy: Some(remedy) }
    }
}
