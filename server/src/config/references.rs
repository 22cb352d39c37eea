//! `${NAME}` inside a text and `file:PATH` in place of a credential, resolved when a config is loaded.
//!
//! Says which name or file is missing, never what one held.

use std::fmt;
use steadfast_lead::Timestamp;

/// How large a file holding a credential may be, in bytes.
pub(crate) const SECRET_FILE_BYTES_MAX: usize = 65_536;

/// What surrounds a config file.
pub(crate) struct Surroundings<'a> {
    /// A variable of the environment.
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    /// The content of a file, by its path as written; or a sentence about why not.
    pub(crate) file: &'a dyn Fn(&str) -> Result<String, String>,
    /// The time: what never opens from now on is refused.
    pub(crate) now: Timestamp,
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Surroundings")
    }
}

/// Puts the environment into a text. `$${` stands for `${`.
pub(crate) fn substitute(text: &str, around: &Surroundings<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, reference) = rest.split_at(at);
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = &reference[2..];
            continue;
        }
        out.push_str(before);
        let Some((name, after)) = reference[2..].split_once('}') else {
            return Err("has ${ without }; for the text itself write $${".to_owned());
        };
        out.push_str(&variable(name, around)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn variable(name: &str, around: &Surroundings<'_>) -> Result<String, String> {
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !begins || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err("has a ${...} that is not the name of an environment variable".to_owned());
    }
    (around.variable)(name).ok_or_else(|| format!("needs the environment variable {name}, which is not set"))
}

/// Resolves a credential: `file:PATH` is the file's content without the line break at its end, anything else is a text.
pub(crate) fn credential(text: &str, around: &Surroundings<'_>) -> Result<String, String> {
    let text = substitute(text, around)?;
    let Some(path) = text.strip_prefix("file:") else {
        return Ok(text);
    };
    let content = (around.file)(path)?;
    Ok(content.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around<R>(test: impl FnOnce(&Surroundings<'_>) -> R) -> R {
        let variable = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
        let file = |path: &str| if path == "t" { Ok("from file\r\n".to_owned()) } else { Err("no".to_owned()) };
        test(&Surroundings { variable: &variable, file: &file, now: Timestamp::MIN })
    }

    #[test]
    fn references_resolve_inside_texts() {
        around(|around| {
            assert_eq!(substitute("a ${TOKEN} b${TOKEN}", around).unwrap(), "a s3cret bs3cret");
            assert_eq!(substitute("$${TOKEN} $5 }", around).unwrap(), "${TOKEN} $5 }");
            assert_eq!(credential("file:t", around).unwrap(), "from file");
            for bad in ["${", "${}", "${A B}", "${MISSING}", "${TOKEN"] {
                let said = substitute(bad, around).unwrap_err();
                assert!(!said.contains("s3cret"), "{said}");
            }
        });
    }
}
