//! Values of a lead's fields, kept as they came: order, and the digits of a number, are never changed.

use std::fmt;

/// A number in the digits it was written with (`1.10` stays `1.10`).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number(Box<str>);

impl Number {
    /// Keeps JSON number text. The caller has checked the grammar.
    pub(crate) fn from_json(text: &str) -> Self {
        Number(text.into())
    }

    /// From text that is a JSON number (`1.10`, `-2e3`), kept in its digits; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        let raw: &serde_json::value::RawValue = serde_json::from_str(text).ok()?;
        let number = raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
        number.then(|| Number(raw.get().into()))
    }

    /// From an integer.
    pub fn from_integer(number: i64) -> Self {
        Number(number.to_string().into())
    }

    /// The digits as they came.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one field of a lead holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing, said so.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number as written.
    Number(Number),
    /// Text.
    Text(Box<str>),
    /// Several values; also what a repeated form field becomes.
    List(Vec<Value>),
    /// Named values.
    Object(Fields),
}

impl Value {
    /// A text value.
    pub fn text(text: &str) -> Self {
        Value::Text(text.into())
    }

    fn held_bytes(&self) -> usize {
        match self {
            Value::Null | Value::Bool(_) => 0,
            Value::Number(number) => number.as_str().len(),
            Value::Text(text) => text.len(),
            Value::List(values) => values.iter().map(|value| size_of::<Value>() + value.held_bytes()).sum(),
            Value::Object(fields) => fields.held_bytes(),
        }
    }

    /// How a single value reads in a form or a template; `None` for lists and objects.
    pub fn as_plain(&self) -> Option<&str> {
        match self {
            Value::Null => Some(""),
            Value::Bool(true) => Some("true"),
            Value::Bool(false) => Some("false"),
            Value::Number(number) => Some(number.as_str()),
            Value::Text(text) => Some(text),
            Value::List(_) | Value::Object(_) => None,
        }
    }
}

/// Named values in the order they came, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(Box<str>, Value)>);

impl IntoIterator for Fields {
    type Item = (Box<str>, Value);
    type IntoIter = std::vec::IntoIter<(Box<str>, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Fields {
    /// No fields.
    pub fn new() -> Self {
        Fields::default()
    }

    /// Adds a field at the end; gives the value back if the name is taken.
    ///
    /// # Errors
    /// The value, unchanged, when there is a field of that name already.
    pub fn insert(&mut self, name: &str, value: Value) -> Result<(), Value> {
        if self.get(name).is_some() {
            return Err(value);
        }
        self.0.push((name.into(), value));
        Ok(())
    }

    /// Adds a value under a name; a second one under the same name makes a list, as repeated form fields do.
    pub fn append(&mut self, name: &str, value: Value) {
        let Some((_, held)) = self.0.iter_mut().find(|(known, _)| &**known == name) else {
            self.0.push((name.into(), value));
            return;
        };
        if let Value::List(values) = held {
            values.push(value);
            return;
        }
        let first = std::mem::replace(held, Value::Null);
        *held = Value::List(vec![first, value]);
    }

    /// Takes over pairs whose names the caller knows to be unique.
    pub fn from_unique(pairs: Vec<(Box<str>, Value)>) -> Self {
        Fields(pairs)
    }

    /// The value under a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| &**known == name).map(|(_, value)| value)
    }

    /// Name and value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// How many fields.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// About how many bytes of memory they hold, names and structure included.
    pub fn held_bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| size_of::<(Box<str>, Value)>() + name.len() + value.held_bytes()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_what_json_calls_one() {
        for good in ["1.10", "-0", "2e3", "12345678901234567890123"] {
            assert_eq!(Number::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "01", "1.", ".5", "+1", "0x1", "true", "\"1\"", "NaN", "[1]"] {
            assert_eq!(Number::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_fields_hold_grows_with_every_part() {
        let mut fields = Fields::new();
        fields.insert("note", Value::text(&"x".repeat(1_000))).unwrap();
        let flat = fields.held_bytes();
        assert!((1_004..1_100).contains(&flat), "{flat}");
        let nested = Value::List(vec![Value::Object(fields.clone()), Value::Bool(true)]);
        fields.insert("all", nested).unwrap();
        assert!(fields.held_bytes() > 2 * flat);
    }

    #[test]
    fn repeated_names_become_a_list() {
        let mut fields = Fields::new();
        for colour in ["red", "green", "blue"] {
            fields.append("colour", Value::text(colour));
        }
        let expected = ["red", "green", "blue"].map(Value::text).to_vec();
        assert_eq!(fields.get("colour"), Some(&Value::List(expected)));
        assert_eq!(fields.insert("colour", Value::Null), Err(Value::Null));
    }
}
