//! `GET /v1/events/schema`: the JSON Schema of an event on the wire.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use streamreel_event::{EventType, MAX_RECORD_BYTES};

static SCHEMA: LazyLock<String> = LazyLock::new(|| schema().to_string());

#[utoipa::path(get, path = "/v1/events/schema", tag = "collector",
    responses((status = OK, description = "The JSON Schema of an event", content_type = "application/schema+json", body = Object)))]
pub(super) async fn show() -> Response {
    ([(header::CONTENT_TYPE, "application/schema+json")], SCHEMA.as_str()).into_response()
}

/// Everything that a clean event fulfils without a correction, and whatever fulfils it is one, as far as a schema can say:
/// the bounds of time are not in it.
fn schema() -> Value {
    let id = |what: &str| {
        json!({
            "description": format!("{what}. 1 to 128 bytes after trimming; an integer is taken as its decimal text."),
            "anyOf": [{ "type": "string", "pattern": "^\\s*\\S[^\\u0000-\\u001f\\u007f-\\u009f]*$", "maxLength": 256 }, { "type": "integer" }],
        })
    };
    let text = |what: &str| json!({ "description": what, "type": ["string", "null"], "maxLength": 128 });
    let position = |what: &str| json!({ "description": what, "type": ["number", "null"], "minimum": 0, "exclusiveMaximum": 1_000_000 });
    let mut properties = Map::new();
    let mut add = |name: &str, schema: Value| properties.insert(name.to_owned(), schema);
    add("user_id", id("The viewer"));
    add("video_id", id("The video"));
    add("session_id", text("The playback session. Without one, a pause of more than 30 min begins another view."));
    add("event_type", event_type());
    add("timestamp", timestamp());
    add("position_s", position("Where the playhead is, in content seconds; null: unknown."));
    add("seek_from_s", position("Where a seek left, in content seconds."));
    add("seek_to_s", position("Where a seek landed, in content seconds. Without it, position_s."));
    add(
        "rate",
        json!({
            "description": "The playback rate from here on; missing: unchanged.",
            "type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 16,
        }),
    );
    add(
        "duration_s",
        json!({
            "description": "How long the video is, as the player knows it, in seconds. A bad value becomes null.",
            "type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1_000_000,
        }),
    );
    add(
        "region",
        json!({
            "description": "ISO 3166-1 alpha-2 or ISO 3166-2. A bad value becomes null.",
            "type": ["string", "null"], "pattern": "^[A-Za-z]{2}(-[A-Za-z0-9]{1,3})?$",
        }),
    );
    add("device", json!({ "description": "The device. A bad value becomes null.", "type": ["string", "null"] }));
    add(
        "sequence",
        json!({
            "description": "The player's own count of its events. A bad value becomes null.",
            "type": ["integer", "null"], "minimum": 0, "maximum": i64::MAX,
        }),
    );
    add(
        "event_id",
        json!({
            "description": "Unique for a viewer; a copy has the same. Missing: a hash of the other fields.",
            "type": ["string", "null"], "minLength": 1, "maxLength": 128,
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Player event",
        "description": format!(
            "What a player reports, one object an event, at most {MAX_RECORD_BYTES} bytes. Unknown fields are kept."
        ),
        "type": "object",
        "required": ["user_id", "video_id", "event_type", "timestamp"],
        "properties": properties,
        "additionalProperties": true,
        "examples": [{
            "user_id": "u1", "video_id": "v1", "session_id": "s1", "event_type": "seek", "timestamp": "2026-01-05T10:00:00Z",
            "seek_from_s": 12.5, "seek_to_s": 60, "region": "DE", "device": "tv", "sequence": 7, "event_id": "e7",
        }],
    })
}

/// A name in any letter case.
fn event_type() -> Value {
    let any_case = |c: char| match c.is_ascii_lowercase() {
        true => format!("[{}{c}]", c.to_ascii_uppercase()),
        false => c.to_string(),
    };
    let names: Vec<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
    let patterns: Vec<String> = names.iter().map(|name| name.chars().map(any_case).collect()).collect();
    json!({
        "description": "What happened, in any letter case.",
        "type": "string",
        "pattern": format!("^({})$", patterns.join("|")),
        "examples": names,
    })
}

fn timestamp() -> Value {
    json!({
        "description": "When: RFC 3339 with an offset; or the time since 1970 as a number: below 1e11 seconds, below 1e14 \
                        milliseconds, else microseconds. From the year 2000 on, and at most 24 h after it arrives.",
        "anyOf": [{ "type": "string", "format": "date-time" }, { "type": "number" }],
    })
}

#[cfg(test)]
mod tests {
    use streamreel_event::{Decoder, EventColumns, FIELD_ORDER};

    use super::*;

    #[test]
    fn it_has_the_fields_and_kinds_of_the_wire() {
        let schema = schema();
        let properties: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(properties, FIELD_ORDER);
        let kinds: Vec<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(schema["properties"]["event_type"]["examples"], json!(kinds));
        let pattern = schema["properties"]["event_type"]["pattern"].as_str().unwrap();
        assert!(pattern.starts_with("^([Pp][Ll][Aa][Yy]|") && pattern.contains("[Rr][Aa][Tt][Ee]_[Cc]"), "{pattern}");
    }

    #[test]
    fn required_is_what_the_decoder_requires_and_the_example_is_an_event() {
        /// 2026-01-05T10:00:01Z.
        const ARRIVAL_US: i64 = 1_767_607_201_000_000;
        let schema = schema();
        let example = schema["examples"][0].as_object().unwrap();
        let reason = |event: &Map<String, Value>| {
            let mut decoder = Decoder::new();
            decoder.push(Value::Object(event.clone()).to_string().as_bytes(), ARRIVAL_US, false);
            let batch = decoder.finish();
            let columns = EventColumns::new(&batch).unwrap();
            (columns.reason(0).map(str::to_owned), columns.corrections(0).map(str::to_owned))
        };
        assert_eq!(reason(example), (None, None));
        for field in FIELD_ORDER {
            let mut less = example.clone();
            less.remove(field);
            let is_required = schema["required"].as_array().unwrap().contains(&json!(field));
            let expected = is_required.then(|| format!("missing_{field}"));
            assert_eq!(reason(&less).0, expected, "{field}");
        }
    }
}
