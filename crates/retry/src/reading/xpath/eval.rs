//! From an expression and a document to what it selects, within a budget of work.

use super::{Axis, Comparison, Expression, Function, Step, Test};
use roxmltree::{Document, Node, NodeType};
use std::borrow::Cow;
use std::collections::HashMap;

/// Nodes looked at and bytes gathered for one expression, at most.
const WORK_MAX: usize = 2_000_000;
/// What looking up a prefix takes.
const PREFIX_WORK: usize = 8;
/// As many bytes are compared as quickly as one node is looked at.
const COMPARED_BYTES: usize = 64;
/// Nodes one expression may come to.
const SELECTED_MAX: usize = 10_000;

/// An element, a text, the document, or an attribute of an element.
#[derive(Clone, Copy, Debug)]
struct Item<'a, 'i> {
    node: Node<'a, 'i>,
    attribute: Option<usize>,
}

enum Value<'a, 'i> {
    Items(Vec<Item<'a, 'i>>),
    Text(Cow<'a, str>),
    Number(f64),
    Truth(bool),
}

/// Where an expression is looked at from.
#[derive(Clone, Copy)]
struct Place<'a, 'i> {
    item: Item<'a, 'i>,
    position: usize,
    size: usize,
}

/// The texts of what an expression selects; `None` beyond the budget. What it takes is taken from `left`, too.
pub(super) fn texts<'a>(
    expression: &Expression,
    document: &'a Document<'_>,
    left: &mut usize,
) -> Option<Vec<Cow<'a, str>>> {
    let most = WORK_MAX.min(*left);
    let mut work = Work { left: most };
    let texts = work.texts(expression, document);
    // Over the budget is all of it.
    *left -= if texts.is_some() { most - work.left } else { most };
    texts
}

struct Work {
    left: usize,
}

impl Work {
    fn texts<'a>(&mut self, expression: &Expression, document: &'a Document<'_>) -> Option<Vec<Cow<'a, str>>> {
        let place = Place { item: Item { node: document.root(), attribute: None }, position: 1, size: 1 };
        match self.value(expression, place)? {
            Value::Items(items) if items.len() > SELECTED_MAX => None,
            Value::Items(items) => items.into_iter().map(|item| self.text_of(item)).collect(),
            other @ (Value::Text(_) | Value::Number(_) | Value::Truth(_)) => Some(vec![self.text(other)?]),
        }
    }

    fn spend(&mut self, amount: usize) -> Option<()> {
        self.left = self.left.checked_sub(amount)?;
        Some(())
    }

