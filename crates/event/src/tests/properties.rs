//! Laws that hold for whatever bytes come.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::Value as Json;

use super::{ARRIVAL_US, decode};
use crate::general::{self, Problem};
use crate::parsed::{FIELD_ORDER, Field, Kind, Parsed};
use crate::{Decoder, EventColumns, KeyScratch, fast, producer_key, write_clean_json};

/// Values, good and bad, of any field.
fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[a-z0-9_-]{1,12}".prop_map(|text| format!("\"{text}\"")),
        2 => any::<String>().prop_map(|text| Json::from(text).to_string()),
        2 => (0u32..2_000_000).prop_map(|n| format!("{}", f64::from(n) / 1000.0)),
        1 => any::<f64>().prop_map(|n| if n.is_finite() { format!("{n:e}") } else { "1e999".to_owned() }),
        1 => any::<i128>().prop_map(|n| n.to_string()),
        2 => prop::sample::select(vec![
            "null", "true", "false", "0", "-0", "-0.0", "1e400", "-1", "NaN", "01", "1.", "\"\"", "\" x \"", "\"\\u0000\"", "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"", "\"\u{7f}\"", "\"\u{85}\"", "[]", "{}", "[1, {\"a\": \"b\\n\"}]", "\"a", "\"\\x\"", "\"\\u00e9\"", "5e-324", "1e6", "999999.9999999999999999",
        ]).prop_map(str::to_owned),
    ]
}

/// A value that mostly fits the field.
fn fitting_value(field: usize) -> BoxedStrategy<String> {
    let seconds = (0u64..2_000_000_000).prop_map(|n| format!("{}", n as f64 / 1000.0));
    match FIELD_ORDER[field] {
        "event_type" => prop::sample::select(crate::EventType::ALL.to_vec())
            .prop_flat_map(|kind| prop::sample::select(vec![kind.as_str().to_owned(), kind.as_str().to_uppercase()]))
            .prop_map(|text| format!("\"{text}\""))
            .boxed(),
        "timestamp" => prop_oneof![
            (946_684_800i64..1_767_312_000).prop_map(|n| n.to_string()),
            (946_684_800_000i64..1_767_312_000_000).prop_map(|n| n.to_string()),
            (946_684_800_000_000i64..1_767_312_000_000_000).prop_map(|n| n.to_string()),
            ((946_684_800i64..1_767_312_000), (0u32..1_000_000_000)).prop_map(|(n, nanos)| format!("{n}.{nanos:09}")),
            ((2000..2026), (1..13), (1..32), (0..24), (0..61), (0u32..1_000_000))
                .prop_map(|(y, m, d, h, s, f)| format!("\"{y}-{m:02}-{d:02}T{h:02}:59:{s:02}.{f:06}Z\"")),
        ]
        .boxed(),
        "position_s" | "seek_from_s" | "seek_to_s" | "duration_s" => prop_oneof![
            3 => seconds,
            1 => (0.0..1e6f64).prop_map(|n| n.to_string()),
            1 => (0.0..1e-300f64).prop_map(|n| n.to_string()),
        ]
        .boxed(),
        "rate" => (1u32..1600).prop_map(|n| format!("{}", f64::from(n) / 100.0)).boxed(),
        "region" => {
            prop::sample::select(vec!["\"US\"", "\"de\"", "\"GB-ENG\"", "\"XX\""]).prop_map(str::to_owned).boxed()
        }
        "sequence" => (0u64..1 << 40).prop_map(|n| n.to_string()).boxed(),
        _ => prop_oneof![
            4 => "[a-zA-Z0-9 _-]{1,20}".prop_map(|text| format!("\"{text}\"")),
            1 => any::<String>().prop_map(|text| Json::from(text).to_string()),
        ]
        .boxed(),
    }
}

