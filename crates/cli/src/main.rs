//! The binary `surestep`.

fn main() {}
