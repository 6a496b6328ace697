//! Who calls: operators and members, each by a token of which head office keeps a hash.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroU32,
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use counterfoil_domain::{
    ids::{MemberId, OperatorId, TenantId},
    people::OperatorRole,
    time::{Millis, SECOND},
};
use counterfoil_protocol::problem::{Code, Problem};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use sha2::{Digest, Sha256};

use super::{ApiError, who};
pub use crate::deed::Actor;
use crate::{app::App, db::DbError};

/// How long what was read about a token is believed: a token that was taken away works so long at most.
pub const BELIEVED: Millis = 2 * SECOND;
/// What an operator's token begins with, so that a leaked one can be recognised.
pub const OPERATOR_TOKEN: &str = "cfo_";
/// What a member's session token begins with.
pub const MEMBER_TOKEN: &str = "cfm_";
/// Hexadecimal digits of a token behind its beginning.
const TOKEN_DIGITS: usize = 64;
/// Wrong tokens and links from one address in a minute.
const FAILURES: NonZeroU32 = NonZeroU32::new(60).unwrap();
/// How long an address beyond that is heard only with tokens that were good lately.
const BARRED: Duration = Duration::from_secs(60);
/// Tokens that are remembered.
const TOKENS: u64 = 100_000;
/// How long a token counts as good lately.
const LATELY: Duration = Duration::from_secs(15 * 60);

/// A person of head office who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator {
    /// The chain.
    pub tenant: TenantId,
    /// Who it is.
    pub id: OperatorId,
    /// What they may do.
    pub role: OperatorRole,
}

impl Operator {
    /// The name in which they act.
    pub fn actor(&self) -> Actor {
        Actor {
            tenant: self.tenant,
            name: format!("operator:{}", self.id),
        }
    }
}

/// A member who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberSession {
    /// The chain.
    pub tenant: TenantId,
    /// Who it is.
    pub member: MemberId,
    /// When the session ends.
    pub expires_at: Millis,
    /// SHA-256 of the token.
    pub token_hash: [u8; 32],
}

impl MemberSession {
    /// The name in which they act.
    pub fn actor(&self) -> Actor {
        Actor {
            tenant: self.tenant,
            name: format!("member:{}", self.member),
        }
    }
}

/// Whom a token names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who {
    Operator(Operator),
    Member(MemberSession),
}

impl Who {
    /// Their chain.
    pub(super) fn tenant(&self) -> TenantId {
        match self {
            Self::Operator(operator) => operator.tenant,
            Self::Member(session) => session.tenant,
        }
    }
}

/// Somebody with a token, operator or member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name in which they act.
    pub actor: Actor,
    /// Whether it is a member.
    pub is_member: bool,
}

/// What is known about tokens, and how often addresses came with wrong ones.
#[derive(Debug)]
pub struct Tokens {
    known: moka::sync::Cache<[u8; 32], (Who, Millis)>,
    failures: DefaultKeyedRateLimiter<IpAddr>,
    barred: moka::sync::Cache<IpAddr, ()>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            known: moka::sync::Cache::builder()
                .max_capacity(TOKENS)
                .time_to_live(LATELY)
                .build(),
            failures: RateLimiter::keyed(Quota::per_minute(FAILURES)),
            barred: moka::sync::Cache::builder()
                .max_capacity(TOKENS)
                .time_to_live(BARRED)
                .build(),
        }
    }
}

impl Tokens {
    /// Whether this address may try at all.
    ///
    /// # Errors
    /// `rate_limited` after too many failures.
    pub fn may_try(&self, address: IpAddr) -> Result<(), ApiError> {
        if self.barred.contains_key(&address) {
            return Err(limited());
        }
        Ok(())
    }

    /// A try with something wrong: counts, and says `problem`, or `rate_limited` when there were too many.
    pub fn failed(&self, address: IpAddr, problem: Code) -> ApiError {
        if self.failures.check_key(&address).is_ok() {
            return ApiError::new(problem);
        }
        self.failures.retain_recent();
        self.barred.insert(address, ());
        limited()
    }

    /// A session that just began: heard at once, also from an address with failures.
    pub fn began(&self, session: MemberSession, now: Millis) {
        self.known.insert(session.token_hash, (Who::Member(session), now));
    }

