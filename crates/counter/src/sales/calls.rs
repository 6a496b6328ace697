//! What others call of sales.

use counterfoil_domain::{
    ids::{ClerkId, OperationId},
    sales::ReturnPolicy,
    settlement::returns::Units,
};

use super::{Language, ReturnPreview, SaleDetail, SaleEntry};
use crate::{error::Result, honour::Receipt, inner::Counter};

impl Counter {
    /// Sales of one business day of this store ("2026-11-22"; `None` = today), latest first.
    ///
    /// # Errors
    /// `not_enrolled`, `day_invalid`, and those of the database.
    pub async fn sales(&self, day: Option<&str>) -> Result<Vec<SaleEntry>> {
        super::of_day(&self.0, day).await
    }

    /// One sale of this store in full.
    ///
    /// # Errors
    /// `operation_not_returnable` when no such sale is known here, and those of the database.
    pub async fn sale(&self, operation: OperationId) -> Result<SaleDetail> {
        super::detail(&self.0, operation).await
    }

    /// What would come back for these units of a sale? Changes nothing.
    ///
    /// # Errors
    /// `operation_not_returnable`, `return_invalid`, and those of the database.
    pub async fn return_preview(
        &self,
        sale: OperationId,
        units: &[Units],
        policy: ReturnPolicy,
    ) -> Result<ReturnPreview> {
        super::preview(&self.0, sale, units, policy).await
    }

    /// Takes units of a sale back, with a manager's PIN and a reason, for the `refund` that the preview said.
    ///
    /// # Errors
    /// `ticket_stale` when the refund would be another one by now, `reason_missing`, `not_allowed`, those of
    /// [`Counter::return_preview`] and [`Counter::sign_in`].
    #[expect(clippy::too_many_arguments, reason = "what a manager approves, word by word")]
    pub async fn return_sale(
        &self,
        sale: OperationId,
        units: &[Units],
        policy: ReturnPolicy,
        refund: i64,
        reason: &str,
        manager: ClerkId,
        pin: &str,
    ) -> Result<Receipt> {
        let approval = super::Approval { reason, manager, pin };
        super::take_back(&self.0, sale, units, policy, refund, approval).await
    }

    /// The slip of a sale, a return or a void of a sale, as PDF.
    ///
    /// # Errors
    /// `slip_unavailable`, `font_missing` with what to install, and those of the database.
    pub async fn slip(&self, operation: OperationId, language: Language) -> Result<Vec<u8>> {
        super::slip(&self.0, operation, language).await
    }
}
