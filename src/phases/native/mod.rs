//! The steps of the native driver. Those that nimadm has, too, say so in their row.

pub(super) mod boot_image;
pub(super) mod bring;
pub(super) mod check;
pub(super) mod clean_copy;
pub(super) mod clone;
pub(super) mod end;
pub(super) mod export;
pub(super) mod filesets;
pub(super) mod finish;
pub(super) mod master;
pub(super) mod migrate;
pub(super) mod mksysb;
pub(super) mod mount;
pub(super) mod parts;
pub(super) mod record;
pub(super) mod scripts;
pub(super) mod site;
pub(super) mod unmount;
pub(super) mod verify;
