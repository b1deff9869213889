//! An Ansible inventory: groups, hosts, variables, and which value counts.
//!
//! Knows what Ansible makes of them, and nothing of plans.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{Errors, quoted};
use super::range::expand;
use super::value::Value;
use crate::base::limits;

/// A variable's value, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) value: Value,
    pub(super) line: usize,
}

/// Variables by name.
pub(super) type Variables = BTreeMap<String, Variable>;

/// A group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    /// Where it is first named.
    pub(super) line: usize,
    /// Groups that it is a child of, by index.
    parents: BTreeSet<usize>,
    variables: Variables,
    /// Whether it stands there by itself, and not only as somebody's child.
    pub(super) is_defined: bool,
    /// How far it is from `all`, at most.
    depth: usize,
}

/// A host.
#[derive(Debug)]
pub(super) struct InventoryHost {
    pub(super) name: String,
    /// Where it is first named.
    pub(super) line: usize,
    /// The groups that name it, by index.
    pub(super) groups: BTreeSet<usize>,
    variables: Variables,
}

/// An inventory. Groups and hosts are in the order in which they are first named.
#[derive(Debug)]
pub(super) struct Inventory {
    pub(super) groups: Vec<Group>,
    group_index: BTreeMap<String, usize>,
    pub(super) hosts: Vec<InventoryHost>,
    host_index: BTreeMap<String, usize>,
}

/// The group of all hosts: the parent of groups without one.
pub(super) const ALL: usize = 0;
/// The group of hosts that no group names.
pub(super) const UNGROUPED: usize = 1;

impl Inventory {
    pub(super) fn new() -> Inventory {
        let mut inventory = Inventory {
            groups: Vec::new(),
            group_index: BTreeMap::new(),
            hosts: Vec::new(),
            host_index: BTreeMap::new(),
        };
        for name in ["all", "ungrouped"] {
            let index = inventory.add_group(name, 0);
            inventory.groups[index].is_defined = true;
        }
        inventory
    }

    fn add_group(&mut self, name: &str, line: usize) -> usize {
        let index = self.groups.len();
        self.group_index.insert(name.to_owned(), index);
        self.groups.push(Group {
            name: name.to_owned(),
            line,
            parents: BTreeSet::new(),
            variables: Variables::new(),
            is_defined: false,
            depth: 0,
        });
        index
    }

    /// The group `name`, made where it is not there yet.
    pub(super) fn group(&mut self, name: &str, line: usize, errors: &mut Errors) -> usize {
        if let Some(index) = self.find(name) {
            return index;
        }
        if self.groups.len() >= limits::IMPORT_GROUPS_MAX {
            let what = format!("more than {} groups", limits::IMPORT_GROUPS_MAX);
            errors.push(line, what, "import a part of the inventory");
            return UNGROUPED;
        }
        self.add_group(name, line)
    }

