//! Tables of cases: each reason, their order, each field's values, what is kept of unknown fields.

use super::{ARRIVAL_US, decode, rejection, value};
use crate::parsed::Parsed;
use crate::vocabulary::Reject;
use crate::{Decoder, EventColumns, FIELD_ORDER, KeyScratch, MAX_RECORD_BYTES, fast, producer_key, write_clean_json};

/// A valid record with these fields in place of (or added to) its own; a value of `-` leaves the field out.
fn record(changes: &[(&str, &str)]) -> String {
    let mut fields =
        vec![("user_id", "\"u1\""), ("video_id", "\"v1\""), ("event_type", "\"play\""), ("timestamp", "1767225600")];
    for change in changes {
        match fields.iter_mut().find(|field| field.0 == change.0) {
            Some(field) => *field = *change,
            None => fields.push(*change),
        }
    }
    let fields: Vec<_> =
        fields.iter().filter(|field| field.1 != "-").map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

#[test]
fn each_reason_has_its_records() {
    let long = format!("\"{}\"", "x".repeat(129));
    let wide = format!("\"{}\"", "\u{e9}".repeat(65));
    let digits = "1".repeat(129);
    let cases: &[(&str, &str, &str, &str)] = &[
        ("user_id", "-", "missing_user_id", "user_id: absent or null"),
        ("user_id", "null", "missing_user_id", "user_id: absent or null"),
        ("video_id", "-", "missing_video_id", "video_id: absent or null"),
        ("video_id", "null", "missing_video_id", "video_id: absent or null"),
        ("timestamp", "-", "missing_timestamp", "timestamp: absent or null"),
        ("timestamp", "null", "missing_timestamp", "timestamp: absent or null"),
        ("event_type", "-", "missing_event_type", "event_type: absent or null"),
        ("event_type", "null", "missing_event_type", "event_type: absent or null"),
        ("user_id", "\"\"", "bad_user_id", "user_id \"\": empty"),
        ("user_id", "\" \\t\\u00a0 \"", "bad_user_id", "user_id \" \\t\u{a0} \": empty"),
        ("user_id", "\"a\\u0000b\"", "bad_user_id", "user_id \"a\\u0000b\": has a control character"),
        ("user_id", "\"a\\u007fb\"", "bad_user_id", "user_id \"a\u{7f}b\": has a control character"),
        ("user_id", "\"a\u{85}b\"", "bad_user_id", "user_id \"a\u{85}b\": has a control character"),
        ("user_id", "\"a\\nb\"", "bad_user_id", "user_id \"a\\nb\": has a control character"),
        ("user_id", &long, "bad_user_id", &format!("user_id \"{}\"...: longer than 128 bytes", "x".repeat(60))),
        ("user_id", &wide, "bad_user_id", &format!("user_id \"{}\"...: longer than 128 bytes", "\u{e9}".repeat(60))),
        ("user_id", &digits, "bad_user_id", &format!("user_id {}...: longer than 128 bytes", "1".repeat(60))),
        ("user_id", "1.0", "bad_user_id", "user_id 1.0: neither a string nor an integer"),
        ("user_id", "1e3", "bad_user_id", "user_id 1e3: neither a string nor an integer"),
        ("user_id", "true", "bad_user_id", "user_id true: neither a string nor an integer"),
        ("user_id", "[\n1]", "bad_user_id", "user_id [ 1]: neither a string nor an integer"),
        ("user_id", "{}", "bad_user_id", "user_id {}: neither a string nor an integer"),
        ("video_id", "\"\"", "bad_video_id", "video_id \"\": empty"),
        ("video_id", "false", "bad_video_id", "video_id false: neither a string nor an integer"),
        ("timestamp", "\"\"", "bad_timestamp", "timestamp \"\": not RFC 3339 with an offset"),
        ("timestamp", "\"1767225600\"", "bad_timestamp", "timestamp \"1767225600\": not RFC 3339 with an offset"),
        (
            "timestamp",
            "\"2026-01-01T00:00:00\"",
            "bad_timestamp",
            "timestamp \"2026-01-01T00:00:00\": not RFC 3339 with an offset",
        ),
        ("timestamp", "true", "bad_timestamp", "timestamp true: neither a string nor a number"),
        ("timestamp", "{\"s\":1}", "bad_timestamp", "timestamp {\"s\":1}: neither a string nor a number"),
        ("timestamp", "0", "timestamp_out_of_range", "timestamp 0: before 2000-01-01"),
        ("timestamp", "946684799.9999999", "timestamp_out_of_range", "timestamp 946684799.9999999: before 2000-01-01"),
        ("timestamp", "-1767225600", "timestamp_out_of_range", "timestamp -1767225600: far from any valid time"),
        ("timestamp", "1e400", "timestamp_out_of_range", "timestamp 1e400: far from any valid time"),
        (
            "timestamp",
            "1767312000.000001",
            "timestamp_out_of_range",
            "timestamp 1767312000.000001: more than 24 h after arrival",
        ),
        (
            "timestamp",
            "\"1999-12-31T23:59:59.999999Z\"",
            "timestamp_out_of_range",
            "timestamp \"1999-12-31T23:59:59.999999Z\": before 2000-01-01",
        ),
        (
            "timestamp",
            "\"2026-01-02T00:00:00.000001Z\"",
            "timestamp_out_of_range",
            "timestamp \"2026-01-02T00:00:00.000001Z\": more than 24 h after arrival",
        ),
        ("event_type", "\"\"", "unknown_event_type", "event_type \"\": not an event type"),
        ("event_type", "\"stop\"", "unknown_event_type", "event_type \"stop\": not an event type"),
        ("event_type", "\" play\"", "unknown_event_type", "event_type \" play\": not an event type"),
        ("event_type", "1", "unknown_event_type", "event_type 1: not an event type"),
        ("event_id", "\"\"", "bad_event_id", "event_id \"\": empty"),
        ("event_id", "7", "bad_event_id", "event_id 7: not a string"),
        ("event_id", &long, "bad_event_id", &format!("event_id \"{}\"...: longer than 128 bytes", "x".repeat(60))),
        ("session_id", "7", "bad_session_id", "session_id 7: not a string"),
        ("session_id", "[]", "bad_session_id", "session_id []: not a string"),
        (
            "session_id",
            &long,
            "bad_session_id",
            &format!("session_id \"{}\"...: longer than 128 bytes", "x".repeat(60)),
        ),
        ("position_s", "-0.001", "bad_position", "position_s -0.001: not from 0 to below 1000000"),
        ("position_s", "1e6", "bad_position", "position_s 1e6: not from 0 to below 1000000"),
        (
            "position_s",
            "999999.99999999999999999",
            "bad_position",
            "position_s 999999.99999999999999999: not from 0 to below 1000000",
        ),
        ("position_s", "1e400", "bad_position", "position_s 1e400: not from 0 to below 1000000"),
        ("position_s", "\"5\"", "bad_position", "position_s \"5\": not a number"),
        ("position_s", "false", "bad_position", "position_s false: not a number"),
        ("seek_from_s", "-1", "bad_seek", "seek_from_s -1: not from 0 to below 1000000"),
        ("seek_to_s", "\"5\"", "bad_seek", "seek_to_s \"5\": not a number"),
        ("rate", "0", "bad_rate", "rate 0: not above 0 and at most 16"),
        ("rate", "-1", "bad_rate", "rate -1: not above 0 and at most 16"),
        ("rate", "1e-400", "bad_rate", "rate 1e-400: not above 0 and at most 16"),
        ("rate", "16.01", "bad_rate", "rate 16.01: not above 0 and at most 16"),
        ("rate", "\"1\"", "bad_rate", "rate \"1\": not a number"),
    ];
    for (field, text, reason, detail) in cases {
        let record = record(&[(field, text)]);
        assert_eq!(rejection(record.as_bytes()), Some(((*reason).to_owned(), (*detail).to_owned())), "{record}");
    }
}

#[test]
fn what_is_no_object_is_rejected() {
    let valid = record(&[]);
    let cases: Vec<(Vec<u8>, &str, &str)> = vec![
        (b"".to_vec(), "not_json", "byte 0: the end where a value should be"),
        (b" \n".to_vec(), "not_json", "byte 2: the end where a value should be"),
        (b"play".to_vec(), "not_json", "byte 0: no value"),
        (format!("\u{feff}{valid}").into_bytes(), "not_json", "byte 0: no value"),
        (format!("{valid}x").into_bytes(), "not_json", "byte 75: something after the end"),
        (format!("{valid}{valid}").into_bytes(), "not_json", "byte 75: something after the end"),
        (format!("{valid}\0").into_bytes(), "not_json", "byte 75: something after the end"),
        (b"{\"a\":1,}".to_vec(), "not_json", "byte 7: no key"),
        (b"{\"a\":1 \"b\":2}".to_vec(), "not_json", "byte 7: neither a comma nor the object's end"),
        (b"{\"a\"}".to_vec(), "not_json", "byte 4: no colon after a key"),
        (b"{\"a\":}".to_vec(), "not_json", "byte 5: no value"),
        (b"{'a':1}".to_vec(), "not_json", "byte 1: no key"),
        (b"{a:1}".to_vec(), "not_json", "byte 1: no key"),
        (b"{\"a\":1".to_vec(), "not_json", "byte 6: neither a comma nor the object's end"),
        (b"{\"a\":[1,]}".to_vec(), "not_json", "byte 8: no value"),
        (b"{\"a\":[1}}".to_vec(), "not_json", "byte 7: neither a comma nor the array's end"),
        (b"{\"a\":{\"b\":1]}".to_vec(), "not_json", "byte 11: neither a comma nor the object's end"),
        (b"{\"a\":NaN}".to_vec(), "not_json", "byte 5: no value"),
        (b"{\"a\":Infinity}".to_vec(), "not_json", "byte 5: no value"),
        (b"{\"a\":-Infinity}".to_vec(), "not_json", "byte 6: a number without a digit"),
        (b"{\"a\":01}".to_vec(), "not_json", "byte 6: neither a comma nor the object's end"),
        (b"{\"a\":+1}".to_vec(), "not_json", "byte 5: no value"),
        (b"{\"a\":1.}".to_vec(), "not_json", "byte 7: a number without a digit"),
        (b"{\"a\":.5}".to_vec(), "not_json", "byte 5: no value"),
        (b"{\"a\":True}".to_vec(), "not_json", "byte 5: no value"),
        (b"{\"a\":nul}".to_vec(), "not_json", "byte 5: no value"),
        (b"{\"a\":nulll}".to_vec(), "not_json", "byte 9: neither a comma nor the object's end"),
        (b"{\"a\":\"\\ud800\"}".to_vec(), "not_json", "byte 6: a lone surrogate"),
        (b"{\"\\udc00\":1}".to_vec(), "not_json", "byte 2: a lone surrogate"),
        (b"{\"a\":\"b\nc\"}".to_vec(), "not_json", "byte 7: a control character in a string"),
        (b"{\"a\":\"b".to_vec(), "not_json", "byte 7: a string without an end"),
        (b"{\"a\":1 /* one */}".to_vec(), "not_json", "byte 7: neither a comma nor the object's end"),
        (b"[1,2".to_vec(), "not_json", "byte 4: neither a comma nor the array's end"),
        (b"[]".to_vec(), "not_an_object", "an array"),
        (format!(" [{valid}] ").into_bytes(), "not_an_object", "an array"),
        (b"\"play\"".to_vec(), "not_an_object", "a string"),
        (b"1e400".to_vec(), "not_an_object", "a number"),
        (b"true".to_vec(), "not_an_object", "a boolean"),
        (b"null".to_vec(), "not_an_object", "null"),
        (b"{\"a\":\"\xff\"}".to_vec(), "invalid_utf8", "byte 6: not UTF-8"),
        (b"{\"a\":\"\xed\xa0\x80\"}".to_vec(), "invalid_utf8", "byte 6: not UTF-8"),
        (b"\xc0\x80".to_vec(), "invalid_utf8", "byte 0: not UTF-8"),
        (b"{\"a\":\"\xe2\x82".to_vec(), "invalid_utf8", "byte 6: not UTF-8"),
        (vec![b' '; MAX_RECORD_BYTES + 1], "too_large", "32769 bytes, at most 32768"),
        (vec![0xff; MAX_RECORD_BYTES + 1], "too_large", "32769 bytes, at most 32768"),
        (vec![b'{'; 10 << 20], "too_large", "10485760 bytes, at most 32768"),
        (b"{}".to_vec(), "missing_user_id", "user_id: absent or null"),
        (b" { } ".to_vec(), "missing_user_id", "user_id: absent or null"),
    ];
    for (payload, reason, detail) in cases {
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(80)]).into_owned();
        assert_eq!(rejection(&payload), Some((reason.to_owned(), detail.to_owned())), "{shown}");
    }
}