/// Records: mostly in the usual order, some fields left out, some values bad, some keys unknown or repeated.
fn record(bad: u32, unusual: u32) -> impl Strategy<Value = String> {
    let field = |i: usize| {
        let present = if i < 5 && i != 2 { 20 } else { 2 };
        let value = prop_oneof![30 => fitting_value(i), bad => any_value()];
        prop_oneof![present => value.prop_map(Some), 1 => Just(None)]
            .prop_map(move |value| value.map(|value| (FIELD_ORDER[i].to_owned(), value)))
    };
    let known: Vec<_> = (0..FIELD_ORDER.len()).map(field).collect();
    let other_key = prop_oneof![
        prop::sample::select(FIELD_ORDER.to_vec()).prop_map(str::to_owned),
        "[a-z]{0,3}",
        Just("\\u0075ser_id".to_owned()),
        Just("a\\nb".to_owned()),
    ];
    let other = prop::collection::vec((other_key, any_value(), any::<prop::sample::Index>()), 0..4);
    let other = prop_oneof![30 - unusual => Just(Vec::new()), unusual => other];
    let space = prop::sample::select(vec![(",", ":"), (",", ":"), (", ", ": "), (" ,\n", " :\t")]);
    (known, other, space).prop_map(|(known, other, (comma, colon))| {
        let mut fields: Vec<(String, String)> = known.into_iter().flatten().collect();
        for (key, value, at) in other {
            let at = at.index(fields.len() + 1);
            fields.insert(at, (key, value));
        }
        let fields: Vec<_> = fields.iter().map(|(key, value)| format!("\"{key}\"{colon}{value}")).collect();
        format!("{{{}}}", fields.join(comma))
    })
}

/// Records with a byte changed, put in or taken out here and there, or cut off.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop_oneof![prop::sample::select(b"{}[]\",:\\ 01-+.eEnul\n\t\x00\x1f\x7f\xc3\xa9\xff".to_vec()), any::<u8>(),];
    let change = (any::<prop::sample::Index>(), 0..4u8, byte);
    (record(4, 10), prop::collection::vec(change, 0..4)).prop_map(|(record, changes)| {
        let mut bytes = record.into_bytes();
        for (at, how, byte) in changes {
            let at = at.index(bytes.len() + 1);
            match how {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => bytes.truncate(at),
                _ => bytes.insert(at, byte),
            }
        }
        bytes
    })
}

/// What the fast path accepts, the general path takes apart in the same way.
fn check_agreement(record: &str) -> Result<bool, TestCaseError> {
    let (mut quick, mut slow) = (Parsed::default(), Parsed::default());
    if !fast::parse(record, &mut quick) {
        return Ok(false);
    }
    prop_assert_eq!(general::parse(record, &mut slow), Ok(()));
    for name in FIELD_ORDER {
        let field = Field::parse(name).expect("a known field");
        let (a, b) = (quick.value(field), slow.value(field));
        prop_assert_eq!((a.kind, quick.text(record, a)), (b.kind, slow.text(record, b)), "{}", name);
    }
    prop_assert!(!quick.has_extra() && !slow.has_extra());
    Ok(true)
}

/// serde_json comes to the same verdict, and to the same values.
fn check_against_serde(record: &str) -> Result<(), TestCaseError> {
    let mut parsed = Parsed::default();
    let found = general::parse(record, &mut parsed);
    let expected = match serde_json::from_str::<Json>(record) {
        Ok(expected) => expected,
        // Numbers beyond a double's range are JSON; that serde_json can't hold them is its own affair.
        Err(error) if error.to_string().starts_with("number out of range") => return Ok(()),
        Err(error) => {
            prop_assert!(matches!(found, Err(Problem::NotJson(_))), "{}: {:?}", error, found);
            return Ok(());
        }
    };
    let Json::Object(mut fields) = expected else {
        prop_assert!(matches!(found, Err(Problem::NotAnObject(_))), "{:?}", found);
        return Ok(());
    };
    prop_assert_eq!(found, Ok(()));
    for name in FIELD_ORDER {
        let value = parsed.value(Field::parse(name).expect("a known field"));
        let text = parsed.text(record, value);
        match fields.remove(name).unwrap_or(Json::Null) {
            Json::Null => prop_assert_eq!(value.kind, Kind::Absent),
            Json::String(expected) => {
                prop_assert!(matches!(value.kind, Kind::Text | Kind::Unescaped));
                prop_assert_eq!(text, expected);
            }
            Json::Number(expected) => {
                prop_assert_eq!(value.kind, Kind::Number);
                // serde_json rounds the last digit as it comes; Rust's own parser rounds as it must.
                let (found, expected) = (crate::number::to_f64(text), expected.as_f64().unwrap_or(f64::NAN));
                prop_assert!((found - expected).abs() <= expected.abs() * 1e-14, "{} {}", found, expected);
                prop_assert_eq!(Some(found), text.parse().ok());
            }
            expected => {
                prop_assert_eq!(value.kind, Kind::Other);
                prop_assert_eq!(serde_json::from_str::<Json>(text).ok(), Some(expected));
            }
        }
    }
    prop_assert_eq!(parsed.has_extra(), !fields.is_empty());
    if parsed.has_extra() {
        let mut extra = Vec::new();
        parsed.write_extra(record, &mut extra, &mut String::new());
        let text = String::from_utf8(extra).expect("UTF-8");
        fields.sort_keys();
        let kept: Json = serde_json::from_str(&text).expect("extra is JSON");
        prop_assert_eq!(&kept, &Json::Object(fields.clone()));
        prop_assert!(kept.as_object().is_some_and(|kept| kept.keys().eq(fields.keys())), "{}", text);
    }
    Ok(())
}