    /// The group `name`, if there is one.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.group_index.get(name).copied()
    }

    /// `child` is a child of `parent`.
    pub(super) fn nest(&mut self, parent: usize, child: usize) {
        self.groups[child].parents.insert(parent);
    }

    /// Sets a variable of a group; a later value goes before an earlier one.
    pub(super) fn set(&mut self, group: usize, name: &str, variable: Variable) {
        self.groups[group].variables.insert(name.to_owned(), variable);
    }

    /// The hosts that `pattern` names, in `group`, with variables of their own.
    pub(super) fn add_hosts(
        &mut self,
        group: usize,
        pattern: &str,
        line: usize,
        variables: &Variables,
        errors: &mut Errors,
    ) {
        let names = match expand(pattern, limits::CLIENTS_MAX) {
            Ok(names) => names,
            Err(why) => {
                let what = format!("host {}: {why}", quoted(pattern));
                errors.push(line, what, "write a name, with ranges such as `[01:20]`");
                return;
            }
        };
        for name in names {
            let index = match self.host_index.get(&name) {
                Some(index) => *index,
                None if self.hosts.len() >= limits::CLIENTS_MAX => {
                    let what = format!("more than {} hosts", limits::CLIENTS_MAX);
                    errors.push(line, what, "import a part of the inventory");
                    return;
                }
                None => {
                    self.host_index.insert(name.clone(), self.hosts.len());
                    let groups = BTreeSet::new();
                    self.hosts.push(InventoryHost {
                        name,
                        line,
                        groups,
                        variables: Variables::new(),
                    });
                    self.hosts.len() - 1
                }
            };
            let host = &mut self.hosts[index];
            host.groups.insert(group);
            host.variables.extend(variables.iter().map(|(n, v)| (n.clone(), v.clone())));
        }
    }

    /// Puts every group below `all` and counts how deep it is. To be called once,
    /// when all is read.
    pub(super) fn settle(&mut self, errors: &mut Errors) {
        for (index, group) in self.groups.iter_mut().enumerate() {
            group.parents.remove(&index);
            if index != ALL && group.parents.is_empty() {
                group.parents.insert(ALL);
            }
        }
        self.groups[ALL].parents.clear();
        // Groups are counted once all their parents are.
        let mut waiting: Vec<usize> = self.groups.iter().map(|group| group.parents.len()).collect();
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); self.groups.len()];
        for (index, group) in self.groups.iter().enumerate() {
            for parent in &group.parents {
                children[*parent].push(index);
            }
        }
        let mut ready = vec![ALL];
        while let Some(index) = ready.pop() {
            for child in std::mem::take(&mut children[index]) {
                let depth = self.groups[index].depth + 1;
                self.groups[child].depth = self.groups[child].depth.max(depth);
                waiting[child] -= 1;
                if waiting[child] == 0 {
                    ready.push(child);
                }
            }
        }
        // What is left is in a ring or below one. Groups without children among
        // them are below.
        let mut left: BTreeSet<usize> =
            (0..self.groups.len()).filter(|index| waiting[*index] > 0).collect();
        let mut below: Vec<usize> = left.iter().copied().collect();
        while let Some(index) = below.pop() {
            if left.contains(&index) && !children[index].iter().any(|child| left.contains(child)) {
                left.remove(&index);
                below.extend(&self.groups[index].parents);
            }
        }
        for group in left.into_iter().map(|index| &self.groups[index]) {
            let what = format!("group {} is its own descendant", quoted(&group.name));
            errors.push(group.line, what, "remove it from the children of one of its children");
        }
    }

    /// The groups that a host is in, by itself or through children.
    pub(super) fn groups_of(&self, host: &InventoryHost) -> BTreeSet<usize> {
        let mut found = BTreeSet::from([ALL]);
        let mut ahead: Vec<usize> = host.groups.iter().copied().collect();
        while let Some(index) = ahead.pop() {
            if found.insert(index) {
                ahead.extend(&self.groups[index].parents);
            }
        }
        found
    }

    /// The variables of a host with those that it inherits. A deeper group goes
    /// before a higher one, then one of a higher `ansible_group_priority`, then
    /// one that is later in the alphabet; the host's own go before all.
    pub(super) fn variables_of(&self, host: &InventoryHost) -> Variables {
        let mut groups: Vec<&Group> =
            self.groups_of(host).into_iter().map(|index| &self.groups[index]).collect();
        groups.sort_by_key(|group| (group.depth, group.priority(), &group.name));
        let mut variables = Variables::new();
        for own in groups.iter().map(|group| &group.variables).chain([&host.variables]) {
            variables.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        variables.remove(PRIORITY);
        variables
    }
}

const PRIORITY: &str = "ansible_group_priority";

impl Group {
    fn priority(&self) -> i64 {
        match self.variables.get(PRIORITY).map(|variable| &variable.value) {
            Some(Value::Text(text)) => text.parse().unwrap_or(1),
            _ => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_value_counts() {
        let mut errors = Errors::default();
        let mut inventory = Inventory::new();
        let variable = |text: &str| Variable { value: Value::text(text), line: 1 };
        let [parent, b, a] = ["parent", "b", "a"].map(|name| inventory.group(name, 1, &mut errors));
        inventory.nest(parent, a);
        inventory.nest(parent, b);
        for (group, text) in [(ALL, "all"), (parent, "parent"), (a, "a"), (b, "b")] {
            inventory.set(group, "x", variable(text));
        }
        inventory.set(parent, "y", variable("parent"));
        inventory.set(ALL, "y", variable("all"));
        inventory.set(ALL, "z", variable("all"));
        let own = Variables::from([("z".to_owned(), variable("own"))]);
        inventory.add_hosts(a, "h", 1, &own, &mut errors);
        inventory.add_hosts(b, "h", 2, &Variables::new(), &mut errors);
        inventory.settle(&mut errors);
        let told = |inventory: &Inventory| -> Vec<String> {
            inventory
                .variables_of(&inventory.hosts[0])
                .into_iter()
                .map(|(name, variable)| format!("{name}={:?}", variable.value))
                .collect()
        };
        assert_eq!(told(&inventory), ["x=Text(\"b\")", "y=Text(\"parent\")", "z=Text(\"own\")"]);
        inventory.set(a, PRIORITY, variable("10"));
        assert_eq!(told(&inventory)[0], "x=Text(\"a\")");
        assert!(errors.is_empty());
    }

    #[test]
    fn a_ring_of_groups_is_an_error() {
        let mut errors = Errors::default();
        let mut inventory = Inventory::new();
        let [a, b] = ["a", "b"].map(|name| inventory.group(name, 7, &mut errors));
        inventory.nest(a, b);
        inventory.nest(b, a);
        inventory.add_hosts(a, "h", 8, &Variables::new(), &mut errors);
        inventory.settle(&mut errors);
        let told = errors.finish("inv").to_string();
        assert!(told.starts_with("inv:7: group `a` is its own descendant"), "{told}");
        // And looking at such a host ends.
        assert_eq!(inventory.groups_of(&inventory.hosts[0]).len(), 3);
    }
}
