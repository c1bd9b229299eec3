//! Settings: defaults, file, environment, flags; all problems reported together.
