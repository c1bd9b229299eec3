//! HTTP under `/api/v1`, and the open routes beside it.
