//! What is asked to be sent: checked, and made.

use counterfoil_domain::{
    ids::{ParcelId, ShipmentId},
    typed,
};

use super::{
    Address, LINES, LONG_CHARACTERS, QUANTITY, SHORT_CHARACTERS, SOURCE_CHARACTERS, ShipLine, ShipRequest, rows,
};
use crate::{
    db::DbError,
    deed::Deed,
    http::{ApiError, Fields},
};

/// Shortest and longest phone number.
const PHONE_CHARACTERS: std::ops::RangeInclusive<usize> = 5..=32;

/// Brings an address to its one form, and notes what is not acceptable about it.
pub(super) fn check_address(fields: &mut Fields, prefix: &str, address: &mut Address) {
    address.phone = typed::phone(&address.phone);
    let named = |name: &str| format!("{prefix}{name}");
    fields.text(&named("recipient"), &address.recipient, SHORT_CHARACTERS);
    fields.text(&named("region"), &address.region, SHORT_CHARACTERS);
    fields.text(&named("street"), &address.street, LONG_CHARACTERS);
    let is_phone = PHONE_CHARACTERS.contains(&address.phone.chars().count())
        && address
            .phone
            .chars()
            .all(|letter| letter.is_ascii_digit() || matches!(letter, '+' | '-' | ' ' | '(' | ')'));
    fields.check(
        is_phone,
        &named("phone"),
        "malformed",
        "5 to 32 digits, +, -, brackets and blanks",
    );
}

/// An address in its one form.
///
/// # Errors
/// `invalid`, with everything that is not acceptable.
pub(super) fn checked(mut address: Address) -> Result<Address, ApiError> {
    let mut fields = Fields::default();
    check_address(&mut fields, "", &mut address);
    fields.done()?;
    Ok(address)
}

/// Brings a request to its one form, and notes what is not acceptable about it.
pub(super) fn check(fields: &mut Fields, request: &mut ShipRequest) {
    fields.text("source", &request.source, SOURCE_CHARACTERS);
    fields.check(
        (1..=LINES).contains(&request.lines.len()),
        "lines",
        "out_of_range",
        "from 1 to 200 lines",
    );
    for (place, line) in request.lines.iter().take(LINES).enumerate() {
        let ShipLine { sku, name, quantity } = line;
        fields.text(&format!("lines[{place}].sku"), sku, SHORT_CHARACTERS);
        fields.text(&format!("lines[{place}].name"), name, LONG_CHARACTERS);
        fields.range(&format!("lines[{place}].quantity"), *quantity, 1..=QUANTITY);
    }
    check_address(fields, "address.", &mut request.address);
}

/// Makes requests, each with its first parcel and the errand of its waybill. Where there is one of the same source already,
/// it stays as it is. Who made which stands in the audit log.
///
/// # Errors
/// The database's.
pub async fn create(deed: &mut Deed<'_>, requests: &[ShipRequest]) -> Result<(), DbError> {
    let (tenant, now) = (deed.tenant(), deed.now());
    let new: Vec<rows::New<'_>> = requests
        .iter()
        .map(|request| {
            let place = request.member.map(|member| member.place()).unwrap_or_default();
            Ok(rows::New {
                id: ShipmentId::placed(place, now, deed.fresh()?),
                parcel: ParcelId::placed(place, now, deed.fresh()?),
                request,
            })
        })
        .collect::<Result<_, DbError>>()?;
    let made = rows::insert_shipments(deed, tenant, &new, now).await?;
    let made = new.iter().filter(|new| made.contains(&new.id));
    let lines: Vec<(&str, String)> = made.map(|new| ("shipment.made", new.request.key())).collect();
    deed.audit_all(&lines).await
}
