//! What becomes of test leads at a recipient.

/// What a recipient does with test leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TestLeads {
    /// It would take them for real ones: they are closed in place of being sent.
    #[default]
    Skip,
    /// It knows them, by the header `Steadfast-Test` or by what its mapping says: they are sent.
    Send,
}

impl TestLeads {
    /// All of them.
    pub const ALL: [TestLeads; 2] = [TestLeads::Skip, TestLeads::Send];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            TestLeads::Skip => "skip",
            TestLeads::Send => "send",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        TestLeads::ALL.into_iter().find(|known| known.name() == name)
    }
}
