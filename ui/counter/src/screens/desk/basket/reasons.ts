/** Why a coupon is not part of the quote, in the few words that fit beside it. */

import { count, money } from '@counterfoil/shared';
import { locale, type Place, reasonSentence } from '@counterfoil/shared/words';
import type { QUOTE_REASON_CODES, Reason } from '../../../lib/backend';
import { m } from '../../../paraglide/messages.js';

export interface Basket extends Place {
  currency: string;
  /** The name of a coupon, when it is on the screen. */
  nameOf: (id: string) => string | undefined;
}

type Words = (params: Reason['params'], basket: Basket) => string;

const SHORT: Record<(typeof QUOTE_REASON_CODES)[number], Words> = {
  not_owner: () => m.why_not_owner(),
  not_started: () => m.why_not_started(),
  expired: () => m.why_expired(),
  frozen: () => m.why_frozen(),
  redeemed: () => m.why_redeemed(),
  store_not_allowed: () => m.why_store_not_allowed(),
  no_line_in_scope: () => m.why_no_line_in_scope(),
  nothing_left: () => m.why_nothing_left(),
  not_better: () => m.why_not_better(),
  below_threshold: ({ short_by }, { currency }) =>
    m.why_below_threshold({ amount: money(Number(short_by ?? 0), currency, locale()) }),
  below_quantity: ({ short_by }) => {
    const units = Number(short_by ?? 0);
    return m.why_below_quantity({ count: units, shown: count(units, locale()) });
  },
  excluded_by: ({ coupons }, basket) => m.why_excluded_by({ coupons: others(coupons ?? '', basket) }),
};

/** What the counter says of the coupon by itself has a whole sentence. */
export function whyNot(reason: Reason, basket: Basket): string {
  const words = Object.hasOwn(SHORT, reason.code) ? SHORT[reason.code as keyof typeof SHORT] : null;
  return words ? words(reason.params, basket) : reasonSentence(reason, basket);
}

function others(ids: string, { nameOf }: Basket): string {
  const names = ids.split(',').flatMap((id) => nameOf(id) ?? []);
  if (names.length === 0) return m.why_excluded_by_other();
  const quoted = names.map((name) => m.name_quoted({ name }));
  return new Intl.ListFormat(locale() === 'en' ? 'en-GB' : locale(), { type: 'conjunction' }).format(quoted);
}