    fn value<'a, 'i>(&mut self, expression: &Expression, place: Place<'a, 'i>) -> Option<Value<'a, 'i>> {
        self.spend(1)?;
        Some(match expression {
            Expression::Or(parts) => Value::Truth(self.any(parts, place, true)?),
            Expression::And(parts) => Value::Truth(!self.any(parts, place, false)?),
            Expression::Compare(left, comparison, right) => {
                let (left, right) = (self.value(left, place)?, self.value(right, place)?);
                Value::Truth(self.compare(left, *comparison, right)?)
            }
            Expression::Union(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend(self.items(part, place)?);
                }
                Value::Items(in_order(all))
            }
            Expression::Path(path) => {
                let root = Item { node: place.item.node.document().root(), attribute: None };
                let from = if path.from_root { root } else { place.item };
                Value::Items(self.walk(vec![from], &path.steps)?)
            }
            Expression::From(inner, steps) => {
                let items = self.items(inner, place)?;
                let (first, rest) = steps.split_first()?;
                let kept = self.filter(items, &first.predicates)?;
                Value::Items(self.walk(kept, rest)?)
            }
            Expression::Text(text) => Value::Text(Cow::Owned(text.to_string())),
            Expression::Number(number) => Value::Number(*number),
            Expression::Call(function, arguments) => self.call(*function, arguments, place)?,
        })
    }

    /// Whether some part is as wished.
    fn any(&mut self, parts: &[Expression], place: Place<'_, '_>, wished: bool) -> Option<bool> {
        for part in parts {
            let value = self.value(part, place)?;
            if truth(&value) == wished {
                return Some(true);
            }
        }
        Some(false)
    }

    /// What is no node-set has no nodes.
    fn items<'a, 'i>(&mut self, expression: &Expression, place: Place<'a, 'i>) -> Option<Vec<Item<'a, 'i>>> {
        Some(match self.value(expression, place)? {
            Value::Items(items) => items,
            Value::Text(_) | Value::Number(_) | Value::Truth(_) => Vec::new(),
        })
    }

    fn walk<'a, 'i>(&mut self, mut here: Vec<Item<'a, 'i>>, steps: &[Step]) -> Option<Vec<Item<'a, 'i>>> {
        for step in steps {
            let mut next = Vec::new();
            for item in here {
                let found = self.along(step, item)?;
                next.extend(self.filter(found, &step.predicates)?);
            }
            self.spend(next.len())?;
            here = in_order(next);
        }
        Some(here)
    }

    fn filter<'a, 'i>(&mut self, mut items: Vec<Item<'a, 'i>>, predicates: &[Expression]) -> Option<Vec<Item<'a, 'i>>> {
        for predicate in predicates {
            let size = items.len();
            let mut kept = Vec::new();
            for (position, item) in (1..).zip(items) {
                let holds = match self.value(predicate, Place { item, position, size })? {
                    Value::Number(number) => is_at(number, position),
                    other @ (Value::Items(_) | Value::Text(_) | Value::Truth(_)) => truth(&other),
                };
                kept.extend(holds.then_some(item));
            }
            items = kept;
        }
        Some(items)
    }

    /// What lies along a step's axis and passes its test, nearest first.
    fn along<'a, 'i>(&mut self, step: &Step, from: Item<'a, 'i>) -> Option<Vec<Item<'a, 'i>>> {
        let plain = |node| Item { node, attribute: None };
        let mut found = Vec::new();
        if from.attribute.is_some() {
            match step.axis {
                Axis::Itself | Axis::DescendantOrSelf => found.push(from),
                Axis::Parent => found.push(plain(from.node)),
                Axis::Ancestor => found.extend(from.node.ancestors().map(plain)),
                Axis::Child | Axis::Descendant | Axis::Attribute | Axis::FollowingSibling | Axis::PrecedingSibling => {}
            }
        } else {
            let node = from.node;
            match step.axis {
                Axis::Child => found.extend(node.children().map(plain)),
                Axis::Descendant => found.extend(node.descendants().skip(1).map(plain)),
                Axis::DescendantOrSelf => found.extend(node.descendants().map(plain)),
                Axis::Attribute => {
                    found.extend((0..node.attributes().len()).map(|at| Item { node, attribute: Some(at) }));
                }
                Axis::Itself => found.push(from),
                Axis::Parent => found.extend(node.parent().map(plain)),
                Axis::Ancestor => found.extend(node.ancestors().skip(1).map(plain)),
                Axis::FollowingSibling => found.extend(node.next_siblings().skip(1).map(plain)),
                Axis::PrecedingSibling => found.extend(node.prev_siblings().skip(1).map(plain)),
            }
        }
        // A prefix is looked up among those declared.
        let each = if matches!(step.test, Test::Prefixed(..)) { PREFIX_WORK } else { 1 };
        self.spend(found.len().saturating_mul(each) + 1)?;
        found.retain(|item| passes(&step.test, *item));
        Some(found)
    }

    fn compare(&mut self, left: Value<'_, '_>, comparison: Comparison, right: Value<'_, '_>) -> Option<bool> {
        let numbers = !matches!(comparison, Comparison::Equal | Comparison::Unequal)
            || matches!(left, Value::Number(_))
            || matches!(right, Value::Number(_));
        if matches!(left, Value::Truth(_)) || matches!(right, Value::Truth(_)) {
            let (left, right) = (f64::from(u8::from(truth(&left))), f64::from(u8::from(truth(&right))));
            return Some(ordered(comparison, left, right));
        }
        let (left, right) = (self.each_text(left)?, self.each_text(right)?);
        if numbers {
            let each = |texts: &[Cow<'_, str>]| texts.iter().map(|text| number(text)).collect::<Vec<f64>>();
            let (left, right) = (each(&left), each(&right));
            self.spend(left.len().saturating_mul(right.len()))?;
            return Some(left.iter().any(|one| right.iter().any(|other| ordered(comparison, *one, *other))));
        }
        let bytes: usize = left.iter().map(|text| text.len()).sum();
        self.spend((left.len() + bytes / COMPARED_BYTES).saturating_mul(right.len()))?;
        let holds = |one: &str, other: &str| match comparison {
            Comparison::Unequal => one != other,
            Comparison::Equal
            | Comparison::Less
            | Comparison::LessOrEqual
            | Comparison::Greater
            | Comparison::GreaterOrEqual => one == other,
        };
        Some(left.iter().any(|one| right.iter().any(|other| holds(one, other))))
    }

    fn each_text<'a>(&mut self, value: Value<'a, '_>) -> Option<Vec<Cow<'a, str>>> {
        match value {
            Value::Items(items) => items.into_iter().map(|item| self.text_of(item)).collect(),
            other @ (Value::Text(_) | Value::Number(_) | Value::Truth(_)) => Some(vec![self.text(other)?]),
        }
    }

    /// Of several nodes the first, as XPath has it.
    fn text<'a>(&mut self, value: Value<'a, '_>) -> Option<Cow<'a, str>> {
        Some(match value {
            Value::Items(items) => match items.first() {
                Some(first) => self.text_of(*first)?,
                None => Cow::Borrowed(""),
            },
            Value::Text(text) => text,
            Value::Number(number) => Cow::Owned(number.to_string()),
            Value::Truth(truth) => Cow::Borrowed(if truth { "true" } else { "false" }),
        })
    }

    fn text_of<'a>(&mut self, item: Item<'a, '_>) -> Option<Cow<'a, str>> {
        let node = item.node;
        if let Some(at) = item.attribute {
            let value = node.attributes().nth(at).map_or("", |attribute| attribute.value());
            self.spend(value.len())?;
            return Some(Cow::Owned(value.to_owned()));
        }
        if !matches!(node.node_type(), NodeType::Element | NodeType::Root) {
            let text = node.text().unwrap_or("");
            self.spend(text.len())?;
            return Some(Cow::Borrowed(text));
        }
        let mut pieces: Vec<&'a str> = Vec::new();
        for below in node.descendants() {
            self.spend(1)?;
            let text = below.is_text().then(|| below.text()).flatten();
            self.spend(text.map_or(0, str::len))?;
            pieces.extend(text);
        }
        Some(if let [only] = pieces[..] { Cow::Borrowed(only) } else { Cow::Owned(pieces.concat()) })
    }

    fn call<'a, 'i>(
        &mut self,
        function: Function,
        arguments: &[Expression],
        place: Place<'a, 'i>,
    ) -> Option<Value<'a, 'i>> {
        let text = |work: &mut Self, at: usize| match arguments.get(at) {
            Some(argument) => {
                let value = work.value(argument, place)?;
                work.text(value)
            }
            None => work.text_of(place.item),
        };
        Some(match function {
            Function::Position => Value::Number(as_number(place.position)),
            Function::Last => Value::Number(as_number(place.size)),
            Function::Count => Value::Number(as_number(self.items(arguments.first()?, place)?.len())),
            Function::Name | Function::LocalName | Function::NamespaceUri => {
                let item = match arguments.first() {
                    Some(argument) => self.items(argument, place)?.first().copied(),
                    None => Some(place.item),
                };
                Value::Text(item.map_or(Cow::Borrowed(""), |item| name_by(function, item)))
            }
            Function::Text => Value::Text(text(self, 0)?),
            Function::NormalizeSpace => {
                let words = text(self, 0)?;
                Value::Text(Cow::Owned(words.split_whitespace().collect::<Vec<_>>().join(" ")))
            }
            Function::StringLength => Value::Number(as_number(text(self, 0)?.chars().count())),
            Function::Contains => Value::Truth(text(self, 0)?.contains(&*text(self, 1)?)),
            Function::StartsWith => Value::Truth(text(self, 0)?.starts_with(&*text(self, 1)?)),
            Function::SubstringBefore | Function::SubstringAfter => {
                let (whole, mark) = (text(self, 0)?, text(self, 1)?);
                let (before, after) = whole.split_once(&*mark).unwrap_or_default();
                let part = if function == Function::SubstringBefore { before } else { after };
                Value::Text(Cow::Owned(part.to_owned()))
            }
            Function::Translate => {
                let (whole, from, to) = (text(self, 0)?, text(self, 1)?, text(self, 2)?);
                Value::Text(Cow::Owned(translate(&whole, &from, &to)))
            }
            Function::Concat => {
                let parts = (0..arguments.len()).map(|at| text(self, at)).collect::<Option<Vec<_>>>()?;
                Value::Text(Cow::Owned(parts.concat()))
            }
            Function::Not => Value::Truth(!truth(&self.value(arguments.first()?, place)?)),
            Function::Boolean => Value::Truth(truth(&self.value(arguments.first()?, place)?)),
        })
    }
}

