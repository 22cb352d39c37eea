//! Reading `auth`, as it stands on a recipient or a step. Everything that may be a credential is hidden in messages.

use super::auth_keys::{AUTH, WAYS, Way};
use super::tree::{Found, Section};
use http::{HeaderName, Method};
use steadfast_flow::{
    Address, Auth, ClientAuth, CustomTokenSettings, KeyPlace, METHODS, OAuth2Settings, Secret, TOKEN_HEADER_DEFAULT,
    TOKEN_PREFIX_DEFAULT, TokenAt, TokenFormat, TokenGrant, TokenSettings,
};

/// How a place says who it is.
pub(crate) fn auth(owner: &Section<'_>) -> Option<Auth> {
    let section = owner.section("auth", &AUTH);
    if !section.is_there() {
        return no_auth(&section);
    }
    let words = WAYS.each_ref().map(|way| way.name);
    let kind = section.required("type");
    let way = kind.and_then(|found| found.word(|text| WAYS.iter().find(|way| way.name == text), &words));
    let Some(way) = way else { return no_auth(&section) };
    belong_elsewhere(&section, way);
    match way.name {
        "basic" => {
            let (username, password) = (secret(&section, "username"), secret(&section, "password"));
            Some(Auth::Basic { username: username?, password: password? })
        }
        "bearer" => Some(Auth::Bearer { token: secret(&section, "token")? }),
        "api_key" => api_key(&section),
        "signature" => Some(Auth::Signature { secret: secret(&section, "secret")? }),
        "oauth2" => token(&section, oauth2(&section)),
        _ => token(&section, custom(&section)),
    }
}

fn api_key(section: &Section<'_>) -> Option<Auth> {
    let key = secret(section, "key");
    let place = place(section);
    if place.is_none() && section.get("header").is_none() && section.get("query").is_none() {
        section.wrong("needs either header or query, to say where the key goes", "one of the two");
    }
    Some(Auth::ApiKey { place: place?, key: key? })
}

/// Where a key or token goes; nothing where nothing is said, or it is said twice.
fn place(section: &Section<'_>) -> Option<KeyPlace> {
    match (section.get("header"), section.get("query")) {
        (Some(header), None) => header_name(&header).map(KeyPlace::Header),
        (None, Some(query)) => Some(KeyPlace::Query(query.text()?.into())),
        (Some(_), Some(_)) => {
            section.wrong("needs either header or query, to say where the key goes", "one of the two");
            None
        }
        (None, None) => None,
    }
}

fn header_name(found: &Found<'_>) -> Option<HeaderName> {
    found.parsed(|text| HeaderName::try_from(text).map_err(|_| "is not a header's name"))
}

/// What both ways to a token have. Everything is read before anything is found missing, so that every problem is told.
fn token(section: &Section<'_>, grant: Option<TokenGrant>) -> Option<Auth> {
    let url = section.required("token_url").and_then(|found| found.address(Address::parse));
    let fields = pairs(section, "fields", |name, _| Some(Box::from(name)));
    let (expires_in, timeout) = (section.duration("expires_in"), section.duration("timeout"));
    let (header, query, prefix) = (section.get("header"), section.get("query"), section.text("prefix"));
    if let (Some(_), Some(found)) = (&prefix, query.as_ref().and(section.get("prefix"))) {
        found.wrong("does not belong here: it stands before the token in a header");
    }
    let (place, usual_prefix) = match (header, query) {
        (None, None) => (Some(KeyPlace::Header(TOKEN_HEADER_DEFAULT)), TOKEN_PREFIX_DEFAULT),
        (Some(_), _) | (_, Some(_)) => (place(section), ""),
    };
    Some(Auth::Token(Box::new(TokenSettings {
        url: url?,
        grant: grant?,
        fields,
        expires_in,
        timeout,
        place: place?,
        prefix: prefix.as_deref().unwrap_or(usual_prefix).into(),
    })))
}

fn oauth2(section: &Section<'_>) -> Option<TokenGrant> {
    let (client_id, client_secret) = (secret(section, "client_id"), secret(section, "client_secret"));
    let words = ClientAuth::ALL.map(ClientAuth::name);
    let client_auth = section.get("client_auth").and_then(|found| found.word(ClientAuth::from_name, &words));
    let (scope, audience, resource) = (section.text("scope"), section.text("audience"), section.text("resource"));
    Some(TokenGrant::OAuth2(OAuth2Settings {
        client_id: client_id?,
        client_secret: client_secret?,
        client_auth: client_auth.unwrap_or_default(),
        scope: scope.map(Into::into),
        audience: audience.map(Into::into),
        resource: resource.map(Into::into),
    }))
}

