import { showLocale } from '@counterfoil/shared/words';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { FakeBackend } from '../../../lib/backend/fake';
import { QUOTE_CODES } from '../../../lib/codes';
import { Desk } from '../desk.svelte';
import { whyNot } from './reasons';

const SHAMPOO = '6901234500016';
const CONDITIONER = '6901234500023';
const MEMBER = '60001288';
const THRESHOLD = '260411000000012345';
const PICKUP = '40718826';

let backend: FakeBackend;
let desk: Desk;

beforeEach(() => {
  showLocale('en');
  backend = new FakeBackend();
  backend.start({ phase: 'desk' });
  desk = new Desk(backend);
});

const scan = (text: string) => desk.lookUp(text, 'scanned');
const settled = () => vi.waitFor(() => expect(desk.sale.quoting).toBe(false));

/** 2 x 10.88 + 5 x 20.88, the contract's example. */
async function fill() {
  await scan(MEMBER);
  for (const code of [SHAMPOO, SHAMPOO, ...Array<string>(5).fill(CONDITIONER)]) await scan(code);
  await settled();
}

describe('the basket', () => {
  it('adds a scanned barcode at once, and one more at the next scan', async () => {
    await scan(SHAMPOO);
    await scan(CONDITIONER);
    await scan(SHAMPOO);
    expect(desk.sale.lines.map(({ product, quantity }) => [product.sku, quantity])).toEqual([
      ['A-100', 2],
      ['A-110', 1],
    ]);
    expect(desk.view.kind).toBe('idle');
    expect(desk.showsSale).toBe(true);
  });

  it('loses no scan, however slow the answers are', async () => {
    backend.delay = 5;
    await Promise.all([scan(SHAMPOO), scan(CONDITIONER), scan(SHAMPOO)]);
    expect(desk.sale.items).toBe(3);
  });

  it('takes nothing from before it was emptied', async () => {
    backend.delay = 5;
    const late = scan(SHAMPOO);
    desk.empty();
    await late;
    expect(desk.sale.lines).toEqual([]);
  });

  it('lets a name be chosen from a list, by the arrows and Enter', async () => {
    desk.text = 'amino';
    await desk.enter();
    expect(desk.view).toMatchObject({ kind: 'products', chosen: 0 });
    desk.move(1);
    await desk.enter();
    expect(desk.sale.lines.map(({ product }) => product.sku)).toEqual(['A-110']);
  });

  it('changes and removes lines, and quotes each time', async () => {
    const quote = vi.spyOn(backend, 'quote');
    await scan(SHAMPOO);
    desk.sale.change(0, 1);
    expect(desk.sale.items).toBe(2);
    desk.sale.change(0, -2);
    expect(desk.sale.lines).toEqual([]);
    expect(desk.sale.quote).toBeNull();
    expect(quote).toHaveBeenCalledTimes(2);
  });

  it('is emptied by the second Esc, after what stands before it', async () => {
    await scan(SHAMPOO);
    await scan('garbage');
    expect(desk.view.kind).toBe('verdict');
    desk.escape();
    expect(desk.view.kind).toBe('idle');
    desk.escape();
    expect(desk.sale.lines).toHaveLength(1);
    desk.escape();
    expect(desk.sale.active).toBe(false);
  });

  it('waits while a pickup is decided', async () => {
    await scan(SHAMPOO);
    await scan(PICKUP);
    expect(desk.showsSale).toBe(false);
    await desk.confirm();
    expect(desk.view.kind).toBe('done');
    await desk.enter();
    expect(desk.showsSale).toBe(true);
    expect(desk.sale.items).toBe(1);
  });
});

describe('coupons', () => {
  it('are chosen for the best price', async () => {
    await fill();
    expect(desk.sale.quote).toMatchObject({ subtotal: 12616, discount: 2892, payable: 9724 });
    expect(desk.sale.given).toBeNull();
    const threshold = desk.sale.quoted(THRESHOLD);
    expect(threshold?.refused).toEqual([{ code: 'below_threshold', params: { short_by: '7284' } }]);
  });

  it('can be chosen by hand and given back to the best', async () => {
    await fill();
    const [first] = desk.sale.applied;
    const id = first?.coupon.id ?? '';
    desk.sale.toggle(id);
    await settled();
    expect(desk.sale.isTicked(id)).toBe(false);
    expect(desk.sale.applied).toHaveLength(1);
    desk.sale.best();
    await settled();
    expect(desk.sale.applied).toHaveLength(2);
  });

  it('shown by themselves join the basket when goods follow', async () => {
    await scan(THRESHOLD);
    expect(desk.view.kind).toBe('verdict');
    await scan(SHAMPOO);
    await settled();
    expect(desk.sale.others.map(({ code }) => code)).toEqual([THRESHOLD]);
    desk.sale.dropCoupon(THRESHOLD);
    expect(desk.sale.others).toEqual([]);
  });

  it('are kept until the member is another one', async () => {
    await fill();
    desk.sale.toggle(desk.sale.applied[0]?.coupon.id ?? '');
    desk.sale.setMember(null);
    expect(desk.sale.given).toBeNull();
  });
});

