/** A coupon's rule in one line, amounts by locale. */

import { decimal, money, percent } from '@counterfoil/shared';
import { locale, named } from '@counterfoil/shared/words';
import type { CouponView, ProductView } from '../../lib/backend';
import { m } from '../../paraglide/messages.js';

const WHOLE = 10_000;

/** `productOf` knows goods by their sku; one that isn't known here is named by it. */
export function ruleLine(coupon: CouponView, productOf: (sku: string) => ProductView | null): string | null {
  const { rule, currency } = coupon;
  const cash = (minor: number | null) => money(minor ?? 0, currency, locale(), true);
  switch (coupon.ruleKind) {
    case 'threshold_off':
      return m.rule_threshold_off({ amount: cash(rule.amount), threshold: cash(rule.threshold) });
    case 'every_off': {
      const line = m.rule_every_off({ amount: cash(rule.amount), threshold: cash(rule.threshold) });
      return rule.maxTimes === null ? line : joined(line, m.rule_at_most_times({ times: rule.maxTimes }));
    }
    case 'percent_off': {
      const share = rule.percentBp ?? 0;
      const words = {
        percent: percent(share / WHOLE, locale(), 2),
        // zh-CN names what is left to pay, in tenths: 15 % off is 8.5 折.
        tenths: decimal((WHOLE - share) / 1000, locale()),
      };
      const line = rule.threshold
        ? m.rule_percent_off_threshold({ ...words, threshold: cash(rule.threshold) })
        : m.rule_percent_off(words);
      return rule.maxDiscount === null ? line : joined(line, m.rule_at_most({ amount: cash(rule.maxDiscount) }));
    }
    case 'amount_off':
      return m.rule_amount_off({ amount: cash(rule.amount) });
    case 'item_voucher': {
      const sku = rule.sku ?? '';
      const found = productOf(sku);
      const product = found ? named(found) : m.product_of_sku({ sku });
      return m.rule_item_voucher({ product, quantity: rule.quantity ?? 1 });
    }
    case null:
      return null;
  }
}

function joined(first: string, second: string): string {
  return locale() === 'zh-CN' ? `${first}，${second}` : `${first}, ${second}`;
}
