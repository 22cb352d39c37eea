//! A suppression: nothing more is sent of one person, everywhere, in one flow or to one recipient. Kept as a stop, whose
//! target names the person by a keyed hash; what waits of them is closed, and what comes later is.

use std::fmt;
use steadfast_lead::{FlowName, RecipientName};

const IN_FLOW: &str = "flow";
const AT_RECIPIENT: &str = "recipient";
/// Between the parts of an id: in no mark.
const BETWEEN: char = '.';

/// A person, by the keyed hash of an address or a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersonMark(pub [u8; 16]);

/// Where nothing is sent of a person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Within {
    /// Anywhere.
    Everything,
    /// In a flow.
    Flow(FlowName),
    /// To a recipient.
    Recipient(RecipientName),
}

/// Of whom nothing is sent, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Suppressed {
    /// Of whom.
    pub person: PersonMark,
    /// Where.
    pub within: Within,
}

impl fmt::Display for PersonMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PersonMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Suppressed {
    /// Its id: `0123…`, `0123….flow.auto` or `0123….recipient.bank`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.within {
            Within::Everything => write!(f, "{}", self.person),
            Within::Flow(flow) => write!(f, "{}{BETWEEN}{IN_FLOW}{BETWEEN}{flow}", self.person),
            Within::Recipient(recipient) => write!(f, "{}{BETWEEN}{AT_RECIPIENT}{BETWEEN}{recipient}", self.person),
        }
    }
}

impl Suppressed {
    /// From its id; `None` for a text that is none.
    pub fn parse(id: &str) -> Option<Self> {
        let mut parts = id.splitn(3, BETWEEN);
        let person = mark(parts.next()?)?;
        let within = match (parts.next(), parts.next()) {
            (None, _) => Within::Everything,
            (Some(IN_FLOW), Some(flow)) => Within::Flow(FlowName::new(flow).ok()?),
            (Some(AT_RECIPIENT), Some(recipient)) => Within::Recipient(RecipientName::new(recipient).ok()?),
            (Some(_), _) => return None,
        };
        Some(Suppressed { person, within })
    }
}

fn mark(text: &str) -> Option<PersonMark> {
    let mut bytes = [0; 16];
    if text.len() != 32 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(PersonMark(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_no_other_text_is() {
        let person = PersonMark([0xab; 16]);
        let (flow, recipient) = (FlowName::new("a.flow.b").unwrap(), RecipientName::new("bank-1").unwrap());
        for within in [Within::Everything, Within::Flow(flow), Within::Recipient(recipient)] {
            let suppressed = Suppressed { person, within };
            assert_eq!(Suppressed::parse(&suppressed.to_string()), Some(suppressed));
        }
        let hex = "ab".repeat(16);
        for text in
            ["", "ab", &hex.to_uppercase(), &format!("{hex}.flow"), &format!("{hex}.x.y"), &format!("{hex}.flow.")]
        {
            assert_eq!(Suppressed::parse(text), None, "{text}");
        }
    }
}
