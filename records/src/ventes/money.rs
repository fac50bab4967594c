//! Money and whole numbers, read exactly from their own text (D-60): never through `f64`, never
//! rounded.

use rust_decimal::Decimal;

/// Digits before the decimal point, at the most: amounts stay below 10^16.
const MAX_WHOLE_DIGITS: i64 = 16;
/// The same of a quantity, which has six decimals.
const MAX_QUANTITY_DIGITS: i64 = 12;

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("is not a decimal number")]
    NotANumber,
    #[error("is negative")]
    Negative,
    #[error("has more than two decimals")]
    TooPrecise,
    #[error("is 10^16 or more")]
    TooLarge,
}

/// Reads `40000`, `40000.0`, `40000.00` or `4e4`; the result has two decimals.
pub fn parse(text: &str) -> Result<Decimal, MoneyError> {
    let exact = Exact::parse(text)?;
    if exact.exponent < -2 {
        return Err(MoneyError::TooPrecise);
    }
    exact.scaled(2, MAX_WHOLE_DIGITS).map(|hundredths| Decimal::new(hundredths, 2))
}

/// Reads a whole number that is not negative: `3`, also spelt `3.0` or `3e0`.
pub(crate) fn parse_whole(text: &str) -> Result<i64, MoneyError> {
    let exact = Exact::parse(text)?;
    if exact.exponent < 0 {
        return Err(MoneyError::TooPrecise);
    }
    exact.scaled(0, MAX_WHOLE_DIGITS + 2)
}

/// Reads a quantity of at most twelve digits and six decimals, in millionths.
pub(crate) fn parse_millionths(text: &str) -> Result<i64, MoneyError> {
    let exact = Exact::parse(text)?;
    if exact.exponent < -6 {
        return Err(MoneyError::TooPrecise);
    }
    exact.scaled(6, MAX_QUANTITY_DIGITS)
}

/// `12.5`: no more decimals than there are.
pub(crate) fn print_millionths(millionths: i64) -> String {
    Decimal::new(millionths, 6).normalize().to_string()
}

/// `40000.00`.
pub fn print(amount: Decimal) -> String {
    let mut amount = amount;
    amount.rescale(2);
    amount.to_string()
}

/// `40000`, but `40000.50`: as the log line has it.
pub fn print_short(amount: Decimal) -> String {
    if amount.fract().is_zero() { amount.trunc().to_string() } else { print(amount) }
}

/// Whether an amount fits the column it is stored in.
pub(crate) fn is_storable(amount: Decimal) -> bool {
    amount < Decimal::from(10_000_000_000_000_000_i64)
}

/// The amount in hundredths, for statements that pass rows as JSON.
pub(crate) fn hundredths(amount: Decimal) -> i64 {
    let scaled = amount.checked_mul(Decimal::ONE_HUNDRED).map(|scaled| scaled.trunc());
    scaled.and_then(|scaled| i64::try_from(scaled).ok()).expect("an amount below 10^16")
}

/// `digits × 10^exponent`, the digits without zeros at either end; no digits is zero.
struct Exact<'t> {
    whole: &'t str,
    fraction: &'t str,
    exponent: i64,
}

impl<'t> Exact<'t> {
    fn parse(text: &'t str) -> Result<Self, MoneyError> {
        if text.starts_with('-') {
            return Err(MoneyError::Negative);
        }
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return Err(MoneyError::NotANumber),
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits_only(whole) || !digits_only(fraction) {
            return Err(MoneyError::NotANumber);
        }
        Ok(Self::normal(whole.trim_start_matches('0'), fraction.trim_end_matches('0'), exponent))
    }

    fn normal(whole: &'t str, fraction: &'t str, exponent: i64) -> Self {
        if !fraction.is_empty() {
            let exponent = exponent.saturating_sub(length(fraction));
            let fraction =
                if whole.is_empty() { fraction.trim_start_matches('0') } else { fraction };
            return Self { whole, fraction, exponent };
        }
        let digits = whole.trim_end_matches('0');
        if digits.is_empty() {
            return Self { whole: "", fraction: "", exponent: 0 };
        }
        let exponent = exponent.saturating_add(length(whole) - length(digits));
        Self { whole: digits, fraction: "", exponent }
    }

    /// The number times `10^shift`, which must not leave a fraction.
    fn scaled(&self, shift: i64, max_whole_digits: i64) -> Result<i64, MoneyError> {
        let digits = length(self.whole) + length(self.fraction);
        if digits == 0 {
            return Ok(0);
        }
        if digits.saturating_add(self.exponent) > max_whole_digits {
            return Err(MoneyError::TooLarge);
        }
        // At most 18 digits and zeros by the two checks before.
        let zeros = usize::try_from(self.exponent + shift).map_err(|_| MoneyError::TooPrecise)?;
        let text = format!("{}{}{}", self.whole, self.fraction, "0".repeat(zeros));
        text.parse().map_err(|_| MoneyError::TooLarge)
    }
}

