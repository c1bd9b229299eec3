//! A real store without a disk: for tests, and the model in property tests.
