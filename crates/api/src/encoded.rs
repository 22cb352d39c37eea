//! Percent-encoded pairs, as in queries and forms. Strict: what cannot be read exactly is refused, never guessed.

/// Why pairs could not be read. Holds no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadEncoding {
    /// `%` without two hexadecimal digits after it.
    #[error("the % at byte {at} is not followed by two hexadecimal digits")]
    Percent {
        /// Where.
        at: usize,
    },
    /// Decoded bytes that are not UTF-8.
    #[error("pair number {pair} is not UTF-8 once decoded")]
    NotUtf8 {
        /// Which pair, from 1.
        pair: usize,
    },
}

/// Reads `a=1&b=2`: names and values in order, `+` for a blank. Empty pairs (`&&`) are left out; a name without `=` has an
/// empty value.
pub(crate) fn decode_pairs(text: &[u8]) -> Result<Vec<(String, String)>, BadEncoding> {
    let mut pairs = Vec::new();
    let mut begin = 0;
    for part in text.split(|byte| *byte == b'&') {
        if !part.is_empty() {
            let equals = part.iter().position(|byte| *byte == b'=');
            let (name, value) = match equals {
                Some(equals) => (&part[..equals], &part[equals + 1..]),
                None => (part, &part[part.len()..]),
            };
            let number = pairs.len() + 1;
            let value_at = begin + equals.map_or(part.len(), |equals| equals + 1);
            pairs.push((decode(name, begin, number)?, decode(value, value_at, number)?));
        }
        begin += part.len() + 1;
    }
    Ok(pairs)
}

fn decode(text: &[u8], begin: usize, pair: usize) -> Result<String, BadEncoding> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |offset: usize| char::from(*text.get(at + offset)?).to_digit(16);
                let (Some(high), Some(low)) = (digit(1), digit(2)) else {
                    return Err(BadEncoding::Percent { at: begin + at });
                };
                // Two hexadecimal digits are at most 255.
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(0));
                at += 2;
            }
            other => bytes.push(*other),
        }
        at += 1;
    }
    String::from_utf8(bytes).map_err(|_| BadEncoding::NotUtf8 { pair })
}

#[cfg(test)]
mod tests {
    use super::{BadEncoding, decode_pairs};

    fn pairs(text: &str) -> Vec<(String, String)> {
        decode_pairs(text.as_bytes()).unwrap()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn pairs_in_order() {
        assert_eq!(pairs("a=1&b=x+y%21&a=2"), [pair("a", "1"), pair("b", "x y!"), pair("a", "2")]);
        assert_eq!(pairs("a=b=c&&d&=e"), [pair("a", "b=c"), pair("d", ""), pair("", "e")]);
        assert_eq!(pairs("n%C3%A4me=%E2%82%ac"), [pair("näme", "€")]);
        assert_eq!(pairs(""), []);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert_eq!(decode_pairs(b"a=1&b=%2"), Err(BadEncoding::Percent { at: 6 }));
        assert_eq!(decode_pairs(b"a=%+1"), Err(BadEncoding::Percent { at: 2 }));
        assert_eq!(decode_pairs(b"%zz=1"), Err(BadEncoding::Percent { at: 0 }));
        assert_eq!(decode_pairs(b"a=1&b=%ff"), Err(BadEncoding::NotUtf8 { pair: 2 }));
        assert_eq!(decode_pairs(&[b'a', b'=', 0xff]), Err(BadEncoding::NotUtf8 { pair: 1 }));
    }
}
