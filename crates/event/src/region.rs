//! Regions: ISO 3166-1 alpha-2, or ISO 3166-2 by its form.
//!
//! A country is one of the 249 officially assigned codes (user-assigned ones such as `XK` are not). A subdivision is a country, a
//! hyphen and one to three letters or digits: the lists of subdivisions change too often to be checked against. Any
//! letter case is accepted and made upper.

const ASSIGNED: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ \
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR \
    GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP \
    KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ \
    NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW \
    SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ \
    UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// One word a first letter, one bit a second letter.
const COUNTRIES: [u32; 26] = {
    let text = ASSIGNED.as_bytes();
    let mut table = [0; 26];
    let mut at = 0;
    while at < text.len() {
        if text[at] == b' ' {
            at += 1;
        } else {
            table[(text[at] - b'A') as usize] |= 1 << (text[at + 1] - b'A');
            at += 2;
        }
    }
    table
};

/// A valid region in upper case, on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    bytes: [u8; 6],
    length: u8,
}

impl Region {
    #[inline]
    pub fn parse(text: &str) -> Option<Self> {
        let length = text.len();
        if !(length == 2 || (4..=6).contains(&length)) {
            return None;
        }
        let mut bytes = [0; 6];
        for (byte, upper) in text.bytes().zip(&mut bytes) {
            *upper = byte.to_ascii_uppercase();
        }
        let letter = |byte: u8| byte.is_ascii_uppercase().then(|| usize::from(byte - b'A'));
        let assigned = COUNTRIES[letter(bytes[0])?] >> letter(bytes[1])? & 1 == 1;
        let subdivision = length == 2 || bytes[2] == b'-' && bytes[3..length].iter().all(u8::is_ascii_alphanumeric);
        (assigned && subdivision).then_some(Self { bytes, length: length as u8 })
    }

    #[inline]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).expect("letters, digits and a hyphen are ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_and_subdivisions() {
        assert_eq!(COUNTRIES.iter().map(|word| word.count_ones()).sum::<u32>(), 249);
        let cases = [
            ("US", Some("US")),
            ("de", Some("DE")),
            ("gB", Some("GB")),
            ("US-CA", Some("US-CA")),
            ("us-ca", Some("US-CA")),
            ("FR-1", Some("FR-1")),
            ("AD-07", Some("AD-07")),
            ("GB-ENG", Some("GB-ENG")),
            ("XK", None),
            ("EU", None),
            ("UK", None),
            ("ZZ", None),
            ("USA", None),
            ("", None),
            ("U", None),
            ("US-", None),
            ("US-CALI", None),
            ("US_CA", None),
            ("USCA", None),
            ("US-C A", None),
            ("ZZ-CA", None),
            (" US", None),
            ("US ", None),
            ("u1", None),
            ("\u{e9}", None),
            ("US-\u{e9}", None),
            ("840", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Region::parse(text).as_ref().map(Region::as_str), expected, "{text}");
        }
    }
}
