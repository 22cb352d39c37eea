//! What a run's leads go through: whether flows sell them, whether caps stand, and whether people come again, speak and are
//! forgotten. Any of these together.

/// How the flows of a run share their leads, and what besides may happen to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trade {
    /// Every flow sells to the first of its buyers that takes the lead; otherwise every step is on its own.
    pub sales: bool,
    /// Recipients and flows have caps.
    pub caps: bool,
    /// Leads are of people who come again, whom some recipients take once, and who ask to be forgotten; recipients, flows and
    /// sources are stopped and go on; what has ended is deleted; reads fail.
    pub people: bool,
}

const WORDS: [&str; 3] = ["sales", "caps", "people"];
const PLAIN: &str = "plain";

impl Trade {
    /// Whether recipients and people say only what is so of who has a lead: somebody is held to their word.
    pub(crate) fn is_truthful(self) -> bool {
        self.sales || self.caps
    }

    /// Its words, or `plain` where there is none.
    pub fn name(self) -> String {
        let there = [self.sales, self.caps, self.people];
        let words: Vec<&str> =
            WORDS.into_iter().zip(there).filter(|(_, is_there)| *is_there).map(|(word, _)| word).collect();
        if words.is_empty() { PLAIN.to_owned() } else { words.join("+") }
    }

    /// From its words.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == PLAIN {
            return Some(Trade::default());
        }
        let mut trade = Trade::default();
        for word in name.split('+') {
            match word {
                "sales" => trade.sales = true,
                "caps" => trade.caps = true,
                "people" => trade.people = true,
                _ => return None,
            }
        }
        Some(trade)
    }
}
