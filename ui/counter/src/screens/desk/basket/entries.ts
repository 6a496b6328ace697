/** The words of a statement's lines. */

import type { ReasonWord, StatementLineView } from '../../../lib/backend';
import { m } from '../../../paraglide/messages.js';

const REASONS: Record<ReasonWord, () => string> = {
  purchase: m.entry_purchase,
  review: m.entry_review,
  gift: m.entry_gift,
  topUp: m.entry_top_up,
  adjustment: m.entry_adjustment,
  opening: m.entry_opening,
  exchange: m.entry_exchange,
  returned: m.entry_returned,
  voided: m.entry_voided,
  cancelled: m.entry_cancelled,
  lapsed: m.entry_lapsed,
  ended: m.entry_ended,
  debtSettled: m.entry_debt_settled,
  merged: m.entry_merged,
  notShipped: m.entry_not_shipped,
};

/** Why, as a person says it. */
export function entryWords(line: StatementLineView): string {
  if (line.kind === 'hold') return m.entry_held();
  if (line.reason === null) return m.statement_other();
  const paid = line.kind === 'spend' || line.kind === 'capture';
  return line.reason === 'purchase' && paid ? m.entry_purchase_spent() : REASONS[line.reason]();
}
