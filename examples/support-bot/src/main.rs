//! Example releases.

fn main() {}
