import CircleAlert from '@lucide/svelte/icons/circle-alert';
import CircleCheck from '@lucide/svelte/icons/circle-check';
import CloudUpload from '@lucide/svelte/icons/cloud-upload';
import ShieldAlert from '@lucide/svelte/icons/shield-alert';
import TriangleAlert from '@lucide/svelte/icons/triangle-alert';
import type { OperationKind, RowState } from '../../lib/backend';
import { m } from '../../paraglide/messages.js';

interface StateLook {
  label: () => string;
  icon: typeof CircleCheck;
  tone: string;
}

export const STATES: Record<RowState, StateLook> = {
  pending: { label: m.queue_state_pending, icon: CloudUpload, tone: 'bg-warn-soft text-warn' },
  conflictExpected: { label: m.queue_state_conflict, icon: TriangleAlert, tone: 'bg-warn-soft text-warn' },
  applied: { label: m.queue_state_applied, icon: CircleCheck, tone: 'bg-good-soft text-good' },
  exception: { label: m.queue_state_exception, icon: CircleAlert, tone: 'bg-bad-soft text-bad' },
  quarantined: { label: m.queue_state_quarantined, icon: ShieldAlert, tone: 'bg-bad-soft text-bad' },
};

export const FILTERS: { id: string; label: () => string }[] = [
  { id: 'all', label: m.queue_state_all },
  ...Object.entries(STATES).map(([id, { label }]) => ({ id, label })),
];

export const KINDS: Record<OperationKind, () => string> = {
  redeemCoupon: m.kind_redeem_coupon,
  collectOrder: m.kind_collect_order,
  voidRedemption: m.kind_void_redemption,
  settleSale: m.kind_settle_sale,
  returnSale: m.kind_return_sale,
  failedAttempt: m.kind_failed_attempt,
  topUp: m.kind_top_up,
};
