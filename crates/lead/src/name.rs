//! Names an operator gives to flows, steps, recipients, accounts, sources, policies and calendars: one type each, cheap to copy.

use std::fmt;
use std::sync::Arc;

/// How long a name may be, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// The text cannot be a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a name: 1 to 64 of A-Z a-z 0-9 - _ . and beginning with a letter or a digit")]
pub struct BadName {
    /// What was given.
    pub name: String,
}

fn check(text: &str) -> Result<(), BadName> {
    let letters = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    let begins = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if letters && begins && text.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(BadName { name: text.chars().take(80).collect() })
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text and keeps it.
            ///
            /// # Errors
            /// [`BadName`] unless it is 1 to 64 of `A-Z a-z 0-9 - _ .`, beginning with a letter or a digit.
            pub fn new(text: &str) -> Result<Self, BadName> {
                check(text)?;
                Ok($name(Arc::from(text)))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

/// What the names of flows and recipients that stand in no configuration begin with; no configured one may.
pub const BUILT_IN_PREFIX: &str = "callbacks.";

impl FlowName {
    /// A flow that stands in no configuration: it brings notices, not leads that somebody posted.
    pub fn is_built_in(&self) -> bool {
        self.0.starts_with(BUILT_IN_PREFIX)
    }
}

name_type!(
    /// A customer of the operator: flows and recipients belong to one.
    AccountName
);
name_type!(
    /// Hours, holidays and maintenance that several recipients may stand on.
    CalendarName
);
name_type!(
    /// A configured path for leads.
    FlowName
);
name_type!(
    /// One thing a flow does with a lead; unique within its flow.
    StepName
);
name_type!(
    /// One of several endpoints that a leg chooses between; unique within its leg.
    CandidateName
);
name_type!(
    /// A partner system.
    RecipientName
);
name_type!(
    /// Where leads come from.
    SourceName
);
name_type!(
    /// A named retry policy.
    PolicyName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["auto", "big-bank_2", "a.b", "7up"] {
            assert_eq!(FlowName::new(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "-a", "a b", "é", &"x".repeat(65), "a/b"] {
            assert!(FlowName::new(bad).is_err(), "{bad}");
        }
    }
}