#[test]
fn the_first_reason_in_the_order_is_the_reason() {
    // Everything is wrong at first; mending one fault after the other brings up each reason in turn.
    let faults: [(&str, &str, &str, &str); 14] = [
        ("missing_user_id", "user_id", "null", "\"\""),
        ("missing_video_id", "video_id", "null", "\"\""),
        ("missing_timestamp", "timestamp", "null", "\"\""),
        ("missing_event_type", "event_type", "null", "\"\""),
        ("bad_user_id", "user_id", "", "\"u\""),
        ("bad_video_id", "video_id", "", "\"v\""),
        ("bad_timestamp", "timestamp", "", "0"),
        ("timestamp_out_of_range", "timestamp", "", "1767225600"),
        ("unknown_event_type", "event_type", "", "\"play\""),
        ("bad_event_id", "event_id", "1", "\"e\""),
        ("bad_session_id", "session_id", "1", "\"s\""),
        ("bad_position", "position_s", "-1", "1"),
        ("bad_seek", "seek_to_s", "-1", "1"),
        ("bad_rate", "rate", "-1", "1"),
    ];
    let mut fields: Vec<(&str, &str)> = FIELD_ORDER
        .iter()
        .filter_map(|name| faults.iter().find(|fault| fault.1 == *name && !fault.2.is_empty()))
        .map(|fault| (fault.1, fault.2))
        .collect();
    assert_eq!(
        faults.map(|fault| fault.0)[..],
        Reject::ALL[4..].iter().map(|reason| reason.as_str()).collect::<Vec<_>>()
    );
    for (reason, name, _, mended) in faults {
        let found = rejection(record(&fields).as_bytes()).map(|(reason, _)| reason);
        assert_eq!(found.as_deref(), Some(reason));
        for field in fields.iter_mut().filter(|field| field.0 == name) {
            field.1 = mended;
        }
    }
    assert_eq!(rejection(record(&fields).as_bytes()), None);
    // What is no object comes before them; the size before the encoding.
    let mut decoder = Decoder::new();
    decoder.push(record(&[]).as_bytes(), ARRIVAL_US, true);
    let batch = decoder.finish();
    let columns = EventColumns::new(&batch).expect("a decoded batch");
    assert_eq!((columns.reason(0), columns.detail(0)), (Some("too_large"), Some("longer than 32768 bytes, cut to 75")));
    let both = [record(&[]).as_bytes(), b"x\xff"].concat();
    assert_eq!(rejection(&both).map(|(reason, _)| reason).as_deref(), Some("invalid_utf8"));
}

