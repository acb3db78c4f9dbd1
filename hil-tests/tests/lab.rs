//! Every test that boots something, a module for each subject.

mod arm64;
mod boot;
mod crash;
mod damage;
mod desk;
mod fanout;
mod faults;
mod flash;
mod joined;
mod kexec;
mod last;
mod led;
mod lines;
mod matrix;
mod modules;
mod nor;
mod oracle;
mod place;
mod registers;
mod run;
#[path = "../../host-tool/cli/tests/pack/schema.rs"]
mod schema;
mod sitting;
mod ssh;
mod start;
#[path = "../../host-tool/cli/tests/terminal/mod.rs"]
mod terminal;
mod trace;
mod trees;
mod uboot;
