//! Who may call which route: said by the routes' own descriptions, and decided here from a request's head, before
//! anything of its body is read. A route that says nothing is nobody's.

use std::{collections::HashMap, future::poll_fn, pin::Pin, sync::Arc, task::Poll};

use axum::{
    body::{Body, HttpBody},
    extract::{DefaultBodyLimit, FromRequestParts, MatchedPath, Request, State},
    http::{Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use counterfoil_domain::{people::OperatorRole, planted, words::Word};
use counterfoil_protocol::{REQUEST_BYTES, problem::Code};
use serde_json::Value;

use super::{
    ApiError,
    caller::{self, Actor, MEMBER_TOKEN, MemberSession, OPERATOR_TOKEN, Operator, Tokens, Who},
    device, span,
};
use crate::app::App;

/// Longest body of whoever says who they are in it: it is held in memory before that is read.
const STRANGERS_BYTES: usize = 16 * 1024;

/// Who may call a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// Anybody at all: the description says so, with a requirement of nothing.
    Anybody,
    /// Devices, and of them all or only those that are neither frozen nor revoked.
    Devices { active: bool },
    /// People with a token.
    People {
        operators: Vec<OperatorRole>,
        members: bool,
    },
}

/// Of every described route, by method and path.
#[derive(Debug, Clone, Default)]
pub struct Roles(Arc<HashMap<(Method, String), Allowed>>);

impl Roles {
    /// Those of the description, and of `others`, which are not in it.
    pub(super) fn of(document: &Value, others: &[(Method, &str, Allowed)]) -> Self {
        let mut roles: HashMap<_, _> = others
            .iter()
            .map(|(method, path, allowed)| ((method.clone(), (*path).to_owned()), allowed.clone()))
            .collect();
        let paths = document["paths"].as_object().into_iter().flatten();
        for (path, operations) in paths {
            for (method, operation) in operations.as_object().into_iter().flatten() {
                let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes());
                if let (Ok(method), Some(allowed)) = (method, described(operation)) {
                    roles.insert((method, path.clone()), allowed);
                }
            }
        }
        Self(Arc::new(roles))
    }

    pub(crate) fn get(&self, method: &Method, path: &str) -> Option<&Allowed> {
        let described = if *method == Method::HEAD { &Method::GET } else { method };
        self.0.get(&(described.clone(), path.to_owned()))
    }

    /// Whether any method of this path says who may call it.
    #[cfg(test)]
    pub(crate) fn knows(&self, path: &str) -> bool {
        self.0.keys().any(|(_, known)| known == path)
    }
}

/// What a description says; nothing when it says nothing, or what nobody knows.
fn described(operation: &Value) -> Option<Allowed> {
    let ways = operation["security"].as_array()?;
    let (mut operators, mut members, mut anybody) = (Vec::new(), false, false);
    for way in ways {
        let way = way.as_object()?;
        anybody |= way.is_empty();
        for (scheme, words) in way {
            match scheme.as_str() {
                "operator" => {
                    for word in words.as_array()? {
                        operators.push(OperatorRole::parse(word.as_str()?)?);
                    }
                }
                "member" => members = true,
                _ => return None,
            }
        }
    }
    match (anybody, operators.is_empty() && !members) {
        (true, true) => Some(Allowed::Anybody),
        (false, false) => Some(Allowed::People { operators, members }),
        _ => None,
    }
}

