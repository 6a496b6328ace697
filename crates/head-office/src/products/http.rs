//! Routes of the catalogue.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use counterfoil_domain::products::{Product, SKU_BYTES};
use counterfoil_protocol::problem::Code;
use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    Written,
    import::{self, Applied, File, Preview, Unread},
    rows, word, write,
};
use crate::{
    app::App,
    deed::Deed,
    http::{ApiError, Asked, Body, Fields, Nothing, Operator, Page, Paging, Path, Query, did_not_come},
};

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    let files = OpenApiRouter::new()
        .routes(routes!(look_through))
        .layer(DefaultBodyLimit::max(import::MOST_BYTES));
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, put, delete))
        .routes(routes!(apply))
        .merge(files)
}

/// A product.
#[derive(Debug, Serialize, ToSchema)]
struct ProductView {
    /// Article number, unique within the tenant.
    sku: String,
    /// What a scanner reads.
    barcodes: Vec<String>,
    /// Chinese name.
    name_zh: String,
    /// English name.
    name_en: String,
    /// Its category, for the scopes of coupons.
    category: Option<String>,
    /// Who sells it, for the scopes of coupons.
    merchant: Option<String>,
    /// Of one unit, minor units.
    unit_price: i64,
    /// ISO 4217 code of the price.
    currency: String,
    /// Address of a picture.
    picture: Option<String>,
    /// False when it is no longer sold.
    active: bool,
    /// Grows by one with every change.
    version: i64,
}

impl From<Product> for ProductView {
    fn from(product: Product) -> Self {
        Self {
            sku: product.sku,
            barcodes: product.barcodes,
            name_zh: product.name_zh,
            name_en: product.name_en,
            category: product.category,
            merchant: product.merchant,
            unit_price: product.unit_price,
            currency: product.currency,
            picture: product.picture,
            active: product.active,
            version: product.version,
        }
    }
}

/// A product to be written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProductBody {
    /// What a scanner reads; digits of an EAN or UPC must have the right last one. One number of 8, 12, 13 or 14 digits is
    /// one barcode.
    #[serde(default)]
    barcodes: Vec<String>,
    /// Chinese name.
    name_zh: String,
    /// English name.
    name_en: String,
    /// Its category, for the scopes of coupons.
    #[serde(default)]
    category: Option<String>,
    /// Who sells it, for the scopes of coupons.
    #[serde(default)]
    merchant: Option<String>,
    /// Of one unit, minor units.
    unit_price: i64,
    /// ISO 4217 code of the price.
    currency: String,
    /// Address of a picture.
    #[serde(default)]
    picture: Option<String>,
    /// False when it is no longer sold.
    #[serde(default = "yes")]
    active: bool,
    /// The version that was read; 0 or absent for a new product.
    #[serde(default)]
    version: i64,
}

fn yes() -> bool {
    true
}

/// Which products.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// A part of the sku or of a name, whatever their case and width, or a whole barcode, however many zeros are in front
    /// of it.
    #[serde(default)]
    text: String,
    /// Also those no longer sold.
    #[serde(default)]
    inactive: bool,
    /// `next` of the page before.
    after: Option<String>,
    /// Most rows, up to 200.
    limit: Option<u32>,
}

/// Products in the order of their article numbers.
#[utoipa::path(
    get, path = "/v1/products", tag = "products", operation_id = "list_products", params(Which),
    responses((status = 200, description = "A page", body = Page<ProductView>)),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(which): Query<Which>,
) -> Result<Json<Page<ProductView>>, ApiError> {
    let paging = Paging::<String>::read(which.after.as_deref(), which.limit)?;
    let mut snapshot = app.db.snapshot().await?;
    let wanted = rows::Wanted {
        text: which.text.trim(),
        inactive: which.inactive,
        after: paging.after.as_deref().unwrap_or_default(),
        limit: paging.rows(),
    };
    let found = rows::list(&mut snapshot, operator.tenant, wanted).await?;
    let views = found.into_iter().map(|(_, product)| product.into()).collect();
    Ok(Json(paging.page(views, |view: &ProductView| view.sku.clone())))
}

async fn one(app: &App, operator: &Operator, sku: &str) -> Result<Product, ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    let found = rows::by_sku(&mut snapshot, operator.tenant, &[sku]).await?.pop();
    found.map(|(_, product)| product).ok_or_else(ApiError::not_found)
}

