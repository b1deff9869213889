//! Layer 3: AIX and NIM as text: the commands that are sent, what their output
//! says, and what their messages mean. Pure: it reaches no host.
//!
//! Readers skip what comes before the data (login banners, blank lines) and
//! refuse what they cannot read within it: an [`Unread`] quotes the line. They
//! never guess.

pub mod argv;
mod boot;
mod catalogue;
mod disks;
mod file_systems;
mod filesets;
mod image_data;
mod listing;
mod nim;
mod nim_list;
mod odm;
pub mod parse;
mod processes;
mod unread;
mod verdict;
#[cfg(test)]
mod verdict_tests;

pub use boot::{Bootable, boot_records, boot_time, bootlist, is_bootable, one_word};
pub use catalogue::{Entry, Trust, catalogue};
pub use disks::{LogicalVolume, PhysicalVolume, VolumeGroup, logical_volumes, lspv, volume_group};
pub use file_systems::{FsRow, FsUsage, MountRow, df, exports, lsfs, mounts};
pub use filesets::{Fileset, FilesetLevel, filesets, level};
pub use image_data::{ImageData, ImageFs, ImageVolume, VolumeLine, image_data, image_data_lines};
pub use listing::{file_identity, is_missing, is_same_file, link_target, links, names};
pub use nim::{NimObject, nim_object};
pub use nim_list::{NimStanza, nim_objects};
pub use odm::{DeviceAttribute, device_attributes};
pub use processes::{Process, lock_holder, processes};
pub use unread::Unread;
pub use verdict::{Verdict, classify, is_known, matching, message_ids};
