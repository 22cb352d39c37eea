//! A mapped JSON body: a tree of paths, written in one pass over the values a lead has.
//!
//! Members stand in the order they are configured. What a lead lacks is left out, and with it what holds nothing else.

use super::BodyEntry;
use super::path::{JsonStep, json_path};
use super::source::{Filling, Made, Source};
use crate::place::Fault;
use crate::request::RenderFailed;
use crate::template::Builder;

/// A mapped JSON body.
#[derive(Clone, Debug)]
pub(crate) struct JsonBody {
    sources: Vec<Source>,
    root: Node,
}

#[derive(Clone, Debug)]
enum Node {
    Empty,
    Leaf(usize),
    Object(Vec<(Box<str>, Node)>),
    /// By place; places nobody fills are closed up.
    List(Vec<(usize, Node)>),
}

impl JsonBody {
    /// From entries; what does not fit is added to the builder's faults.
    pub(crate) fn new(entries: &[BodyEntry], builder: &mut Builder) -> Self {
        let mut body = JsonBody { sources: Vec::new(), root: Node::Empty };
        for entry in entries {
            let Some(source) = Source::new(entry, builder) else { continue };
            let added = json_path(entry).and_then(|steps| body.root.add(&steps, body.sources.len(), entry));
            builder.faults.extend(added.err());
            body.sources.push(source);
        }
        body
    }

    /// Writes the body for a lead.
    ///
    /// # Errors
    /// [`RenderFailed`] where a template fails for this lead.
    pub(crate) fn write(&self, filling: &Filling<'_>, out: &mut Vec<u8>) -> Result<(), RenderFailed> {
        let made = self.sources.iter().map(|source| source.make(filling)).collect::<Result<Vec<_>, _>>()?;
        if !self.root.write(&made, out) {
            out.extend_from_slice(if matches!(self.root, Node::List(_)) { b"[]" } else { b"{}" });
        }
        Ok(())
    }

    /// What shapes the bytes.
    pub(crate) fn describe(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{:?}", self.root).as_bytes());
        self.sources.iter().for_each(|source| source.describe(out));
    }
}

impl Node {
    fn add(&mut self, steps: &[JsonStep], leaf: usize, entry: &BodyEntry) -> Result<(), Fault> {
        let clash = || entry.fault("stands where another path has a value of another shape", "one value to each path");
        let Some((step, rest)) = steps.split_first() else {
            return match self {
                Node::Empty => {
                    *self = Node::Leaf(leaf);
                    Ok(())
                }
                Node::Leaf(_) | Node::Object(_) | Node::List(_) => Err(clash()),
            };
        };
        if matches!(self, Node::Empty) {
            *self = match step {
                JsonStep::Member(_) => Node::Object(Vec::new()),
                JsonStep::Item(_) => Node::List(Vec::new()),
            };
        }
        match (self, step) {
            (Node::Object(members), JsonStep::Member(name)) => below(members, name.clone()).add(rest, leaf, entry),
            (Node::List(items), JsonStep::Item(place)) => {
                below(items, *place);
                items.sort_by_key(|(place, _)| *place);
                below(items, *place).add(rest, leaf, entry)
            }
            (
                Node::Empty | Node::Leaf(_) | Node::Object(_) | Node::List(_),
                JsonStep::Member(_) | JsonStep::Item(_),
            ) => Err(clash()),
        }
    }

    /// Whether there was anything to write.
    fn write(&self, made: &[Option<Made<'_>>], out: &mut Vec<u8>) -> bool {
        let begin = out.len();
        match self {
            Node::Empty => return false,
            Node::Leaf(leaf) => {
                let Some(Some(value)) = made.get(*leaf) else { return false };
                value.write_json(out);
                return true;
            }
            Node::Object(members) => {
                out.push(b'{');
                for (name, node) in members {
                    write_one(Some(name), node, made, out);
                }
                out.push(b'}');
            }
            Node::List(items) => {
                out.push(b'[');
                for (_, node) in items {
                    write_one(None, node, made, out);
                }
                out.push(b']');
            }
        }
        let anything = out.len() > begin + 2;
        if !anything {
            out.truncate(begin);
        }
        anything
    }
}

/// The entry of a key, made where there is none.
fn below<K: PartialEq>(entries: &mut Vec<(K, Node)>, key: K) -> &mut Node {
    let at = entries.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        entries.push((key, Node::Empty));
        entries.len() - 1
    });
    &mut entries[at].1
}

fn write_one(name: Option<&str>, node: &Node, made: &[Option<Made<'_>>], out: &mut Vec<u8>) {
    let begin = out.len();
    if !matches!(out.last(), Some(b'{' | b'[')) {
        out.push(b',');
    }
    if let Some(name) = name {
        // Writing text into a vector cannot fail.
        let _written = serde_json::to_writer(&mut *out, name);
        out.push(b':');
    }
    if !node.write(made, out) {
        out.truncate(begin);
    }
}
