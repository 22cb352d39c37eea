//! Values as users write them: durations, sizes, numbers with decimals, networks, hashes.
//!
//! Every reader here is total: any text gives a value or a sentence about what is wrong, never a panic or a wrapped number.

use std::time::Duration;

/// Reads `250ms`, `2s`, `5m`, `1h`, `1d`, and such parts in a row (`1h30m`).
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    const UNREADABLE: &str =
        "is not a duration; write a whole number and a unit, such as 250ms, 2s, 5m, 1h, 1d or 1h30m";
    const TOO_LONG: &str = "is longer than any duration here may be";
    let mut rest = text;
    let mut millis: u64 = 0;
    if text.is_empty() {
        return Err(UNREADABLE);
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at(letters);
        let factor = unit_millis(unit).filter(|_| !number.is_empty()).ok_or(UNREADABLE)?;
        let number: u64 = number.parse().map_err(|_| TOO_LONG)?;
        millis = number.checked_mul(factor).and_then(|part| millis.checked_add(part)).ok_or(TOO_LONG)?;
        rest = tail;
    }
    Ok(Duration::from_millis(millis))
}

fn unit_millis(unit: &str) -> Option<u64> {
    match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    }
}

/// Reads `512KiB`, `64MiB`, `1GiB`, or a number of bytes.
pub(crate) fn size(text: &str) -> Result<u64, &'static str> {
    const UNREADABLE: &str = "is not a size; write bytes, or such as 512KiB, 64MiB or 1GiB";
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(UNREADABLE),
    };
    let number: u64 = number.parse().map_err(|_| UNREADABLE)?;
    number.checked_mul(factor).ok_or("is larger than any size here may be")
}

/// Reads a number with at most three decimals as thousandths; below zero is zero, beyond all bounds the largest.
pub(crate) fn thousandths(text: &str) -> Result<u32, &'static str> {
    const UNREADABLE: &str = "is not a number with at most three decimals";
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(rest) => (false, rest),
        None => (true, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let part = part.trim_end_matches('0');
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(part) || part.len() > 3 {
        return Err(UNREADABLE);
    }
    let whole: u32 = whole.parse().unwrap_or(u32::MAX);
    let part: u32 = format!("{part:0<3}").parse().map_err(|_| UNREADABLE)?;
    let thousandths = whole.saturating_mul(1_000).saturating_add(part);
    Ok(if sign { thousandths } else { 0 })
}

/// Reads `sha256:` and 64 hexadecimal digits.
pub(crate) fn sha256(text: &str) -> Option<[u8; 32]> {
    let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64 && hex.is_ascii())?;
    let mut hash = [0_u8; 32];
    for (index, byte) in hash.iter_mut().enumerate() {
        let pair = hex.get(2 * index..2 * index + 2).filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(hash)
}

/// Reads a network (`10.0.0.0/8`), or one address.
pub(crate) fn network(text: &str) -> Option<ipnet::IpNet> {
    let address = || text.parse::<std::net::IpAddr>().ok().map(ipnet::IpNet::from);
    text.parse().ok().or_else(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_with_units_alone_and_in_a_row() {
        let cases =
            [("250ms", 250), ("2s", 2_000), ("5m", 300_000), ("1h30m", 5_400_000), ("1d", 86_400_000), ("0s", 0)];
        for (text, millis) in cases {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "1.5s",
            "5S",
            "5sec",
            "1h30",
            "99999999999999999999s",
            "9999999999999999d",
            "é",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_read_exactly_or_not_at_all() {
        let cases =
            [("2", 2_000), ("1.5", 1_500), ("1.999", 1_999), ("1.5000", 1_500), ("-1.5", 0), ("99999999999", u32::MAX)];
        for (text, expected) in cases {
            assert_eq!(thousandths(text), Ok(expected), "{text}");
        }
        for bad in ["1.4999", "nan", "inf", "1e3", "", ".5", "1.2.3"] {
            assert!(thousandths(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_hashes_and_networks() {
        assert_eq!((size("64MiB"), size("1024"), size("1 KiB")), (Ok(67_108_864), Ok(1_024), Ok(1_024)));
        for bad in ["", "MiB", "5MB", "-1", "99999999999GiB", "18446744073709551616"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!(sha256(&format!("sha256:{}", "0A".repeat(32))), Some([10; 32]));
        for bad in [String::new(), "sha256:00".into(), format!("sha256:{}", "+0".repeat(32)), "ab".repeat(32)] {
            assert_eq!(sha256(&bad), None, "{bad}");
        }
        assert_eq!(network("127.0.0.1").unwrap().to_string(), "127.0.0.1/32");
        assert!(network("10.0.0.0/33").is_none() && network("private").is_none());
    }
}
