//! The driver of ACP agents against the real `opencode acp`, and against an agent that misbehaves.

mod conversations;
mod oddities;
mod probes;
