//! Every name of a store by number: single names for the records, and pairs for the columns.

use std::sync::Arc;
use steadfast_lead::{FlowName, RecipientName};
use steadfast_retry::Endpoint;
use steadfast_store::StoreError;
use steadfast_store::record::Dictionary;

/// Stands between the two halves of a pair; no name of a flow or recipient can hold it.
const SEPARATOR: char = '\u{1f}';

/// The dictionaries of one store.
#[derive(Default)]
pub(crate) struct Names {
    /// Names as they stand in records.
    pub(crate) words: Dictionary,
    /// Flow and recipient.
    pub(crate) routes: Dictionary,
    /// Recipient and origin.
    pub(crate) endpoints: Dictionary,
}

/// How a dictionary is marked in the table.
pub(crate) const KINDS: [i64; 3] = [0, 1, 2];

impl Names {
    /// The dictionaries in the order of [`KINDS`].
    pub(crate) fn all(&self) -> [&Dictionary; 3] {
        [&self.words, &self.routes, &self.endpoints]
    }

    /// The number of a flow with a recipient.
    pub(crate) fn route(&self, flow: &FlowName, recipient: &RecipientName) -> u32 {
        self.routes.number(&pair(flow.as_str(), recipient.as_str()))
    }

    /// The number of an endpoint.
    pub(crate) fn endpoint(&self, endpoint: &Endpoint) -> u32 {
        self.endpoints.number(&pair(endpoint.recipient.as_str(), &endpoint.origin))
    }

    /// The number of an endpoint, if anything was ever planned for it.
    pub(crate) fn known_endpoint(&self, endpoint: &Endpoint) -> Option<u32> {
        self.endpoints.known(&pair(endpoint.recipient.as_str(), &endpoint.origin))
    }

    /// The flow and recipient of a number.
    pub(crate) fn route_of(&self, number: u32) -> Result<(FlowName, RecipientName), StoreError> {
        let text = self.routes.text(number)?;
        let (flow, recipient) = halves(&text)?;
        Ok((FlowName::new(flow).map_err(unreadable)?, RecipientName::new(recipient).map_err(unreadable)?))
    }

    /// The endpoint of a number.
    pub(crate) fn endpoint_of(&self, number: u32) -> Result<Endpoint, StoreError> {
        let text = self.endpoints.text(number)?;
        let (recipient, origin) = halves(&text)?;
        Ok(Endpoint { recipient: RecipientName::new(recipient).map_err(unreadable)?, origin: Arc::from(origin) })
    }

    /// Numbers of the routes of a flow, a recipient, both, or all of them.
    pub(crate) fn routes_of(&self, flow: Option<&FlowName>, recipient: Option<&RecipientName>) -> Vec<u32> {
        let fits = |text: &Arc<str>| {
            text.split_once(SEPARATOR).is_some_and(|(its_flow, its_recipient)| {
                flow.is_none_or(|flow| flow.as_str() == its_flow)
                    && recipient.is_none_or(|recipient| recipient.as_str() == its_recipient)
            })
        };
        let numbered = self.routes.since(0).into_iter().zip(0_u32..);
        numbered.filter(|(text, _)| fits(text)).map(|(_, number)| number).collect()
    }
}

fn pair(left: &str, right: &str) -> String {
    let mut text = String::with_capacity(left.len() + right.len() + 1);
    text.push_str(left);
    text.push(SEPARATOR);
    text.push_str(right);
    text
}

fn halves(text: &str) -> Result<(&str, &str), StoreError> {
    text.split_once(SEPARATOR).ok_or_else(|| StoreError::Unreadable { detail: "a pair of names is damaged".to_owned() })
}

fn unreadable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unreadable { detail: error.to_string() }
}
