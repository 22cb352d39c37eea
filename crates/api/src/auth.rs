//! Who calls: API keys with scopes. Keys are known by their hash only, and compared without telling by time how far they
//! agree.
//!
//! With no key configured everybody may do everything; the server then listens on loopback only.

use crate::problem::{Problem, ProblemKind};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use std::fmt::{self, Write as _};
use std::sync::Arc;
use steadfast_flow::Book;
use steadfast_lead::{AccountName, FlowName};
use subtle::ConstantTimeEq;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Post leads.
    Ingest,
    /// See leads, deliveries, settings and figures.
    Read,
    /// Act on deliveries.
    Operate,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 3] = [Scope::Ingest, Scope::Read, Scope::Operate];

    /// The word used in config and refusals.
    pub const fn name(self) -> &'static str {
        match self {
            Scope::Ingest => "ingest",
            Scope::Read => "read",
            Scope::Operate => "operate",
        }
    }
}

/// One key.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Who uses it; named in the history of what was done with it.
    pub name: Arc<str>,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The only account whose flows it reaches; `None` for all.
    pub account: Option<AccountName>,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("name", &self.name).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// All keys.
#[derive(Clone, Debug, Default)]
pub struct ApiKeys(Vec<ApiKey>);

impl ApiKeys {
    /// With these keys; with none, everybody may do everything.
    pub fn new(keys: Vec<ApiKey>) -> Self {
        ApiKeys(keys)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who a presented key belongs to. Looks at every key, whichever it is.
    fn find(&self, presented: &[u8]) -> Option<&ApiKey> {
        let hash: [u8; 32] = Sha256::digest(presented).into();
        let mut found = None;
        for key in &self.0 {
            if bool::from(key.hash.ct_eq(&hash)) {
                found = Some(key);
            }
        }
        found
    }

    /// Who calls, and whether they may.
    pub(crate) fn authorize(&self, headers: &HeaderMap, scope: Scope) -> Result<Caller, Problem> {
        if self.0.is_empty() {
            return Ok(Caller { name: None, account: None });
        }
        self.admit(presented(headers)?, scope)
    }

    /// Who a key belongs to, and whether it may. With no keys configured nobody's key is known.
    pub(crate) fn admit(&self, presented: &[u8], scope: Scope) -> Result<Caller, Problem> {
        let key = self.find(presented).ok_or_else(|| unauthenticated("this API key is not known"))?;
        if !key.scopes.contains(&scope) {
            let detail = format!("this needs a key with scope {}; this one may not", scope.name());
            return Err(Problem::new(ProblemKind::Forbidden, detail));
        }
        Ok(Caller { name: Some(Arc::clone(&key.name)), account: key.account.clone() })
    }
}

fn presented(headers: &HeaderMap) -> Result<&[u8], Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(unauthenticated("send an API key as Authorization: Bearer sf_..."));
    };
    if values.next().is_some() {
        return Err(unauthenticated("there is more than one Authorization header"));
    }
    let bytes = value.as_bytes();
    match bytes.split_at_checked(7) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => Ok(key.trim_ascii()),
        _ => Err(unauthenticated("the Authorization header must say Bearer and an API key")),
    }
}

fn unauthenticated(detail: &str) -> Problem {
    Problem::new(ProblemKind::Unauthenticated, detail)
}

/// Who calls, once they may.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    name: Option<Arc<str>>,
    account: Option<AccountName>,
}

impl Caller {
    /// The key's name, for the history.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("local")
    }

    /// Whether a flow is within the key's account. A flow that is configured no more is nobody's.
    pub(crate) fn sees(&self, flow: &FlowName, book: &Book) -> bool {
        match &self.account {
            None => true,
            Some(own) => book.flow(flow.as_str()).is_some_and(|plan| plan.account.as_ref() == Some(own)),
        }
    }

    /// Refuses a key that is limited to one account, where what is asked for is everybody's.
    pub(crate) fn of_all_accounts(self) -> Result<Self, Problem> {
        match &self.account {
            None => Ok(self),
            Some(account) => {
                let detail = format!("this shows more than account {account}, which this key is limited to");
                Err(Problem::new(ProblemKind::Forbidden, detail))
            }
        }
    }

    /// The account it is limited to.
    pub(crate) fn account(&self) -> Option<&AccountName> {
        self.account.as_ref()
    }
}

/// Makes a key from random bytes: the key itself, shown once, and the text of its hash for the configuration.
pub fn new_key(random: [u8; 32]) -> (String, String) {
    let key = format!("sf_{}", URL_SAFE_NO_PAD.encode(random));
    let mut hash = String::from("sha256:");
    for byte in Sha256::digest(&key) {
        // Writing to a string cannot fail.
        let _written = write!(hash, "{byte:02x}");
    }
    (key, hash)
}

#[cfg(test)]
mod tests {
    use super::{ApiKey, ApiKeys, Scope, new_key};
    use http::HeaderMap;
    use sha2::{Digest, Sha256};

    fn keys(names: &[(&str, &str, Scope)]) -> ApiKeys {
        let key = |(name, key, scope): &(&str, &str, Scope)| ApiKey {
            name: (*name).into(),
            hash: Sha256::digest(key).into(),
            scopes: vec![*scope],
            account: None,
        };
        ApiKeys::new(names.iter().map(key).collect())
    }

    fn bearing(value: &str) -> HeaderMap {
        HeaderMap::from_iter([("authorization".parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn a_key_opens_what_its_scope_says() {
        let keys = keys(&[("in", "sf_a", Scope::Ingest), ("desk", "sf_b", Scope::Operate)]);
        assert_eq!(keys.authorize(&bearing("Bearer sf_a"), Scope::Ingest).unwrap().name(), "in");
        assert_eq!(keys.authorize(&bearing("bearer  sf_b "), Scope::Operate).unwrap().name(), "desk");
        let refused = keys.authorize(&bearing("Bearer sf_a"), Scope::Operate).unwrap_err();
        assert_eq!(refused.kind().slug(), "forbidden");
        for bad in ["Bearer sf_c", "Bearer ", "Basic sf_a", "sf_a", "Bearer sf_a sf_b", "Bearer SF_A"] {
            let refused = keys.authorize(&bearing(bad), Scope::Ingest).unwrap_err();
            assert_eq!(refused.kind().slug(), "unauthenticated", "{bad}");
        }
        assert_eq!(keys.authorize(&HeaderMap::new(), Scope::Ingest).unwrap_err().kind().slug(), "unauthenticated");
    }

    #[test]
    fn without_keys_everybody_may() {
        assert_eq!(ApiKeys::default().authorize(&HeaderMap::new(), Scope::Operate).unwrap().name(), "local");
    }

    #[test]
    fn a_new_key_matches_its_hash() {
        let (key, hash) = new_key([7; 32]);
        assert_eq!(key, "sf_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc");
        assert_eq!(hash.len(), "sha256:".len() + 64);
        let hex: String = Sha256::digest(&key).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, format!("sha256:{hex}"));
        assert_ne!(new_key([8; 32]), (key, hash));
    }
}