#[test]
fn each_field_takes_its_values() {
    let id = format!("\"{}\"", "x".repeat(128));
    let padded = format!("\"  {}\\n\"", "x".repeat(128));
    let digits = "9".repeat(128);
    let cases: &[(&str, &str, &str)] = &[
        ("user_id", "\"u\"", "u"),
        ("user_id", "\"  u 1 \\t\\n\"", "u 1"),
        ("user_id", "\"\u{3000}u\u{a0}\"", "u"),
        ("user_id", "\"\\u00e9\\ud83d\\ude00\\/\"", "\u{e9}\u{1f600}/"),
        ("user_id", &id, &id[1..129]),
        ("user_id", &padded, &id[1..129]),
        ("user_id", "0", "0"),
        ("user_id", "-0", "0"),
        ("user_id", "-42", "-42"),
        ("user_id", "123456789012345678901234567890", "123456789012345678901234567890"),
        ("video_id", &digits, &digits),
        ("session_id", "\"\"", "null"),
        ("session_id", "null", "null"),
        ("session_id", "\" \"", " "),
        ("session_id", &id, &id[1..129]),
        ("event_type", "\"Heartbeat\"", "heartbeat"),
        ("event_type", "\"\\u0050LAY\"", "play"),
        ("timestamp", "946684800", "946684800000000"),
        ("timestamp", "1767225600.123456789", "1767225600123456"),
        ("timestamp", "1767225600123", "1767225600123000"),
        ("timestamp", "1767225600123.4567", "1767225600123456"),
        ("timestamp", "1767225600123456", "1767225600123456"),
        ("timestamp", "1.7672256e9", "1767225600000000"),
        ("timestamp", "1767312000", "1767312000000000"),
        ("timestamp", "\"2026-01-01T01:30:00.1234567+01:30\"", "1767225600123456"),
        ("timestamp", "\"2016-12-31T23:59:60Z\"", "1483228800000000"),
        ("timestamp", "\"2026-01-01\\u005400:00:00Z\"", "1767225600000000"),
        ("position_s", "0", "0.0"),
        ("position_s", "-0.0", "0.0"),
        ("position_s", "-1e-400", "0.0"),
        ("position_s", "null", "null"),
        ("position_s", "999999.999", "999999.999"),
        ("position_s", "1.25e2", "125.0"),
        ("seek_from_s", "3", "3.0"),
        ("seek_to_s", "null", "null"),
        ("rate", "16", "16.0"),
        ("rate", "0.25", "0.25"),
        ("duration_s", "1000000", "1000000.0"),
        ("region", "\"us-ca\"", "US-CA"),
        ("device", "\"\"", ""),
        ("device", "\" T\\tV \"", " T\tV "),
        ("sequence", "0", "0"),
        ("sequence", "-0", "0"),
        ("sequence", "9223372036854775807", "9223372036854775807"),
        ("event_id", "\" e \"", " e "),
        ("event_id", &id, &id[1..129]),
    ];
    for (field, text, expected) in cases {
        let record = record(&[(field, text)]);
        assert_eq!(rejection(record.as_bytes()), None, "{record}");
        let batch = decode(record.as_bytes());
        assert_eq!(value(&batch, field), *expected, "{record}");
        assert_eq!(value(&batch, "corrections"), "null", "{record}");
    }
}

