//! The lead: who asks for what, and when it was accepted.

use crate::{Fields, FlowName, LeadId, SourceName, Timestamp};

/// How urgent a delivery is among those that are due. The order is the order of serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Before everything else.
    Critical,
    /// Before what is normal.
    High,
    /// What nothing was said about.
    #[default]
    Normal,
    /// When nothing else is due.
    Low,
}

impl Priority {
    /// All of them, most urgent first.
    pub const ALL: [Priority; 4] = [Priority::Critical, Priority::High, Priority::Normal, Priority::Low];

    /// The word used in config and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Priority::Critical => "critical",
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
        }
    }

    /// From the word used in config and answers.
    pub fn from_name(name: &str) -> Option<Self> {
        Priority::ALL.into_iter().find(|priority| priority.name() == name)
    }
}

/// A person asking for something, as accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// Its id.
    pub id: LeadId,
    /// The flow it entered.
    pub flow: FlowName,
    /// The source it came by, where one was named.
    pub source: Option<SourceName>,
    /// When it was accepted; the maximum lead age counts from here.
    pub accepted_at: Timestamp,
    /// A test lead is never counted and never sold.
    pub test: bool,
    /// What was said.
    pub fields: Fields,
}
