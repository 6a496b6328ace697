//! What a store holds by right.

use anyhow::Result;
use counterfoil_head_office::{coupons, members, sales};

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
        }
    }
    Ok(violations)
}