/// Lets through who may call, and says to the handler who it is.
pub(super) async fn enforce(State((app, roles)): State<(Arc<App>, Roles)>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = planted!("body_before_role", begun(body).await, body);
    match admit(&app, &roles, &mut parts).await {
        Ok(is_stranger) => {
            let mut request = Request::from_parts(parts, body);
            let most = if is_stranger { STRANGERS_BYTES } else { REQUEST_BYTES };
            DefaultBodyLimit::max(most).apply(&mut request);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

/// The body, once it was asked for its first piece: only a planted bug does that.
async fn begun(mut body: Body) -> Body {
    let asked = poll_fn(|context| {
        let piece = Pin::new(&mut body).poll_frame(context);
        Poll::Ready(piece.is_ready())
    });
    let _ = asked.await;
    body
}

/// Says who it is to the handler, and answers whether it may be anybody at all.
async fn admit(app: &App, roles: &Roles, parts: &mut Parts) -> Result<bool, ApiError> {
    let path = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    match path.and_then(|path| roles.get(&parts.method, path)) {
        None => Err(ApiError::new(Code::Forbidden)),
        Some(Allowed::Anybody) => Ok(true),
        Some(Allowed::Devices { active }) => {
            let announced = device::announced(app, parts, *active).await?;
            span::of_device(announced.tenant, announced.device);
            parts.extensions.insert(announced);
            Ok(false)
        }
        Some(Allowed::People { operators, members }) => {
            let who = person(app, parts, operators, *members).await?;
            span::of_tenant(who.tenant());
            parts.extensions.insert(who);
            Ok(false)
        }
    }
}

async fn person(app: &App, parts: &Parts, operators: &[OperatorRole], members: bool) -> Result<Who, ApiError> {
    let is_member = || {
        let token = parts.headers.get(header::AUTHORIZATION);
        token
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains(MEMBER_TOKEN))
    };
    if members && (operators.is_empty() || is_member()) {
        return match app.own.of::<Tokens>().who(app, parts, MEMBER_TOKEN).await? {
            Who::Member(session) if app.clock.now() < session.expires_at => Ok(Who::Member(session)),
            // Not a guess: it was good once.
            Who::Member(_) | Who::Operator(_) => Err(ApiError::new(Code::Unauthenticated)),
        };
    }
    match app.own.of::<Tokens>().who(app, parts, OPERATOR_TOKEN).await? {
        Who::Operator(operator) if operators.contains(&operator.role) => Ok(Who::Operator(operator)),
        Who::Operator(_) => Err(ApiError::new(Code::Forbidden)),
        Who::Member(_) => Err(ApiError::new(Code::Unauthenticated)),
    }
}

/// Who was let through. A handler that asks for somebody whom its description does not name gets nobody.
fn admitted(parts: &Parts) -> Result<Who, ApiError> {
    let who = parts.extensions.get::<Who>().copied();
    who.ok_or_else(|| ApiError::new(Code::Forbidden))
}

impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match admitted(parts)? {
            Who::Operator(operator) => Ok(operator),
            Who::Member(_) => Err(ApiError::new(Code::Forbidden)),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for MemberSession {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match admitted(parts)? {
            Who::Member(session) => Ok(session),
            Who::Operator(_) => Err(ApiError::new(Code::Forbidden)),
        }
    }
}

/// Somebody with a token, where operators and members may both call.
impl<S: Sync> FromRequestParts<S> for caller::Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let (actor, is_member): (Actor, bool) = match admitted(parts)? {
            Who::Operator(operator) => (operator.actor(), false),
            Who::Member(session) => (session.actor(), true),
        };
        Ok(Self { actor, is_member })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_a_description_says_is_allowed() {
        let said = |security: Value| described(&json!({ "security": security }));
        let people = |operators: &[OperatorRole], members| {
            let operators = operators.to_vec();
            Some(Allowed::People { operators, members })
        };
        assert_eq!(said(json!([{}])), Some(Allowed::Anybody));
        assert_eq!(said(json!([{ "member": [] }])), people(&[], true));
        assert_eq!(
            said(json!([{ "operator": ["admin", "auditor"] }, { "member": [] }])),
            people(&[OperatorRole::Admin, OperatorRole::Auditor], true)
        );
        for nobody in [
            json!(null),
            json!([]),
            json!([{ "operator": [] }]),
            json!([{ "operator": ["cook"] }]),
            json!([{ "device": [] }]),
            // Is it for anybody, then, or not?
            json!([{}, { "member": [] }]),
        ] {
            assert_eq!(said(nobody.clone()), None, "{nobody}");
        }
        assert_eq!(described(&json!({})), None);
    }
}
