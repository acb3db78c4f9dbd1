//! Every board on a model of it, and the model beside other emulators, a module for each subject.

mod arm64;
mod arm64_exceptions;
mod arm64_faults;
mod boards;
mod caches;
mod devices;
mod flips;
mod library;
mod memory;
mod mutants;
mod planted;
