//! GF(2^8) with the polynomial x⁸ + x⁴ + x³ + x + 1 (0x11B), without tables or branches on what is multiplied.

/// The product of `a` and `b`.
pub(super) fn multiply(a: u8, b: u8) -> u8 {
    let (mut power, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= power & mask(b >> bit);
        power = (power << 1) ^ (0x1b & mask(power >> 7));
    }
    product
}

/// The inverse of `a`, which is `a` to the 254th power; zero for zero.
pub(super) fn invert(a: u8) -> u8 {
    let (mut square, mut inverse) = (a, 1);
    for _ in 1..8 {
        square = multiply(square, square);
        inverse = multiply(inverse, square);
    }
    inverse
}

/// All ones if the lowest bit is set, else zero.
fn mask(bits: u8) -> u8 {
    0u8.wrapping_sub(bits & 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 197 §4.2: the products that the standard works out.
    #[test]
    fn products_are_those_of_the_standard() {
        assert_eq!(multiply(0x57, 0x83), 0xc1);
        assert_eq!(multiply(0x57, 0x13), 0xfe);
    }

    #[test]
    fn every_number_but_zero_has_its_inverse() {
        assert_eq!(invert(0), 0);
        assert!((1..=255).all(|a| multiply(a, invert(a)) == 1));
    }
}
