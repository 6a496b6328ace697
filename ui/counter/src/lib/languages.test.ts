/** Every screen, dialog and sentence in both languages: each speaks its own, and none of the other. */

import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { diagnose, PLAIN_SCANNER, TEST_TEXT, type Finding } from '@counterfoil/shared';
import { foreignWords } from '@counterfoil/shared/testing';
import { problemSentences, reasonSentence, showLocale } from '@counterfoil/shared/words';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import AppWindow from '../App.svelte';
import { findingSentences } from '../screens/settings/findings';
import { whyNot } from '../screens/desk/basket/reasons';
import { tenderWord, TENDERS } from '../screens/desk/basket/tenders';
import { ruleLine } from '../screens/desk/rules';
import { App } from './app.svelte';
import type { AppState, CouponView, Verdict } from './backend';
import { FakeBackend } from './backend/fake';
import { CLERKS, demoCoupons, demoOrders, MEMBER, OTHER_STORE, PRODUCTS, STORE } from './backend/fake-data';
import { PROBLEM_CODES, REASON_CODES } from './codes';
import { VOID_WORDS } from './voids';

type Language = 'en' | 'zh-CN';

/** Data of the shop has its own language; what is said around it has not. */
const DATA = [
  ...CLERKS.flatMap(({ name }) => [name, [...name][0] ?? '']).filter((name) => name !== 'M'),
  ...PRODUCTS.flatMap(({ sku, nameZh, nameEn }) => [nameZh, nameEn, sku]),
  ...demoCoupons(0).flatMap(({ nameZh, nameEn }) => [nameZh, nameEn]),
  ...demoOrders(0).map(({ number }) => number),
  ...[STORE, OTHER_STORE].flatMap(({ nameZh, nameEn, code, timeZone }) => [nameZh, nameEn, code, timeZone]),
  MEMBER.name,
  '会员日八五折券 / Member day',
  '洗护满减券 / Hair care',
  '新客立减券 / Welcome',
  'Integrated camera',
  '中文',
  'English',
  TEST_TEXT,
].sort((one, other) => other.length - one.length);

function foreign(text: string, language: Language): string[] {
  const said = DATA.reduce((rest, name) => rest.replaceAll(name, ' '), text)
    // Numbers of orders, operations and receipts, paths, technical lines.
    .replace(/\b[A-Z]{1,2}\d*-?\d[\w-]*|slips\/\S+|fake backend: \w+|fonts-noto-cjk/g, ' ');
  return foreignWords(said, language);
}

/** All that is read or read out of what is on the screen. */
function shown(): string {
  const parts: string[] = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) parts.push(walker.currentNode.textContent ?? '');
  for (const element of document.body.querySelectorAll('*')) {
    for (const name of ['placeholder', 'aria-label', 'title', 'alt']) parts.push(element.getAttribute(name) ?? '');
  }
  return parts.join(' \n ');
}

afterEach(cleanup);

