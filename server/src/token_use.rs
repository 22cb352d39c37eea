//! How a step's token is asked for, in the channel's words. Translates; decides nothing.

use std::sync::Arc;
use steadfast_channel::{
    Carrier, HeaderMap, Parcel, RESPONSE_BYTES_MAX, Target, Timeouts, TokenAt, TokenRequest, TokenShape, TokenUse,
};
use steadfast_flow::{KeyPlace, TokenAuth};

/// The token a request carries. Its own request is made only when a token is asked for.
pub(crate) fn token_use(token: &Arc<TokenAuth>) -> TokenUse {
    let carrier = match &token.place {
        KeyPlace::Header(name) => Carrier::Header { name: name.clone(), prefix: token.prefix.clone() },
        KeyPlace::Query(name) => Carrier::Query(name.clone()),
    };
    let asked = Arc::clone(token);
    TokenUse { key: token.key, carrier, ask: Arc::new(move || token_request(&asked)) }
}

fn token_request(token: &TokenAuth) -> Result<TokenRequest, String> {
    let target = Target::parse(&token.url).map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::with_capacity(token.headers.len() + 4);
    for (name, value) in &token.headers {
        headers.append(name, value.clone());
    }
    let at = match &token.token {
        steadfast_flow::TokenAt::Path(path) => TokenAt::Path(path.clone()),
        steadfast_flow::TokenAt::Header(name) => TokenAt::Header(name.clone()),
    };
    let parcel = Parcel {
        target,
        method: token.method.clone(),
        headers,
        body: token.body.clone(),
        timeouts: Timeouts::within(token.timeout),
        response_bytes_max: RESPONSE_BYTES_MAX,
    };
    let shape = TokenShape {
        token: at,
        expires_in_path: token.expires_in_path.clone(),
        expires_in: token.expires_in,
        any_type: token.any_type,
    };
    Ok(TokenRequest { parcel, shape })
}