#[test]
fn bad_values_of_four_fields_become_null_and_are_named() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("duration_s", "0")], "duration_s"),
        (&[("duration_s", "-3")], "duration_s"),
        (&[("duration_s", "1000000.5")], "duration_s"),
        (&[("duration_s", "\"60\"")], "duration_s"),
        (&[("sequence", "-1")], "sequence"),
        (&[("sequence", "1.0")], "sequence"),
        (&[("sequence", "9223372036854775808")], "sequence"),
        (&[("sequence", "\"1\"")], "sequence"),
        (&[("region", "\"Germany\"")], "region"),
        (&[("region", "\"\"")], "region"),
        (&[("region", "49")], "region"),
        (&[("device", "7")], "device"),
        (&[("device", "{}")], "device"),
        (
            &[("device", "[]"), ("region", "1"), ("duration_s", "true"), ("sequence", "1e2")],
            "duration_s,sequence,region,device",
        ),
    ];
    for (fields, corrections) in cases {
        let record = record(fields);
        let batch = decode(record.as_bytes());
        assert_eq!(
            (rejection(record.as_bytes()), value(&batch, "corrections")),
            (None, (*corrections).to_owned()),
            "{record}"
        );
        for (field, _) in *fields {
            assert_eq!(value(&batch, field), "null", "{record}");
        }
    }
}

