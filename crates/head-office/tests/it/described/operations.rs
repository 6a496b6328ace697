//! The operations of the document.

use counterfoil_domain::{people::OperatorRole, words::Word};
use reqwest::Method;
use serde_json::Value;

/// Which token an operation needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    Member,
    Operator(Vec<OperatorRole>),
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Operation {
    pub method: Method,
    pub path: String,
    pub needs: Needs,
    /// Whether it has any word about that; for everybody it is `[{}]`.
    pub says_who: bool,
    /// Whether a member's token does as well.
    pub members_too: bool,
    pub parameters: Vec<Value>,
    /// Schema of its JSON body.
    pub body: Option<Value>,
    pub responses: Value,
}

impl Operation {
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether it is meant for everybody.
    pub fn is_open(&self) -> bool {
        (self.method.as_str(), self.path.as_str()) == ("POST", "/v1/member/sessions")
    }

    /// Whether it changes nothing although its method is not GET.
    pub fn only_asks(&self) -> bool {
        self.path == "/v1/quotes" || self.path.ends_with("/preview")
    }

    pub fn needs_key(&self) -> bool {
        self.parameters
            .iter()
            .any(|parameter| parameter["in"] == "header" && parameter["name"] == "Idempotency-Key")
    }
}

/// All of them, in the document's order.
pub fn all(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                needs: needs(operation),
                says_who: operation["security"].as_array().is_some_and(|ways| !ways.is_empty()),
                members_too: members_too(operation),
                parameters: operation["parameters"].as_array().cloned().unwrap_or_default(),
                body: operation["requestBody"]["content"]["application/json"]
                    .get("schema")
                    .cloned(),
                responses: operation["responses"].clone(),
            });
        }
    }
    all
}

fn members_too(operation: &Value) -> bool {
    let mut others = operation["security"].as_array().into_iter().flatten().skip(1);
    others.any(|scheme| scheme.get("member").is_some())
}

fn needs(operation: &Value) -> Needs {
    let Some(scheme) = operation["security"][0].as_object() else {
        return Needs::Nothing;
    };
    match scheme.iter().next() {
        Some((name, _)) if name == "member" => Needs::Member,
        Some((_, roles)) => Needs::Operator(
            roles
                .as_array()
                .unwrap()
                .iter()
                .map(|role| OperatorRole::parse(role.as_str().unwrap()).unwrap())
                .collect(),
        ),
        None => Needs::Nothing,
    }
}
