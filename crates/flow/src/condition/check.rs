//! What an expression may be made of, and the type of each part: `cel` checks neither.
//!
//! Lowers the parsed tree to one in which types fit. What is not listed here is refused.

use super::parse::{CONDITION_PARTS_MAX, Parsed};
use super::{BadCondition, Comparison, Field, Ground, Known, LocalPart, Node, Search, Sum, Type};
use cel::IdedExpr;
use cel::common::ast::operators::{
    ADD, CONDITIONAL, EQUALS, GREATER, GREATER_EQUALS, IN, INDEX, LESS, LESS_EQUALS, LOGICAL_AND, LOGICAL_NOT,
    LOGICAL_OR, MULTIPLY, NEGATE, NOT_EQUALS, SUBSTRACT,
};
use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr};
use std::sync::Arc;
use steadfast_lead::Priority;

const NAMES: &str = "lead.FIELD, quality, priority, source, test, attempt, recipient, flow, age, in_hours, local.hour, local.minute, local.weekday";
const FUNCTIONS: &str = "has, double, size, lowerAscii, startsWith, endsWith, contains, in_hours, and the operators && || ! \
                         == != < <= > >= in + - * ?:";

/// A part with its type.
type Typed = (Node, Type);

/// Checks a parsed expression.
///
/// # Errors
/// [`BadCondition`], with the place of the part within the text.
pub(super) fn checked(parsed: &Parsed, ground: &Ground<'_>) -> Result<Node, BadCondition> {
    let mut check = Check { parsed, ground, parts: 0 };
    let (node, gives) = check.part(&parsed.root)?;
    match gives {
        Type::Truth => Ok(node),
        Type::Number | Type::Text => Err(BadCondition {
            problem: format!("comes to {gives}"),
            allowed: "an expression that is true or false, such as lead.value > 100".to_owned(),
        }),
    }
}

struct Check<'a> {
    parsed: &'a Parsed,
    ground: &'a Ground<'a>,
    parts: usize,
}