/// A valid row written as clean JSON decodes to itself, and is written the same again.
fn check_law(payload: &[u8]) -> Result<bool, TestCaseError> {
    let batch = decode(payload);
    let columns = EventColumns::new(&batch).expect("a decoded batch");
    prop_assert_eq!(columns.is_valid(0), columns.detail(0).is_none());
    let mut key = KeyScratch::default();
    let key = producer_key(payload, &mut key);
    if !columns.is_valid(0) {
        prop_assert!(columns.detail(0).is_some_and(|detail| detail.len() < 400 && !detail.contains('\n')));
        prop_assert!((2..batch.num_columns()).all(|column| batch.column(column).null_count() == 1));
        return Ok(false);
    }
    prop_assert_eq!(key, Some(columns.user_id(0)));
    let mut written = Vec::new();
    write_clean_json(&columns, 0, &mut written);
    let again = decode(&written);
    let known = batch.num_columns() - 1;
    prop_assert_eq!(batch.slice(0, 1).columns()[..known].to_vec(), again.columns()[..known].to_vec());
    prop_assert!(again.column(known).null_count() == 1, "what is clean needs no correction");
    let mut rewritten = Vec::new();
    write_clean_json(&EventColumns::new(&again).expect("a decoded batch"), 0, &mut rewritten);
    prop_assert_eq!(&written, &rewritten);
    let text = std::str::from_utf8(&written).expect("UTF-8");
    let usual = columns.extra(0).is_none() && !text.contains('\\');
    prop_assert_eq!(fast::parse(text, &mut Parsed::default()), usual, "{}", text);
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn paths_agree_on_records(record in record(2, 5)) {
        check_agreement(&record)?;
        check_against_serde(&record)?;
        check_law(record.as_bytes())?;
    }

    #[test]
    fn paths_agree_on_mutated_records(bytes in mutated()) {
        if let Ok(record) = std::str::from_utf8(&bytes) {
            check_agreement(record)?;
            check_against_serde(record)?;
        }
        check_law(&bytes)?;
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), arrival in any::<i64>(), cut in any::<bool>()) {
        let mut decoder = Decoder::new();
        decoder.push(&bytes, arrival, cut);
        prop_assert_eq!(decoder.finish().num_rows(), 1);
        producer_key(&bytes, &mut KeyScratch::default());
    }

    #[test]
    fn json_like_text_is_judged_as_by_serde(text in "[\\[\\]{}\",:0-2eE+.a\\\\u -]{0,24}") {
        check_agreement(&text)?;
        check_against_serde(&text)?;
    }

    #[test]
    fn doubles_come_back(value in any::<f64>(), thousandths in 0u64..1 << 50) {
        for value in [value, thousandths as f64 / 1000.0] {
            prop_assume!(value.is_finite());
            let mut text = Vec::new();
            crate::write_f64(value, &mut text);
            let back = crate::number::to_f64(std::str::from_utf8(&text).expect("ASCII"));
            prop_assert_eq!(back.to_bits(), (value + 0.0).to_bits());
        }
    }

    #[test]
    fn every_prefix_is_judged_alike(record in record(0, 0)) {
        for end in (0..record.len()).filter(|&end| record.is_char_boundary(end)) {
            prop_assert!(!check_agreement(&record[..end])?);
            check_against_serde(&record[..end])?;
        }
    }
}

/// The strategies reach what they are for: enough valid records, on both paths.
#[test]
fn strategies_reach_both_paths() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut valid, mut quick) = (0, 0);
    for _ in 0..1000 {
        let record = record(2, 5).new_tree(&mut runner).expect("a record").current();
        valid += usize::from(check_law(record.as_bytes()).expect("the law"));
        quick += usize::from(check_agreement(&record).expect("agreement"));
    }
    assert!(valid > 200, "{valid} of 1000 are valid at {ARRIVAL_US}");
    assert!((200..950).contains(&quick), "{quick} of 1000 take the fast path");
}
