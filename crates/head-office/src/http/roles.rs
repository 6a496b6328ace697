//! Who may call which route: read from the routes' own descriptions and enforced before anything of a body is read.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use counterfoil_domain::people::OperatorRole;
use serde_json::Value;

use super::{ApiError, MemberSession, Operator, caller::MEMBER_TOKEN};
use crate::App;

/// Who may call a route; nobody in it = anybody at all.
#[derive(Debug, Clone, Default)]
struct Allowed {
    operators: Vec<OperatorRole>,
    members: bool,
}

/// Of every described route, by method and path.
#[derive(Debug, Clone)]
pub(super) struct Roles(Arc<HashMap<(Method, String), Allowed>>);

impl Roles {
    /// Reads them from the description.
    pub(super) fn of(document: &Value) -> Self {
        let mut roles = HashMap::new();
        let paths = document["paths"].as_object().into_iter().flatten();
        for (path, operations) in paths {
            for (method, operation) in operations.as_object().into_iter().flatten() {
                let Ok(method) = Method::from_bytes(method.to_ascii_uppercase().as_bytes()) else {
                    continue;
                };
                let mut allowed = Allowed::default();
                for way in operation["security"].as_array().into_iter().flatten() {
                    if let Some(words) = way["operator"].as_array() {
                        let words = words.iter().filter_map(Value::as_str);
                        allowed.operators.extend(words.filter_map(OperatorRole::parse));
                    }
                    allowed.members |= way.get("member").is_some();
                }
                roles.insert((method, path.clone()), allowed);
            }
        }
        Self(Arc::new(roles))
    }

    fn get(&self, method: &Method, path: &str) -> Option<&Allowed> {
        let described = if *method == Method::HEAD { &Method::GET } else { method };
        self.0.get(&(described.clone(), path.to_owned()))
    }
}

/// Lets through who may call. The handler asks once more who it is; that costs a look into a cache.
pub(super) async fn enforce(State((app, roles)): State<(Arc<App>, Roles)>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let path = parts
        .extensions
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let allowed = path
        .and_then(|path| roles.get(&parts.method, &path).cloned())
        .unwrap_or_default();
    let is_member = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains(MEMBER_TOKEN));
    let who = match (allowed.operators.is_empty(), allowed.members) {
        (true, false) => Ok(()),
        (operators, true) if operators || is_member => {
            MemberSession::from_request_parts(&mut parts, &app).await.map(drop)
        }
        _ => match Operator::from_request_parts(&mut parts, &app).await {
            Ok(operator) => operator.require(&allowed.operators),
            Err(error) => Err(error),
        },
    };
    match who {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(error) => ApiError::into_response(error),
    }
}
