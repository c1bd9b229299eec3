//! The tree of a session on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use crate::application::session::query::TreeNode;
use crate::domain::ids::SessionId;
use crate::domain::session::spec::SessionType;
use crate::domain::session::status::SessionStatus;

/// A session in its family.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TreeNode)]
pub struct TreeNodeDto {
    /// Its identity.
    pub id: SessionId,
    /// What people call it.
    pub code: String,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub status: SessionStatus,
    /// What kind of work it is.
    pub session_type: SessionType,
    /// Its place below the root of the whole tree.
    pub depth: u32,
    /// In order of creation.
    #[schema(no_recursion)]
    pub children: Vec<TreeNodeDto>,
}

impl From<TreeNode> for TreeNodeDto {
    fn from(node: TreeNode) -> Self {
        let TreeNode { id, code, title, status, session_type, depth, children } = node;
        let children = children.into_iter().map(Self::from).collect();
        Self { id, code: code.to_string(), title, status, session_type, depth, children }
    }
}
