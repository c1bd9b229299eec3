//! What a caller may do with a session now: the buttons of every client.

use crate::domain::session::Session;
use crate::domain::session::status::{SessionStatus, Trigger};
use crate::domain::tenant::key::Role;
use crate::domain::workspace::WorkspaceKind;

/// The verbs that are legal now and that this role may use, as the paths name them.
#[must_use]
pub fn allowed_actions(session: &Session, role: Role) -> Vec<&'static str> {
    let status = session.status();
    let legal = |verb: Trigger| status.after(verb).is_ok();
    let again = session.is_recoverable();
    let (paused, executing) = (status == SessionStatus::Paused, status.is_executing());
    let files = session.run.workspace.as_ref().is_some_and(|made| made.kind == WorkspaceKind::Git);
    let verifiable = !session.spec.gates.is_empty()
        && session.run.workspace.is_some()
        && (executing || paused || status.is_terminal());
    let restorable = paused
        || matches!(
            status,
            SessionStatus::Pending | SessionStatus::Failed | SessionStatus::Timeout
        );
    let verbs = [
        ("start", Role::Member, legal(Trigger::Start) || again),
        ("pause", Role::Member, legal(Trigger::Pause) && session.run.pause_wanted.is_none()),
        ("resume", Role::Member, legal(Trigger::Resume) && !session.run.resume_wanted),
        ("stop", Role::Member, legal(Trigger::Stop)),
        ("cancel", Role::Member, legal(Trigger::Cancel)),
        ("retry", Role::Member, again),
        ("prompt", Role::Member, executing || paused),
        ("fork", Role::Member, true),
        ("checkpoint", Role::Member, !status.is_final()),
        ("restore", Role::Member, restorable && session.run.checkpoint_count > 0),
        ("verify", Role::Member, verifiable),
        ("rate", Role::Member, status.is_terminal()),
        ("update", Role::Member, true),
        ("complete", Role::Lead, legal(Trigger::Complete)),
        ("fail", Role::Lead, legal(Trigger::Fail)),
        ("merge", Role::Lead, files && (paused || status.is_terminal())),
        ("delete", Role::Lead, !status.is_active()),
    ];
    let allowed = verbs.into_iter().filter(|(_, least, legal)| *legal && role >= *least);
    allowed.map(|(verb, _, _)| verb).collect()
}
