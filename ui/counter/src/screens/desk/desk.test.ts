import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { ProductView, Verdict } from '../../lib/backend';
import { FakeBackend } from '../../lib/backend/fake';
import { PRODUCTS } from '../../lib/backend/fake-data';
import { Desk, PICTURE_LIMIT } from './desk.svelte';

const COUPON = '260411000000012345';
const EXPIRED = '260411000000034569';
const PICKUP = '40718826';

let backend: FakeBackend;
let desk: Desk;

beforeEach(() => {
  backend = new FakeBackend();
  desk = new Desk(backend);
});

/** Lets a test decide when the backend answers. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

describe('looking up', () => {
  it('shows a verdict', async () => {
    await desk.lookUp(` ${COUPON} `, 'typed');
    expect(desk.view).toMatchObject({ kind: 'verdict', verdict: { decision: 'honour', action: 'redeem' } });
    expect(backend.lookUps).toEqual([{ text: COUPON, source: 'typed' }]);
  });

  it('asks nothing for nothing', async () => {
    await desk.lookUp('   ', 'pasted');
    expect(desk.view.kind).toBe('idle');
    expect(backend.lookUps).toEqual([]);
  });

  it('drops an answer that is overtaken by a later question', async () => {
    const { open, opened } = gate();
    const real = backend.lookUp.bind(backend);
    vi.spyOn(backend, 'lookUp').mockImplementation(async (text, source) => {
      if (text === COUPON) await opened;
      return real(text, source);
    });
    const first = desk.lookUp(COUPON, 'scanned');
    await desk.lookUp(PICKUP, 'scanned');
    open();
    await first;
    expect(desk.view).toMatchObject({ kind: 'verdict', text: PICKUP });
  });

  it('drops an answer that comes after Esc', async () => {
    const pending = desk.lookUp(COUPON, 'typed');
    desk.clear();
    await pending;
    expect(desk.view.kind).toBe('idle');
  });
});

describe('two scans of the same product', () => {
  it('are two, also when the second comes before the answer to the first', async () => {
    await Promise.all([desk.lookUp('6901234500016', 'scanned'), desk.lookUp('6901234500016', 'scanned')]);
    await desk.lookUp('6901234500016', 'scanned');
    expect(desk.sale.items).toBe(3);
  });
});

describe('a choice of products', () => {
  const product = (sku: string): ProductView => ({
    sku,
    barcode: null,
    nameZh: sku,
    nameEn: sku,
    unitPrice: 100,
    currency: 'CNY',
  });
  const one = product('S-1');
  const two = product('S-2');

  /** `two`, `also` have to be chosen from; anything else is what the fake knows. */
  function ambiguous(opened: Promise<void> = Promise.resolve()) {
    const real = backend.lookUp.bind(backend);
    vi.spyOn(backend, 'lookUp').mockImplementation(async (text, source) => {
      if (text !== 'two' && text !== 'also') return real(text, source);
      if (text === 'two') await opened;
      return { status: 'ok', data: { kind: 'products', products: [one, two], exact: false } };
    });
  }

  it('is not replaced by the next scan, which is looked up afterwards', async () => {
    ambiguous();
    await desk.lookUp('two', 'scanned');
    await desk.lookUp('6901234500016', 'scanned');
    await desk.lookUp('also', 'camera');
    expect(desk.view).toMatchObject({ kind: 'products', text: 'two' });
    expect(desk.held).toEqual(['6901234500016', 'also']);
    await desk.choose(two);
    expect(desk.sale.items).toBe(2);
    expect(desk.view).toMatchObject({ kind: 'products', text: 'also' });
    expect(desk.held).toEqual([]);
  });

  it('is not lost to a scan that was faster than its answer', async () => {
    const { open, opened } = gate();
    ambiguous(opened);
    const first = desk.lookUp('two', 'scanned');
    await desk.lookUp('6901234500016', 'scanned');
    open();
    await first;
    expect(desk.sale.items).toBe(1);
    expect(desk.view).toMatchObject({ kind: 'products', text: 'two' });
  });

  it('gives way to what somebody types, and to Esc', async () => {
    ambiguous();
    await desk.lookUp('two', 'scanned');
    await desk.lookUp('6901234500016', 'typed');
    expect(desk.view.kind).toBe('idle');
    await desk.lookUp('two', 'scanned');
    await desk.lookUp(COUPON, 'scanned');
    desk.escape();
    await vi.waitFor(() => expect(desk.held).toEqual([]));
    await vi.waitFor(() => expect(desk.view.kind).not.toBe('looking'));
    expect(desk.sale.items).toBe(1);
    expect(backend.lookUps.at(-1)).toEqual({ text: COUPON, source: 'scanned' });
  });

  it('is not made by the second end of a scan', async () => {
    ambiguous();
    await desk.lookUp('two', 'scanned');
    await desk.enter();
    expect(desk.view.kind).toBe('products');
    await desk.enter(Date.now() + 1000);
    expect(desk.sale.items).toBe(1);
  });
});