/// One product.
#[utoipa::path(
    get, path = "/v1/products/{sku}", tag = "products", operation_id = "show_product", params(("sku" = String, Path, description = "Article number")),
    responses((status = 200, description = "The product", body = ProductView)),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn get(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(sku): Path<String>,
) -> Result<Json<ProductView>, ApiError> {
    Ok(Json(one(&app, &operator, &sku).await?.into()))
}

/// Write a product.
///
/// A new one, or a whole new version of one; the same again changes nothing. Every counter hears of it.
#[utoipa::path(
    put, path = "/v1/products/{sku}", tag = "products", operation_id = "put_product", params(("sku" = String, Path, description = "Article number")),
    request_body = ProductBody,
    responses((status = 200, description = "It stands so", body = ProductView), (status = 201, description = "It is new", body = ProductView)),
    security(("operator" = ["admin", "operator"]))
)]
async fn put(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(sku): Path<String>,
    Body(body): Body<ProductBody>,
) -> Result<(StatusCode, Json<ProductView>), ApiError> {
    if sku.len() > SKU_BYTES {
        return Err(ApiError::not_found());
    }
    let product = Product {
        sku,
        barcodes: body.barcodes,
        name_zh: body.name_zh,
        name_en: body.name_en,
        category: body.category,
        merchant: body.merchant,
        unit_price: body.unit_price,
        currency: body.currency,
        picture: body.picture,
        active: body.active,
        version: 0,
    };
    let (product, fresh) = store(&app, &operator, product, body.version, "products.write").await?;
    let status = if fresh { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(product.into())))
}

/// Stop selling a product.
///
/// It stays in the catalogue for what was sold, and can be sold again later.
#[utoipa::path(
    delete, path = "/v1/products/{sku}", tag = "products", operation_id = "delete_product", params(("sku" = String, Path, description = "Article number")),
    responses((status = 204, description = "It is no longer sold")),
    security(("operator" = ["admin", "operator"]))
)]
async fn delete(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(sku): Path<String>,
) -> Result<StatusCode, ApiError> {
    let before = one(&app, &operator, &sku).await?;
    let seen = before.version;
    let product = Product {
        active: false,
        ..before
    };
    store(&app, &operator, product, seen, "products.deactivate").await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Writes a product in a transaction of its own; whether it is new.
async fn store(
    app: &App,
    operator: &Operator,
    product: Product,
    seen: i64,
    action: &str,
) -> Result<(Product, bool), ApiError> {
    let sku = product.sku.clone();
    let mut lease = app.db.lease().await?;
    let (random, now) = (app.random.as_ref(), app.clock.now());
    let mut deed = Deed::new(lease.begin().await?, random, operator.actor(), now);
    let (product, fresh, changed) = match write(&mut deed, product, seen).await? {
        Written::Stands {
            product,
            fresh,
            changed,
        } => (product, fresh, changed),
        Written::ChangedMeanwhile { version } => {
            let detail = format!("it has version {version}");
            return Err(ApiError::detailed(Code::ChangedMeanwhile, detail));
        }
        Written::BarcodeTaken { barcode } => {
            let message = format!("{barcode} belongs to another product");
            return Err(refused("barcodes", "barcode_taken", &message));
        }
        Written::BarcodeIsSku { sku } => {
            let message = format!("{sku} is the sku of another product");
            return Err(refused("barcodes", "barcode_is_sku", &message));
        }
        Written::SkuIsBarcode => {
            return Err(refused(
                "sku",
                "sku_is_barcode",
                "this is the barcode of another product",
            ));
        }
        Written::Flawed(flaws) => {
            let mut fields = Fields::default();
            for flaw in flaws {
                fields.refuse(field(flaw), &word(flaw), flaw.to_string());
            }
            return Err(fields.done().err().unwrap_or_else(ApiError::internal));
        }
    };
    if changed {
        deed.audit(action, &sku).await?;
        let heads = deed.commit("products.store").await?;
        app.moved(operator.tenant, heads);
    }
    Ok((product, fresh))
}

fn refused(field: &str, code: &str, message: &str) -> ApiError {
    let mut fields = Fields::default();
    fields.refuse(field, code, message);
    fields.done().err().unwrap_or_else(ApiError::internal)
}

fn field(flaw: counterfoil_domain::products::Flaw) -> &'static str {
    use counterfoil_domain::products::Flaw;
    match flaw {
        Flaw::BadSku => "sku",
        Flaw::BadName => "name",
        Flaw::BadText => "category",
        Flaw::BadPrice => "unit_price",
        Flaw::BadCurrency => "currency",
        Flaw::BadBarcode | Flaw::BadCheckDigit | Flaw::RepeatedBarcode => "barcodes",
    }
}

