//! Names by number, so that a record holds three bytes where a name would take thirty. Only ever grows.

use super::RecordError;
use foldhash::quality::RandomState;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;

/// Names and their numbers. Shared by everybody who reads or writes records of one store.
#[derive(Debug, Default)]
pub struct Dictionary {
    names: RwLock<Names>,
}

#[derive(Debug, Default)]
struct Names {
    /// Asked some twenty times for each lead.
    numbers: HashMap<Arc<str>, u32, RandomState>,
    texts: Vec<Arc<str>>,
}

impl Dictionary {
    /// With the names a store has kept, in the order of their numbers from 0.
    pub fn of(texts: Vec<Arc<str>>) -> Self {
        let numbers = texts.iter().zip(0_u32..).map(|(text, number)| (Arc::clone(text), number)).collect();
        Dictionary { names: RwLock::new(Names { numbers, texts }) }
    }

    /// The number of a name; a new one if it has none yet.
    pub fn number(&self, text: &str) -> u32 {
        if let Some(number) = self.names.read().numbers.get(text) {
            return *number;
        }
        let mut names = self.names.write();
        if let Some(number) = names.numbers.get(text) {
            return *number;
        }
        let text: Arc<str> = Arc::from(text);
        let number = u32::try_from(names.texts.len()).unwrap_or(u32::MAX);
        names.texts.push(Arc::clone(&text));
        names.numbers.insert(text, number);
        number
    }

    /// The number of a name, if it has one.
    pub fn known(&self, text: &str) -> Option<u32> {
        self.names.read().numbers.get(text).copied()
    }

    /// The name of a number.
    ///
    /// # Errors
    /// [`RecordError::UnknownName`] when the number was never given.
    pub fn text(&self, number: u32) -> Result<Arc<str>, RecordError> {
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        self.names.read().texts.get(place).map(Arc::clone).ok_or(RecordError::UnknownName { number })
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.read().texts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names numbered `first` and above: what a store has not kept yet.
    pub fn since(&self, first: usize) -> Vec<Arc<str>> {
        self.names.read().texts.get(first..).map(<[Arc<str>]>::to_vec).unwrap_or_default()
    }
}
