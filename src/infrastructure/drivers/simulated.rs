//! A deterministic, scripted agent; everything it reports is labelled simulated.
