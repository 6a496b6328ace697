import { TEST_TEXT } from '@counterfoil/shared';
import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';
import AppWindow from './App.svelte';
import { App } from './lib/app.svelte';
import type { AppState } from './lib/backend';
import { FakeBackend } from './lib/backend/fake';
import { CLERKS, STORE } from './lib/backend/fake-data';

const COUPON = '260411000000012345';
const PICKUP_ELSEWHERE = '40718834';

const AT_THE_DESK: Partial<AppState> = {
  phase: 'desk',
  mode: 'demo',
  store: STORE,
  clerk: { id: 'c-1', name: '林小满', role: 'manager', lockedUntil: null },
};

async function open(state: Partial<AppState> = {}) {
  const backend = new FakeBackend();
  backend.start({ locale: 'en', ...state });
  const counter = new App(backend);
  await counter.start();
  render(AppWindow, { counter });
  return { backend, counter };
}

const find = (id: string) => screen.findByTestId(id);

async function type(id: string, value: string) {
  await fireEvent.input(await find(id), { target: { value } });
}

async function click(id: string) {
  await fireEvent.click(await find(id));
}

async function press(key: string, target: Element = document.body) {
  await fireEvent.keyDown(target, { key });
}

/** As a USB scanner does it: a burst, then Enter. */
function scan(code: string, target: Element = document.body) {
  for (const key of [...code, 'Enter']) {
    const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true });
    target.dispatchEvent(event);
    if (!event.defaultPrevented && key !== 'Enter' && target instanceof HTMLInputElement) target.value += key;
  }
}

afterEach(() => cleanup());

describe('first start', () => {
  it('connects, and says what is wrong with an address', async () => {
    const { counter } = await open();
    await click('first-connect');
    await type('connect-address', 'hq');
    await type('connect-code', 'ABCD-1234');
    await fireEvent.submit((await find('connect-code')).closest('form') as HTMLFormElement);
    expect((await find('problem')).dataset.code).toBe('address_invalid');
    await type('connect-address', 'https://hq.example.com');
    await fireEvent.submit((await find('connect-code')).closest('form') as HTMLFormElement);
    await waitFor(() => expect(counter.state?.phase).toBe('signIn'));
  });

  it('opens a single shop', async () => {
    const { counter } = await open();
    await click('first-single');
    await type('single-shop-name', 'Corner');
    await type('single-manager-name', 'Ann');
    await type('single-manager-pin', '1234');
    await fireEvent.submit((await find('single-manager-pin')).closest('form') as HTMLFormElement);
    await waitFor(() => expect(counter.state?.mode).toBe('singleShop'));
  });

  it('starts the demo, signs in, redeems', async () => {
    const { counter } = await open();
    await click('first-demo');
    await click('clerk-陈雨');
    await type('pin-input', '9999');
    await click('pin-submit');
    expect((await find('problem')).dataset.code).toBe('wrong_pin');
    await type('pin-input', '1234');
    await click('pin-submit');
    await waitFor(() => expect(counter.state?.phase).toBe('desk'));
    await type('omnibox', COUPON);
    await press('Enter', await find('omnibox'));
    expect((await find('verdict-decision')).dataset.decision).toBe('honour');
    await click('confirm');
    expect((await find('receipt')).dataset.delivery).toBe('confirmed');
  });
});