impl Check<'_> {
    fn part(&mut self, part: &IdedExpr) -> Result<Typed, BadCondition> {
        self.parts += 1;
        if self.parts > CONDITION_PARTS_MAX {
            let allowed = format!("at most {CONDITION_PARTS_MAX} parts");
            return Err(BadCondition { problem: "is too costly".to_owned(), allowed });
        }
        match &part.expr {
            Expr::Literal(literal) => self.literal(part, literal),
            Expr::Ident(name) => self.name(part, name),
            Expr::Select(select) => self.select(part, select),
            Expr::Call(call) => self.call(part, call),
            Expr::Comprehension(_) => {
                Err(self.bad(part, "repeats over a list (all, exists, map, filter), which is not allowed", FUNCTIONS))
            }
            Expr::List(_) => Err(self.bad(part, "has a list outside of in", "x in [\"a\", \"b\"]")),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                Err(self.bad(part, "has an object, which is not known here", NAMES))
            }
        }
    }

    fn bad(&self, part: &IdedExpr, problem: &str, allowed: &str) -> BadCondition {
        BadCondition { problem: format!("{problem}{}", self.parsed.at(part)), allowed: allowed.to_owned() }
    }

    fn literal(&self, part: &IdedExpr, literal: &LiteralValue) -> Result<Typed, BadCondition> {
        match literal {
            LiteralValue::Boolean(is) => Ok((Node::Truth(is.into_inner()), Type::Truth)),
            LiteralValue::Double(number) => Ok((Node::Number(*number.inner()), Type::Number)),
            LiteralValue::Int(number) => self.whole(part, i128::from(*number.inner())),
            LiteralValue::UInt(number) => self.whole(part, i128::from(*number.inner())),
            LiteralValue::String(text) => Ok((Node::Text(text.inner().into()), Type::Text)),
            LiteralValue::Bytes(_) | LiteralValue::Null => {
                Err(self.bad(part, "has a value of an unknown kind", "texts, numbers, true, false; has(lead.x)"))
            }
        }
    }

    /// Numbers are of one kind; a whole number that it does not hold exactly would be compared as another.
    fn whole(&self, part: &IdedExpr, number: i128) -> Result<Typed, BadCondition> {
        let exact = i32::try_from(number).map(f64::from);
        let exact = exact.ok().or_else(|| number.to_string().parse::<f64>().ok().filter(|_| number.abs() < 1 << 53));
        let exact = exact.ok_or_else(|| self.bad(part, "has a number too large", "whole numbers below 2^53"))?;
        Ok((Node::Number(exact), Type::Number))
    }

    fn name(&mut self, part: &IdedExpr, name: &str) -> Result<Typed, BadCondition> {
        let known = match name {
            "priority" => (Known::Priority, Type::Text),
            "source" => (Known::Source, Type::Text),
            "recipient" => (Known::Recipient, Type::Text),
            "flow" => (Known::Flow, Type::Text),
            "test" => (Known::Test, Type::Truth),
            "attempt" => (Known::Attempt, Type::Number),
            "age" => (Known::Age, Type::Number),
            "in_hours" => return Ok((Node::InHours(self.ground.calendar.cloned()), Type::Truth)),
            "quality" => return self.field(part, "quality"),
            _ => return Err(self.bad(part, &format!("names {name:?}, which is not known"), NAMES)),
        };
        Ok((Node::Known(known.0), known.1))
    }

    fn field(&self, part: &IdedExpr, name: &str) -> Result<Typed, BadCondition> {
        let field = self.known_field(part, name)?;
        let gives = field.gives();
        Ok((Node::Field(field), gives))
    }

    fn has(&self, part: &IdedExpr, name: &str) -> Result<Typed, BadCondition> {
        Ok((Node::Has(self.known_field(part, name)?), Type::Truth))
    }

    fn known_field(&self, part: &IdedExpr, name: &str) -> Result<Arc<Field>, BadCondition> {
        let problem = || format!("names lead.{name}, which the flow does not declare");
        self.ground.field(name).map_err(|known| self.bad(part, &problem(), &known))
    }

    fn select(&self, part: &IdedExpr, select: &SelectExpr) -> Result<Typed, BadCondition> {
        match (&select.operand.expr, select.test) {
            (Expr::Ident(owner), false) if owner == "lead" => self.field(part, &select.field),
            (Expr::Ident(owner), true) if owner == "lead" => self.has(part, &select.field),
            (Expr::Ident(owner), false) if owner == "local" => self.local(part, &select.field),
            _ => Err(self.bad(part, &format!("asks for .{} of what has no such part", select.field), NAMES)),
        }
    }

    fn local(&self, part: &IdedExpr, name: &str) -> Result<Typed, BadCondition> {
        let which = match name {
            "hour" => LocalPart::Hour,
            "minute" => LocalPart::Minute,
            "weekday" => LocalPart::Weekday,
            _ => {
                return Err(self.bad(
                    part,
                    &format!("asks for local.{name}"),
                    "local.hour, local.minute, local.weekday",
                ));
            }
        };
        let Some(zone) = self.ground.zone else {
            let allowed = "time_zone on the recipient, its calendar or its account";
            return Err(self.bad(part, "asks for the local time, and no zone is known", allowed));
        };
        Ok((Node::Local(which, zone.clone()), Type::Number))
    }

    fn call(&mut self, part: &IdedExpr, call: &CallExpr) -> Result<Typed, BadCondition> {
        let target = call.target.as_deref();
        let args: Vec<&IdedExpr> = target.into_iter().chain(&call.args).collect();
        match (call.func_name.as_str(), args.as_slice()) {
            (LOGICAL_NOT, [one]) => Ok((Node::Not(Box::new(self.of(one, Type::Truth)?)), Type::Truth)),
            (LOGICAL_AND, [one, other]) => Ok((Node::And(self.two(one, other, Type::Truth)?), Type::Truth)),
            (LOGICAL_OR, [one, other]) => Ok((Node::Or(self.two(one, other, Type::Truth)?), Type::Truth)),
            (CONDITIONAL, [asked, yes, no]) => self.choice(part, [asked, yes, no]),
            (NEGATE, [one]) => Ok((Node::Negate(Box::new(self.of(one, Type::Number)?)), Type::Number)),
            (IN, [one, list]) => self.one_of(part, one, list),
            (INDEX, [owner, name]) => self.index(part, owner, name),
            ("double", [one]) => Ok((Node::ToNumber(Box::new(self.of(one, Type::Text)?)), Type::Number)),
            ("size", [one]) => Ok((Node::Size(Box::new(self.of(one, Type::Text)?)), Type::Number)),
            ("lowerAscii", [one]) => Ok((Node::Lower(Box::new(self.of(one, Type::Text)?)), Type::Text)),
            ("in_hours", [name]) if target.is_none() => self.in_hours(part, name),
            (name, [one, other]) => self.binary(part, name, one, other),
            (name, _) => Err(self.unknown_function(part, name)),
        }
    }

    fn unknown_function(&self, part: &IdedExpr, name: &str) -> BadCondition {
        let shown = name.trim_matches(|letter| matches!(letter, '_' | '@'));
        self.bad(part, &format!("uses {shown:?} in a way that is not known"), FUNCTIONS)
    }

    fn binary(&mut self, part: &IdedExpr, name: &str, one: &IdedExpr, other: &IdedExpr) -> Result<Typed, BadCondition> {
        let compared = match name {
            EQUALS => Some(Comparison::Equal),
            NOT_EQUALS => Some(Comparison::Unequal),
            LESS => Some(Comparison::Less),
            LESS_EQUALS => Some(Comparison::LessOrEqual),
            GREATER => Some(Comparison::Greater),
            GREATER_EQUALS => Some(Comparison::GreaterOrEqual),
            _ => None,
        };
        if let Some(how) = compared {
            return self.compared(part, how, one, other);
        }
        let counted = match name {
            ADD => Some(Sum::Plus),
            SUBSTRACT => Some(Sum::Minus),
            MULTIPLY => Some(Sum::Times),
            _ => None,
        };
        if let Some(how) = counted {
            return Ok((Node::Math(how, self.two(one, other, Type::Number)?), Type::Number));
        }
        let how = match name {
            "startsWith" => Search::Begins,
            "endsWith" => Search::Ends,
            "contains" => Search::Contains,
            _ => return Err(self.unknown_function(part, name)),
        };
        Ok((Node::Search(how, self.two(one, other, Type::Text)?), Type::Truth))
    }

    fn compared(
        &mut self,
        part: &IdedExpr,
        how: Comparison,
        one: &IdedExpr,
        other: &IdedExpr,
    ) -> Result<Typed, BadCondition> {
        let ((left, gives), (right, with)) = (self.part(one)?, self.part(other)?);
        if gives != with {
            return Err(self.bad(
                part,
                &format!("compares {gives} with {with}"),
                "two of one kind; double(lead.x) makes a number of a text",
            ));
        }
        let ordered = !matches!(how, Comparison::Equal | Comparison::Unequal);
        if ordered && gives == Type::Truth {
            return Err(self.bad(part, "asks which of true and false is more", "==, != or the value itself"));
        }
        self.priority_words(part, &left, std::slice::from_ref(&right))?;
        self.priority_words(part, &right, std::slice::from_ref(&left))?;
        Ok((Node::Compare(how, Box::new([left, right])), Type::Truth))
    }

    /// A misspelt priority would never be so.
    fn priority_words(&self, part: &IdedExpr, one: &Node, words: &[Node]) -> Result<(), BadCondition> {
        if !matches!(one, Node::Known(Known::Priority)) {
            return Ok(());
        }
        let unknown = |word: &&Node| matches!(word, Node::Text(text) if Priority::from_name(text).is_none());
        let Some(Node::Text(word)) = words.iter().find(unknown) else { return Ok(()) };
        let known = Priority::ALL.map(Priority::name).join(", ");
        Err(self.bad(part, &format!("compares priority with {word:?}, which it never is"), &known))
    }

    fn choice(&mut self, part: &IdedExpr, three: [&IdedExpr; 3]) -> Result<Typed, BadCondition> {
        let asked = self.of(three[0], Type::Truth)?;
        let ((yes, gives), (no, other)) = (self.part(three[1])?, self.part(three[2])?);
        if gives != other {
            return Err(self.bad(part, &format!("chooses between {gives} and {other}"), "two of one kind"));
        }
        Ok((Node::If(Box::new([asked, yes, no])), gives))
    }

    fn one_of(&mut self, part: &IdedExpr, one: &IdedExpr, list: &IdedExpr) -> Result<Typed, BadCondition> {
        // `"a name with spaces" in lead`: has() takes no such name.
        if let (Expr::Literal(LiteralValue::String(name)), Expr::Ident(owner)) = (&one.expr, &list.expr)
            && owner == "lead"
        {
            return self.has(part, name.inner());
        }
        let (one, gives) = self.part(one)?;
        let Expr::List(list) = &list.expr else {
            return Err(self.bad(part, "uses in without a list", "x in [\"a\", \"b\"]"));
        };
        let list = list.elements.iter().map(|value| self.of(value, gives)).collect::<Result<Vec<Node>, _>>()?;
        self.priority_words(part, &one, &list)?;
        Ok((Node::OneOf(Box::new(one), list), Type::Truth))
    }

    /// `lead["a name with spaces"]`.
    fn index(&self, part: &IdedExpr, owner: &IdedExpr, name: &IdedExpr) -> Result<Typed, BadCondition> {
        match (&owner.expr, &name.expr) {
            (Expr::Ident(owner), Expr::Literal(LiteralValue::String(name))) if owner == "lead" => {
                self.field(part, name.inner())
            }
            _ => Err(self.bad(part, "asks for an entry of what has none", "lead[\"a field's name\"]")),
        }
    }

    fn in_hours(&self, part: &IdedExpr, name: &IdedExpr) -> Result<Typed, BadCondition> {
        let Expr::Literal(LiteralValue::String(name)) = &name.expr else {
            return Err(self.bad(part, "asks for a calendar that is not named", "in_hours(\"office\")"));
        };
        let found = (self.ground.named)(name.inner());
        let calendar = found.map_err(|why| self.bad(part, &why, "in_hours(\"a calendar's name\")"))?;
        Ok((Node::Open(calendar), Type::Truth))
    }

    fn two(&mut self, one: &IdedExpr, other: &IdedExpr, needed: Type) -> Result<Box<[Node; 2]>, BadCondition> {
        Ok(Box::new([self.of(one, needed)?, self.of(other, needed)?]))
    }

    fn of(&mut self, part: &IdedExpr, needed: Type) -> Result<Node, BadCondition> {
        let (node, gives) = self.part(part)?;
        if gives == needed {
            return Ok(node);
        }
        Err(self.bad(part, &format!("has {gives} where {needed} is needed"), &needed.to_string()))
    }
}
