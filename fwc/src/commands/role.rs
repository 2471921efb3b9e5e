//! `role`: grants that agents share.

use clap::{Args, Subcommand};
use fcp_api::routes::{AddRole, AssignRole, GetRole, ListRoles, RemoveRole, WithdrawRole};
use fcp_api::types::{self, Deny, Nothing};
use fcp_proto_core::ids::{PrincipalId, RoleId};

use crate::Result;
use crate::context::Context;
use crate::render::{Answer, Outcome};

/// Roles.
#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Role {
    /// Makes a role, or describes one anew
    Add(Add),
    /// Lists the roles and who has them
    List(List),
    /// Shows a role and who has it
    Show(Show),
    /// Gives an agent a role
    Give(Member),
    /// Takes a role from an agent; its grants no longer serve the agent's next call
    Take(Take),
    /// Ends a role and every grant to it
    Remove(Remove),
}

/// Makes a role.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc role add reviewers --description 'reads pull requests'")]
pub(crate) struct Add {
    /// Its name
    pub(crate) name: RoleId,
    /// What it is for
    #[arg(long, default_value = "")]
    pub(crate) description: String,
}

/// Lists roles.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc role list")]
pub(crate) struct List {}

/// Shows a role.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc role show reviewers")]
pub(crate) struct Show {
    /// The role
    pub(crate) role: RoleId,
}

/// Gives a role.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc role give reviewers mail")]
pub(crate) struct Member {
    /// The role
    pub(crate) role: RoleId,
    /// The agent
    #[arg(value_name = "NAME")]
    pub(crate) name: PrincipalId,
}

/// Takes a role away.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc role take reviewers mail --reason 'works elsewhere now'")]
pub(crate) struct Take {
    /// From whom
    #[command(flatten)]
    pub(crate) member: Member,
    /// Why
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// Ends a role.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:\n  fwc role remove reviewers --reason 'no longer needed'")]
pub(crate) struct Remove {
    /// The role
    pub(crate) role: RoleId,
    /// Why
    #[arg(long)]
    pub(crate) reason: Option<String>,
}

/// `fwc role`.
///
/// # Errors
/// What failed, why, and what to do next.
pub(crate) async fn run(command: Role, context: &mut Context) -> Result<Outcome> {
    let client = context.as_operator().await?;
    match command {
        Role::Add(args) => {
            let request = types::AddRole { name: args.name, description: args.description };
            let reply = client.send::<AddRole>(&[], &request).await?;
            let next = format!("fwc role give {} AGENT", reply.body.name);
            Ok(Answer::of(reply)?.next(next).into())
        }
        Role::List(List {}) => {
            let columns = [
                ("name", "ROLE"),
                ("members", "MEMBERS"),
                ("live_grants", "LIVE GRANTS"),
                ("description", "DESCRIPTION"),
            ];
            Ok(Answer::of(client.get::<ListRoles>(&[], &Nothing {}).await?)?.table("roles", &columns).into())
        }
        Role::Show(args) => {
            Ok(Answer::of(client.get::<GetRole>(&[args.role.as_str()], &Nothing {}).await?)?.into())
        }
        Role::Give(args) => {
            let path = [args.role.as_str(), args.name.as_str()];
            Ok(Answer::of(client.send::<AssignRole>(&path, &Nothing {}).await?)?.into())
        }
        Role::Take(args) => {
            let path = [args.member.role.as_str(), args.member.name.as_str()];
            let request = Deny { note: args.reason };
            Ok(Answer::of(client.send::<WithdrawRole>(&path, &request).await?)?.into())
        }
        Role::Remove(args) => {
            let request = Deny { note: args.reason };
            Ok(Answer::of(client.send::<RemoveRole>(&[args.role.as_str()], &request).await?)?.into())
        }
    }
}
