import type { CouponView } from '../../lib/backend';
import { m } from '../../paraglide/messages.js';

/** The states of a coupon, in words. */
export const STATES: Record<CouponView['state'], () => string> = {
  available: m.coupon_available,
  frozen: m.coupon_frozen,
  redeemed: m.coupon_redeemed,
  expired: m.coupon_expired,
};
