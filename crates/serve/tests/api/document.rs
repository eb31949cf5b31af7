//! The OpenAPI document: every route is in it, and answers have the shape that it says.

use serde_json::{Map, Value, json};

use super::support::{ODD_VIDEO, crate_folder, encode, with_shared};

/// What a schema does not allow about a value; names of references are looked up.
fn breaches(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let target = document.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("{name} is not there"));
        return breaches(document, target, value, at, found);
    }
    if let Some(all) = schema["allOf"].as_array() {
        let mut merged = json!({"type": "object", "properties": {}, "required": []});
        for part in all {
            merge(document, part, &mut merged);
        }
        return breaches(document, &merged, value, at, found);
    }
    if let Some(one) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let fits = |part: &&Value| {
            let mut found = Vec::new();
            breaches(document, part, value, at, &mut found);
            found.is_empty()
        };
        if !one.iter().any(|part| fits(&part)) {
            found.push(format!("{at}: {value} fits none of {}", schema));
        }
        return;
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
    };
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return found.push(format!("{at}: no type in {schema}")),
    };
    let is_whole_number = kind == "integer" && types.contains(&"number");
    if !types.contains(&kind) && !is_whole_number {
        return found.push(format!("{at}: {kind} is not {types:?}"));
    }
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                breaches(document, &schema["items"], item, &format!("{at}[{index}]"), found);
            }
        }
        Value::Object(fields) => object(document, schema, fields, at, found),
        _ => {}
    }
}

fn object(document: &Value, schema: &Value, fields: &Map<String, Value>, at: &str, found: &mut Vec<String>) {
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    for (name, value) in fields {
        match properties.get(name) {
            Some(property) => breaches(document, property, value, &format!("{at}.{name}"), found),
            None => found.push(format!("{at}.{name} is not in the document")),
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            found.push(format!("{at}.{name} is missing"));
        }
    }
}

fn merge(document: &Value, part: &Value, into: &mut Value) {
    if let Some(name) = part["$ref"].as_str() {
        return merge(document, document.pointer(name.trim_start_matches('#')).expect("a target"), into);
    }
    for inner in part["allOf"].as_array().into_iter().flatten() {
        merge(document, inner, into);
    }
    if let Some(properties) = part["properties"].as_object() {
        into["properties"].as_object_mut().expect("an object").extend(properties.clone());
    }
    if let Some(required) = part["required"].as_array() {
        into["required"].as_array_mut().expect("an array").extend(required.iter().cloned());
    }
}

#[test]
fn every_route_is_documented() {
    with_shared(async |shared| {
        let document = shared.served.json("/openapi.json").await;
        assert_eq!(document["openapi"], "3.1.0");
        let paths = document["paths"].as_object().expect("paths");
        let source = std::fs::read_to_string(crate_folder().join("src/api/mod.rs")).expect("the source");
        // And the document's own.
        assert_eq!(paths.len(), source.matches("routes!(").count() + 1, "{:?}", paths.keys());
        for (path, item) in paths {
            let operation = &item["get"];
            assert!(operation["summary"].is_string() || operation["description"].is_string(), "{path}");
            assert!(operation["responses"]["200"]["content"]["application/json"]["schema"].is_object(), "{path}");
            assert!(operation["responses"]["400"]["content"]["application/problem+json"].is_object(), "{path}");
            for name in path.split('{').skip(1).map(|part| part.trim_end_matches('}').split('}').next()) {
                let parameters = operation["parameters"].as_array().expect("parameters");
                assert!(parameters.iter().any(|p| p["in"] == "path" && p["name"].as_str() == name), "{path} {name:?}");
            }
        }
        let ids: std::collections::BTreeSet<&str> =
            paths.values().filter_map(|item| item["get"]["operationId"].as_str()).collect();
        assert_eq!(ids.len(), paths.len(), "operations have names of their own");
    });
}

#[test]
fn every_parameter_is_taken() {
    with_shared(async |shared| {
        let document = shared.served.json("/openapi.json").await;
        for (path, item) in document["paths"].as_object().expect("paths") {
            let target = path.replace("{video_id}", &encode(ODD_VIDEO)).replace("{name}", "busy");
            for parameter in item["get"]["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "query") {
                let name = parameter["name"].as_str().expect("a name");
                let schema = &parameter["schema"];
                let values: Vec<String> = match (&schema["enum"], name) {
                    (Value::Array(words), _) => {
                        words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
                    }
                    (_, "from" | "to") => vec!["2026-01-06".to_owned()],
                    (_, "date") => vec!["2026-01-06&period=day".to_owned()],
                    (_, "limit") => vec!["1".to_owned(), "1000".to_owned()],
                    (_, "cursor") => continue,
                    _ => vec!["x".to_owned(), "x&".to_owned()],
                };
                for value in values {
                    let reply = shared.served.get(&format!("{target}?{name}={value}")).await;
                    assert!(reply.status.is_success(), "{path} {name}={value}: {}", reply.text());
                }
                if schema["type"] == "array" {
                    let reply = shared.served.get(&format!("{target}?{name}=x&{name}=y")).await;
                    assert!(reply.status.is_success(), "{path} {name} twice: {}", reply.text());
                }
            }
        }
    });
}

#[test]
fn answers_have_the_shape_that_is_said() {
    with_shared(async |shared| {
        let document = shared.served.json("/openapi.json").await;
        for (path, item) in document["paths"].as_object().expect("paths") {
            if path.ends_with("openapi.json") {
                continue;
            }
            let schema = &item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
            for id in [ODD_VIDEO, "v0001"] {
                let target = path.replace("{video_id}", &encode(id)).replace("{name}", "busy");
                let reply = shared.served.get(&target).await;
                assert!(reply.status.is_success(), "{target}: {}", reply.text());
                let mut found = Vec::new();
                breaches(&document, schema, &reply.json(), path, &mut found);
                assert_eq!(found, Vec::<String>::new(), "{target}");
            }
        }
        let problem = shared.served.get("/api/v1/videos?limit=0").await.json();
        let schema = json!({"$ref": "#/components/schemas/ProblemDetails"});
        let mut found = Vec::new();
        breaches(&document, &schema, &problem, "problem", &mut found);
        assert_eq!(found, Vec::<String>::new());
    });
}