describe('confirming', () => {
  it('acts once on what is shown', async () => {
    await desk.lookUp(COUPON, 'typed');
    const confirm = vi.spyOn(backend, 'confirm');
    const pressed = desk.confirm();
    expect(desk.canConfirm).toBe(false);
    await Promise.all([pressed, desk.confirm()]);
    expect(confirm).toHaveBeenCalledTimes(1);
    expect(desk.view).toMatchObject({ kind: 'done', receipt: { delivery: 'confirmed' } });
    expect(desk.recent).toHaveLength(1);
  });

  it('says that it is still to be delivered while offline', async () => {
    backend.setOnline(false);
    await desk.lookUp(COUPON, 'typed');
    expect(desk.view).toMatchObject({ verdict: { decision: 'honourOffline' } });
    await desk.confirm();
    expect(desk.view).toMatchObject({ kind: 'done', receipt: { delivery: 'toBeDelivered' } });
  });

  it('does nothing with a refusal', async () => {
    await desk.lookUp(EXPIRED, 'typed');
    await desk.confirm();
    expect(desk.view).toMatchObject({ kind: 'verdict', verdict: { decision: 'refuse' } });
  });

  it('keeps the verdict when the answer is a problem', async () => {
    await desk.lookUp(COUPON, 'typed');
    vi.spyOn(backend, 'confirm').mockResolvedValueOnce({
      status: 'error',
      error: { code: 'busy', params: {}, detail: '' },
    });
    await desk.confirm();
    expect(desk.confirmProblem?.code).toBe('busy');
    expect(desk.canConfirm).toBe(true);
    await desk.confirm();
    expect(desk.view.kind).toBe('done');
  });

  it('does not offer a stale verdict again', async () => {
    await desk.lookUp(COUPON, 'typed');
    vi.spyOn(backend, 'confirm').mockResolvedValueOnce({
      status: 'error',
      error: { code: 'ticket_stale', params: {}, detail: '' },
    });
    await desk.confirm();
    expect(desk.canConfirm).toBe(false);
  });

  it('shows the new verdict when head office refuses', async () => {
    await desk.lookUp(COUPON, 'typed');
    const verdict: Verdict = {
      ticket: null,
      decision: 'refuse',
      subject: { kind: 'unknown', text: COUPON },
      reasons: [{ code: 'redeemed', params: {} }],
      action: null,
      shownAt: 0,
    };
    vi.spyOn(backend, 'confirm').mockResolvedValueOnce({ status: 'ok', data: { kind: 'refused', verdict } });
    await desk.confirm();
    expect(desk.view).toMatchObject({ kind: 'verdict', verdict: { decision: 'refuse' } });
  });

  it('holds a scan that comes meanwhile, and looks it up next', async () => {
    await desk.lookUp(COUPON, 'typed');
    const pressed = desk.confirm();
    await desk.lookUp(PICKUP, 'scanned');
    expect(desk.held).toEqual([PICKUP]);
    await pressed;
    expect(desk.view).toMatchObject({ kind: 'verdict', text: PICKUP });
    expect(desk.recent).toHaveLength(1);
  });
});

describe('Enter', () => {
  it('looks up, confirms, makes room', async () => {
    desk.text = COUPON;
    await desk.enter();
    expect(desk.view.kind).toBe('verdict');
    await desk.enter();
    expect(desk.view.kind).toBe('done');
    await desk.enter();
    expect(desk.view.kind).toBe('idle');
  });

  it('does not confirm a scan before anybody can have read it', async () => {
    await desk.lookUp(COUPON, 'scanned');
    await desk.enter();
    expect(desk.view.kind).toBe('verdict');
    await desk.enter(Date.now() + 1000);
    expect(desk.view.kind).toBe('done');
  });
});

describe('pictures', () => {
  it('are read and looked up', async () => {
    await desk.readPicture(new Blob(['picture']));
    expect(backend.lookUps).toEqual([{ text: PICKUP, source: 'camera' }]);
    expect(desk.view).toMatchObject({ kind: 'verdict', verdict: { action: 'collect' } });
  });

  it('with a product and an order show both', async () => {
    const [product] = PRODUCTS;
    backend.pictureTexts = [
      { text: PICKUP, format: 'QRCode' },
      { text: product?.barcode ?? '', format: 'EAN13' },
    ];
    await desk.readPicture(new Blob(['picture']));
    expect(desk.view).toMatchObject({ kind: 'verdict', verdict: { action: 'collect' } });
    expect(desk.sale.lines.map((line) => line.product.sku)).toEqual([product?.sku]);
  });

  it('with two codes show one and keep the other', async () => {
    backend.pictureTexts = [
      { text: COUPON, format: 'QRCode' },
      { text: PICKUP, format: 'QRCode' },
    ];
    await desk.readPicture(new Blob(['picture']));
    expect(desk.view).toMatchObject({ kind: 'verdict', text: COUPON });
    expect(desk.held).toEqual([PICKUP]);
    await desk.confirm();
    expect(desk.view).toMatchObject({ kind: 'verdict', text: PICKUP });
    expect(desk.held).toEqual([]);
  });

  it('Esc goes on to the code that waits', async () => {
    backend.pictureTexts = [
      { text: COUPON, format: 'QRCode' },
      { text: PICKUP, format: 'QRCode' },
    ];
    await desk.readPicture(new Blob(['picture']));
    desk.escape();
    expect(desk.held).toEqual([]);
    await vi.waitFor(() => expect(desk.view).toMatchObject({ kind: 'verdict', text: PICKUP }));
    desk.escape();
    expect(desk.view.kind).toBe('idle');
  });

  it('of more than 20 MB are refused unread', async () => {
    const read = vi.spyOn(backend, 'readPicture');
    await desk.readPicture(new Blob([new Uint8Array(PICTURE_LIMIT + 1)]));
    expect(desk.view).toMatchObject({ kind: 'problem', problem: { code: 'picture_too_large' } });
    expect(read).not.toHaveBeenCalled();
  });

  it('without a code are a problem', async () => {
    backend.pictureTexts = [];
    await desk.readPicture(new Blob(['picture']));
    expect(desk.view).toMatchObject({ kind: 'problem', problem: { code: 'picture_without_code' } });
  });
});
