//! Accounts and the rule of earning as counters are told of them.

use async_trait::async_trait;
use counterfoil_domain::{ids::MemberId, points::Account};
use counterfoil_protocol::sync::Image;

use super::rows;
use crate::{
    db::DbError,
    feed::{
        Item,
        images::{Found, Images, Wanted},
    },
    members,
};

/// Accounts as counters are told of them: without what counters' own freezes hold at this moment, see ADR 5.
#[derive(Debug)]
pub struct Accounts;

#[async_trait]
impl Images for Accounts {
    async fn load(&self, wanted: Wanted<'_>) -> Result<Vec<Found>, DbError> {
        let members = wanted.own(|item| match item {
            Item::Account(member) => Some(*member),
            _ => None,
        });
        if members.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = rows::load(wanted.connection, wanted.tenant, &members, "").await?;
        let has_none = |member: &MemberId| !found.iter().any(|account| account.member == *member);
        let others: Vec<MemberId> = members.into_iter().filter(has_none).collect();
        if !others.is_empty() {
            // A member who never had anything has an account all the same: what counters do is laid over it.
            let known = members::rows::load(wanted.connection, wanted.tenant, &others, "").await?;
            found.extend(known.into_iter().map(|(_, member)| Account::new(member.id)));
        }
        let told = found.into_iter().map(|account| {
            let (item, version) = (Item::Account(account.member), account.version);
            (item, version, Image::Account(account.told()))
        });
        Ok(told.collect())
    }
}

/// Versions of the rule of earning.
#[derive(Debug)]
pub struct Rules;

#[async_trait]
impl Images for Rules {
    async fn load(&self, wanted: Wanted<'_>) -> Result<Vec<Found>, DbError> {
        let versions = wanted.own(|item| match item {
            Item::EarningRule(version) => Some(*version),
            _ => None,
        });
        if versions.is_empty() {
            return Ok(Vec::new());
        }
        let rules = rows::load_rules(wanted.connection, wanted.tenant, &versions).await?;
        let told = rules.into_iter().map(|rule| {
            let image = Image::EarningRule(rule.as_ref().clone());
            (Item::EarningRule(rule.version), rule.version, image)
        });
        Ok(told.collect())
    }
}
