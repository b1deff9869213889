//! nimshift: durable workflow engine for NIM alternate disk migration.

pub mod aix;
pub mod base;
pub mod domain;
pub mod lab;
pub mod phases;
pub mod transport;
