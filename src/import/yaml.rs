//! Ansible inventories in YAML.
//!
//! The parser's events become a tree with the line of each value. How deep it is
//! and how many values it has are bounded, aliases included.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::error::{Errors, quoted};
use super::inventory::{ALL, Inventory, Variable, Variables};
use super::value::Value;
use crate::base::limits;

/// A value of the document.
#[derive(Debug, Clone)]
struct Node {
    line: usize,
    /// Values in it, itself included.
    size: usize,
    /// Lists and mappings in each other, itself included.
    depth: usize,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Why a document cannot be read.
struct Broken {
    line: usize,
    what: String,
    help: &'static str,
}

pub(super) fn read(text: &str, errors: &mut Errors) -> Inventory {
    let mut inventory = Inventory::new();
    match Builder::default().document(text) {
        Err(Broken { line, what, help }) => errors.push(line, what, help),
        Ok(None) => {}
        Ok(Some(Node { kind: Kind::Map(groups), .. })) => {
            for (name, node) in &groups {
                group(name, node, None, &mut inventory, errors);
            }
        }
        Ok(Some(node)) => {
            let help = "an inventory begins with the names of its groups, such as `all:`";
            errors.push(node.line, "not an inventory: no mapping of groups", help);
        }
    }
    inventory.settle(errors);
    inventory
}

/// Reads a group and those below it. The tree is bounded, and so is this.
fn group(
    name: &str,
    node: &Node,
    parent: Option<usize>,
    inventory: &mut Inventory,
    errors: &mut Errors,
) {
    let index = inventory.group(name, node.line, errors);
    inventory.groups[index].is_defined = true;
    if let Some(parent) = parent {
        inventory.nest(parent, index);
    }
    let Some(parts) = pairs(node, &format!("group {}", quoted(name)), errors) else { return };
    for (part, node) in parts {
        let what = format!("`{part}` of group {}", quoted(name));
        match part.as_str() {
            "hosts" => hosts(index, node, &what, inventory, errors),
            "vars" => {
                for (name, node) in pairs(node, &what, errors).unwrap_or_default() {
                    let variable = Variable { value: value(node), line: node.line };
                    inventory.set(index, name, variable);
                }
            }
            "children" => {
                for (child, node) in pairs(node, &what, errors).unwrap_or_default() {
                    group(
                        child,
                        node,
                        Some(index).filter(|index| *index != ALL),
                        inventory,
                        errors,
                    );
                }
            }
            _ => {
                let what = format!("group {} has an unknown key {}", quoted(name), quoted(part));
                let help = "known are `hosts`, `vars` and `children`; \
                            `ansible-inventory -i FILE --list --yaml` writes any inventory so";
                errors.push(node.line, what, help);
            }
        }
    }
}

fn hosts(group: usize, node: &Node, what: &str, inventory: &mut Inventory, errors: &mut Errors) {
    if let Kind::Text(pattern) = &node.kind {
        inventory.add_hosts(group, pattern, node.line, &Variables::new(), errors);
        return;
    }
    for (pattern, node) in pairs(node, what, errors).unwrap_or_default() {
        let of_host = format!("host {}", quoted(pattern));
        let own = pairs(node, &of_host, errors).unwrap_or_default();
        let variable = |node: &Node| Variable { value: value(node), line: node.line };
        let variables = own.iter().map(|(name, node)| (name.clone(), variable(node))).collect();
        inventory.add_hosts(group, pattern, node.line, &variables, errors);
    }
}

/// The pairs of a mapping; none of a null.
fn pairs<'a>(node: &'a Node, what: &str, errors: &mut Errors) -> Option<&'a [(String, Node)]> {
    match &node.kind {
        Kind::Map(pairs) => Some(pairs),
        Kind::Null => Some(&[]),
        _ => {
            let help = "write a mapping: a name, a colon and what belongs to it, indented";
            errors.push(node.line, format!("{what} is not a mapping"), help);
            None
        }
    }
}

fn value(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => Value::Empty,
        Kind::Text(text) => Value::text(text),
        Kind::List(items) => Value::List(items.iter().map(value).collect()),
        Kind::Map(pairs) => {
            Value::Map(pairs.iter().map(|(name, node)| (name.clone(), value(node))).collect())
        }
    }
}

/// A list or a mapping that is not finished.
struct Frame {
    anchor: usize,
    line: usize,
    size: usize,
    depth: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    /// With the key whose value comes next.
    Map(Vec<(String, Node)>, Option<(String, usize)>),
}

#[derive(Default)]
struct Builder {
    open: Vec<Frame>,
    anchors: BTreeMap<usize, Node>,
    /// Values so far, copies for anchors and aliases included.
    values: usize,
}

