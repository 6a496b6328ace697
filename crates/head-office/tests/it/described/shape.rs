//! Whether a value is what a schema says: as much of JSON Schema as the document uses.

use serde_json::Value;

/// Whether it fits.
///
/// # Errors
/// Where it does not, and why.
pub fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    at(document, schema, value, "$", false)
}

/// `partly`: another schema describes the other fields.
fn at(document: &Value, schema: &Value, value: &Value, place: &str, partly: bool) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap_or_default();
        let known = &document["components"]["schemas"][name];
        if known.is_null() {
            return Err(format!("{place}: the schema {name} is not described"));
        }
        return at(document, known, value, place, partly);
    }
    for several in ["oneOf", "anyOf"] {
        if let Some(these) = schema[several].as_array() {
            let why: Vec<String> = these
                .iter()
                .filter_map(|one| at(document, one, value, place, partly).err())
                .collect();
            return if why.len() < these.len() {
                Ok(())
            } else {
                Err(format!("{place}: none of {why:?}"))
            };
        }
    }
    for one in schema["allOf"].as_array().into_iter().flatten() {
        at(document, one, value, place, true)?;
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        return Err(format!("{place}: {value} is none of {words:?}"));
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !(kinds.contains(&kind) || kind == "integer" && kinds.contains(&"number")) {
        return Err(format!("{place}: {kind} instead of {kinds:?}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        at(document, &schema["items"], item, &format!("{place}[{index}]"), false)?;
    }
    if let Some(object) = value.as_object() {
        for name in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !object.contains_key(name) {
                return Err(format!("{place}: {name} is missing"));
            }
        }
        if let Some(properties) = schema["properties"].as_object() {
            for (name, field) in object {
                match properties.get(name) {
                    Some(schema) => at(document, schema, field, &format!("{place}.{name}"), false)?,
                    None if partly || schema["additionalProperties"].is_object() => {}
                    None => return Err(format!("{place}: {name} is not described")),
                }
            }
        }
    }
    Ok(())
}
