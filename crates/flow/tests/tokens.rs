//! How a token is asked for: the standard's bytes, a recipient's own, what counts as the same, and what is refused.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a stage that cannot be set up ends the test")]

use http::{HeaderName, Method};
use std::sync::Arc;
use std::time::Duration;
use steadfast_flow::{
    Address, Auth, ClientAuth, CustomTokenSettings, Header, KeyPlace, OAuth2Settings, Request, RequestSettings, Secret,
    TOKEN_HEADER_DEFAULT, TokenAt, TokenAuth, TokenFormat, TokenGrant, TokenSettings,
};

fn oauth2(client_auth: ClientAuth) -> TokenSettings {
    let grant = TokenGrant::OAuth2(OAuth2Settings {
        client_id: Secret::new("us:er"),
        client_secret: Secret::new("s3cret+ä"),
        client_auth,
        scope: Some("leads.write leads.read".into()),
        audience: Some("https://bank.example/".into()),
        resource: None,
    });
    TokenSettings { grant, ..custom(Method::POST, TokenFormat::Form) }
}

fn custom(method: Method, format: TokenFormat) -> TokenSettings {
    TokenSettings {
        url: Address::parse("https://login.example/token?tenant=7").unwrap(),
        grant: TokenGrant::Custom(CustomTokenSettings {
            method,
            format,
            headers: vec![(HeaderName::from_static("x-app"), Secret::new("s3cret-app"))],
            token: TokenAt::Path("data.token".into()),
            expires_in_path: None,
        }),
        fields: vec![("pass".into(), Secret::new("s3cret&1"))],
        expires_in: None,
        timeout: None,
        place: KeyPlace::Header(TOKEN_HEADER_DEFAULT),
        prefix: "Bearer ".into(),
    }
}

fn request_settings() -> RequestSettings {
    RequestSettings { url: Some(Address::parse("https://bank.example/leads").unwrap()), ..RequestSettings::default() }
}

fn token(settings: TokenSettings) -> Arc<TokenAuth> {
    let auth = Auth::Token(Box::new(settings));
    Arc::clone(Request::build(&request_settings(), Some(&auth), &[]).unwrap().token().unwrap())
}

fn header<'a>(token: &'a TokenAuth, name: &str) -> Option<&'a str> {
    token.headers.iter().find(|(known, _)| known.as_str() == name).map(|(_, value)| value.to_str().unwrap())
}