fn custom(section: &Section<'_>) -> Option<TokenGrant> {
    let known = |text: &str| METHODS.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(text));
    let methods = METHODS.each_ref().map(Method::as_str);
    let method = section.get("method").and_then(|found| found.word(known, &methods));
    let words = TokenFormat::ALL.map(TokenFormat::name);
    let format = section.get("format").and_then(|found| found.word(TokenFormat::from_name, &words));
    let headers = pairs(section, "headers", |name, found| {
        HeaderName::try_from(name).map_err(|_| found.wrong_unseen("is not a header's name")).ok()
    });
    let token = match (section.get("token_path"), section.get("token_header")) {
        (None, None) => Some(TokenAt::Path("access_token".into())),
        (Some(path), None) => path.text().map(|path| TokenAt::Path(path.into())),
        (None, Some(header)) => header_name(&header).map(TokenAt::Header),
        (Some(_), Some(_)) => {
            section.wrong("needs either token_path or token_header, to say where the token stands", "one of the two");
            None
        }
    };
    let expires_in_path = section.text("expires_in_path").map(Into::into);
    let (method, format) = (method.unwrap_or(Method::POST), format.unwrap_or_default());
    Some(TokenGrant::Custom(CustomTokenSettings { method, format, headers, token: token?, expires_in_path }))
}