fn in_order<'a, 'i>(mut items: Vec<Item<'a, 'i>>) -> Vec<Item<'a, 'i>> {
    let key = |item: &Item<'_, '_>| (item.node.id().get(), item.attribute.map_or(0, |at| at + 1));
    if items.len() > 1 {
        items.sort_by_key(key);
        items.dedup_by_key(|item| key(item));
    }
    items
}

fn passes(test: &Test, item: Item<'_, '_>) -> bool {
    let named = item.attribute.is_some() || item.node.is_element();
    match test {
        Test::Node => true,
        Test::Text => item.attribute.is_none() && item.node.is_text(),
        Test::Any => named,
        Test::Name(name) => named && written_name(item) == &**name,
        Test::Prefixed(prefix, local) => {
            let (written, own) = written_name(item).split_once(':').unwrap_or(("", written_name(item)));
            let declared = item.node.lookup_namespace_uri(Some(prefix));
            let fits = written == &**prefix || (declared.is_some() && declared == namespace(item));
            named && fits && local.as_deref().is_none_or(|local| local == own)
        }
    }
}

/// A name as the document writes it, with its prefix.
fn written_name<'a>(item: Item<'a, '_>) -> &'a str {
    let text = item.node.document().input_text();
    let start = match item.attribute {
        Some(at) => item.node.attributes().nth(at).map(|attribute| attribute.range().start),
        None => item.node.is_element().then(|| item.node.range().start + 1),
    };
    let rest = start.and_then(|start| text.get(start..)).unwrap_or_default();
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/' | '='));
    &rest[..end.unwrap_or(rest.len())]
}

