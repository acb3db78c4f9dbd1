//! placeholder until its own commit
fn main() {}
