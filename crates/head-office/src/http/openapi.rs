//! The description of the API, made from the code: `/openapi.json`, and `/docs` for people.

use counterfoil_domain::words::Word;
use counterfoil_protocol::problem::{Code, MEDIA_TYPE};
use serde_json::{Value, json};
use utoipa::{OpenApi, ToSchema};

/// Operations of the method POST that change nothing, whose answer is a secret that is not kept, or whose file is its own
/// name: no `Idempotency-Key` is needed.
const WITHOUT_KEY: &[&str] = &[
    "/v1/member/sessions",
    "/v1/points/openings",
    "/v1/products/imports",
    "/v1/quotes",
    "/v1/sales/{id}/returns/preview",
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Counterfoil head office",
        description = "The API for operators, members and the shop's own site. Counters speak another one, signed by their device keys; it is not described here.\n\nIds are UUID text, times UTC milliseconds, money minor units of the tenant's currency. Errors are problem details (RFC 9457) with a stable `code`. Every POST that changes something needs an `Idempotency-Key`: the same key with the same request gives the same answer again, for seven days. Lists come in pages: give `next` of one page as `after` for the following one."
    ),
    components(schemas(ProblemDetails, FieldDetails))
)]
struct Document;

/// What comes instead of a success.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(
    dead_code,
    reason = "only described; `counterfoil_protocol::problem::Problem` is what is sent"
)]
struct ProblemDetails {
    /// `urn:counterfoil:problem:<code>`.
    r#type: String,
    /// One English sentence.
    title: String,
    /// The HTTP status.
    status: u16,
    /// Stable for programs.
    code: String,
    /// What exactly, in English.
    detail: Option<String>,
    /// With `busy` and `rate_limited`: seconds to wait.
    retry_after: Option<u64>,
    /// With `malformed` and `invalid`: each field that is not acceptable.
    errors: Option<Vec<FieldDetails>>,
    /// With `not_claimable`: every reason, each with its stable `code`.
    reasons: Option<Vec<Value>>,
}

/// One value that is not acceptable.
#[derive(ToSchema)]
#[schema(as = FieldError)]
#[expect(
    dead_code,
    reason = "only described; `counterfoil_protocol::problem::FieldError` is what is sent"
)]
struct FieldDetails {
    /// Path of the field in the request, as `rule.amount`.
    field: String,
    /// A stable word for programs, as `required`.
    code: String,
    /// What it must be, in English.
    message: String,
}

/// What the routes are added to.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Adds what holds for every operation, so that none has to say it.
pub(super) fn finish(document: &utoipa::openapi::OpenApi) -> Value {
    // A document made of texts and lists always writes.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    document["components"]["securitySchemes"] = json!({
        "operator": { "type": "http", "scheme": "bearer", "description": "Token of a person of head office, made by `counterfoil-hq admin operator add`. The words beside it are the roles that may call." },
        "member": { "type": "http", "scheme": "bearer", "description": "Token of a member's session, from `POST /v1/member/sessions`." },
    });
    document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] =
        Code::ALL.iter().map(|code| code.as_str()).collect();
    let Some(paths) = document["paths"].as_object_mut() else {
        return document;
    };
    for (path, item) in paths {
        let Some(operations) = item.as_object_mut() else {
            continue;
        };
        for (method, operation) in operations {
            finish_operation(path, method, operation);
        }
    }
    document
}

fn finish_operation(path: &str, method: &str, operation: &mut Value) {
    // A file of whatever form may come as plain bytes; not every tool knows how to send one as CSV.
    if let Some(content) = operation
        .pointer_mut("/requestBody/content")
        .and_then(Value::as_object_mut)
        && content.contains_key("text/csv")
    {
        content.insert(
            "application/octet-stream".to_owned(),
            json!({ "schema": { "type": "string", "format": "binary" } }),
        );
    }
    let problem = |what: &str| json!({ "description": what, "content": { MEDIA_TYPE: { "schema": { "$ref": "#/components/schemas/Problem" } } } });
    operation["responses"]["default"] = problem("A problem");
    if operation["security"].as_array().is_some_and(|needed| {
        needed
            .iter()
            .any(|way| way.as_object().is_some_and(|way| !way.is_empty()))
    }) {
        operation["responses"]["401"] = problem("No valid token");
    }
    if !roles(operation).is_empty() {
        operation["responses"]["403"] = problem("The role does not allow it");
    }
    if method == "post" && !WITHOUT_KEY.contains(&path) {
        let key = json!({
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "Name of the question, chosen by the caller: a UUID does.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!-~]+$" },
        });
        match operation["parameters"].as_array_mut() {
            Some(parameters) => parameters.push(key),
            None => operation["parameters"] = json!([key]),
        }
    }
}