describe('the desk', () => {
  it('switches the language of what is already shown', async () => {
    await open(AT_THE_DESK);
    await type('omnibox', PICKUP_ELSEWHERE);
    await press('Enter', await find('omnibox'));
    expect((await find('reasons')).textContent).toContain('Xujiahui');
    await click('lang-zh');
    await waitFor(() => expect(screen.getByTestId('reasons').textContent).toContain('徐家汇店'));
    expect(screen.getByTestId('verdict-decision').textContent).toContain('不可交货');
    expect(document.documentElement.lang).toBe('zh-CN');
    await click('lang-en');
    await waitFor(() => expect(screen.getByTestId('verdict-decision').textContent).toContain("Don't hand over"));
  });

  it('shows the banner and counts what waits while offline', async () => {
    const { backend } = await open(AT_THE_DESK);
    expect(screen.queryByTestId('banner-offline')).toBeNull();
    backend.setOnline(false);
    expect((await find('banner-offline')).textContent).toContain('Nothing is lost');
    scan(COUPON);
    await click('confirm');
    expect((await find('receipt')).dataset.delivery).toBe('toBeDelivered');
    expect((await find('queue-count')).textContent?.trim()).toBe('1');
    backend.setOnline(true);
    await waitFor(() => expect(screen.getByTestId('queue-count').textContent?.trim()).toBe('0'));
    expect(screen.queryByTestId('banner-offline')).toBeNull();
  });

  it('takes a paste and a dropped picture', async () => {
    const { backend } = await open(AT_THE_DESK);
    await find('omnibox');
    const paste = new Event('paste', { bubbles: true, cancelable: true });
    Object.assign(paste, { clipboardData: { files: [], getData: () => ` ${COUPON}\n` } });
    document.body.dispatchEvent(paste);
    await find('verdict');
    expect(backend.lookUps.at(-1)).toEqual({ text: COUPON, source: 'pasted' });

    const drop = new Event('drop', { bubbles: true, cancelable: true });
    Object.assign(drop, { dataTransfer: { files: [new File(['picture'], 'code.png')] } });
    document.body.dispatchEvent(drop);
    await waitFor(() => expect(backend.lookUps.at(-1)).toEqual({ text: '40718826', source: 'camera' }));
  });

  it('asks for the picture that a paste does not bring', async () => {
    const { backend } = await open(AT_THE_DESK);
    backend.pictureCopied = true;
    await find('omnibox');
    for (const text of ['', '/media/shop/券 1.png', 'file:///media/shop/code.JPG']) {
      const before = backend.lookUps.length;
      const paste = new Event('paste', { bubbles: true, cancelable: true });
      Object.assign(paste, { clipboardData: { files: [], getData: () => text } });
      document.body.dispatchEvent(paste);
      await waitFor(() => expect(backend.lookUps.length).toBe(before + 1));
      expect(backend.lookUps.at(-1)).toEqual({ text: '40718826', source: 'camera' });
    }
    backend.pictureCopied = false;
    const paste = new Event('paste', { bubbles: true, cancelable: true });
    Object.assign(paste, { clipboardData: { files: [], getData: () => '' } });
    document.body.dispatchEvent(paste);
    await waitFor(() => expect(screen.getByTestId('problem').dataset.code).toBe('picture_without_code'));
  });

  it('clears with Esc', async () => {
    const { counter } = await open(AT_THE_DESK);
    scan(COUPON);
    await find('verdict');
    await press('Escape');
    expect(counter.desk.view.kind).toBe('idle');
  });

  it('offers the demo codes', async () => {
    await open(AT_THE_DESK);
    const hints = await screen.findAllByTestId('hint-pickup');
    await fireEvent.click(hints[0] as HTMLElement);
    expect((await find('verdict')).dataset.decision).toBe('honour');
  });
});

describe('the queue', () => {
  it('is reached by F8, filters, and leads back by a scan', async () => {
    const { counter } = await open(AT_THE_DESK);
    await press('F8');
    expect(await screen.findAllByTestId('queue-row')).toHaveLength(6);
    await click('filter-exception');
    await waitFor(() => expect(screen.getAllByTestId('queue-row')).toHaveLength(1));
    expect(screen.getByTestId('queue-row').dataset.state).toBe('exception');
    scan(COUPON);
    expect(counter.screen).toBe('desk');
    await find('verdict');
  });

  it('voids with a reason and a manager; a scan meanwhile is kept out of the fields and looked up after', async () => {
    const { backend, counter } = await open(AT_THE_DESK);
    await press('F8');
    const row = (await screen.findAllByTestId('queue-row'))[0] as HTMLElement;
    await fireEvent.click(within(row).getByTestId('void-open'));
    await type('void-reason', 'returned');
    const reason = (await find('void-reason')) as HTMLInputElement;
    scan(COUPON, reason);
    expect(reason.value).toBe('returned');
    expect((await find('held-scan')).textContent).toContain('260411');
    expect(backend.lookUps).toEqual([]);

    await type('void-pin', '0000');
    const form = reason.closest('form') as HTMLFormElement;
    await waitFor(() => expect(screen.getByTestId<HTMLSelectElement>('void-manager').value).toBe('c-1'));
    await fireEvent.submit(form);
    expect((await find('problem')).dataset.code).toBe('wrong_pin');
    await type('void-pin', CLERKS[0]?.pin ?? '');
    await fireEvent.submit(form);
    await waitFor(() => expect(backend.lookUps).toEqual([{ text: COUPON, source: 'scanned' }]));
    expect(counter.screen).toBe('desk');
  });
});

