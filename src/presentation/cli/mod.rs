//! The command line: parses arguments, speaks to the API like anyone else, prints.
