//! What developers and CI call.
fn main() {}