/// A table of credentials by names of the user's own.
fn pairs<N>(
    section: &Section<'_>,
    name: &'static str,
    read: impl Fn(&str, &Found<'_>) -> Option<N>,
) -> Vec<(N, Secret)> {
    let one = |(name, found): (String, Found<'_>)| {
        let value = found.secret();
        Some((read(&name, &found)?, value?))
    };
    section.named(name).into_iter().filter_map(one).collect()
}

fn secret(section: &Section<'_>, name: &'static str) -> Option<Secret> {
    section.required(name)?.secret()
}

/// Whatever stands there is a credential of a kind that is not known: hidden, and not used.
fn no_auth(section: &Section<'_>) -> Option<Auth> {
    for key in AUTH.keys {
        if let Some(found) = section.get(key.name).filter(|_| key.name != "type") {
            found.hide();
        }
    }
    None
}

fn belong_elsewhere(section: &Section<'_>, way: &Way) {
    for key in AUTH.keys.iter().filter(|key| key.name != "type" && !way.keys.contains(&key.name)) {
        section.misplaced(key.name, &format!("does not belong here: {}", way.has));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::references::Surroundings;
    use crate::config::{Loaded, Problems, read};
    use std::time::Duration;

    fn read_text(text: &str) -> Result<Loaded, Problems> {
        let variable = |name: &str| name.starts_with(char::is_uppercase).then(|| format!("s3cret-{name}"));
        let file = |path: &str| if path == "secret" { Ok("s3cret-file\n".to_owned()) } else { Err("no".to_owned()) };
        read(
            "test.toml",
            text.to_owned(),
            &Surroundings { variable: &variable, file: &file, now: steadfast_lead::Timestamp::MIN },
        )
    }

    fn with(auth: &str) -> Result<Loaded, Problems> {
        read_text(&format!(
            "[recipients.bank]\nrequest.url = \"https://bank.example/leads\"\n[[flows.auto.steps]]\nid = \"sell\"\n\
             recipient = \"bank\"\n[flows.auto.steps.auth]\n{auth}\n"
        ))
    }

    const OAUTH2: &str = "type = \"oauth2\"\ntoken_url = \"https://login.example/token?key=s3cret-url\"\n\
                          client_id = \"us\"\nclient_secret = \"file:secret\"\n";
    const TOKEN: &str = "type = \"token\"\ntoken_url = \"https://login.example/token\"\n";

    fn settings(auth: &str) -> TokenSettings {
        let loaded = with(auth).map_err(|problems| problems.plain()).unwrap();
        let step = &loaded.settings.flows["auto"].steps[0];
        assert!(!format!("{loaded:?}").contains("s3cret"), "{loaded:?}");
        match step.auth.clone() {
            Some(Auth::Token(settings)) => *settings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_example_passes_the_check() {
        let loaded = read_text(include_str!("../../../examples/oauth.toml")).map_err(|problems| problems.plain());
        let loaded = loaded.unwrap();
        let tokens: Vec<_> = loaded.book.flows["auto"].steps.iter().map(|step| step.request.token().unwrap()).collect();
        assert_eq!(tokens[0].body, "grant_type=client_credentials&scope=leads.write");
        assert_eq!(tokens[1].body, r#"{"password":"s3cret-OLDBANK_PASSWORD","user":"leads"}"#);
        assert_eq!((&*tokens[0].prefix, &*tokens[1].prefix), ("Bearer ", ""));
        let said = loaded.warnings.plain();
        assert!(!said.contains("http://"), "{said}");
    }

    #[test]
    fn every_key_is_read() {
        let own = settings(&format!(
            "{OAUTH2}client_auth = \"body\"\nscope = \"a b\"\naudience = \"aud\"\nresource = \"res\"\n\
             fields = {{ tenant = \"${{TENANT}}\" }}\nexpires_in = \"2m\"\ntimeout = \"3s\"\nheader = \"X-Auth\"\n\
             prefix = \"Token \""
        ));
        let TokenGrant::OAuth2(oauth2) = &own.grant else { panic!("{own:?}") };
        assert_eq!((oauth2.client_id.reveal(), oauth2.client_secret.reveal()), ("us", "s3cret-file"));
        assert_eq!(oauth2.client_auth, ClientAuth::Body);
        assert_eq!((oauth2.scope.as_deref(), oauth2.audience.as_deref()), (Some("a b"), Some("aud")));
        assert_eq!((oauth2.resource.as_deref(), &*own.prefix), (Some("res"), "Token "));
        assert_eq!((&*own.fields[0].0, own.fields[0].1.reveal()), ("tenant", "s3cret-TENANT"));
        assert_eq!((own.expires_in, own.timeout), (Some(Duration::from_secs(120)), Some(Duration::from_secs(3))));
        assert_eq!(own.place, KeyPlace::Header(HeaderName::from_static("x-auth")));

        let own = settings(&format!(
            "{TOKEN}method = \"put\"\nformat = \"form\"\nheaders = {{ X-App = \"s3cret\" }}\nfields = {{ a = \"b\" }}\n\
             token_header = \"X-Token\"\nexpires_in_path = \"a.b\"\nquery = \"session\""
        ));
        let TokenGrant::Custom(custom) = &own.grant else { panic!("{own:?}") };
        assert_eq!((&custom.method, custom.format, custom.headers.len()), (&Method::PUT, TokenFormat::Form, 1));
        assert_eq!(custom.token, TokenAt::Header(HeaderName::from_static("x-token")));
        assert_eq!((custom.expires_in_path.as_deref(), own.place), (Some("a.b"), KeyPlace::Query("session".into())));
    }

    #[test]
    fn mistakes_are_named_and_no_secret_is_shown() {
        let place = "flows.auto.steps[0].auth";
        for (auth, said) in [
            ("type = \"oauth2\"".to_owned(), ".token_url: is missing"),
            ("type = \"oauth2\"".to_owned(), ".client_id: is missing"),
            ("type = \"oauth2\"".to_owned(), ".client_secret: is missing"),
            (
                TOKEN.replace("https://login.example/token", "ftp://s3cret@login.example"),
                ".token_url: has another scheme",
            ),
            (format!("{OAUTH2}token_path = \"s3cret\""), ".token_path: does not belong here: oauth2 has token_url"),
            (format!("{OAUTH2}token = \"s3cret\""), ".token: does not belong here: oauth2 has token_url"),
            (format!("{OAUTH2}client_auth = \"jwt\""), ".client_auth = \"jwt\": is not a word known here"),
            (format!("{OAUTH2}header = \"X\"\nquery = \"x\""), ": needs either header or query"),
            (format!("{OAUTH2}prefix = \"T \"\nquery = \"x\""), ".prefix = \"T \": does not belong here"),
            (format!("{OAUTH2}timeout = \"2m\""), ".timeout = \"2m\": is out of range (allowed: 100ms to 1m"),
            (format!("{OAUTH2}expires_in = \"2d\""), ".expires_in = \"2d\": is out of range (allowed: 1s to 1d"),
            (format!("{OAUTH2}fields = {{ scope = \"s3cret\" }}"), ".fields.scope: has a key of its own"),
            (format!("{TOKEN}client_secret = \"s3cret\""), ".client_secret: does not belong here: token has token_url"),
            (format!("{TOKEN}token_path = \"a\"\ntoken_header = \"b\""), ": needs either token_path or token_header"),
            (format!("{TOKEN}token_path = \"a..b\""), ".token_path = \"a..b\": is not a path"),
            (format!("{TOKEN}fields = {{ a = 7 }}"), ".fields.a: is a whole number, not a text"),
            (format!("{TOKEN}headers = {{ \"a b\" = \"s3cret\" }}"), "is not a header's name"),
            (format!("{TOKEN}headers = {{ Host = \"s3cret\" }}"), ".headers.host: is written by the server itself"),
            (format!("{TOKEN}method = \"TRACE\""), ".method = \"TRACE\": is not a word known here"),
            ("type = \"saml\"\nfields.password = \"s3cret\"".to_owned(), ".type = \"saml\": is not a word known here"),
        ] {
            let problems = with(&auth).map(|_| ()).unwrap_err();
            let line = format!("{place}{said}");
            assert!(
                problems.plain().contains(if said.starts_with(['.', ':']) { &line } else { said }),
                "{said}: {problems}"
            );
            for shown in [problems.plain(), problems.with_source(false), format!("{problems:?}")] {
                assert!(!shown.contains("s3cret"), "{shown}");
            }
        }
    }

    #[test]
    fn a_token_over_plain_http_is_worth_a_warning() {
        let loaded = with(&OAUTH2.replace("https:", "http:")).map_err(|problems| problems.plain()).unwrap();
        assert!(
            loaded.warnings.plain().contains("credentials go to an http:// address"),
            "{}",
            loaded.warnings.plain()
        );
    }
}
