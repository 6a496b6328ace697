/**
 * Baskets and sales of the fake backend: just enough arithmetic to look at screens and to test them. Only whole
 * baskets, one coupon of each kind; how a quote is really made is domain::settlement's business.
 */

import { PRODUCTS } from './fake-data';
import type {
  AccountView,
  Basket,
  CouponView,
  QuotedCoupon,
  QuoteView,
  Reason,
  ReturnLine,
  ReturnPreview,
  SaleRow,
  SaleView,
} from './index';

const ORDER: CouponView['ruleKind'][] = ['threshold_off', 'percent_off', 'amount_off'];

function take(coupon: CouponView, left: number): number {
  const { rule } = coupon;
  switch (coupon.ruleKind) {
    case 'threshold_off':
      return left >= (rule.threshold ?? 0) ? Math.min(left, rule.amount ?? 0) : 0;
    case 'percent_off':
      return Math.min(Math.round((left * (rule.percentBp ?? 0)) / 10_000), rule.maxDiscount ?? left);
    default:
      return Math.min(left, rule.amount ?? 0);
  }
}

function alone(coupon: CouponView, subtotal: number, online: boolean): Reason[] {
  if (coupon.state !== 'available') return [{ code: coupon.state, params: {} }];
  if (!online && coupon.offline === 'onlineOnly') return [{ code: 'online_only', params: {} }];
  const short = (coupon.rule.threshold ?? 0) - subtotal;
  return short > 0 ? [{ code: 'below_threshold', params: { short_by: String(short) } }] : [];
}

/** What these take together, in the order in which they apply. */
function together(coupons: CouponView[], subtotal: number): Map<string, number> {
  let left = subtotal;
  const amounts = new Map<string, number>();
  for (const coupon of coupons.toSorted((a, b) => ORDER.indexOf(a.ruleKind) - ORDER.indexOf(b.ruleKind))) {
    const amount = take(coupon, left);
    if (amount > 0) amounts.set(coupon.id, amount);
    left -= amount;
  }
  return amounts;
}

const sum = (numbers: Iterable<number>) => [...numbers].reduce((total, one) => total + one, 0);

function subsets<T>(list: T[]): T[][] {
  return list.reduce<T[][]>((all, one) => [...all, ...all.map((some) => [...some, one])], [[]]);
}

/** Each point pays one minor unit; each whole unit of money that is paid otherwise earns one. */
export function quoteOf(
  basket: Basket,
  coupons: CouponView[],
  account: AccountView | null,
  online: boolean,
  ticket: string,
): QuoteView {
  const bought = basket.lines.flatMap((line) => {
    const product = PRODUCTS.find((one) => one.sku === line.sku);
    return product ? [{ product, list: product.unitPrice * line.quantity }] : [];
  });
  const subtotal = sum(bought.map(({ list }) => list));
  const { select } = basket;
  const asked = select ? coupons.filter((one) => select.includes(one.id)) : coupons;
  const possible = asked.filter((one) => alone(one, subtotal, online).length === 0);
  const fits = (some: CouponView[]) => new Set(some.map((one) => one.ruleKind)).size === some.length;
  const chosen = select
    ? possible.filter((one, at) => possible.findIndex((other) => other.ruleKind === one.ruleKind) === at)
    : subsets(possible)
        .filter(fits)
        .reduce((best, some) =>
          sum(together(some, subtotal).values()) > sum(together(best, subtotal).values()) ? some : best,
        );
  const amounts = together(chosen, subtotal);
  const quoted = asked.map((coupon): QuotedCoupon => {
    const applied = amounts.get(coupon.id) ?? null;
    const beside = chosen.filter((one) => one.id !== coupon.id && one.ruleKind === coupon.ruleKind);
    const against = alone(coupon, subtotal, online);
    const excluded = { code: 'excluded_by', params: { coupons: beside.map((one) => one.id).join(',') } };
    const rest = beside.length > 0 ? excluded : { code: 'not_better', params: {} };
    const refused = applied !== null ? [] : against.length > 0 ? against : [rest];
    return { coupon, applied, refused, decision: online ? 'honour' : 'honourOffline', reasons: [] };
  });
  const discount = sum(amounts.values());
  const most = Math.max(0, Math.min(online ? (account?.points.available ?? 0) : 0, subtotal - discount));
  const used = Math.min(basket.points, most);
  const payable = subtotal - discount - used;
  return {
    ticket,
    currency: 'CNY',
    subtotal,
    discount,
    points: account && { used, amount: used, most, decision: online ? 'honour' : 'unconfirmed', reasons: [] },
    payable,
    earns: account ? Math.floor(payable / 100) : 0,
    account: structuredClone(account),
    lines: bought.map(({ product, list }) => {
      const share = subtotal > 0 ? Math.round((discount * list) / subtotal) : 0;
      const points = subtotal > 0 ? Math.round((used * list) / subtotal) : 0;
      return { sku: product.sku, list, discount: share, points, net: list - share - points };
    }),
    coupons: quoted.toSorted((a, b) => Number(b.applied !== null) - Number(a.applied !== null)),
    unread: [],
    leftOut: 0,
  };
}

export function saleOf(row: SaleRow, basket: Basket, quote: QuoteView): SaleView {
  return {
    entry: row,
    lines: basket.lines.flatMap((line, at) => {
      const product = PRODUCTS.find((one) => one.sku === line.sku);
      if (!product) return [];
      const { sku, nameZh, nameEn, unitPrice } = product;
      const net = quote.lines[at]?.net ?? 0;
      return [{ line: at, sku, nameZh, nameEn, unitPrice, quantity: line.quantity, returned: 0, net }];
    }),
    coupons: quote.coupons.flatMap(({ coupon, applied }) =>
      applied === null ? [] : [{ coupon: coupon.id, title: coupon.nameZh, discount: applied, givenBack: false }],
    ),
  };
}

export function previewOf(sale: SaleView, wanted: ReturnLine[]): ReturnPreview {
  const paidBack = (net: number, units: number, quantity: number) => Math.floor((net * units) / quantity);
  const lines = wanted.flatMap(({ line, quantity }) => {
    const sold = sale.lines.find((one) => one.line === line);
    if (!sold) return [];
    const before = paidBack(sold.net, sold.returned, sold.quantity);
    const refund = paidBack(sold.net, sold.returned + quantity, sold.quantity) - before;
    return [{ line, quantity, refund }];
  });
  const back = sum(wanted.map((one) => one.quantity)) + sum(sale.lines.map((one) => one.returned));
  const all = back === sum(sale.lines.map((one) => one.quantity));
  const refund = sum(lines.map((one) => one.refund));
  return {
    refund,
    currency: 'CNY',
    lines,
    coupons: sale.coupons.map((one) => ({ ...one, givenBack: one.givenBack || all })),
    leftPaid: sale.entry.payable - sale.entry.refunded - refund,
    toBalance: Math.min(refund, sale.entry.account.balance - sale.entry.account.balanceBack),
    pointsBack: all ? sale.entry.account.points - sale.entry.account.pointsBack : 0,
    earnedBack: all ? sale.entry.account.earned - sale.entry.account.earnedBack : 0,
  };
}
