/** What is undone, in its own words: a pickup order has no coupons. */

import { m } from '../paraglide/messages.js';
import type { OperationKind } from './backend';

export type Undone = 'coupon' | 'order' | 'sale' | 'topUp';

export interface VoidWords {
  title: () => string;
  text: () => string;
  mistake: () => string;
  done: () => string;
}

export const VOID_WORDS: Record<Undone, VoidWords> = {
  coupon: { title: m.void_title, text: m.void_text, mistake: m.void_reason_mistake, done: m.void_done },
  order: {
    title: m.void_title_order,
    text: m.void_text_order,
    mistake: m.void_reason_mistake_order,
    done: m.void_done_order,
  },
  sale: {
    title: m.void_title_sale,
    text: m.void_text_sale,
    mistake: m.void_reason_mistake_sale,
    done: m.void_done_sale,
  },
  topUp: {
    title: m.void_title_topup,
    text: m.void_text_topup,
    mistake: m.void_reason_mistake_topup,
    done: m.void_done_topup,
  },
};

/** In whose words each operation is undone, if it can be. */
const ABOUT: Record<OperationKind, Undone> = {
  redeemCoupon: 'coupon',
  collectOrder: 'order',
  settleSale: 'sale',
  returnSale: 'sale',
  voidRedemption: 'coupon',
  failedAttempt: 'coupon',
  topUp: 'topUp',
};

export function undoneBy(kind: OperationKind): Undone {
  return ABOUT[kind];
}
