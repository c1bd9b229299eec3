//! WebSocket streams.