/** Keys with these pauses in ms, wherever the focus goes; `gap` is before the key of this place. */
async function burst(code: string, pause: number, gap?: { place: number; ms: number }) {
  let at = performance.now() + 5000;
  for (const [place, key] of [...code, 'Enter'].entries()) {
    at += place === gap?.place ? gap.ms : pause;
    const target = document.activeElement ?? document.body;
    const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true });
    Object.defineProperty(event, 'timeStamp', { value: at });
    target.dispatchEvent(event);
    const focused = document.activeElement;
    if (!event.defaultPrevented && key !== 'Enter' && focused instanceof HTMLInputElement) {
      await fireEvent.input(focused, { target: { value: focused.value + key } });
    }
  }
}

describe('a scan in fits and starts', () => {
  const BURSTS = [5, 15, 40, 80].flatMap((pause) => [
    { pause, gap: { place: 1, ms: 400 } },
    { pause, gap: { place: 7, ms: 100 } },
    { pause, gap: { place: 12, ms: 250 } },
    { pause, gap: { place: COUPON.length, ms: 400 } },
  ]);

  it.each(BURSTS)(
    'of $pause ms a key with $gap.ms ms before key $gap.place is one look-up, from every screen',
    async ({ pause, gap }) => {
      const { backend, counter } = await open(AT_THE_DESK);
      for (const key of ['F2', 'F6', 'F8']) {
        await press(key);
        if (key === 'F6') (await find('today-search')).focus();
        await burst(COUPON, pause, gap);
        await find('verdict');
        expect(backend.lookUps.splice(0)).toEqual([{ text: COUPON, source: 'scanned' }]);
        expect(counter.desk.text).toBe('');
        await press('Escape');
      }
    },
  );

  it('that can not be told is said, and looked up by nobody', async () => {
    const { backend } = await open(AT_THE_DESK);
    const omnibox = (await find('omnibox')) as HTMLInputElement;
    omnibox.focus();
    for (const key of 'LOT-2026') omnibox.dispatchEvent(keyAt(key, 10_000));
    for (const key of '0017') omnibox.dispatchEvent(keyAt(key, 10_700));
    omnibox.dispatchEvent(keyAt('Enter', 10_750));
    expect((await find('scan-unclear')).textContent).toContain('scan again');
    expect(backend.lookUps).toEqual([]);
    scan(COUPON);
    await waitFor(() => expect(screen.queryByTestId('scan-unclear')).toBeNull());
  });
});

function keyAt(key: string, at: number): KeyboardEvent {
  const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true });
  Object.defineProperty(event, 'timeStamp', { value: at });
  return event;
}

describe('the test of a scanner', () => {
  it('takes every scan, names what is wrong, and sets it right', async () => {
    const { backend, counter } = await open(AT_THE_DESK);
    await click('nav-settings');
    await click('scanner-test-open');
    await find('scanner-test');
    await burst(`~${TEST_TEXT}`, 5);
    expect((await find('finding')).dataset.code).toBe('surplus');
    await click('scanner-take');
    await waitFor(() => expect(screen.getByTestId('finding').dataset.code).toBe('good'));
    expect(counter.state?.scanner.prefix).toBe('~');
    await burst('~CF:ZYzy-AQaq/0123456789]', 5);
    await waitFor(() => expect(screen.getByTestId('finding').dataset.code).toBe('layout'));
    expect(screen.getByTestId('finding').textContent).toContain('Y → Z');
    await click('scanner-test-close');
    await waitFor(() => expect(screen.queryByTestId('scanner-test')).toBeNull());
    expect(backend.lookUps).toEqual([]);
    await burst(`~${COUPON}`, 5);
    await find('verdict');
    expect(backend.lookUps).toEqual([{ text: COUPON, source: 'scanned' }]);
  });
});

