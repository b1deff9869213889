//! nimshift: durable workflow engine for NIM alternate disk migration.
//!
#![doc = include_str!("ARCHITECTURE.md")]

pub mod aix;
pub mod base;
pub mod cli;
pub mod domain;
pub mod engine;
pub mod fleet;
pub mod import;
pub mod journal;
pub mod lab;
pub mod machine;
pub mod phases;
pub mod report;
pub mod transport;