/// An exponent too long to be read stands for itself: far too large or far too small.
fn parse_exponent(text: &str) -> Result<i64, MoneyError> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(MoneyError::NotANumber);
    }
    let size: i64 = digits
        .trim_start_matches('0')
        .get(..9)
        .map_or_else(|| digits.trim_start_matches('0').parse().unwrap_or(0), |_| 1_000_000_000);
    Ok(sign * size)
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{
        MoneyError, hundredths, parse, parse_millionths, parse_whole, print, print_millionths,
        print_short,
    };
    use proptest::prelude::*;

    #[test]
    fn amounts_are_exact_or_refused() {
        use MoneyError::{Negative, NotANumber, TooLarge, TooPrecise};
        for (text, expected) in [
            ("40000", Ok("40000.00")),
            ("40000.0", Ok("40000.00")),
            ("40000.00", Ok("40000.00")),
            ("40000.5000", Ok("40000.50")),
            ("4e4", Ok("40000.00")),
            ("4E+4", Ok("40000.00")),
            ("4000000e-2", Ok("40000.00")),
            ("0.000001e6", Ok("1.00")),
            ("1.25e1", Ok("12.50")),
            ("0", Ok("0.00")),
            ("0.00", Ok("0.00")),
            ("0e999999999999999999999", Ok("0.00")),
            ("0.01", Ok("0.01")),
            ("90071992547409.93", Ok("90071992547409.93")),
            ("9999999999999999.99", Ok("9999999999999999.99")),
            ("10000000000000000", Err(TooLarge)),
            ("1e16", Err(TooLarge)),
            ("1e400", Err(TooLarge)),
            ("1e99999999999999999999999", Err(TooLarge)),
            ("1e-99999999999999999999999", Err(TooPrecise)),
            ("0.001", Err(TooPrecise)),
            ("1.005", Err(TooPrecise)),
            ("1e-3", Err(TooPrecise)),
            ("-1", Err(Negative)),
            ("-0.01", Err(Negative)),
            ("", Err(NotANumber)),
            (".5", Err(NotANumber)),
            ("5.", Err(NotANumber)),
            ("+5", Err(NotANumber)),
            ("1,5", Err(NotANumber)),
            (" 5", Err(NotANumber)),
            ("5e", Err(NotANumber)),
            ("5e+", Err(NotANumber)),
            ("NaN", Err(NotANumber)),
            ("Infinity", Err(NotANumber)),
            ("0x10", Err(NotANumber)),
            ("١", Err(NotANumber)),
        ] {
            assert_eq!(parse(text).map(print), expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn whole_numbers_may_be_spelt_as_decimals() {
        for (text, expected) in [
            ("1", Some(1)),
            ("1.0", Some(1)),
            ("10e1", Some(100)),
            ("0", Some(0)),
            ("1.5", None),
            ("1e-1", None),
            ("-1", None),
            ("1e400", None),
            ("9223372036854775807", None),
            ("999999999999999999", Some(999_999_999_999_999_999)),
        ] {
            assert_eq!(parse_whole(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn quantities_have_six_decimals_at_the_most() {
        for (text, expected) in [
            ("12.5", Some("12.5")),
            ("12.500000000", Some("12.5")),
            ("0.000001", Some("0.000001")),
            ("999999999999.999999", Some("999999999999.999999")),
            ("1e3", Some("1000")),
            ("0", Some("0")),
            ("0.0000001", None),
            ("1000000000000", None),
            ("-1", None),
            ("1,5", None),
        ] {
            let read = parse_millionths(text).ok().map(print_millionths);
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_log_shows_whole_amounts_without_decimals() {
        let short = |text| parse(text).map(print_short);
        assert_eq!(short("40000"), Ok("40000".to_owned()));
        assert_eq!(short("40000.5"), Ok("40000.50".to_owned()));
    }

    proptest! {
        #[test]
        fn every_amount_survives_printing(cents in 0_i64..1_000_000_000_000_000_000) {
            let text = format!("{}.{:02}", cents / 100, cents % 100);
            let amount = parse(&text).expect("an amount");
            prop_assert_eq!(hundredths(amount), cents);
            prop_assert_eq!(print(amount), text);
        }

        #[test]
        fn spellings_of_one_amount_agree(cents in 0_i64..1_000_000_000_000_000, zeros in 0_usize..20) {
            let plain = parse(&format!("{}.{:02}", cents / 100, cents % 100));
            prop_assert_eq!(parse(&format!("{cents}e-2")), plain);
            prop_assert_eq!(parse(&format!("{cents}{}e-{}", "0".repeat(zeros), zeros + 2)), plain);
            prop_assert_eq!(parse(&format!("0.{cents:018}e16")), plain);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9.eE]{0,40}") {
            let _ = (parse(&text), parse_whole(&text));
        }
    }
}