#[test]
fn unknown_fields_are_kept_in_one_form() {
    let deep = format!("{}1{}", "[".repeat(16_000), "]".repeat(16_000));
    let cases: &[(&str, &str)] = &[
        ("\"b\":1,\"a\":null", r#"{"a":null,"b":1}"#),
        ("\"x\" : { \"b\" : [ 1 , 2 ] , \"a\" : \"p q\" }", r#"{"x":{"b":[1,2],"a":"p q"}}"#),
        ("\"x\":1,\"y\":2,\"x\":[3]", r#"{"x":[3],"y":2}"#),
        ("\"\\u0078\":1,\"x\":2", r#"{"x":2}"#),
        (
            "\"x\":1e400,\"big\":123456789012345678901234567890,\"z\":-0.00",
            r#"{"big":123456789012345678901234567890,"x":1e400,"z":-0.00}"#,
        ),
        ("\"\\n\\u00e9\":\"\\/\\u0041\\u0000\"", "{\"\\n\u{e9}\":\"/A\\u0000\"}"),
        ("\"\":{}", r#"{"":{}}"#),
        ("\"User_id\":\"other\"", r#"{"User_id":"other"}"#),
        (&format!("\"x\":{deep}"), &format!("{{\"x\":{deep}}}")),
    ];
    for (fields, extra) in cases {
        let record = format!("{},{fields}}}", record(&[]).trim_end_matches('}'));
        let batch = decode(record.as_bytes());
        assert_eq!(value(&batch, "extra"), *extra, "{fields:.80}");
    }
    // Bad nesting as deep as a record can be is refused as soon as it ends.
    for open in ["[", "{\"a\":", "[{\"a\":"] {
        let record = open.repeat(MAX_RECORD_BYTES / open.len());
        assert_eq!(rejection(record.as_bytes()).map(|(reason, _)| reason).as_deref(), Some("not_json"));
    }
}

#[test]
fn of_a_repeated_key_the_last_one_wins() {
    let cases: &[(&str, &str, &str)] = &[
        (r#""user_id":"u2""#, "user_id", "u2"),
        (r#""\u0075ser_id":"u2""#, "user_id", "u2"),
        (r#""position_s":-1,"position_s":5"#, "position_s", "5.0"),
        (r#""position_s":4,"position_s":null"#, "position_s", "null"),
        (r#""duration_s":-1,"duration_s":60"#, "corrections", "null"),
    ];
    for (fields, column, expected) in cases {
        let record = format!("{},{fields}}}", record(&[]).trim_end_matches('}'));
        assert_eq!(value(&decode(record.as_bytes()), column), *expected, "{fields}");
    }
    let record = format!("{},\"user_id\":null}}", record(&[]).trim_end_matches('}'));
    assert_eq!(rejection(record.as_bytes()).map(|(reason, _)| reason).as_deref(), Some("missing_user_id"));
    assert_eq!(producer_key(record.as_bytes(), &mut KeyScratch::default()), None);
}

#[test]
fn the_usual_forms_take_the_fast_path() {
    let full = r#"{"user_id":"u1","video_id":"v1","session_id":"s1","event_type":"seek","timestamp":"2026-01-01T00:00:00.000Z","position_s":12.5,"seek_from_s":1,"seek_to_s":2.25,"rate":1.5,"duration_s":60,"region":"US","device":"tv","sequence":3,"event_id":"e1"}"#;
    let cases = [
        (full.to_owned(), true),
        (full.replace("\":", "\": ").replace(",\"", ", \""), true),
        (r#"{"user_id":"u1","video_id":"v1","event_type":"play","timestamp":1767225600000}"#.to_owned(), true),
        (
            r#"{"user_id":1,"video_id":2,"session_id":null,"event_type":"play","timestamp":"x","position_s":null}"#
                .to_owned(),
            true,
        ),
        ("{\"user_id\":\"\u{e9}\",\"sequence\":-1e5}".to_owned(), true),
        (full.replace("\"u1\"", "\"\\u0075\""), false),
        (full.replace("{", "{ "), false),
        (full.replace("}", ",\"x\":1}"), false),
        (full.replace("}", ",\"user_id\":\"u2\"}"), false),
        (full.replace("}", "}\n"), false),
        (full.replace("}", ",}"), false),
        (full.replace("12.5", "012.5"), false),
        (full.replace("\"tv\"", "true"), false),
        ("{}".to_owned(), false),
    ];
    for (record, expected) in cases {
        assert_eq!(fast::parse(&record, &mut Parsed::default()), expected, "{record}");
    }
}

#[test]
fn a_derived_id_is_of_the_content() {
    let id = |text: &str| value(&decode(text.as_bytes()), "event_id");
    let one =
        id(r#"{"user_id":"u1","video_id":"v1","event_type":"play","timestamp":1767225600,"a":1,"b":2,"position_s":0}"#);
    assert_eq!(one.len(), 32);
    let same = [
        r#"{"b":2,"a":1,"user_id":" u1 ","video_id":"v1","event_type":"PLAY","timestamp":1767225600000,"position_s":-0.0}"#,
        r#"{"user_id":"u1","video_id":"v1","session_id":"","event_type":"play","timestamp":"2026-01-01T01:00:00+01:00","position_s":0e5,"b":2,"a":1}"#,
    ];
    let other = [
        r#"{"user_id":"u1","video_id":"v1","event_type":"play","timestamp":1767225600,"a":1,"b":2}"#,
        r#"{"user_id":"u1","video_id":"v1","event_type":"play","timestamp":1767225600,"a":1,"b":3,"position_s":0}"#,
        r#"{"user_id":"u1","video_id":"v1","event_type":"play","timestamp":1767225600,"a":1,"b":2,"seek_from_s":0}"#,
        r#"{"user_id":"u1","video_id":"v1","event_type":"play","timestamp":1767225600.000001,"a":1,"b":2,"position_s":0}"#,
    ];
    same.iter().for_each(|text| assert_eq!(id(text), one, "{text}"));
    other.iter().for_each(|text| assert_ne!(id(text), one, "{text}"));
}

#[test]
fn clean_json_has_one_form() {
    let record = r#"{ "zoom":true, "event_id":"e\"1", "sequence":7, "device":"TV\n", "region":"gb-eng", "duration_s":60.50, "rate":1e0,
        "seek_to_s":2.250, "seek_from_s":0.1, "position_s":12.3456789, "timestamp":1767225600.5, "event_type":"SEEK",
        "session_id":"s", "video_id":17, "user_id":" u ", "player":{"v": "1" } }"#;
    let batch = decode(record.as_bytes());
    let columns = EventColumns::new(&batch).expect("a decoded batch");
    let mut out = Vec::new();
    write_clean_json(&columns, 0, &mut out);
    let expected = r#"{"user_id":"u","video_id":"17","session_id":"s","event_type":"seek","timestamp":"2026-01-01T00:00:00.500000Z","position_s":12.3456789,"seek_from_s":0.1,"seek_to_s":2.25,"rate":1,"duration_s":60.5,"region":"GB-ENG","device":"TV\n","sequence":7,"event_id":"e\"1","player":{"v":"1"},"zoom":true}"#;
    assert_eq!(String::from_utf8(out).as_deref(), Ok(expected));
}

#[test]
fn a_batch_keeps_the_order_of_its_records() {
    let records: Vec<String> = (0..100)
        .map(|i| if i % 3 == 0 { format!("bad {i}") } else { record(&[("user_id", &i.to_string())]) })
        .collect();
    let mut decoder = Decoder::new();
    for _ in 0..2 {
        records.iter().for_each(|record| decoder.push(record.as_bytes(), ARRIVAL_US, false));
        assert_eq!((decoder.len(), decoder.bytes()), (100, records.iter().map(String::len).sum()));
        let batch = decoder.finish();
        assert_eq!((batch.num_rows(), batch.schema(), decoder.is_empty()), (100, crate::decoded_schema(), true));
        let columns = EventColumns::new(&batch).expect("a decoded batch");
        for row in 0..100 {
            let user = if row % 3 == 0 { String::new() } else { row.to_string() };
            assert_eq!((columns.is_valid(row), columns.user_id(row)), (row % 3 != 0, user.as_str()));
        }
    }
    assert_eq!(decoder.finish().num_rows(), 0);
}

#[test]
fn columns_are_checked() {
    let batch = decode(record(&[]).as_bytes());
    let part = |columns: &[usize]| batch.project(columns).expect("columns that are there");
    let all: Vec<usize> = (0..batch.num_columns()).rev().collect();
    assert!(EventColumns::new(&part(&all)).is_ok());
    assert!(EventColumns::new(&part(&all[..16])).is_ok_and(|columns| columns.is_valid(0)));
    let error = EventColumns::new(&part(&all[1..15])).expect_err("columns are missing");
    assert_eq!(error.to_string(), "the batch has no column `event_id`; it needs those of `decoded_schema()`");
}

#[test]
fn keys_are_those_of_the_decoder() {
    let mut scratch = KeyScratch::default();
    let cases: Vec<(Vec<u8>, Option<&str>)> = vec![
        (record(&[("user_id", "\" u1 \"")]).into_bytes(), Some("u1")),
        (record(&[("user_id", "-0")]).into_bytes(), Some("0")),
        (record(&[("user_id", "\"\\u0075\"")]).into_bytes(), Some("u")),
        (record(&[("video_id", "-"), ("timestamp", "false")]).into_bytes(), Some("u1")),
        (record(&[("user_id", "\"\"")]).into_bytes(), None),
        (record(&[("user_id", "-")]).into_bytes(), None),
        (b"{\"user_id\":\"u1\"".to_vec(), None),
        (b"[{\"user_id\":\"u1\"}]".to_vec(), None),
        (b"{\"user_id\":\"\xff\"}".to_vec(), None),
        ([record(&[]).as_bytes(), &[b' '; MAX_RECORD_BYTES]].concat(), None),
    ];
    for (payload, expected) in cases {
        assert_eq!(
            producer_key(&payload, &mut scratch),
            expected,
            "{}",
            String::from_utf8_lossy(&payload[..payload.len().min(90)])
        );
    }
}