describe.each(['en', 'zh-CN'] as const)('in %s', (language) => {
  const AT_THE_DESK: Partial<AppState> = {
    phase: 'desk',
    mode: 'demo',
    store: STORE,
    clerk: { id: 'c-1', name: CLERKS[0]?.name ?? '', role: 'manager', lockedUntil: null },
  };
  const place = { timeZone: 'Asia/Shanghai', currency: 'CNY' };

  beforeEach(() => showLocale(language));

  const speaks = (text: string, where = '') =>
    expect(foreign(text, language), `${where}: ${text.slice(0, 300)}`).toEqual([]);

  async function open(state: Partial<AppState>) {
    const backend = new FakeBackend();
    backend.start({ locale: language, ...state });
    const counter = new App(backend);
    await counter.start();
    render(AppWindow, { counter });
    return { backend, counter };
  }
  const click = async (id: string) => fireEvent.click((await screen.findAllByTestId(id))[0] as HTMLElement);
  const sees = async (id: string) => {
    await screen.findAllByTestId(id);
    speaks(shown(), id);
  };
  const looksUp = async (counter: App, text: string, id = 'verdict') => {
    await counter.desk.lookUp(text, 'typed');
    await sees(id);
  };

  it('every reason, problem, finding and word', () => {
    const given = ['at', 'until', 'store', 'by', 'limit'].map((name) => [name, '1700000000000']);
    const params = Object.fromEntries(given) as Record<string, string>;
    for (const code of REASON_CODES) {
      speaks(reasonSentence({ code, params }, place), code);
      speaks(whyNot({ code, params }, { ...place, currency: 'CNY', nameOf: () => undefined }), code);
    }
    for (const code of PROBLEM_CODES) {
      const { what, next } = problemSentences({ code, params: {}, detail: '' }, place);
      speaks(`${what} ${next}`, code);
    }
    const findings: Finding[] = [
      { code: 'good' },
      { code: 'no_end' },
      { code: 'ends_with_tab' },
      { code: 'layout', swapped: [{ wanted: 'Y', came: 'Z' }] },
      { code: 'caps_lock' },
      { code: 'lost', count: 1 },
      { code: 'lost', count: 2 },
      { code: 'garbled' },
      { code: 'check_digit' },
      { code: 'surplus', prefix: '~', suffix: '#' },
      { code: 'aim', aim: ']Q1' },
      { code: 'slow', perKey: 80 },
      { code: 'gap', longest: 600 },
      { code: 'not_a_scanner', perKey: 180 },
    ];
    const unsaid = diagnose({ keys: [], end: 'enter' }, PLAIN_SCANNER).findings;
    expect(unsaid.length).toBeGreaterThan(0);
    for (const finding of findings) {
      const { what, next } = findingSentences(finding);
      speaks(`${what} ${next}`, finding.code);
    }
    for (const tender of TENDERS) speaks(tenderWord(tender), tender);
  });

  it('the way to the desk', async () => {
    for (const way of ['first-connect', 'first-single']) {
      await open({});
      await sees(way);
      await click(way);
      await sees(way === 'first-connect' ? 'connect-code' : 'single-shop-name');
      cleanup();
    }
    await open({ phase: 'signIn', mode: 'demo', store: STORE });
    await sees(`clerk-${CLERKS[0]?.name}`);
  });

  it('the desk, whatever lies on it', async () => {
    const { backend, counter } = await open(AT_THE_DESK);
    await sees('idle');
    for (const coupon of demoCoupons(Date.now())) await looksUp(counter, coupon.code);
    for (const order of demoOrders(Date.now())) await looksUp(counter, order.code);
    await looksUp(counter, '100000000000000008');
    await looksUp(counter, '13900000000');
    await looksUp(counter, '#-?');
    await looksUp(counter, '氨基酸', 'products');
    counter.desk.clear();
    await looksUp(counter, '260411000000012345');
    await click('confirm');
    await sees('receipt');
    counter.unclear();
    await sees('scan-unclear');
    backend.setOnline(false);
    await sees('banner-offline');
    await fireEvent.keyDown(document.body, { key: 'F1' });
    await sees('help');
  });

  it('a sale from the first item to its void and its return', async () => {
    const { counter } = await open(AT_THE_DESK);
    await counter.desk.lookUp('60001288', 'typed');
    await counter.desk.lookUp('6901234500016', 'typed');
    await counter.desk.lookUp('6901234500023', 'typed');
    await waitFor(() => expect(counter.desk.sale.canSettle).toBe(true));
    await sees('sale');
    await click('coupons-rest');
    await counter.desk.refuse('260411000000012345', false);
    await sees('scan-refused');
    counter.desk.sale.receiptNumber = '6901234500016';
    await click('settle');
    await sees('receipt-doubt');
    await click('receipt-meant');
    await sees('sold');
    await click('slip');
    await sees('slip-path');
    await click('void-open');
    await sees('void-dialog');
    expect(screen.getByTestId('void-dialog').textContent).toContain(VOID_WORDS.sale.title());
    await fireEvent.keyDown(document.activeElement ?? document.body, { key: 'Escape' });
    await click('nav-today');
    await click('today-row');
    await sees('sale-details');
    await click('return-open');
    await sees('return-form');
  });

  it('the queue, and voids of each kind in its own words', async () => {
    const { counter } = await open(AT_THE_DESK);
    await click('nav-queue');
    await sees('queue-row');
    for (const undone of ['order', 'coupon'] as const) {
      const row = screen
        .getAllByTestId('queue-row')
        .find((one) => one.dataset.kind === (undone === 'order' ? 'collectOrder' : 'redeemCoupon'));
      await fireEvent.click(row?.querySelector('[data-testid=void-open]') as HTMLElement);
      await sees('void-dialog');
      const dialog = screen.getByTestId('void-dialog').textContent ?? '';
      expect(dialog).toContain(VOID_WORDS[undone].text());
      if (undone === 'order') expect(dialog).not.toMatch(/优惠券|coupon|redeem/i);
      await fireEvent.keyDown(document.activeElement ?? document.body, { key: 'Escape' });
      await waitFor(() => expect(counter.busyDialog).toBe(false));
    }
  });

  it('the settings and the test of scanners', async () => {
    await open(AT_THE_DESK);
    await click('nav-settings');
    await sees('scanner-settings');
    await click('scanner-test-open');
    await sees('scanner-test');
  });

  it('a voucher names the product', async () => {
    const coupon: CouponView = {
      ...(demoCoupons(Date.now())[0] as CouponView),
      ruleKind: 'item_voucher',
      rule: {
        threshold: null,
        amount: null,
        percentBp: null,
        maxDiscount: null,
        sku: 'C-310',
        quantity: 1,
        maxTimes: null,
        minQuantity: null,
      },
    };
    expect(ruleLine(coupon, () => null)).toContain('C-310');
    const { backend, counter } = await open(AT_THE_DESK);
    const verdict: Verdict = {
      ticket: 't',
      decision: 'honour',
      subject: { kind: 'coupon', coupon },
      reasons: [],
      action: 'redeem',
      shownAt: 0,
    };
    vi.spyOn(backend, 'lookUp').mockResolvedValue({ status: 'ok', data: { kind: 'verdict', verdict } });
    await counter.desk.lookUp(coupon.code, 'scanned');
    const name = language === 'en' ? 'Travel set free' : '兑换旅行套装';
    await waitFor(() => expect(screen.getByTestId('verdict').textContent).toContain(name));
    speaks(shown());
  });

  it('what may be said of a pickup order says nothing of coupons', () => {
    const ORDER = ['unknown_code', 'unknown_offline', 'other_store', 'already_collected', 'order_returned', 'frozen'];
    const ALONE = ['order_cancelled', 'order_overdue', 'offline_count_limit', 'offline_hours_limit', 'clock_wrong'];
    for (const code of [...ORDER, ...ALONE, 'conflict_expected', 'member_operations_limit']) {
      expect(reasonSentence({ code, params: {} }), code).not.toMatch(language === 'en' ? /coupon/i : /券(?!码)/);
    }
  });

  it('what may be said of points says nothing of coupons', () => {
    for (const code of ['online_only', 'points_short', 'balance_short']) {
      expect(reasonSentence({ code, params: {} }), code).not.toMatch(language === 'en' ? /coupon/i : /券(?!码)/);
    }
  });

  it('an unknown phone number is no unknown code', () => {
    for (const code of ['unknown_member', 'unknown_member_offline']) {
      expect(reasonSentence({ code, params: {} })).not.toMatch(/此码|such code|this code/);
    }
  });

  it('a limit on guesses says nothing of typing, since codes are scanned as well', () => {
    expect(reasonSentence({ code: 'guessing_limited', params: {} })).not.toMatch(/typed|输入/);
  });
});