/// The bytes of an XLSX file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only described; what comes is read as bytes")]
pub(crate) struct Spreadsheet(Vec<u8>);

/// How to read a file.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Reading {
    /// Encoding of the text: `utf-8`, `gb18030` or `windows-1252`, or another of their names. It goes before the
    /// `charset` of the content type. Without both, the likely one is taken, and `encoding` says which.
    pub(crate) charset: Option<String>,
}

/// The encoding that somebody names, beside the file or in its content type.
pub(crate) fn charset(reading: &Reading, headers: &HeaderMap) -> Result<Option<&'static Encoding>, Unread> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut parameters = kind.unwrap_or_default().split(';').skip(1);
    let said = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"'))
    });
    let named = reading.charset.as_deref().or(said);
    named.map(import::encoding::named).transpose()
}

/// Look a file of products through.
///
/// Comma, semicolon or tab separated, in UTF-8, GB18030 or Windows-1252, or the first visible sheet of an XLSX file; at
/// most 4 MiB and 20,000 products. The first row names the columns, of which only `sku` is always needed: `name_zh`,
/// `name_en`, `price` (as 12.50) or `unit_price` (minor units), `barcodes` (separated by spaces), `category`, `merchant`,
/// `currency`, `picture`, `active` (1 or 0). Of a product that is there, what has no column stays as it is, and an empty
/// field clears. A new product needs names and a price. Empty rows are passed over. What spreadsheets damage is refused
/// with its line; `warnings` are applied as they are. Nothing changes until the import is applied.
#[utoipa::path(
    post, path = "/v1/products/imports", tag = "products", operation_id = "preview_import", params(Reading),
    request_body(content(
        (String = "text/csv"),
        (Spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    )),
    responses((status = 201, description = "What the file would do", body = Preview)),
    security(("operator" = ["admin", "operator"]))
)]
async fn look_through(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(reading): Query<Reading>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Preview>), ApiError> {
    let body = body.map_err(did_not_come)?;
    let unread = |why: Unread| ApiError::detailed(Code::Malformed, why.to_string());
    let wanted = charset(&reading, &headers).map_err(unread)?;
    // Away from where others are answered, and where a file that no reader is ready for ends nothing else.
    let file = tokio::task::spawn_blocking(move || File::read(&body, wanted))
        .await
        .map_err(|_| ApiError::detailed(Code::Malformed, "the file does not read"))?
        .map_err(unread)?;
    let mut lease = app.db.lease().await?;
    let mut transaction = lease.begin().await?;
    let (name, now) = (operator.actor().name, app.clock.now());
    let random = app.random.as_ref();
    let preview = import::preview(&mut transaction, random, operator.tenant, &name, file, now).await?;
    transaction.commit("products.look_through").await?;
    Ok((StatusCode::CREATED, Json(preview)))
}

/// Apply an import.
///
/// Exactly what its preview said, all of it or nothing: `changed_meanwhile` when a product of it has changed since.
#[utoipa::path(
    post, path = "/v1/products/imports/{id}/apply", tag = "products", operation_id = "apply_import", params(("id" = Uuid, Path, description = "Of the preview")),
    request_body = Nothing,
    responses((status = 200, description = "What was done", body = Preview)),
    security(("operator" = ["admin", "operator"]))
)]
async fn apply(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<Uuid>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    let effect = async |deed: &mut Deed<'_>, Nothing {}| match import::apply(deed, id).await? {
        Applied::Done { preview } => {
            let detail = format!("{id}: {} new, {} changed", preview.new, preview.changed);
            deed.audit("products.import", &detail).await?;
            Ok((StatusCode::OK, preview))
        }
        Applied::Unknown => Err(ApiError::not_found()),
        Applied::Before => Err(ApiError::detailed(Code::StateConflict, "it was applied before")),
        Applied::Wrong => Err(ApiError::detailed(Code::StateConflict, "there are errors in it")),
        Applied::ChangedMeanwhile => Err(ApiError::new(Code::ChangedMeanwhile)),
    };
    asked.decide(&app, operator.actor(), effect).await
}
