//! What head office can do: one line a capability in each list.

use crate::{
    claims, coupons,
    engine::{Settled, tables::Table},
    exceptions, grants, members, online, pickups, questions, sales, stores, sync,
};

/// The tables that commands read and change. Their order is their own, see [`Place`](crate::engine::tables::Place).
pub fn tables(settled: &Settled) -> Vec<Box<dyn Table>> {
    vec![
        Box::new(stores::table::Devices::new(settled.clone())),
        Box::new(sync::table::Operations),
        Box::new(claims::table::Claims),
        Box::new(claims::table::Offers),
        Box::new(claims::table::Batches),
        Box::new(claims::table::Holdings),
        Box::new(grants::table::Grants),
        Box::new(grants::table::Parts),
        Box::new(sales::table::Sales),
        Box::new(online::table::Online),
        Box::new(coupons::table::Coupons),
        Box::new(coupons::templates::table::Templates::default()),
        Box::new(pickups::table::Orders),
        Box::new(questions::table::Freezes),
        Box::new(members::table::Members),
        Box::new(exceptions::table::Exceptions),
    ]
}
