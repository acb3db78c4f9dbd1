//! Kernels from source, and their modules: what has to be loaded for a purpose, whether the kernel takes it, and the bundle of it;
//! and the build of a kernel with its device trees and modules in one tree. Nothing here boots anything.
#![forbid(unsafe_code)]

pub mod kernel_build;
pub mod modules;
