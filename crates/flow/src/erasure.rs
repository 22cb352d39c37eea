//! What happens when a person who asked for deletion comes in again.

use crate::place::{Fault, Place};
use std::time::Duration;
use steadfast_lead::Timestamp;
use steadfast_retry::policy::show_duration;

/// How long those who asked for deletion are turned away unless said otherwise.
pub const REFUSE_FOR_DEFAULT: Duration = Duration::from_secs(30 * 86_400);
/// The longest they may be.
pub const REFUSE_FOR_MAX: Duration = Duration::from_secs(3_660 * 86_400);

/// What is done with a lead of a person who asked for deletion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnReturn {
    /// It is refused.
    #[default]
    Refuse,
    /// It is answered as if it were kept, but nothing of it is, and its deliveries are closed.
    Close,
}

impl OnReturn {
    /// All of them.
    pub const ALL: [OnReturn; 2] = [OnReturn::Refuse, OnReturn::Close];

    /// The word used in config.
    pub const fn name(self) -> &'static str {
        match self {
            OnReturn::Refuse => "refuse",
            OnReturn::Close => "close",
        }
    }

    /// From the word used in config.
    pub fn from_name(name: &str) -> Option<Self> {
        OnReturn::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// `[erasure]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErasureRules {
    /// How long after an erasure leads of that person are turned away; zero takes them at once.
    pub refuse_for: Duration,
    /// How.
    pub on_return: OnReturn,
}

impl Default for ErasureRules {
    fn default() -> Self {
        ErasureRules { refuse_for: REFUSE_FOR_DEFAULT, on_return: OnReturn::default() }
    }
}

impl ErasureRules {
    /// From when on an erasure bars a lead that comes in now; `None` where none does.
    pub fn bars_since(&self, now: Timestamp) -> Option<Timestamp> {
        (!self.refuse_for.is_zero()).then(|| now.before(self.refuse_for))
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        let place = Place::of("erasure").key("refuse_for");
        let allowed = format!("0s to {}", show_duration(REFUSE_FOR_MAX));
        let wrong = self.refuse_for > REFUSE_FOR_MAX;
        wrong.then(|| Fault::of(place, &show_duration(self.refuse_for), "is out of range", &allowed))
    }
}
