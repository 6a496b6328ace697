//! What a person does on head office's command line, in one place.

pub use crate::{
    carriers::setting::{Adapter, NewSetting as NewCarrier, drop as drop_carrier, set as set_carrier},
    deed::AdminError,
    grants::by_hand::{Granted, NewGrant, code_policy, grant_coupons},
    operators::{KnownOperator, NewOperator, add_operator, deactivate_operator, operators},
    pickups::by_hand::{AddedOrder, NewOrder, add_order},
    site::setting::{drop_webhook, set_webhook},
    stores::{
        adding::{NewClerk, NewStore, add_clerk, add_store, find_store, hash_pin},
        devices::{Decided, LostDevice, new_epoch, new_epoch_of_damaged, readmit, revoke},
    },
    tenants::{NewTenant, add_tenant, check_tenant, find_tenant, make_link_key},
};
