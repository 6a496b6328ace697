//! `admin tenant|store|clerk|operator`.

use std::io::{IsTerminal, Read};

use counterfoil_domain::{
    code_policy::CodePolicy,
    ids::Place,
    people::{PIN_MAX_DIGITS, Role},
};
use serde_json::json;

use super::{
    CliError,
    arguments::people::{
        ClerkRole, CodePolicyOptions, NewClerk, NewOperator, NewStore, NewTenant, OperatorAction, TenantAction,
    },
    print,
    work::{open, open_or_make},
};
use crate::{
    admin,
    clock::{SystemClock, SystemRandom},
};

async fn add_tenant(database: &str, options: NewTenant) -> Result<(), CliError> {
    let new = admin::NewTenant {
        code: &options.code,
        name: &options.name,
        currency: &options.currency,
    };
    // A database is made for a tenant, not for a slip of the keys.
    admin::check_tenant(&new)?;
    let db = open_or_make(database).await?;
    let tenant = admin::add_tenant(&db, &SystemClock, &SystemRandom, &new).await?;
    db.close().await;
    print(&json!({ "id": tenant, "code": options.code }).to_string())
}

pub(super) async fn add_store(database: &str, options: NewStore) -> Result<(), CliError> {
    let db = open(database).await?;
    let tenant = admin::find_tenant(&db, options.tenant.tenant.as_deref()).await?;
    let new = admin::NewStore {
        code: &options.code,
        name_zh: &options.name_zh,
        name_en: &options.name_en,
        time_zone: &options.time_zone,
        place: Place::try_from(options.place)
            .map_err(|error| CliError::input("malformed", format!("--place: {error}.")))?,
    };
    let store = admin::add_store(&db, &SystemClock, &SystemRandom, tenant, &new).await?;
    db.close().await;
    print(&json!({ "id": store, "code": options.code }).to_string())
}

pub(super) async fn add_clerk(database: &str, options: NewClerk) -> Result<(), CliError> {
    let db = open(database).await?;
    let tenant = admin::find_tenant(&db, options.tenant.tenant.as_deref()).await?;
    let store = admin::find_store(&db, tenant, &options.store).await?;
    let pin = pin(&options)?;
    let new = admin::NewClerk {
        name: &options.name,
        role: match options.role {
            ClerkRole::Clerk => Role::Clerk,
            ClerkRole::Manager => Role::Manager,
        },
        pin: &pin,
    };
    let clerk = admin::add_clerk(&db, &SystemClock, &SystemRandom, tenant, store, &new).await?;
    db.close().await;
    print(&json!({ "id": clerk, "store": options.store, "name": options.name, "role": new.role }).to_string())
}

pub(super) async fn operator(database: &str, action: OperatorAction) -> Result<(), CliError> {
    match action {
        OperatorAction::Add(options) => add_operator(database, options).await,
        OperatorAction::List(tenant) => {
            let db = open(database).await?;
            let tenant = admin::find_tenant(&db, tenant.tenant.as_deref()).await?;
            let operators = admin::operators(&db, tenant).await?;
            db.close().await;
            for known in operators {
                print(
                    &json!({ "id": known.id, "name": known.name, "role": known.role, "active": known.active })
                        .to_string(),
                )?;
            }
            Ok(())
        }
        OperatorAction::Deactivate(options) => {
            let db = open(database).await?;
            let tenant = admin::find_tenant(&db, options.tenant.tenant.as_deref()).await?;
            let id = admin::deactivate_operator(&db, &SystemClock, &SystemRandom, tenant, &options.name).await?;
            db.close().await;
            print(&json!({ "id": id, "name": options.name, "active": false }).to_string())
        }
    }
}

async fn add_operator(database: &str, options: NewOperator) -> Result<(), CliError> {
    let db = open(database).await?;
    let tenant = admin::find_tenant(&db, options.tenant.tenant.as_deref()).await?;
    let new = admin::NewOperator {
        name: &options.name,
        role: options.role.into(),
    };
    let (id, token) = admin::add_operator(&db, &SystemClock, &SystemRandom, tenant, &new).await?;
    db.close().await;
    print(&json!({ "id": id, "name": options.name, "role": new.role, "token": token }).to_string())
}

pub(super) async fn tenant(database: &str, action: TenantAction) -> Result<(), CliError> {
    match action {
        TenantAction::Add(options) => add_tenant(database, options).await,
        TenantAction::LinkKey(options) => {
            let db = open(database).await?;
            let tenant = admin::find_tenant(&db, options.tenant.tenant.as_deref()).await?;
            let key = admin::make_link_key(&db, &SystemClock, &SystemRandom, tenant, options.rotate).await?;
            db.close().await;
            print(&key)
        }
        TenantAction::CodePolicy(options) => code_policy(database, options).await,
        TenantAction::Webhook(options) => {
            let db = open(database).await?;
            let tenant = admin::find_tenant(&db, options.tenant.tenant.as_deref()).await?;
            let key = match &options.url {
                Some(url) => Some(admin::set_webhook(&db, &SystemClock, &SystemRandom, tenant, url).await?),
                None => {
                    admin::drop_webhook(&db, &SystemClock, &SystemRandom, tenant).await?;
                    None
                }
            };
            db.close().await;
            key.map_or(Ok(()), |key| print(&key))
        }
    }
}

async fn code_policy(database: &str, options: CodePolicyOptions) -> Result<(), CliError> {
    let policy = options
        .parts
        .as_deref()
        .map(serde_json::from_str::<CodePolicy>)
        .transpose()
        .map_err(|error| CliError::input("code_policy_malformed", format!("This is no policy: {error}.")))?;
    let db = open(database).await?;
    let tenant = admin::find_tenant(&db, options.tenant.tenant.as_deref()).await?;
    let policy = admin::code_policy(&db, &SystemClock, &SystemRandom, tenant, policy).await?;
    db.close().await;
    print(&json!(policy).to_string())
}

fn pin(options: &NewClerk) -> Result<zeroize::Zeroizing<String>, CliError> {
    if let Some(pin) = &options.pin {
        return Ok(pin.clone().into());
    }
    let unreadable = |error: std::io::Error| CliError::input("pin_missing", format!("No PIN could be read: {error}."));
    if !options.pin_stdin && std::io::stdin().is_terminal() {
        let first = zeroize::Zeroizing::new(rpassword::prompt_password("PIN: ").map_err(unreadable)?);
        let second = zeroize::Zeroizing::new(rpassword::prompt_password("PIN again: ").map_err(unreadable)?);
        if first != second {
            return Err(CliError::input("pin_differs", "The two PINs differ."));
        }
        return Ok(first);
    }
    if !options.pin_stdin {
        return Err(CliError::input(
            "pin_missing",
            "Nobody can be asked for the PIN here. Give it on standard input with --pin-stdin.",
        ));
    }
    let mut text = zeroize::Zeroizing::new(String::new());
    let longest = u64::try_from(PIN_MAX_DIGITS + 16).unwrap_or(u64::MAX);
    std::io::stdin()
        .take(longest)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    let first = text.lines().next().unwrap_or_default().trim().to_owned();
    Ok(first.into())
}
