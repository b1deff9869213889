//! Numbers of files.

use std::collections::{BTreeMap, HashMap};

use super::wire::What;
use crate::base::limits::NFS_INODES_MAX;

/// The number of a mount's root.
pub(super) const ROOT: u64 = 1;

#[derive(Debug)]
struct Inode {
    /// Nothing, when the file is gone.
    path: Option<String>,
    what: What,
    /// How often the kernel was told of it and has not forgotten it.
    lookups: u64,
    /// How many have it open.
    opens: u32,
}

/// The numbers by which the kernel knows files. A path keeps its number while
/// the same file stands there, as far as can be seen from here.
#[derive(Debug)]
pub(super) struct Inodes {
    by_path: BTreeMap<String, u64>,
    by_number: HashMap<u64, Inode>,
    next: u64,
}

impl Inodes {
    /// The root alone.
    pub(super) fn new() -> Inodes {
        let root = Inode { path: Some(String::new()), what: What::Dir, lookups: 1, opens: 0 };
        Inodes {
            by_path: BTreeMap::from([(String::new(), ROOT)]),
            by_number: HashMap::from([(ROOT, root)]),
            next: ROOT + 1,
        }
    }

    /// The path of a file that is not gone.
    pub(super) fn path(&self, number: u64) -> Option<&str> {
        self.by_number.get(&number)?.path.as_deref()
    }

    /// The number at a path, if it has one.
    pub(super) fn at(&self, path: &str) -> Option<u64> {
        self.by_path.get(path).copied()
    }

    /// The number of what was found at a path.
    pub(super) fn found(&mut self, path: &str, what: What) -> u64 {
        if let Some(number) = self.at(path) {
            if self.by_number.get(&number).is_some_and(|inode| inode.what == what) {
                return number;
            }
            // Another thing has come in its place.
            self.gone(path);
        }
        let number = self.next;
        self.next += 1;
        let inode = Inode { path: Some(path.to_owned()), what, lookups: 0, opens: 0 };
        self.by_number.insert(number, inode);
        self.by_path.insert(path.to_owned(), number);
        number
    }

    /// As [`Inodes::found`], for what the kernel is told of.
    pub(super) fn tell(&mut self, path: &str, what: What) -> u64 {
        let number = self.found(path, what);
        if let Some(inode) = self.by_number.get_mut(&number) {
            inode.lookups += 1;
        }
        number
    }

    /// The kernel no longer knows the number from so many times.
    pub(super) fn forget(&mut self, number: u64, count: u64) {
        let crowded = self.by_number.len() > NFS_INODES_MAX;
        let Some(inode) = self.by_number.get_mut(&number) else { return };
        inode.lookups = inode.lookups.saturating_sub(count);
        // A path keeps its number also when the kernel has forgotten it, within
        // bounds.
        if number == ROOT || inode.lookups > 0 || inode.opens > 0 {
            return;
        }
        if (inode.path.is_none() || crowded)
            && let Some(Inode { path: Some(path), .. }) = self.by_number.remove(&number)
        {
            self.by_path.remove(&path);
        }
    }

    /// Nothing stands at `path` any more, nor below it.
    pub(super) fn gone(&mut self, path: &str) {
        for path in self.below(path) {
            if let Some(number) = self.by_path.remove(&path)
                && let Some(inode) = self.by_number.get_mut(&number)
            {
                inode.path = None;
                if inode.lookups == 0 && inode.opens == 0 {
                    self.by_number.remove(&number);
                }
            }
        }
    }

    /// What stood at `path`, and below it, now stands at `to`.
    pub(super) fn moved(&mut self, path: &str, to: &str) {
        if path == to {
            return;
        }
        self.gone(to);
        for old in self.below(path) {
            if let Some(number) = self.by_path.remove(&old) {
                let new = format!("{to}{}", &old[path.len()..]);
                if let Some(inode) = self.by_number.get_mut(&number) {
                    inode.path = Some(new.clone());
                }
                self.by_path.insert(new, number);
            }
        }
    }

    fn below(&self, path: &str) -> Vec<String> {
        let inner = format!("{path}/");
        let below = self.by_path.range(inner.clone()..).map(|(name, _)| name);
        let below = below.take_while(|name| name.starts_with(&inner)).cloned();
        below.chain(self.by_path.get_key_value(path).map(|(name, _)| name.clone())).collect()
    }

    /// Somebody opens it.
    pub(super) fn opened(&mut self, number: u64) {
        if let Some(inode) = self.by_number.get_mut(&number) {
            inode.opens += 1;
        }
    }

    /// Somebody closes it. True for the last who had it open.
    pub(super) fn closed(&mut self, number: u64) -> bool {
        let Some(inode) = self.by_number.get_mut(&number) else { return false };
        inode.opens = inode.opens.saturating_sub(1);
        let last = inode.opens == 0;
        self.forget(number, 0);
        last
    }

    /// Whether somebody has it open.
    pub(super) fn is_open(&self, number: u64) -> bool {
        self.by_number.get(&number).is_some_and(|inode| inode.opens > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_keeps_its_number_while_the_same_stands_there() {
        let mut inodes = Inodes::new();
        let file = inodes.tell("d/f", What::File);
        inodes.forget(file, 1);
        assert_eq!(inodes.found("d/f", What::File), file);
        assert_eq!(inodes.path(ROOT), Some(""));
        // A directory in its place is another thing.
        let other = inodes.tell("d/f", What::Dir);
        assert_ne!(other, file);
        inodes.gone("d/f");
        assert_eq!((inodes.path(other), inodes.at("d/f")), (None, None));
        assert_ne!(inodes.found("d/f", What::Dir), other, "removed and made anew");
    }

    #[test]
    fn what_is_below_a_directory_moves_with_it() {
        let mut inodes = Inodes::new();
        let [dir, file, beside] = [("a", What::Dir), ("a/b/c", What::File), ("ab", What::File)]
            .map(|(path, what)| inodes.tell(path, what));
        let replaced = inodes.tell("x", What::Dir);
        inodes.moved("a", "x");
        let paths = [dir, file, beside, replaced].map(|number| inodes.path(number));
        assert_eq!(paths, [Some("x"), Some("x/b/c"), Some("ab"), None]);
        assert_eq!(inodes.at("a/b/c"), None);
    }

    #[test]
    fn a_file_that_is_open_is_remembered_until_it_is_closed() {
        let mut inodes = Inodes::new();
        let file = inodes.tell("f", What::File);
        inodes.opened(file);
        inodes.opened(file);
        inodes.gone("f");
        inodes.forget(file, 1);
        assert!(inodes.is_open(file) && !inodes.closed(file));
        assert!(inodes.closed(file));
        assert!(!inodes.by_number.contains_key(&file), "nobody knows it");
    }
}