describe('the account', () => {
  it('pays with points, as many as may, and says what is earned', async () => {
    await fill();
    const before = desk.sale.quote?.payable ?? 0;
    expect(desk.sale.quote?.points?.most).toBe(1250);
    desk.sale.usePoints(9_999);
    await settled();
    expect(desk.sale.quote?.points).toMatchObject({ used: 1250, amount: 1250 });
    expect(desk.sale.quote?.payable).toBe(before - 1250);
    expect(desk.sale.quote?.earns).toBe(Math.floor((before - 1250) / 100));
    for (const nonsense of [Number.NaN, -5, 0.5]) {
      desk.sale.usePoints(nonsense);
      await settled();
      expect(desk.sale.quote?.points?.used).toBe(0);
    }
  });

  it('is forgotten with its member', async () => {
    await fill();
    desk.sale.usePoints(100);
    desk.sale.useBalance(true);
    desk.sale.setMember(null);
    await settled();
    expect([desk.sale.points, desk.sale.balance, desk.sale.quote?.points]).toEqual([0, 0, null]);
  });

  it('is held before the money is taken, anew when something changes, and given back', async () => {
    await fill();
    await desk.sale.openPayment();
    const first = desk.sale.quote?.ticket;
    expect(backend.opened).toEqual([{ ticket: first, balance: 0 }]);
    expect(desk.sale.payment?.till).toBe(desk.sale.quote?.payable);
    // Once is enough.
    await desk.sale.openPayment();
    expect(backend.opened).toHaveLength(1);
    desk.sale.useBalance(true);
    expect(desk.sale.payment).toBeNull();
    await desk.sale.openPayment();
    expect(backend.opened[1]).toEqual({ ticket: first, balance: 5000 });
    expect(desk.sale.payment?.till).toBe((desk.sale.quote?.payable ?? 0) - 5000);
    await scan(SHAMPOO);
    await settled();
    expect(backend.closed).toEqual([first]);
    expect(desk.sale.payment).toBeNull();
    await desk.sale.openPayment();
    desk.empty();
    expect(backend.closed).toHaveLength(2);
  });

  it('is asked for anew when its time is up', async () => {
    vi.useFakeTimers();
    try {
      await fill();
      await desk.sale.openPayment();
      await vi.advanceTimersByTimeAsync(240_000);
      expect(backend.opened).toHaveLength(2);
      expect(desk.sale.payment).not.toBeNull();
    } finally {
      vi.useRealTimers();
    }
  });

  it('asks nobody where nothing is to be held', async () => {
    await scan(SHAMPOO);
    await settled();
    await desk.sale.openPayment();
    expect(backend.opened).toEqual([]);
    expect(desk.sale.canSettle).toBe(true);
  });

  it('says why it can not be paid for, and quotes anew', async () => {
    await fill();
    const refusal = {
      decision: 'refuse' as const,
      coupons: [],
      points: [{ code: 'points_short', params: { available: '3' } }],
      balance: [],
    };
    vi.spyOn(backend, 'openPayment').mockResolvedValueOnce({ status: 'ok', data: { kind: 'refused', refusal } });
    await desk.sale.openPayment();
    expect(desk.sale.refused?.points[0]?.code).toBe('points_short');
    expect([desk.sale.payment, desk.sale.canOpen]).toEqual([null, false]);
    desk.sale.usePoints(1);
    await settled();
    expect(desk.sale.refused).toBeNull();
  });

  it('pays a part, and the sale says so', async () => {
    const settle = vi.spyOn(backend, 'settle');
    await fill();
    desk.sale.usePoints(250);
    await settled();
    desk.sale.useBalance(true);
    desk.sale.receiptNumber = 'R-9';
    await desk.settle();
    expect(settle.mock.calls[0]?.slice(1)).toEqual(['cash', 'R-9', 5000]);
    expect(desk.view).toMatchObject({ kind: 'sold', sold: { balance: 5000, quote: { points: { used: 250 } } } });
    expect(await backend.sales()).toMatchObject({ data: [{ account: { points: 250, balance: 5000 } }] });
    // Of what is sold nothing is given back.
    expect(backend.closed).toEqual([]);
  });
});

