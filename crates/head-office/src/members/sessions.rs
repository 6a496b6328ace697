//! How a member signs in: the shop's own site, which knows who it is talking to, signs a link that is good for ten
//! minutes at most; here it is traded for a session of an hour.

use counterfoil_domain::time::{HOUR, MINUTE, Millis};
use counterfoil_protocol::problem::Code;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use sqlx::AnyConnection;

use super::rows;
use crate::{
    app::App,
    clock,
    db::DbError,
    http::{
        ApiError, MemberSession,
        caller::{MEMBER_TOKEN, Tokens},
    },
    tenants,
};

/// How far ahead the end of a link may be.
pub const LINK_LASTS: Millis = 10 * MINUTE;
/// How long a session lasts.
pub const SESSION_LASTS: Millis = HOUR;

/// What the shop's own site signs.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// Code of the chain.
    pub tenant: &'a str,
    /// Number of the member.
    pub member: &'a str,
    /// When the link ends, UTC ms.
    pub expires: Millis,
}

impl Link<'_> {
    fn mac(&self, key: &[u8; 32]) -> Hmac<Sha256> {
        // What HMAC does with a short key anyway; a whole block is a key that can't be refused.
        let mut block = [0; 64];
        block[..32].copy_from_slice(key);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(format!("counterfoil link 1\n{}\n{}\n{}", self.tenant, self.expires, self.member).as_bytes());
        mac
    }

    /// The signature: 64 hexadecimal digits.
    pub fn sign(&self, key: &[u8; 32]) -> String {
        hex::encode(self.mac(key).finalize().into_bytes())
    }

    fn is_signed(&self, key: &[u8; 32], signature: &str) -> bool {
        let mut bytes = [0u8; 32];
        hex::decode_to_slice(signature, &mut bytes).is_ok() && self.mac(key).verify_slice(&bytes).is_ok()
    }
}

/// Trades a link for a session: its token, which is nowhere else, and the session.
///
/// # Errors
/// `link_expired` for a link that was good once, `link_invalid` for every other reason, all alike.
pub async fn begin(app: &App, link: &Link<'_>, signature: &str) -> Result<(String, MemberSession), ApiError> {
    let now = app.clock.now();
    let mut snapshot = app.db.snapshot().await?;
    let known = tenants::rows::link_key(&mut snapshot, link.tenant).await?;
    let Some((tenant, _)) = known.filter(|(_, key)| link.is_signed(key, signature)) else {
        return Err(ApiError::new(Code::LinkInvalid));
    };
    if link.expires <= now {
        return Err(ApiError::new(Code::LinkExpired));
    }
    if link.expires - now > LINK_LASTS {
        return Err(ApiError::new(Code::LinkInvalid));
    }
    let member = rows::by_number(&mut snapshot, tenant, link.member).await?;
    drop(snapshot);
    let Some(member) = member else {
        return Err(ApiError::new(Code::LinkInvalid));
    };
    let secret: [u8; 32] = clock::bytes(app.random.as_ref()).map_err(|_| ApiError::internal())?;
    let token = format!("{MEMBER_TOKEN}{}", hex::encode(secret));
    let session = MemberSession {
        tenant,
        member: member.id,
        expires_at: now + SESSION_LASTS,
        token_hash: Sha256::digest(token.as_bytes()).into(),
    };
    let mut lease = app.db.lease().await?;
    let mut transaction = lease.begin().await?;
    // Their own old ones go with it, so that nobody gathers them.
    sqlx::query("DELETE FROM member_sessions WHERE tenant = $1 AND member = $2 AND expires_at <= $3")
        .bind(tenant.bytes().to_vec())
        .bind(member.id.bytes().to_vec())
        .bind(now)
        .execute(&mut *transaction)
        .await
        .map_err(DbError::from)?;
    sqlx::query(
        "INSERT INTO member_sessions (token_hash, tenant, member, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(session.token_hash.to_vec())
    .bind(tenant.bytes().to_vec())
    .bind(member.id.bytes().to_vec())
    .bind(now)
    .bind(session.expires_at)
    .execute(&mut *transaction)
    .await
    .map_err(DbError::from)?;
    transaction.commit("members.begin").await?;
    app.own.of::<Tokens>().began(session, now);
    Ok((token, session))
}

/// Ends a session: its token is good for nothing any more.
///
/// # Errors
/// The database's.
pub async fn end(app: &App, session: &MemberSession) -> Result<(), ApiError> {
    let mut lease = app.db.lease().await?;
    let mut transaction = lease.begin().await?;
    sqlx::query("DELETE FROM member_sessions WHERE token_hash = $1")
        .bind(session.token_hash.to_vec())
        .execute(&mut *transaction)
        .await
        .map_err(DbError::from)?;
    transaction.commit("members.end").await?;
    app.own.of::<Tokens>().ended(&session.token_hash);
    Ok(())
}

/// Forgets some of the sessions that have ended; how many.
///
/// # Errors
/// The driver's.
pub async fn forget(connection: &mut AnyConnection, now: Millis, most: i64) -> Result<u64, DbError> {
    let gone = sqlx::query("DELETE FROM member_sessions WHERE token_hash IN (SELECT token_hash FROM member_sessions WHERE expires_at <= $1 LIMIT $2)")
        .bind(now)
        .bind(most)
        .execute(connection)
        .await?;
    Ok(gone.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_every_part() {
        let key = [1; 32];
        let link = Link {
            tenant: "demo",
            member: "M1",
            expires: 7,
        };
        let signature = link.sign(&key);
        // Made with another program: for whoever signs in another language.
        assert_eq!(
            signature,
            "9ddb9f559ffced3c7775659e1841a0cc90833019a34ddc68b709a0eb385b1888"
        );
        assert!(link.is_signed(&key, &signature));
        for other in [
            Link {
                tenant: "demo2",
                ..link
            },
            Link { member: "M2", ..link },
            Link { expires: 8, ..link },
        ] {
            assert!(!other.is_signed(&key, &signature), "{other:?}");
        }
        assert!(!link.is_signed(&[2; 32], &signature));
        assert!(!link.is_signed(&key, ""));
        assert!(!link.is_signed(&key, &signature[..62]));
    }
}
