//! Lengths of time as people write them: `90s`, `15m`, `8h`, `30d`.

use core::fmt;
use core::str::FromStr;

/// A length of time of at least a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime(u64);

impl Lifetime {
    /// The length in seconds.
    pub(crate) const fn as_secs(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(length, _): &&(u64, char)| self.0.is_multiple_of(*length);
        let (length, unit) = UNITS.iter().find(fits).unwrap_or(&(1, 's'));
        write!(f, "{}{unit}", self.0 / length)
    }
}

/// The units, longest first.
const UNITS: [(u64, char); 4] = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];

impl FromStr for Lifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no length of time such as 90s, 15m, 8h or 30d");
        let unit = text.chars().last().ok_or_else(wrong)?;
        let (seconds, _) = UNITS.iter().find(|(_, name)| *name == unit).ok_or_else(wrong)?;
        let number = text.strip_suffix(unit).ok_or_else(wrong)?;
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(*seconds).filter(|length| *length > 0).map(Self).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read() {
        for (text, seconds) in [("1s", 1), ("15m", 900), ("8h", 28_800), ("30d", 2_592_000)] {
            let read = text.parse::<Lifetime>();
            assert_eq!(read.clone().map(Lifetime::as_secs), Ok(seconds));
            assert_eq!(read.map(|it| it.to_string()), Ok(text.to_owned()));
        }
        let written = |text: &str| text.parse::<Lifetime>().map(|it| it.to_string());
        assert_eq!(
            (written("60m"), written("90m")),
            (Ok("1h".into()), Ok("90m".into())),
            "the longest that fits"
        );
        for bad in [
            "",
            "s",
            "15",
            "0s",
            "-1s",
            "+1s",
            "1.5h",
            "1w",
            "99999999999999999999s",
            "18446744073709551615d",
            "1é",
        ] {
            assert!(bad.parse::<Lifetime>().is_err(), "{bad:?}");
        }
    }
}
