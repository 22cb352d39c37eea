//! From bytes to text, by what the answer declares; a lie costs single letters, never the answer.

use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, WINDOWS_1252};
use std::borrow::Cow;

/// How far into a body a declaration is looked for, in bytes.
const DECLARATION_BYTES_MAX: usize = 1_024;

/// The text of a body. `content_type` is the header's value.
pub(crate) fn decode<'b>(body: &'b [u8], content_type: Option<&str>) -> Cow<'b, str> {
    if let Some((encoding, mark)) = Encoding::for_bom(body) {
        return encoding.decode_without_bom_handling(body.get(mark..).unwrap_or_default()).0;
    }
    let declared = content_type.and_then(of_header).or_else(|| of_declaration(body));
    let plain = std::str::from_utf8(body).ok();
    // What reads as UTF-8 hardly ever is anything else. Two encodings can look like it: one of escapes, one with zero bytes.
    if let Some(text) = plain.filter(|text| declared != Some(ISO_2022_JP) && !text.contains('\0')) {
        return Cow::Borrowed(text);
    }
    let otherwise = if plain.is_some() { UTF_8 } else { WINDOWS_1252 };
    declared.unwrap_or(otherwise).decode_without_bom_handling(body).0
}

fn of_header(content_type: &str) -> Option<&'static Encoding> {
    let mut parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let (_, label) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    Encoding::for_label(label.trim().trim_matches(['"', '\'']).as_bytes())
}

/// `encoding="..."` of an XML declaration, `charset=...` of a page.
fn of_declaration(body: &[u8]) -> Option<&'static Encoding> {
    let head = body.get(..DECLARATION_BYTES_MAX).unwrap_or(body);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mark = if head.trim_start().starts_with("<?xml") { "encoding" } else { "charset" };
    if !head.trim_start().starts_with('<') {
        return None;
    }
    let (_, behind) = head.split_once(mark)?;
    let value = behind.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    let end =
        value.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.'))).unwrap_or(value.len());
    Encoding::for_label(value.get(..end)?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_declared_and_lies_do_little_harm() {
        let cases: [(&[u8], Option<&str>, &str); 15] = [
            (b"caf\xc3\xa9", None, "café"),
            (b"caf\xe9", None, "café"),
            (b"caf\xe9", Some("text/plain; charset=iso-8859-1"), "café"),
            (b"caf\xc3\xa9", Some("text/plain; charset=iso-8859-1"), "café"),
            (b"caf\xe9", Some("text/plain; charset=utf-8"), "caf\u{fffd}"),
            (b"\x82\xa0", Some("text/plain; Charset=\"Shift_JIS\""), "あ"),
            (b"\xef\xbb\xbfok", Some("text/plain; charset=utf-16"), "ok"),
            (b"\xff\xfeo\0k\0", None, "ok"),
            (b"o\0k\0", Some("text/plain; charset=utf-16le"), "ok"),
            (b"ok", Some("text/plain; charset=utf-16le"), "ok"),
            (
                b"<?xml version='1.0' encoding='windows-1251'?><a>\xc4\xe0</a>",
                Some("text/xml"),
                "<?xml version='1.0' encoding='windows-1251'?><a>Да</a>",
            ),
            (b"<meta charset=windows-1251>\xc4\xe0", None, "<meta charset=windows-1251>Да"),
            (b"ok", Some("text/plain; charset=klingon"), "ok"),
            (b"\x1b$B$\"\x1b(B", Some("text/plain; charset=iso-2022-jp"), "あ"),
            (b"", None, ""),
        ];
        for (body, content_type, text) in cases {
            assert_eq!(decode(body, content_type), text, "{body:?} {content_type:?}");
        }
    }
}
