//! The journal: what it takes, what it refuses, and what it survives.

mod append;
mod damage;
mod files;
mod night;
mod power;
mod power_vfs;
