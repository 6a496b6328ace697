//! What a store holds by right.

use anyhow::Result;
use counterfoil_domain::{operations::ExceptionKind, sales::Sale, words::Word};
use counterfoil_head_office::{coupons, members, sales};
use sqlx::AnyConnection;

use super::{Judged, Violations};

/// A store that holds a member holds all their coupons.
pub async fn members(judged: &Judged<'_>) -> Result<Violations> {
    let mut violations = Violations::new();
    let tenant = judged.world.base.tenant;
    let mut snapshot = judged.app.db.snapshot().await?;
    for (place, copy) in judged.copies {
        let store = judged.world.store(*place);
        for (member, number) in &judged.world.base.members {
            let found = members::rows::load(&mut snapshot, tenant, &[*member], "").await?;
            if !found.iter().any(|(_, member)| member.recent_stores.contains(&store)) {
                continue;
            }
            if !copy.contains_key(&("member".to_owned(), member.bytes().to_vec())) {
                violations.push(format!("till {place} does not hold member {number}"));
            }
            for coupon in coupons::rows::of_member(&mut snapshot, tenant, *member, 200).await? {
                if !copy.contains_key(&("coupon".to_owned(), coupon.id.bytes().to_vec())) {
                    violations.push(format!(
                        "till {place} does not hold coupon {} of member {number}",
                        coupon.code
                    ));
                }
            }
        }
    }
    Ok(violations)
}

/// Sales are where they belong.
pub async fn sales(judged: &Judged<'_>) -> Result<Violations> {
    let mut violations = Violations::new();
    let tenant = judged.world.base.tenant;
    let mut snapshot = judged.app.db.snapshot().await?;
    for (place, copy) in judged.copies {
        let store = judged.world.store(*place);
        for sale in sales::rows::list(&mut snapshot, tenant, Some(store), None, 500).await? {
            if !copy.contains_key(&("sale".to_owned(), sale.id.bytes().to_vec())) {
                violations.push(format!("till {place} does not hold sale {}", sale.id));
            }
            violations.extend(cases(&mut snapshot, &sale).await?);
        }
    }
    Ok(violations)
}

/// A sale has a case for each rule that its coupons broke, and none for uses that were too many and are not.
async fn cases(snapshot: &mut AnyConnection, sale: &Sale) -> Result<Violations> {
    let open: Vec<String> =
        sqlx::query_scalar("SELECT kind FROM exceptions WHERE operation = $1 AND status <> 'voided' ORDER BY kind")
            .bind(sale.id.bytes().to_vec())
            .fetch_all(snapshot)
            .await?;
    let stands = |kind: ExceptionKind| open.iter().any(|word| word == kind.as_str());
    let mut violations = Violations::new();
    for sold in &sale.coupons {
        if let Some(kind) = sold.exception
            && sale.voided_by.is_none()
            && !sold.given_back
            && !stands(kind)
        {
            let coupon = sold.used.coupon;
            violations.push(format!(
                "sale {}: coupon {coupon} broke {kind:?}, and there are {open:?}",
                sale.id
            ));
        }
    }
    for kind in [ExceptionKind::DoubleRedeem, ExceptionKind::RedeemWhileFrozen] {
        let broken = sale.coupons.iter().any(|sold| sold.exception == Some(kind));
        if stands(kind) && (sale.voided_by.is_some() || !broken) {
            violations.push(format!(
                "sale {} has a case of {kind:?}, and none of its coupons broke that",
                sale.id
            ));
        }
    }
    Ok(violations)
}
