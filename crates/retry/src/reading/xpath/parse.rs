//! From text to an expression. Recursion is bounded by counting.

use super::{Axis, Comparison, Expression, Function, Path, Step, Test};

/// How deep an expression may nest.
const DEPTH_MAX: u32 = 16;

/// Reads a whole expression.
pub(super) fn expression(text: &str) -> Option<Expression> {
    let mut parser = Parser { rest: text, depth: 0 };
    let expression = parser.or()?;
    parser.blanks();
    parser.rest.is_empty().then_some(expression)
}

struct Parser<'t> {
    rest: &'t str,
    depth: u32,
}

impl<'t> Parser<'t> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: &str) -> bool {
        self.blanks();
        let behind = self.rest.strip_prefix(token);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    /// A word that is not the beginning of a longer name.
    fn take_word(&mut self, word: &str) -> bool {
        self.blanks();
        let behind = self.rest.strip_prefix(word).filter(|behind| !behind.starts_with(in_name));
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    fn name(&mut self) -> Option<&'t str> {
        self.blanks();
        let begins = self.rest.starts_with(|c: char| c.is_alphabetic() || c == '_');
        let end = self.rest.find(|c: char| !in_name(c)).unwrap_or(self.rest.len());
        let (name, behind) = self.rest.split_at_checked(end).filter(|_| begins)?;
        self.rest = behind;
        // XML would allow such names; here they are a slip of the pen.
        (!name.contains("..") && !name.ends_with('.')).then_some(name)
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        let found = if self.depth > DEPTH_MAX { None } else { read(self) };
        self.depth -= 1;
        found
    }

    fn or(&mut self) -> Option<Expression> {
        let mut parts = vec![self.and()?];
        while self.take_word("or") {
            parts.push(self.and()?);
        }
        if parts.len() == 1 { parts.pop() } else { Some(Expression::Or(parts)) }
    }

    fn and(&mut self) -> Option<Expression> {
        let mut parts = vec![self.comparison()?];
        while self.take_word("and") {
            parts.push(self.comparison()?);
        }
        if parts.len() == 1 { parts.pop() } else { Some(Expression::And(parts)) }
    }

    fn comparison(&mut self) -> Option<Expression> {
        const SIGNS: [(&str, Comparison); 6] = [
            ("!=", Comparison::Unequal),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("=", Comparison::Equal),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let left = self.union()?;
        let sign = SIGNS.into_iter().find(|(sign, _)| self.take(sign));
        let Some((_, comparison)) = sign else { return Some(left) };
        let right = self.union()?;
        Some(Expression::Compare(Box::new(left), comparison, Box::new(right)))
    }

    fn union(&mut self) -> Option<Expression> {
        let mut parts = vec![self.operand()?];
        while self.take("|") {
            parts.push(self.operand()?);
        }
        if parts.len() == 1 { parts.pop() } else { Some(Expression::Union(parts)) }
    }

    fn operand(&mut self) -> Option<Expression> {
        self.blanks();
        match self.rest.chars().next()? {
            quote @ ('"' | '\'') => {
                let (text, behind) = self.rest[1..].split_once(quote)?;
                self.rest = behind;
                Some(Expression::Text(text.into()))
            }
            digit if digit.is_ascii_digit() => self.number(),
            '(' => self.group(),
            _ => self.call_or_path(),
        }
    }

    fn number(&mut self) -> Option<Expression> {
        let end = self.rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(self.rest.len());
        let (digits, behind) = self.rest.split_at(end);
        self.rest = behind;
        digits.parse().ok().map(Expression::Number)
    }

    /// `( ... )`, and what may be taken of it: `(//a)[1]/b`.
    fn group(&mut self) -> Option<Expression> {
        self.take("(");
        let inner = self.deeper(Self::or)?;
        if !self.take(")") {
            return None;
        }
        let predicates = self.predicates()?;
        let slashed = self.rest.starts_with('/');
        if predicates.is_empty() && !slashed {
            return Some(inner);
        }
        let mut steps = vec![Step { axis: Axis::Itself, test: Test::Node, predicates }];
        if slashed {
            self.more_steps(&mut steps)?;
        }
        Some(Expression::From(Box::new(inner), steps))
    }

    fn call_or_path(&mut self) -> Option<Expression> {
        let before = self.rest;
        if let Some(name) = self.name() {
            let is_call = !matches!(name, "text" | "node") && self.take("(");
            if is_call {
                return self.call(name);
            }
        }
        self.rest = before;
        self.path().map(Expression::Path)
    }

    fn call(&mut self, name: &str) -> Option<Expression> {
        let (function, allowed) = Function::from_name(name)?;
        let arguments = if self.take(")") { Vec::new() } else { self.arguments()? };
        allowed.contains(&arguments.len()).then_some(Expression::Call(function, arguments))
    }

    fn arguments(&mut self) -> Option<Vec<Expression>> {
        let mut arguments = vec![self.deeper(Self::or)?];
        while self.take(",") {
            arguments.push(self.deeper(Self::or)?);
        }
        self.take(")").then_some(arguments)
    }

    fn path(&mut self) -> Option<Path> {
        let mut steps = Vec::new();
        self.blanks();
        let from_root = self.rest.starts_with('/');
        if self.take("//") {
            steps.push(any_below());
            steps.push(self.step()?);
        } else if self.take("/") {
            if self.rest.is_empty() {
                return Some(Path { from_root, steps });
            }
            steps.push(self.step()?);
        } else {
            steps.push(self.step()?);
        }
        self.more_steps(&mut steps)?;
        Some(Path { from_root, steps })
    }

    fn more_steps(&mut self, steps: &mut Vec<Step>) -> Option<()> {
        loop {
            if self.take("//") {
                steps.push(any_below());
            } else if !self.take("/") {
                return Some(());
            }
            steps.push(self.step()?);
        }
    }

    fn step(&mut self) -> Option<Step> {
        if self.take("..") {
            return Some(Step { axis: Axis::Parent, test: Test::Node, predicates: self.predicates()? });
        }
        if self.take(".") {
            return Some(Step { axis: Axis::Itself, test: Test::Node, predicates: self.predicates()? });
        }
        let axis = self.axis()?;
        let test = self.test()?;
        Some(Step { axis, test, predicates: self.predicates()? })
    }

    fn axis(&mut self) -> Option<Axis> {
        if self.take("@") {
            return Some(Axis::Attribute);
        }
        let before = self.rest;
        if let Some(name) = self.name()
            && self.take("::")
        {
            return Axis::from_name(name);
        }
        self.rest = before;
        Some(Axis::Child)
    }

    fn test(&mut self) -> Option<Test> {
        if self.take("*") {
            return Some(Test::Any);
        }
        let name = self.name()?;
        if matches!(name, "text" | "node") && self.take("(") {
            let test = if name == "text" { Test::Text } else { Test::Node };
            return self.take(")").then_some(test);
        }
        if self.rest.starts_with("::") || !self.rest.starts_with(':') {
            return Some(Test::Name(name.into()));
        }
        self.rest = &self.rest[1..];
        let local = if self.take("*") { None } else { Some(self.name()?.into()) };
        Some(Test::Prefixed(name.into(), local))
    }

    fn predicates(&mut self) -> Option<Vec<Expression>> {
        let mut predicates = Vec::new();
        while self.take("[") {
            predicates.push(self.deeper(Self::or)?);
            if !self.take("]") {
                return None;
            }
        }
        Some(predicates)
    }
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// `//`
fn any_below() -> Step {
    Step { axis: Axis::DescendantOrSelf, test: Test::Node, predicates: Vec::new() }
}
