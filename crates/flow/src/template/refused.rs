//! Why a helper could not do its work: the template is at fault, or this one lead is.
//!
//! Holds no value of a lead.

use minijinja::{Error, ErrorKind};

/// Carried inside the engine's own error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// No lead could do: told when a config is saved.
    #[error("{0}")]
    Template(String),
    /// This lead does not fit.
    #[error("{0}")]
    Lead(String),
}

impl Refused {
    pub(crate) fn template(said: &str) -> Self {
        Refused::Template(said.to_owned())
    }

    pub(crate) fn lead(said: &str) -> Self {
        Refused::Lead(said.to_owned())
    }

    /// What is in an error, however deep.
    pub(crate) fn inside(error: &Error) -> Option<&Refused> {
        const DEPTH_MAX: usize = 16;
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        for _ in 0..DEPTH_MAX {
            let found = next?;
            if let Some(refused) = found.downcast_ref::<Refused>() {
                return Some(refused);
            }
            next = found.source();
        }
        None
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Error::new(ErrorKind::InvalidOperation, "refused").with_source(refused)
    }
}
