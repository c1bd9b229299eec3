//! All integration tests in one binary.

<<<<<<< HEAD
mod support;
mod workspaces;
=======
mod opencode;
mod support;
>>>>>>> opencode