impl Builder {
    fn document(mut self, text: &str) -> Result<Option<Node>, Broken> {
        let mut root = None;
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| Broken {
                line: error.marker().line(),
                what: format!("not YAML: {}", error.info()),
                help: "see that lines are indented by blanks and values that hold `: ` are quoted",
            })?;
            let line = span.start.line();
            let (node, anchor) = match event {
                Event::DocumentStart(_) if root.is_some() => {
                    let help = "keep one inventory in a file";
                    return Err(Broken { line, what: "a second document".to_owned(), help });
                }
                Event::Scalar(text, style, anchor, _) => {
                    let null = style == ScalarStyle::Plain
                        && ["", "~", "null", "Null", "NULL"].contains(&&*text);
                    let kind = if null { Kind::Null } else { Kind::Text(text.into_owned()) };
                    (Node { line, size: 1, depth: 0, kind }, anchor)
                }
                Event::Alias(anchor) => {
                    let Some(node) = self.anchors.get(&anchor) else {
                        // Of a value within itself.
                        let help = "repeat the values instead";
                        return Err(Broken { line, what: "an alias of nothing".to_owned(), help });
                    };
                    self.values += node.size;
                    check_depth(self.open.len() + node.depth, line)?;
                    self.check(line)?;
                    (node.clone(), 0)
                }
                Event::SequenceStart(anchor, _) => {
                    self.begin(anchor, line, Content::List(Vec::new()))?;
                    continue;
                }
                Event::MappingStart(anchor, _) => {
                    self.begin(anchor, line, Content::Map(Vec::new(), None))?;
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                    Some(frame) => frame.finish(),
                    None => continue,
                },
                _ => continue,
            };
            self.values += 1;
            if anchor > 0 {
                self.values += node.size;
                self.anchors.insert(anchor, node.clone());
            }
            self.check(line)?;
            match self.open.last_mut() {
                Some(frame) => frame.take(node)?,
                None => root = Some(node),
            }
        }
        Ok(root)
    }

    fn begin(&mut self, anchor: usize, line: usize, content: Content) -> Result<(), Broken> {
        check_depth(self.open.len() + 1, line)?;
        self.open.push(Frame { anchor, line, size: 1, depth: 1, content });
        Ok(())
    }

    fn check(&self, line: usize) -> Result<(), Broken> {
        if self.values <= limits::IMPORT_VALUES_MAX {
            return Ok(());
        }
        let what = format!("more than {} values, aliases included", limits::IMPORT_VALUES_MAX);
        Err(Broken { line, what, help: "import a part of the inventory" })
    }
}

fn check_depth(depth: usize, line: usize) -> Result<(), Broken> {
    if depth <= limits::IMPORT_DEPTH_MAX {
        return Ok(());
    }
    let what = format!("nested deeper than {} levels", limits::IMPORT_DEPTH_MAX);
    Err(Broken { line, what, help: "an inventory is not so deep" })
}

impl Frame {
    fn finish(self) -> (Node, usize) {
        let kind = match self.content {
            Content::List(items) => Kind::List(items),
            Content::Map(pairs, _) => Kind::Map(pairs),
        };
        (Node { line: self.line, size: self.size, depth: self.depth, kind }, self.anchor)
    }

    fn take(&mut self, node: Node) -> Result<(), Broken> {
        self.size += node.size;
        self.depth = self.depth.max(node.depth + 1);
        match &mut self.content {
            Content::List(items) => items.push(node),
            Content::Map(pairs, key) => match (key.take(), node) {
                (None, Node { kind: Kind::Text(text), line, .. }) => *key = Some((text, line)),
                (None, Node { kind: Kind::Null, line, .. }) => {
                    *key = Some(("null".to_owned(), line));
                }
                (None, node) => {
                    let what = "a key that is not a text".to_owned();
                    return Err(Broken { line: node.line, what, help: "write a name as the key" });
                }
                (Some((key, _)), node) if key == "<<" => merge(pairs, node)?,
                // What belongs to a key is found where the key is.
                (Some((key, line)), node) => pairs.push((key, Node { line, ..node })),
            },
        }
        Ok(())
    }
}

/// `<<: *others`: what the mapping does not set itself.
fn merge(pairs: &mut Vec<(String, Node)>, node: Node) -> Result<(), Broken> {
    let nodes = match node.kind {
        Kind::List(nodes) => nodes,
        _ => vec![node],
    };
    for node in nodes {
        let Kind::Map(others) = node.kind else {
            let what = "`<<` merges something that is not a mapping".to_owned();
            return Err(Broken {
                line: node.line,
                what,
                help: "merge mappings, or write the keys",
            });
        };
        // What stands later goes before what is merged: put in front.
        pairs.splice(0..0, others);
    }
    Ok(())
}
