//! What a text at the desk is: a code, a member, goods.

use counterfoil_counter::{Counter, MemberAnswer, Scanned, Subject};
use counterfoil_domain::products::Product;
use counterfoil_domain::scans::without_aim;
use counterfoil_scan::{self as scan, Format, classify};

use crate::problem::Result;
use crate::shell::Shell;
use crate::view::{Found, Source};

/// Goods that a name may mean; more would not be read.
const MOST_PRODUCTS: usize = 30;
/// Of a phone number; `classify` knows only those of mainland China.
const PHONE_DIGITS: usize = 11;
/// Fewer are nobody's number.
const LEAST_DIGITS: usize = 6;

/// What the form of a text says it is.
pub fn form_of(shell: &Shell, text: &str, source: Source) -> scan::Scanned {
    let source = match source {
        Source::Typed => scan::Source::Typed,
        Source::Pasted => scan::Source::Pasted,
        Source::Scanned => scan::Source::Scanned,
        // Eight digits may be a product or an order; the kind of symbol tells.
        Source::Camera => scan::Source::Symbol(shell.symbol_of(text).map_or(Format::QrCode, |symbol| symbol.format)),
    };
    classify(text, source)
}

/// The same, for what a coupon was scanned or typed as.
pub fn coupon_of(text: &str) -> Scanned {
    match classify(text, scan::Source::Pasted) {
        scan::Scanned::Coupon(code) => Scanned::CouponCode(code),
        scan::Scanned::Token(token) => Scanned::Token(token),
        _ => Scanned::Other(text.to_owned()),
    }
}

/// Finds it, wherever it is.
pub async fn find(counter: &Counter, form: scan::Scanned, source: Source) -> Result<Found> {
    match form {
        scan::Scanned::Coupon(code) => verdict(counter, Scanned::CouponCode(code)).await,
        scan::Scanned::Pickup(code) => {
            // A scanner does not say whether its eight digits were an EAN-8.
            let barcode = source == Source::Scanned && scan::is_gtin(&code);
            if barcode && let Some(product) = counter.product_by_barcode(&code).await? {
                return Ok(exactly(&product));
            }
            verdict(counter, Scanned::PickupCode(code)).await
        }
        scan::Scanned::Token(token) => {
            let scanned = Scanned::Token(token);
            let shown = counter.look_up(&scanned, None).await?;
            if matches!(shown.subject, Subject::Member { .. }) {
                return member(counter, scanned).await;
            }
            Ok((&shown).into())
        }
        scan::Scanned::Member(number) => somebody(counter, Scanned::MemberNumber(number)).await,
        scan::Scanned::Phone(phone) => somebody(counter, Scanned::Phone(phone)).await,
        scan::Scanned::Product(barcode) => match counter.product_by_barcode(&barcode).await? {
            Some(product) => Ok(exactly(&product)),
            // Of twelve digits one in ten has the check digit of a product by chance.
            None => digits(counter, barcode.strip_prefix('0').unwrap_or(&barcode)).await,
        },
        scan::Scanned::Unknown(text) => named(counter, text).await,
        scan::Scanned::Enrolment(text) => verdict(counter, Scanned::Other(text)).await,
    }
}

/// The product that a text is the barcode of. Nobody is looked for, so nothing counts as a guess.
pub async fn product_of(counter: &Counter, text: &str) -> Result<Option<Product>> {
    if let scan::Scanned::Product(barcode) = classify(text, scan::Source::Scanned)
        && let Some(product) = counter.product_by_barcode(&barcode).await?
    {
        return Ok(Some(product));
    }
    let (_, bare) = without_aim(text.trim());
    Ok(counter.product_by_barcode(bare).await?)
}

async fn verdict(counter: &Counter, scanned: Scanned) -> Result<Found> {
    Ok((&counter.look_up(&scanned, None).await?).into())
}

async fn member(counter: &Counter, scanned: Scanned) -> Result<Found> {
    Ok(match counter.find_member(&scanned).await? {
        MemberAnswer::Found(card) => Found::Member {
            card: Box::new(card.as_ref().into()),
        },
        MemberAnswer::Unknown(shown) => shown.as_ref().into(),
    })
}

/// A number that is nobody's is no unknown code: it was a person's number that was asked for.
async fn somebody(counter: &Counter, scanned: Scanned) -> Result<Found> {
    let mut found = member(counter, scanned).await?;
    if let Found::Verdict { verdict } = &mut found {
        for reason in &mut verdict.reasons {
            reason.code = match reason.code.as_str() {
                "unknown_code" => "unknown_member".to_owned(),
                "unknown_offline" => "unknown_member_offline".to_owned(),
                _ => continue,
            };
        }
    }
    Ok(found)
}

fn exactly(product: &Product) -> Found {
    Found::Products {
        products: vec![product.into()],
        exact: true,
    }
}

/// A member's number or phone number; whoever is not found by it is said to be unknown.
async fn digits(counter: &Counter, digits: &str) -> Result<Found> {
    let digits = digits.to_owned();
    let scanned = match digits.len() {
        PHONE_DIGITS => return somebody(counter, Scanned::Phone(digits)).await,
        _ => Scanned::MemberNumber(digits),
    };
    member(counter, scanned).await
}

async fn named(counter: &Counter, text: String) -> Result<Found> {
    let products = counter.find_products(&text, MOST_PRODUCTS).await?;
    match products.as_slice() {
        [] if text.len() >= LEAST_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits(counter, &text).await
        }
        [] => verdict(counter, Scanned::Other(text)).await,
        [one] if one.sku == text => Ok(exactly(one)),
        several => Ok(Found::Products {
            products: several.iter().map(Into::into).collect(),
            exact: false,
        }),
    }
}
