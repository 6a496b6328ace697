//! `admin carrier` and `sandbox-carrier`.

use std::{io::Read, sync::Arc};

use counterfoil_domain::words::Word;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    CliError,
    arguments::carrier::{CarrierAction, NewCarrier, SandboxCarrier},
    print,
    serve::{bind, stop_on_signal},
    work::open,
};
use crate::{
    admin,
    carriers::{rows, sandbox},
    clock::{Clock, SystemClock, SystemRandom},
    fulfilment::errands,
};

/// Longest line that is read as a secret.
const SECRET_BYTES: u64 = 1_024;

pub(super) async fn decide(database: &str, action: CarrierAction) -> Result<(), CliError> {
    match action {
        CarrierAction::Set(options) => set(database, options).await,
        CarrierAction::Drop(options) => {
            let db = open(database).await?;
            let tenant = admin::find_tenant(&db, options.tenant.tenant.as_deref()).await?;
            let adapter = options.adapter.into();
            admin::drop_carrier(&db, &SystemClock, &SystemRandom, tenant, adapter).await?;
            db.close().await;
            Ok(())
        }
        CarrierAction::List(tenant) => {
            let db = open(database).await?;
            let tenant = admin::find_tenant(&db, tenant.tenant.as_deref()).await?;
            let mut snapshot = db.snapshot().await?;
            let carriers = rows::list(&mut snapshot, tenant).await?;
            drop(snapshot);
            db.close().await;
            for (adapter, url) in carriers {
                print(&json!({ "adapter": adapter, "url": url }).to_string())?;
            }
            Ok(())
        }
    }
}

async fn set(database: &str, options: NewCarrier) -> Result<(), CliError> {
    let secret = secret(&options)?;
    let db = open(database).await?;
    let tenant = admin::find_tenant(&db, options.tenant.tenant.as_deref()).await?;
    let new = admin::NewCarrier {
        adapter: options.adapter.into(),
        url: &options.url,
        account: &options.customer,
        secret: &secret,
        public: options.public.as_deref(),
    };
    admin::set_carrier(&db, &SystemClock, &SystemRandom, tenant, &new).await?;
    errands::carrier_is_there(&db, tenant, SystemClock.now()).await?;
    db.close().await;
    print(&json!({ "adapter": new.adapter.as_str() }).to_string())
}

fn secret(options: &NewCarrier) -> Result<Zeroizing<String>, CliError> {
    if !options.secret_stdin {
        return Ok(Zeroizing::new(options.secret.clone().unwrap_or_default()));
    }
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .take(SECRET_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| CliError::input("secret_missing", format!("No secret could be read: {error}.")))?;
    Ok(Zeroizing::new(
        text.lines().next().unwrap_or_default().trim().to_owned(),
    ))
}

pub(super) async fn sandbox(options: SandboxCarrier) -> Result<(), CliError> {
    let listener = bind(options.listen).await?;
    let address = listener
        .local_addr()
        .map_err(|error| CliError::failed("internal", format!("The socket has no address: {error}.")))?;
    let stopping = CancellationToken::new();
    stop_on_signal(stopping.clone())?;
    print(&format!("listening on http://{address}"))?;
    let token = options.token.as_deref();
    sandbox::serve(listener, Arc::new(SystemClock), &SystemRandom, token, stopping).await;
    Ok(())
}