fn namespace<'a>(item: Item<'a, '_>) -> Option<&'a str> {
    match item.attribute {
        Some(at) => item.node.attributes().nth(at)?.namespace(),
        None => item.node.tag_name().namespace(),
    }
}

fn name_by<'a>(function: Function, item: Item<'a, '_>) -> Cow<'a, str> {
    let written = written_name(item);
    match function {
        Function::LocalName => Cow::Borrowed(written.split_once(':').map_or(written, |(_, local)| local)),
        Function::NamespaceUri => Cow::Owned(namespace(item).unwrap_or_default().to_owned()),
        Function::Name
        | Function::Text
        | Function::NormalizeSpace
        | Function::StringLength
        | Function::Count
        | Function::Contains
        | Function::StartsWith
        | Function::SubstringBefore
        | Function::SubstringAfter
        | Function::Translate
        | Function::Concat
        | Function::Not
        | Function::Boolean
        | Function::Position
        | Function::Last => Cow::Borrowed(written),
    }
}

fn truth(value: &Value<'_, '_>) -> bool {
    match value {
        Value::Items(items) => !items.is_empty(),
        Value::Text(text) => !text.is_empty(),
        Value::Number(number) => *number != 0.0 && !number.is_nan(),
        Value::Truth(truth) => *truth,
    }
}

fn number(text: &str) -> f64 {
    text.trim().parse().unwrap_or(f64::NAN)
}

fn as_number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

fn is_at(number: f64, position: usize) -> bool {
    (number - as_number(position)).abs() < f64::EPSILON
}

fn ordered(comparison: Comparison, left: f64, right: f64) -> bool {
    match comparison {
        Comparison::Equal => left == right,
        Comparison::Unequal => left != right,
        Comparison::Less => left < right,
        Comparison::LessOrEqual => left <= right,
        Comparison::Greater => left > right,
        Comparison::GreaterOrEqual => left >= right,
    }
}

fn translate(text: &str, from: &str, to: &str) -> String {
    let mut becomes = HashMap::new();
    let to = to.chars().map(Some).chain(std::iter::repeat(None));
    for (known, replaced) in from.chars().zip(to) {
        becomes.entry(known).or_insert(replaced);
    }
    text.chars().filter_map(|c| becomes.get(&c).copied().unwrap_or(Some(c))).collect()
}
