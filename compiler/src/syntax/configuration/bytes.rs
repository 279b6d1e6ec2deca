//! Numbers of bytes as text.

/// The units, and how many bytes each is.
const UNITS: [(&str, u64); 7] =
    [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("B", 1)];

/// The number of bytes in a text such as `256 MiB` or `1.5 GB`; none if it is not understood, or is no whole number of bytes.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, unit) = UNITS.iter().find_map(|(name, bytes)| text.strip_suffix(name).map(|number| (number.trim_end(), *bytes)))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits =
        |text: &str| (!text.is_empty() && text.len() < 19 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u64>().ok());
    let (whole, tenths) = (digits(whole)??, digits(fraction)??);
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = u128::from(tenths) * u128::from(unit);
    let part = part.is_multiple_of(u128::from(scale)).then(|| part / u128::from(scale))?;
    whole.checked_mul(unit)?.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn units_are_powers_of_1024_or_of_1000() {
        for (text, bytes) in [
            ("256 MiB", 268_435_456),
            ("256MiB", 268_435_456),
            (" 1.5 GiB ", 1_610_612_736),
            ("64 KB", 64_000),
            ("1 KiB", 1024),
            ("2 GB", 2_000_000_000),
            ("3 MB", 3_000_000),
            ("0.125 KiB", 128),
            ("512 B", 512),
        ] {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
    }

    #[test]
    fn everything_else_is_no_number_of_bytes() {
        for text in [
            "",
            "MiB",
            "256",
            "256 mib",
            "256 TiB",
            "-1 MiB",
            "1e3 MiB",
            "1.5.2 MiB",
            ". MiB",
            "0.3 B",
            "99999999999999999999 B",
            "18446744073709551615 KiB",
        ] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }
}