/// The roles of operators that may call.
fn roles(operation: &Value) -> Vec<&str> {
    let needed = operation["security"].as_array().into_iter().flatten();
    needed
        .filter_map(|scheme| scheme.get("operator")?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The document as a page that loads nothing from anywhere.
pub(super) fn page(document: &Value) -> String {
    let mut page = String::from(HEAD);
    for paragraph in text(&document["info"]["description"]).split("\n\n") {
        page.push_str(&format!("<p>{}</p>\n", escaped(paragraph)));
    }
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            one(&mut page, path, method, operation);
        }
    }
    page.push_str("<h2>Schemas</h2>\n");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        page.push_str(&format!("<section id=\"{0}\"><h3>{0}</h3>", escaped(name)));
        page.push_str(&format!("<p>{}</p>", escaped(text(&schema["description"]))));
        fields(&mut page, schema);
        page.push_str("</section>\n");
    }
    page.push_str("</main></html>\n");
    page
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Counterfoil head office: API</title><style>body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#1c1c1c;background:#fff}main{max-width:60rem;margin:auto;padding:2rem 1rem}h3{font-family:ui-monospace,monospace;font-size:1rem;margin-bottom:0}section{border-top:1px solid #ddd;margin-top:1.5rem}table{border-collapse:collapse;width:100%}td{border-top:1px solid #eee;padding:.25rem .75rem .25rem 0;vertical-align:top}code{font-family:ui-monospace,monospace}.method{text-transform:uppercase}@media(prefers-color-scheme:dark){body{color:#eee;background:#181818}a{color:#8ab4f8}section,td{border-color:#444}}</style><main><h1>Counterfoil head office: API</h1><p><a href=\"/openapi.json\">openapi.json</a></p>\n";

fn one(page: &mut String, path: &str, method: &str, operation: &Value) {
    page.push_str(&format!(
        "<section><h3><span class=\"method\">{}</span> {}</h3><p>{}</p>",
        escaped(method),
        escaped(path),
        escaped(text(&operation["summary"]))
    ));
    if let Some(more) = operation["description"].as_str() {
        page.push_str(&format!("<p>{}</p>", escaped(more)));
    }
    let roles = roles(operation);
    let schemes = operation["security"].as_array().into_iter().flatten();
    let who = match schemes.filter_map(Value::as_object).flatten().next() {
        Some((scheme, _)) if scheme == "member" => "a member's session".to_owned(),
        Some(_) => format!("operators: {}", roles.join(", ")),
        None => "no token".to_owned(),
    };
    page.push_str(&format!("<p>For {}.</p><table>", escaped(&who)));
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        row(
            page,
            text(&parameter["name"]),
            &format!("{}, {}", text(&parameter["in"]), kind(&parameter["schema"])),
            text(&parameter["description"]),
        );
    }
    for (_, media) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        row(page, "body", &kind(&media["schema"]), "");
    }
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        let content = answer["content"].as_object().into_iter().flatten().next();
        let schema = content.map_or_else(String::new, |(_, media)| kind(&media["schema"]));
        row(page, status, &schema, text(&answer["description"]));
    }
    page.push_str("</table></section>\n");
}

fn row(page: &mut String, name: &str, kind: &str, what: &str) {
    page.push_str(&format!(
        "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
        escaped(name),
        linked(kind),
        escaped(what)
    ));
}

fn fields(page: &mut String, schema: &Value) {
    page.push_str("<table>");
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let optional = if required.contains(&name.as_str()) {
            ""
        } else {
            ", optional"
        };
        row(
            page,
            name,
            &format!("{}{optional}", kind(field)),
            text(&field["description"]),
        );
    }
    if schema["properties"].as_object().is_none() {
        row(page, "", &kind(schema), "");
    }
    page.push_str("</table>");
}

/// A schema in few words. A `#` begins the name of another one.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("#{name}");
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(these) = schema[several].as_array() {
            return these.iter().map(kind).collect::<Vec<_>>().join(" or ");
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    }
    let simple = match &schema["type"] {
        Value::String(one) => one.clone(),
        Value::Array(several) => several
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(" or "),
        _ => "anything".to_owned(),
    };
    if simple.starts_with("array") {
        return format!("list of {}", kind(&schema["items"]));
    }
    if let Some(inner) = schema["properties"].as_object() {
        let inner: Vec<String> = inner
            .iter()
            .map(|(name, field)| format!("{name}: {}", kind(field)))
            .collect();
        return format!("{{ {} }}", inner.join(", "));
    }
    match schema["format"].as_str() {
        Some(format) => format!("{simple} ({format})"),
        None => simple,
    }
}

fn linked(kind: &str) -> String {
    let mut parts = kind.split('#');
    let mut html = escaped(parts.next().unwrap_or_default());
    for part in parts {
        let end = part
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
            .unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        html.push_str(&format!("<a href=\"#{0}\">{0}</a>{1}", escaped(name), escaped(rest)));
    }
    html
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_text_and_never_markup() {
        let document = json!({
            "info": { "description": "<script>" },
            "paths": { "/v1/x": { "get": {
                "summary": "a & b", "security": [{ "operator": ["admin"] }],
                "responses": { "200": { "description": "", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/X" } } } } },
            } } },
            "components": { "schemas": { "X": { "type": "object", "required": ["a"], "properties": { "a": { "type": "array", "items": { "$ref": "#/x/Y" } } } } } },
        });
        let page = page(&document);
        assert!(!page.contains("<script"));
        assert!(page.contains("a &amp; b"));
        assert!(page.contains("operators: admin"));
        assert!(page.contains("<a href=\"#X\">X</a>"));
        assert!(page.contains("list of <a href=\"#Y\">Y</a>"));
    }
}