#[test]
fn client_credentials_leave_as_the_standard_writes_them() {
    let basic = token(oauth2(ClientAuth::Basic));
    // "us%3Aer:s3cret%2B%C3%A4", each half form-encoded before it is joined.
    assert_eq!(header(&basic, "authorization"), Some("Basic dXMlM0FlcjpzM2NyZXQlMkIlQzMlQTQ="));
    let scope = "scope=leads.write+leads.read&audience=https%3A%2F%2Fbank.example%2F&pass=s3cret%261";
    assert_eq!(basic.body, format!("grant_type=client_credentials&{scope}"));
    assert_eq!(header(&basic, "content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!((&basic.method, &*basic.url), (&Method::POST, "https://login.example/token?tenant=7"));

    let body = token(oauth2(ClientAuth::Body));
    assert_eq!(header(&body, "authorization"), None);
    let id = "client_id=us%3Aer&client_secret=s3cret%2B%C3%A4";
    assert_eq!(body.body, format!("grant_type=client_credentials&{id}&{scope}"));
}

#[test]
fn an_endpoint_of_its_own_kind_gets_json_a_form_or_a_query() {
    let json = token(custom(Method::PUT, TokenFormat::Json));
    assert_eq!((&json.method, &json.body[..]), (&Method::PUT, &br#"{"pass":"s3cret&1"}"#[..]));
    assert_eq!(header(&json, "x-app"), Some("s3cret-app"));
    assert_eq!(token(custom(Method::POST, TokenFormat::Form)).body, "pass=s3cret%261");
    let query = token(custom(Method::GET, TokenFormat::Json));
    assert_eq!((&*query.url, query.body.len()), ("https://login.example/token?tenant=7&pass=s3cret%261", 0));
}

#[test]
fn equal_settings_share_a_token_and_a_changed_secret_does_not() {
    let key = |settings: TokenSettings| token(settings).key;
    let one = oauth2(ClientAuth::Basic);
    assert_eq!(key(one.clone()), key(one.clone()));
    let carried = TokenSettings { place: KeyPlace::Query("t".into()), prefix: "".into(), ..one.clone() };
    assert_eq!(key(carried), key(one.clone()), "how it is carried changes nothing about how it is asked for");
    let slower = TokenSettings { timeout: Some(Duration::from_secs(1)), ..one.clone() };
    assert_eq!(key(slower), key(one.clone()));
    let others = [
        oauth2(ClientAuth::Body),
        TokenSettings { fields: vec![("pass".into(), Secret::new("s3cret&2"))], ..one.clone() },
        TokenSettings { url: Address::parse("https://login.example/token?tenant=8").unwrap(), ..one.clone() },
        TokenSettings { expires_in: Some(Duration::from_secs(60)), ..one.clone() },
        custom(Method::POST, TokenFormat::Form),
    ];
    for other in others {
        assert_ne!(key(other.clone()), key(one.clone()), "{other:?}");
    }
}

type Change<'a> = &'a dyn Fn(&mut TokenSettings);

#[test]
fn what_cannot_work_is_refused_and_no_secret_is_ever_shown() {
    let with = |change: Change<'_>| {
        let mut settings = oauth2(ClientAuth::Basic);
        change(&mut settings);
        let auth = Auth::Token(Box::new(settings));
        Request::build(&request_settings(), Some(&auth), &[]).map(|_| ()).unwrap_err()[0].to_string()
    };
    let empty: Change<'_> = &|settings| {
        if let TokenGrant::OAuth2(oauth2) = &mut settings.grant {
            oauth2.client_secret = Secret::new("");
        }
    };
    let cases: [(&str, Change<'_>); 6] = [
        ("auth.client_secret: is empty", empty),
        ("auth.timeout = 61s: is out of range", &|settings| settings.timeout = Some(Duration::from_secs(61))),
        ("auth.expires_in = 0s: is out of range", &|settings| settings.expires_in = Some(Duration::ZERO)),
        ("auth.fields.scope: has a key of its own", &|settings| {
            settings.fields.push(("scope".into(), Secret::new("x")));
        }),
        ("auth.header = host: is written by the server", &|settings| {
            settings.place = KeyPlace::Header(HeaderName::from_static("host"));
        }),
        ("auth.prefix: is too long or has", &|settings| settings.prefix = "a\r\nb".into()),
    ];
    for (said, change) in cases {
        let fault = with(change);
        assert!(fault.starts_with(said), "{fault} is not {said}");
    }
    let custom_path = TokenSettings {
        grant: TokenGrant::Custom(CustomTokenSettings {
            method: Method::POST,
            format: TokenFormat::Json,
            headers: Vec::new(),
            token: TokenAt::Path("a..b".into()),
            expires_in_path: None,
        }),
        ..custom(Method::POST, TokenFormat::Json)
    };
    let auth = Auth::Token(Box::new(custom_path));
    let faults = Request::build(&request_settings(), Some(&auth), &[]).unwrap_err();
    assert!(faults[0].to_string().starts_with("auth.token_path = a..b: is not a path"), "{faults:?}");

    let auth = Auth::Token(Box::new(oauth2(ClientAuth::Basic)));
    let clashing = Header { name: HeaderName::from_static("authorization"), value: Secret::new("mine") };
    let settings = RequestSettings { headers: vec![clashing], ..request_settings() };
    let faults = Request::build(&settings, Some(&auth), &[]).unwrap_err();
    assert!(faults[0].to_string().contains("is set by auth as well"), "{faults:?}");

    let token = token(oauth2(ClientAuth::Body));
    for shown in [format!("{auth:?}"), format!("{token:?}")] {
        assert!(!shown.contains("s3cret") && !shown.contains("us:er") && !shown.contains("tenant"), "{shown}");
    }
}
