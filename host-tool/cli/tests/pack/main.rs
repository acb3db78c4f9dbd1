//! Packing from end to end: synthetic kernels for every board and format, what the shim makes of the images, what bad input
//! gets.

mod arm64;
mod bad;
mod bench;
mod board_check;
mod check;
mod cookie;
mod damage;
mod documents;
mod format_page;
mod forms;
mod hostile;
mod inspect;
mod integrations;
mod json;
mod kernels;
mod kexec;
mod nor;
mod output;
mod project;
mod ramoops;
mod refusals;
mod round_trip;
mod schema;
mod terminal;
mod trees;
