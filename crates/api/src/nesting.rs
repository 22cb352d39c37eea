//! Names with dots as nested fields, and fields laid over fields: how sources write them.

use crate::problem::{Problem, ProblemKind, shown};
use std::collections::HashMap;
use steadfast_lead::{Fields, JsonLimits, Value};

/// Nests values by the dots in their names, in the order the names came first. A name that stands more than once makes a
/// list; an object whose names are 0, 1, 2 and so on is a list.
///
/// # Errors
/// A [`Problem`] naming the field that would be both a value and an object, or whose name cannot be used.
pub(crate) fn nest(pairs: Vec<(String, Value)>, limits: JsonLimits) -> Result<Fields, Problem> {
    if pairs.len() > limits.values_max {
        return Err(Problem::new(ProblemKind::TooManyValues, format!("more than {} values", limits.values_max)));
    }
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    level(pairs, limits, 1)
}

#[derive(Default)]
struct Group<'a> {
    values: Vec<Value>,
    nested: Vec<(&'a str, Value)>,
}

fn level(pairs: Vec<(&str, Value)>, limits: JsonLimits, depth: usize) -> Result<Fields, Problem> {
    if depth > limits.depth_max {
        return Err(Problem::new(ProblemKind::TooDeep, format!("nested deeper than {} levels", limits.depth_max)));
    }
    let mut order: Vec<(&str, Group<'_>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (name, value) in pairs {
        let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
        if first.is_empty() || first.len() > limits.name_bytes_max {
            let max = limits.name_bytes_max;
            let detail = format!("a field name must have 1 to {max} bytes between its dots: {}", shown(name));
            return Err(Problem::new(ProblemKind::BadFieldName, detail));
        }
        let place = *places.entry(first).or_insert_with(|| {
            order.push((first, Group::default()));
            order.len() - 1
        });
        let Some((_, group)) = order.get_mut(place) else { continue };
        match rest {
            Some(rest) => group.nested.push((rest, value)),
            None => group.values.push(value),
        }
    }
    let one = |(name, group): (&str, Group<'_>)| Ok((name.into(), grouped(name, group, limits, depth)?));
    Ok(Fields::from_unique(order.into_iter().map(one).collect::<Result<_, Problem>>()?))
}

fn grouped(name: &str, mut group: Group<'_>, limits: JsonLimits, depth: usize) -> Result<Value, Problem> {
    if group.nested.is_empty() {
        return Ok(match group.values.len() {
            1 => group.values.pop().unwrap_or(Value::Null),
            _ => Value::List(group.values),
        });
    }
    if !group.values.is_empty() {
        let detail = format!("field {} has a value, and fields below it", shown(name));
        return Err(Problem::new(ProblemKind::MalformedForm, detail).naming(name));
    }
    let fields = level(group.nested, limits, depth + 1)?;
    let numbered = fields.iter().enumerate().all(|(index, (name, _))| name == index.to_string());
    Ok(match numbered {
        true => Value::List(fields.into_iter().map(|(_, value)| value).collect()),
        false => Value::Object(fields),
    })
}

/// `over` laid over `base`: objects field by field, everything else whole.
pub(crate) fn laid_over(base: Fields, over: Fields) -> Fields {
    if over.is_empty() {
        return base;
    }
    let mut upper: Vec<Option<(Box<str>, Value)>> = over.into_iter().map(Some).collect();
    let places: HashMap<Box<str>, usize> =
        upper.iter().flatten().enumerate().map(|(place, (name, _))| (name.clone(), place)).collect();
    let mut merged = Vec::with_capacity(base.len() + upper.len());
    for (name, value) in base {
        let above = places.get(&name).and_then(|place| upper.get_mut(*place)?.take());
        let value = match (value, above) {
            (Value::Object(base), Some((_, Value::Object(over)))) => Value::Object(laid_over(base, over)),
            (_, Some((_, over))) => over,
            (value, None) => value,
        };
        merged.push((name, value));
    }
    merged.extend(upper.into_iter().flatten());
    Fields::from_unique(merged)
}

#[cfg(test)]
mod tests {
    use super::{laid_over, nest};
    use steadfast_lead::{Fields, JsonLimits, Value, parse_object, write_object};

    fn json(fields: &Fields) -> String {
        let mut out = Vec::new();
        write_object(fields, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn nested(names: &[&str]) -> Result<String, &'static str> {
        let pairs = names.iter().enumerate().map(|(n, name)| ((*name).to_owned(), Value::text(&n.to_string())));
        let limits = JsonLimits { depth_max: 3, values_max: 8, name_bytes_max: 8 };
        nest(pairs.collect(), limits).map(|fields| json(&fields)).map_err(|problem| problem.kind().slug())
    }

    #[test]
    fn dots_nest() {
        assert_eq!(
            nested(&["a", "b.c", "d", "b.e.f", "a"]).unwrap(),
            r#"{"a":["0","4"],"b":{"c":"1","e":{"f":"3"}},"d":"2"}"#
        );
        assert_eq!(nested(&["t.0", "t.1", "o.1", "o.0"]).unwrap(), r#"{"t":["0","1"],"o":{"1":"2","0":"3"}}"#);
        assert_eq!(nested(&["t.00", "u.1"]).unwrap(), r#"{"t":{"00":"0"},"u":{"1":"1"}}"#);
    }

    #[test]
    fn what_cannot_nest_is_refused() {
        assert_eq!(nested(&["utility", "utility.company"]), Err("malformed-form"));
        assert_eq!(nested(&["a.b", "a"]), Err("malformed-form"));
        assert_eq!(nested(&["a.b.c.d"]), Err("too-deep"));
        for bad in ["", ".", "a.", ".a", "a..b", "123456789"] {
            assert_eq!(nested(&[bad]), Err("bad-field-name"), "{bad}");
        }
        assert_eq!(nested(&["a"; 9]), Err("too-many-values"));
    }

    #[test]
    fn fields_over_fields() {
        let fields = |text: &str| parse_object(text.as_bytes(), JsonLimits::LEAD).unwrap();
        let laid = |base: &str, over: &str| json(&laid_over(fields(base), fields(over)));
        assert_eq!(
            laid(r#"{"a":1,"b":{"c":2,"d":3}}"#, r#"{"b":{"d":4,"e":5},"f":6}"#),
            r#"{"a":1,"b":{"c":2,"d":4,"e":5},"f":6}"#
        );
        assert_eq!(laid(r#"{"a":{"b":1},"l":[1,2]}"#, r#"{"a":2,"l":[3]}"#), r#"{"a":2,"l":[3]}"#);
        assert_eq!(laid(r#"{"a":1}"#, "{}"), r#"{"a":1}"#);
    }
}
