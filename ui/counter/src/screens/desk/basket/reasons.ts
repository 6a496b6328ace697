/** Why a coupon is not part of the quote, in the few words that fit beside it. */

import { count, money } from '@counterfoil/shared';
import type { Reason } from '../../../lib/backend';
import { locale } from '../../../lib/locale.svelte';
import { reasonSentence, type Place } from '../../../lib/sentences';
import { m } from '../../../paraglide/messages.js';

const SHORT: Record<string, () => string> = {
  not_owner: m.why_not_owner,
  not_started: m.why_not_started,
  expired: m.why_expired,
  frozen: m.why_frozen,
  redeemed: m.why_redeemed,
  store_not_allowed: m.why_store_not_allowed,
  no_line_in_scope: m.why_no_line_in_scope,
  nothing_left: m.why_nothing_left,
  not_better: m.why_not_better,
};

/** The contract's codes, which `messages.test.ts` knows of. */
export const QUOTE_CODES = [...Object.keys(SHORT), 'below_threshold', 'below_quantity', 'excluded_by'];

export interface Basket extends Place {
  currency: string;
  /** The name of a coupon, when it is on the screen. */
  nameOf: (id: string) => string | undefined;
}

export function whyNot(reason: Reason, basket: Basket): string {
  const { code, params } = reason;
  const shortBy = Number(params.short_by ?? 0);
  if (code === 'below_threshold') return m.why_below_threshold({ amount: money(shortBy, basket.currency, locale()) });
  if (code === 'below_quantity') return m.why_below_quantity({ count: shortBy, shown: count(shortBy, locale()) });
  if (code === 'excluded_by') return m.why_excluded_by({ coupons: others(params.coupons ?? '', basket) });
  return SHORT[code]?.() ?? reasonSentence(reason, basket);
}

function others(ids: string, { nameOf }: Basket): string {
  const names = ids.split(',').flatMap((id) => nameOf(id) ?? []);
  if (names.length === 0) return m.why_excluded_by_other();
  const quoted = names.map((name) => m.name_quoted({ name }));
  return new Intl.ListFormat(locale() === 'en' ? 'en-GB' : locale(), { type: 'conjunction' }).format(quoted);
}