describe('settling', () => {
  it('waits for the receipt number, then records once', async () => {
    const settle = vi.spyOn(backend, 'settle');
    await fill();
    const later = Date.now() + 1000;
    expect(await desk.enter(later)).toBe(true);
    desk.sale.receiptNumber = ' R-1 ';
    await Promise.all([desk.enter(later), desk.enter(later)]);
    expect(settle).toHaveBeenCalledTimes(1);
    expect(settle.mock.calls[0]?.slice(1)).toEqual(['cash', 'R-1', 0]);
    expect(desk.view).toMatchObject({ kind: 'sold', sold: { items: 7, receipt: { delivery: 'confirmed' } } });
    expect(desk.sale.active).toBe(false);
    await desk.enter(later);
    expect(desk.view.kind).toBe('idle');
  });

  it('is not set off by the Enter of a scan', async () => {
    await fill();
    desk.sale.receiptNumber = 'R-1';
    expect(await desk.enter()).toBe(false);
    expect(desk.view.kind).toBe('idle');
  });

  it('holds scans that come meanwhile for the next customer', async () => {
    await fill();
    const settling = desk.settle();
    await scan(SHAMPOO);
    await scan(CONDITIONER);
    expect(desk.held).toEqual([SHAMPOO, CONDITIONER]);
    await settling;
    expect(desk.sale.items).toBe(2);
    expect(desk.sale.member).toBeNull();
  });

  it('keeps the basket when a coupon was used elsewhere, and quotes anew', async () => {
    await fill();
    const gone = desk.sale.applied[0]?.coupon.id ?? '';
    vi.spyOn(backend, 'settle').mockResolvedValueOnce({
      status: 'ok',
      data: {
        kind: 'refused',
        refusal: {
          decision: 'refuse',
          coupons: [{ coupon: gone, title: 'x', reasons: [{ code: 'redeemed', params: {} }] }],
          points: [],
          balance: [],
        },
      },
    });
    const quote = vi.spyOn(backend, 'quote');
    await desk.settle();
    expect(desk.sale.refused?.coupons).toHaveLength(1);
    expect(desk.sale.items).toBe(7);
    expect(quote).toHaveBeenCalledTimes(1);
    expect(desk.sale.canSettle).toBe(true);
  });

  it('asks again after a stale quote, and says why', async () => {
    await fill();
    vi.spyOn(backend, 'settle').mockResolvedValueOnce({
      status: 'error',
      error: { code: 'ticket_stale', params: {}, detail: '' },
    });
    await desk.settle();
    expect(desk.sale.problem?.code).toBe('ticket_stale');
    expect(desk.sale.canSettle).toBe(true);
  });
});

describe.each(['en', 'zh-CN'] as const)('why not, in %s', (locale) => {
  beforeEach(() => showLocale(locale));

  const basket = { currency: 'CNY', nameOf: (id: string) => ({ b: 'Spring', c: 'Summer' })[id] };

  it.each(QUOTE_CODES)('%s', (code) => {
    const text = whyNot({ code, params: { short_by: '1200', coupons: 'b' } }, basket);
    expect(text).not.toMatch(/undefined|NaN|\{|\}/);
    // What has no words of its own names its code in brackets.
    expect(text).not.toContain(`${code})`);
    expect(text).not.toContain(`${code}）`);
  });

  it('names amounts, units and coupons', () => {
    const short = (code: string, short_by: string) => whyNot({ code, params: { short_by } }, basket);
    const beside = (coupons: string) => whyNot({ code: 'excluded_by', params: { coupons } }, basket);
    if (locale === 'en') {
      expect(short('below_threshold', '1200')).toBe('¥12.00 more');
      expect(short('below_quantity', '1')).toBe('1 more item');
      expect(beside('b')).toBe('not beside “Spring”');
      expect(beside('b,c')).toBe('not beside “Spring” and “Summer”');
      expect(beside('gone')).toBe('not beside another coupon');
    } else {
      expect(short('below_threshold', '1200')).toBe('还差 ¥12.00');
      expect(short('below_quantity', '1')).toBe('还差 1 件');
      expect(beside('b')).toBe('不能与「Spring」同用');
    }
  });
});
