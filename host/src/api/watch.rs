//! Long polls: waiting for something to change, for a bounded time.

use std::time::Duration;

use fcp_api::limits::MAX_WAIT_MS;
use fcp_api::routes::WatchApprovals;
use fcp_api::types::{ApprovalStatus, ApprovalWatch, ErrorBody};
use fcp_proto_core::error::Code;

use super::approvals::views;
use super::mount::{Ask, Serve};
use super::waiting::status;
use crate::daemon::{App, ApprovalEntry};

/// How long to wait, within the contract's bound.
///
/// # Errors
/// [`Code::OutOfRange`].
pub(super) fn wait(ms: Option<u64>) -> Result<Duration, ErrorBody> {
    let ms = ms.unwrap_or(0);
    if ms > MAX_WAIT_MS {
        return Err(
            ErrorBody::new(Code::OutOfRange).because(format!("`wait_ms` is at most {MAX_WAIT_MS}, not {ms}"))
        );
    }
    Ok(Duration::from_millis(ms))
}

/// Asks `look` until it finds something, the time is over or the daemon stops.
///
/// # Errors
/// What `look` fails with.
pub(super) async fn until<T>(
    app: &App,
    within: Duration,
    mut look: impl FnMut() -> Result<Option<T>, ErrorBody>,
) -> Result<Option<T>, ErrorBody> {
    let mut changes = app.records().version.subscribe();
    let mut draining = app.draining.subscribe();
    let over = tokio::time::sleep(within);
    tokio::pin!(over);
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        tokio::select! {
            changed = changes.changed() => {
                if changed.is_err() {
                    return Ok(None);
                }
            }
            () = &mut over => return look(),
            _ = draining.wait_for(|draining| *draining) => return Ok(None),
        }
    }
}

impl Serve for WatchApprovals {
    async fn serve(ask: Ask<Self>) -> Result<ApprovalWatch, ErrorBody> {
        let within = wait(ask.query.wait_ms)?;
        let cursor = ask.query.cursor.as_deref().map(str::parse::<u64>).transpose();
        let cursor = cursor
            .map_err(|_| ErrorBody::new(Code::InputInvalid).because("`cursor` is none that was given"))?;
        let void = ask.app.query(|node, now| node.void_requests(now.unix)).await?;
        let look = || {
            let records = ask.app.records();
            let changed = |entry: &&ApprovalEntry| {
                ask.caller.sees(&entry.principal)
                    && match cursor {
                        Some(cursor) => entry.changed > cursor,
                        None => status(entry, void.contains(&entry.id), ask.now) == ApprovalStatus::Pending,
                    }
            };
            let mut found: Vec<_> = records.approvals.iter().filter(changed).cloned().collect();
            found.sort_by_key(|entry| entry.changed);
            Ok((!found.is_empty()).then_some((found, records.approval_changes)))
        };
        let found = until(&ask.app, within, look).await?;
        let seen = ask.app.records().approval_changes;
        let (entries, reached) = found.unwrap_or((Vec::new(), cursor.unwrap_or(seen)));
        let (approvals, grant_requests) = views(&ask.app, &entries).await?;
        Ok(ApprovalWatch { approvals, grant_requests, cursor: reached.to_string() })
    }
}