describe('elsewhere', () => {
  it('a scan at the sign-in does not become a PIN', async () => {
    const { backend } = await open({ phase: 'signIn', mode: 'demo', store: STORE });
    await click('clerk-陈雨');
    const pin = (await find('pin-input')) as HTMLInputElement;
    scan(COUPON, pin);
    expect(pin.value).toBe('');
    expect(backend.lookUps).toEqual([]);
    expect(await screen.findByText(/Sign in first/)).toBeTruthy();
  });

  it('shows a notice of the shell with its code', async () => {
    await open({ ...AT_THE_DESK, notice: { code: 'database_read_only', params: {}, detail: '' } });
    expect((await find('problem')).dataset.code).toBe('database_read_only');
  });

  it('F1 opens the help, and signing out leaves nothing on the desk', async () => {
    const { counter } = await open(AT_THE_DESK);
    await press('F1');
    await find('help');
    await press('F1');
    scan(COUPON);
    await find('verdict');
    await click('nav-settings');
    await click('sign-out');
    await waitFor(() => expect(counter.state?.phase).toBe('signIn'));
    expect(counter.desk.view.kind).toBe('idle');
  });
});

describe('a sale', () => {
  const MEMBER = '60001288';
  const SHAMPOO = '6901234500016';
  const CONDITIONER = '6901234500023';

  async function fill() {
    for (const code of [MEMBER, SHAMPOO, CONDITIONER, CONDITIONER]) {
      scan(code);
      await waitFor(() => expect(screen.queryByTestId('sale')).not.toBeNull());
    }
    await waitFor(() => expect(screen.getByTestId('payable').dataset.minor).toBe('3474'));
  }

  it('shows the member, the best combination and why not the others, in both languages', async () => {
    await open(AT_THE_DESK);
    await fill();
    expect(screen.getByTestId('member').dataset.number).toBe('6000 1288');
    const rows = screen.getAllByTestId('coupon');
    expect(rows.map((row) => row.dataset.applied)).toEqual(['false', 'true', 'true']);
    expect(rows[0]?.textContent).toContain('¥146.36 more');
    await click('lang-zh');
    await waitFor(() => expect(screen.getAllByTestId('coupon')[0]?.textContent).toContain('还差 ¥146.36'));
    await click('coupons-rest');
    expect((await find('coupon-unusable')).dataset.state).toBe('expired');
  });

  it('goes by keys alone: quantity, receipt number, Enter, and no scan ever types', async () => {
    const { backend } = await open(AT_THE_DESK);
    await fill();
    const omnibox = (await find('omnibox')) as HTMLInputElement;
    const quantity = () => screen.getAllByTestId('basket-line')[0]?.dataset.quantity;
    const number = (await find('receipt-number')) as HTMLInputElement;
    await type('receipt-number', 'R-1');
    scan(SHAMPOO, number);
    expect(number.value).toBe('R-1');
    await waitFor(() => expect(quantity()).toBe('2'));
    await press('+', omnibox);
    await waitFor(() => expect(quantity()).toBe('3'));
    await press('-', omnibox);
    await waitFor(() => expect(quantity()).toBe('2'));
    // Right after a scan Enter is the scanner's second terminator; a person comes later.
    await waitFor(async () => {
      await press('Enter', number);
      expect(screen.queryByTestId('sold')?.dataset.delivery).toBe('confirmed');
    });
    expect((await backend.sales()).status).toBe('ok');
  });

  it('changes no quantity by a scan that begins with the key for it', async () => {
    const { backend } = await open(AT_THE_DESK);
    await fill();
    const quantities = () => screen.getAllByTestId('basket-line').map((line) => line.dataset.quantity);
    const before = quantities();
    for (const sign of ['+', '-']) {
      screen.getByTestId('omnibox').focus();
      await burst(`${sign}A999BJC5D6E7`, 15);
      await waitFor(() => expect(backend.lookUps.at(-1)?.text).toBe(`${sign}A999BJC5D6E7`));
      expect(quantities()).toEqual(before);
    }
  });

  it('refuses scans as a receipt number: goods are added, whose anything else is stays unsaid', async () => {
    const { backend } = await open(AT_THE_DESK);
    await fill();
    const number = (await find('receipt-number')) as HTMLInputElement;
    const settled = vi.spyOn(backend, 'settle');
    for (const pause of [5, 40, 80]) {
      number.focus();
      await fireEvent.input(number, { target: { value: 'R-1' } });
      backend.lookUps.length = 0;
      await burst(COUPON, pause, { place: 6, ms: 300 });
      await waitFor(() => expect(screen.getByTestId('scan-refused')).toBeTruthy());
      expect(number.value).toBe('R-1');
      expect(backend.lookUps).toEqual([]);
      expect(screen.getByTestId('scan-refused').textContent).not.toContain('王');
      expect(screen.queryByTestId('scan-typed') !== null).toBe(pause === 80);
    }
    await click('scan-look-up');
    await waitFor(() => expect(backend.lookUps).toEqual([{ text: COUPON, source: 'scanned' }]));
    number.focus();
    await burst(SHAMPOO, 15);
    await waitFor(() => expect(screen.getAllByTestId('basket-line')[0]?.dataset.quantity).toBe('2'));
    expect(screen.getByTestId('scan-refused').textContent).toContain('in the basket');
    expect(settled).not.toHaveBeenCalled();
  });

  it('asks whether a barcode that was typed is the receipt number', async () => {
    const { backend } = await open(AT_THE_DESK);
    await fill();
    const settled = vi.spyOn(backend, 'settle');
    await type('receipt-number', SHAMPOO);
    await click('settle');
    expect((await find('receipt-doubt')).textContent).toContain('Amino shampoo');
    await press('Enter', await find('receipt-number'));
    expect(settled).not.toHaveBeenCalled();
    await click('receipt-retype');
    expect(((await find('receipt-number')) as HTMLInputElement).value).toBe('');
    await type('receipt-number', SHAMPOO);
    await click('settle');
    await click('receipt-meant');
    await find('sold');
    expect(settled).toHaveBeenCalledWith(expect.anything(), 'cash', SHAMPOO, 0);
  });

  it('is chosen by hand and given back to the best', async () => {
    await open(AT_THE_DESK);
    await fill();
    await fireEvent.click(screen.getAllByTestId('coupon')[1] as HTMLElement);
    await waitFor(() => expect(screen.getByTestId('payable').dataset.minor).toBe('4264'));
    await click('best');
    await waitFor(() => expect(screen.getByTestId('payable').dataset.minor).toBe('3474'));
  });

  it('is found today, returned in part with approval, and its slip is written', async () => {
    const { counter } = await open(AT_THE_DESK);
    await fill();
    await type('receipt-number', 'R-7');
    await click('settle');
    await click('slip');
    expect((await find('slip-path')).textContent).toContain('.pdf');
    await press('F6');
    await type('today-search', 'r-7');
    await waitFor(() => expect(screen.getAllByTestId('today-row')).toHaveLength(1));
    await click('today-row');
    await click('return-open');
    await fireEvent.click((await screen.findAllByTestId('return-more'))[1] as HTMLElement);
    await waitFor(() => expect(screen.getByTestId('refund').dataset.minor).toBe('1378'));
    scan(SHAMPOO);
    expect(await find('held-scan')).toBeTruthy();
    await type('void-reason', 'faulty');
    await type('void-pin', CLERKS[0]?.pin ?? '');
    await waitFor(() => expect(screen.getByTestId<HTMLSelectElement>('void-manager').value).toBe('c-1'));
    await fireEvent.submit(await find('return-form'));
    await waitFor(() => expect(counter.desk.sale.items).toBe(1));
    expect(counter.screen).toBe('desk');
    await press('F6');
    await fireEvent.click((await screen.findAllByTestId('today-row'))[0] as HTMLElement);
    expect((await find('refunded')).textContent).toContain('13.78');
  });

  it('is voided with a manager', async () => {
    await open(AT_THE_DESK);
    await fill();
    await type('receipt-number', 'R-8');
    await click('settle');
    await click('void-open');
    await type('void-reason', 'mistake');
    await type('void-pin', CLERKS[0]?.pin ?? '');
    await waitFor(() => expect(screen.getByTestId<HTMLSelectElement>('void-manager').value).toBe('c-1'));
    await fireEvent.submit((await find('void-reason')).closest('form') as HTMLFormElement);
    await waitFor(() => expect(screen.getByTestId('sold').dataset.voided).toBe('true'));
  });
});