    /// A session that was ended: not believed any more.
    pub fn ended(&self, token_hash: &[u8; 32]) {
        self.known.invalidate(token_hash);
    }

    /// Whom the token in a request's head names; `beginning` says of which kind it has to be.
    ///
    /// # Errors
    /// `unauthenticated`, `rate_limited`, and the database's.
    pub(super) async fn who(&self, app: &App, parts: &Parts, beginning: &str) -> Result<Who, ApiError> {
        let address = address(parts);
        let Some(token) = bearer(&parts.headers) else {
            return Err(ApiError::new(Code::Unauthenticated));
        };
        let well_formed = token.strip_prefix(beginning).is_some_and(|digits| {
            digits.len() == TOKEN_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        });
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let now = app.clock.now();
        match self.known.get(&hash) {
            Some((who, read_at)) if (0..BELIEVED).contains(&(now - read_at)) => return Ok(who),
            Some(_) => {}
            None => self.may_try(address)?,
        }
        let who = match beginning {
            _ if !well_formed => None,
            OPERATOR_TOKEN => operator(app, &hash).await?.map(Who::Operator),
            _ => member(app, &hash).await?.map(Who::Member),
        };
        match who {
            Some(who) => {
                self.known.insert(hash, (who, now));
                Ok(who)
            }
            None => {
                self.known.invalidate(&hash);
                Err(self.failed(address, Code::Unauthenticated))
            }
        }
    }
}

fn limited() -> ApiError {
    Problem {
        retry_after: Some(BARRED.as_secs()),
        ..Problem::new(Code::RateLimited)
    }
    .into()
}

async fn operator(app: &App, hash: &[u8; 32]) -> Result<Option<Operator>, DbError> {
    let mut connection = app.db.reader().acquire().await?;
    who::operator_by_token(&mut connection, hash).await
}

async fn member(app: &App, hash: &[u8; 32]) -> Result<Option<MemberSession>, DbError> {
    let mut connection = app.db.reader().acquire().await?;
    who::member_by_token(&mut connection, hash).await
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The address that counts for limits. From this machine itself calls the reverse proxy, which says for whom.
pub fn address(parts: &Parts) -> IpAddr {
    let peer = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(peer)| peer.ip());
    let forwarded = || {
        let last = parts.headers.get_all("x-forwarded-for").iter().next_back()?;
        last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
    };
    let address = if peer.is_loopback() {
        forwarded().unwrap_or(peer)
    } else {
        peer
    };
    neighbourhood(address)
}

/// Who counts as one caller: an address, or an IPv6 network, of which one person may hold all addresses.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// The caller's address as an extractor.
#[derive(Debug, Clone, Copy)]
pub struct Address(pub IpAddr);

impl<S: Sync> FromRequestParts<S> for Address {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(address(parts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(peer: &str, forwarded: Option<&str>) -> Parts {
        let mut request = axum::http::Request::builder();
        if let Some(forwarded) = forwarded {
            request = request.header("x-forwarded-for", forwarded);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        parts
            .extensions
            .insert(ConnectInfo::<SocketAddr>(format!("{peer}:1").parse().unwrap()));
        parts
    }

    #[test]
    fn only_a_proxy_on_this_machine_is_believed() {
        let of = |peer, forwarded| address(&parts(peer, forwarded)).to_string();
        assert_eq!(of("10.0.0.1", Some("1.2.3.4")), "10.0.0.1");
        assert_eq!(of("127.0.0.1", None), "127.0.0.1");
        assert_eq!(of("127.0.0.1", Some("9.9.9.9, 1.2.3.4")), "1.2.3.4");
        assert_eq!(of("127.0.0.1", Some("nonsense")), "127.0.0.1");
        assert_eq!(of("[2001:db8:1:2:3:4:5:6]", None), "2001:db8:1:2::");
    }

    #[test]
    fn a_bearer_is_read_whatever_its_case() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer(&headers), None);
        headers.insert("authorization", "bEARER abc".parse().unwrap());
        assert_eq!(bearer(&headers), Some("abc"));
        headers.insert("authorization", "Basic abc".parse().unwrap());
        assert_eq!(bearer(&headers), None);
    }
}
