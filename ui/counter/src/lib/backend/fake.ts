/**
 * A backend in memory, with demo data, so that screens can be looked at in a browser and tested without the desktop
 * shell. Used by vitest, `npm run dev` and `npm run build:fake`; never part of the normal build (see openBackend).
 *
 * In a browser: `?phase=desk&locale=en&offline=1` starts at a certain point.
 */

import { withoutAim } from '@counterfoil/shared';
import type { ProblemCode, ReasonCode } from '@counterfoil/shared/words';
import type {
  AccountView,
  AppState,
  Backend,
  Basket,
  Confirmation,
  CouponView,
  Found,
  MemberCard,
  Opened,
  OrderView,
  PictureText,
  Problem,
  ProductView,
  QueueRow,
  QuoteView,
  Reason,
  Receipt,
  Result,
  ReturnLine,
  ReturnPolicy,
  SaleRefusal,
  SaleView,
  ScannerSettings,
  Settled,
  StatementView,
  ToppedUp,
  Verdict,
} from './index';
import { CLERKS, MEMBER, PRODUCTS, STORE, demoAccount, demoCoupons, demoOrders, demoQueue } from './fake-data';
import { previewOf, quoteOf, saleOf } from './fake-sales';

const ok = <T>(data: T): Result<T> => ({ status: 'ok', data });
const failed = (code: ProblemCode, params: Record<string, string> = {}): Result<never> => ({
  status: 'error',
  error: { code, params, detail: `fake backend: ${code}` } satisfies Problem,
});

const ATTEMPTS = 5;

export class FakeBackend implements Backend {
  /** What a picture contains. Tests set it. */
  pictureTexts: PictureText[] = [{ text: '40718826', format: 'QRCode' }];
  /** Whether one lies on the clipboard, where the window does not get it. */
  pictureCopied = false;
  /** Wait before every answer, in ms, as a real line would need. */
  delay = 0;
  /** Every look-up that arrived, for tests. */
  readonly lookUps: { text: string; source: string }[] = [];

  readonly #listeners = new Set<(state: AppState) => void>();
  readonly #clock: () => number;
  readonly #coupons: CouponView[];
  readonly #orders: OrderView[];
  #rows: QueueRow[];
  #state: AppState;
  #tickets = new Map<string, { title: string; kind: QueueRow['kind']; done: () => void }>();
  #baskets = new Map<string, { basket: Basket; quote: QuoteView }>();
  #sales: SaleView[] = [];
  #account: AccountView;
  /** Payments that were opened, and closed again. */
  readonly opened: { ticket: string; balance: number }[] = [];
  readonly closed: string[] = [];
  #nextTicket = 1;
  #attempts = ATTEMPTS;
  #frames = 0;

  constructor(clock: () => number = Date.now) {
    this.#clock = clock;
    const now = clock();
    this.#coupons = demoCoupons(now);
    this.#account = demoAccount(now);
    this.#orders = demoOrders(now);
    this.#rows = demoQueue(now);
    this.#state = {
      phase: 'firstStart',
      mode: null,
      store: null,
      clerk: null,
      link: {
        state: 'online',
        since: now - 7_200_000,
        lastContact: now - 4_000,
        clockSkewMs: 120,
        drains: true,
        problem: null,
      },
      queue: { pending: 0, delivered: 0, exceptions: 0 },
      limits: null,
      locale: 'zh-CN',
      scanner: { prefix: '', suffix: '', ends: 'enter' },
      version: '0.1.0',
      notice: null,
    };
  }

  get online(): boolean {
    return this.#state.link.state === 'online';
  }

  /** Cuts or restores the line, as pulling the cable would. */
  setOnline(online: boolean): void {
    const now = this.#clock();
    if (online) this.#deliver();
    this.#change({
      link: {
        ...this.#state.link,
        state: online ? 'online' : 'offline',
        since: now - (online ? 0 : 12 * 60_000),
        lastContact: online ? now : now - 12 * 60_000,
      },
      limits: online
        ? null
        : { count: 3, maxCount: 50, amount: 8600, maxAmount: 200000, hours: 0.2, maxHours: 24, currency: 'CNY' },
    });
  }

  start(over: Partial<AppState>): void {
    this.#change(over);
  }

  async appState() {
    return this.#answer(ok(this.#state));
  }

  async setScanner(scanner: ScannerSettings) {
    return this.#answer(ok(this.#change({ scanner })));
  }

  async setLocale(locale: 'zh-CN' | 'en') {
    return this.#answer(ok(this.#change({ locale })));
  }

  async connect(address: string, code: string) {
    if (!/^https?:\/\/\S+$/.test(address)) return this.#answer(failed('address_invalid'));
    if (code.trim().length < 6) return this.#answer(failed('enrol_code_invalid'));
    return this.#answer(ok(this.#change({ phase: 'signIn', mode: 'connected', store: STORE })));
  }

  async startSingleShop(shopName: string, _managerName: string, managerPin: string) {
    if (managerPin.length < 4) return this.#answer(failed('pin_too_short'));
    const store = { ...STORE, nameZh: shopName, nameEn: shopName };
    return this.#answer(ok(this.#change({ phase: 'signIn', mode: 'singleShop', store })));
  }

  async startDemo() {
    return this.#answer(ok(this.#change({ phase: 'signIn', mode: 'demo', store: STORE })));
  }

  async clerks() {
    return this.#answer(ok(CLERKS.map(({ id, name, role }) => ({ id, name, role, lockedUntil: null }))));
  }

  async signIn(clerkId: string, pin: string) {
    const clerk = CLERKS.find((one) => one.id === clerkId);
    if (!clerk) return this.#answer(failed('not_found'));
    if (this.#attempts === 0) {
      return this.#answer(failed('pin_locked', { until: String(this.#clock() + 300_000) }));
    }
    if (clerk.pin !== pin) {
      this.#attempts -= 1;
      return this.#answer(failed('wrong_pin', { left: String(this.#attempts) }));
    }
    this.#attempts = ATTEMPTS;
    const { id, name, role } = clerk;
    return this.#answer(ok(this.#change({ phase: 'desk', clerk: { id, name, role, lockedUntil: null } })));
  }

  async signOut() {
    return this.#answer(ok(this.#change({ phase: 'signIn', clerk: null })));
  }

  async liftLock(_clerkId: string | null, managerId: string, managerPin: string) {
    const refusal = approval('-', managerId, managerPin);
    if (refusal) return this.#answer(refusal);
    this.#attempts = ATTEMPTS;
    return this.#answer(ok(this.#change({})));
  }

  async lookUp(text: string, source: string): Promise<Result<Found>> {
    this.lookUps.push({ text, source });
    const code = withoutAim(text.replace(/\s/g, ''));
    const barcode = PRODUCTS.filter((one) => one.barcode === code || one.sku === code);
    if (barcode.length > 0) return this.#answer(ok({ kind: 'products', products: barcode, exact: true }));
    if (code === MEMBER.number.replace(/\s/g, '') || code === '13800006620') {
      return this.#answer(ok({ kind: 'member', card: this.#card() }));
    }
    const named = PRODUCTS.filter((one) => `${one.nameZh} ${one.nameEn}`.toLowerCase().includes(text.toLowerCase()));
    if (named.length > 0) return this.#answer(ok({ kind: 'products', products: named, exact: false }));
    return this.#answer(ok({ kind: 'verdict', verdict: this.#verdictOf(text, code) }));
  }

  async productOf(text: string): Promise<Result<ProductView | null>> {
    const code = withoutAim(text.trim());
    return this.#answer(ok(PRODUCTS.find((one) => one.barcode === code || one.sku === code) ?? null));
  }

  #verdictOf(text: string, code: string): Verdict {
    const coupon = this.#coupons.find((one) => one.code === code);
    const order = this.#orders.find((one) => one.code === code);
    if (coupon) return this.#couponVerdict(coupon);
    if (order) return this.#orderVerdict(order);
    const digits = /^\d{8}$|^\d{18}$/.test(code);
    const phone = /^1[3-9]\d{9}$/.test(code);
    if (phone) return this.#verdict({ kind: 'unknown', text }, 'refuse', ['unknown_member']);
    const reason = digits ? (this.online ? 'unknown_code' : 'unknown_offline') : 'not_a_code';
    return this.#verdict({ kind: 'unknown', text }, reason === 'unknown_offline' ? 'unconfirmed' : 'refuse', [reason]);
  }

  async quote(basket: Basket): Promise<Result<QuoteView>> {
    const ticket = `q-${this.#nextTicket++}`;
    const own = basket.member === null ? [] : this.#coupons.filter((one) => one.state === 'available');
    const shown = this.#coupons.filter((one) => basket.coupons.includes(one.code));
    const coupons = [...new Set([...own, ...shown])].map((one) => structuredClone(one));
    const account = basket.member === null ? null : this.#account;
    const quote = quoteOf(basket, coupons, account, this.online, ticket);
    this.#baskets.set(ticket, { basket, quote });
    return this.#answer(ok(quote));
  }

  /** What speaks against using these coupons after all. */
  #refusal(quote: QuoteView): SaleRefusal | null {
    const used = quote.coupons.filter((one) => one.applied !== null).map((one) => one.coupon.id);
    const gone = this.#coupons.filter((one) => used.includes(one.id) && one.state !== 'available');
    const coupons = gone.map((one) => ({
      coupon: one.id,
      title: one.nameZh,
      reasons: [{ code: 'redeemed', params: { at: String(this.#clock()), store: STORE.nameZh } }],
    }));
    return coupons.length > 0 ? { decision: 'refuse', coupons, points: [], balance: [] } : null;
  }

  async openPayment(ticket: string, balance: number): Promise<Result<Opened>> {
    const held = this.#baskets.get(ticket);
    if (!held) return this.#answer(failed('ticket_stale'));
    const { quote } = held;
    const refusal = this.#refusal(quote);
    if (refusal) return this.#answer(ok({ kind: 'refused', refusal }));
    this.opened.push({ ticket, balance });
    const alone = this.online ? [] : quote.coupons.filter((one) => one.applied !== null);
    const payment = {
      decision: alone.length > 0 ? ('honourOffline' as const) : ('honour' as const),
      alone: alone.map(({ coupon }) => coupon.nameZh),
      pointsAlone: false,
      payable: quote.payable,
      balance,
      till: quote.payable - balance,
      renewAfter: 240_000,
    };
    return this.#answer(ok({ kind: 'held', payment }));
  }

  async closePayment(ticket: string): Promise<Result<null>> {
    this.closed.push(ticket);
    return this.#answer(ok(null));
  }

  async settle(ticket: string, tender: string, receipt: string, balance: number): Promise<Result<Settled>> {
    const held = this.#baskets.get(ticket);
    if (!held) return this.#answer(failed('ticket_stale'));
    const { basket, quote } = held;
    const refusal = this.#refusal(quote);
    if (refusal) return this.#answer(ok({ kind: 'refused', refusal }));
    const used = quote.coupons.filter((one) => one.applied !== null).map((one) => one.coupon.id);
    const points = quote.points?.used ?? 0;
    if (basket.member !== null) {
      this.#account.points.available += quote.earns - points;
      this.#account.balance.available -= balance;
    }
    for (const one of this.#coupons) if (used.includes(one.id)) one.state = 'redeemed';
    const title = basket.lines.map((line) => `${line.sku} × ${line.quantity}`).join(', ');
    const row = this.#append('settleSale', title);
    const sale = {
      ...row,
      own: true,
      receipt,
      tender,
      member: basket.member === null ? null : MEMBER,
      currency: quote.currency,
      subtotal: quote.subtotal,
      discount: quote.discount,
      account: {
        points,
        pointsMoney: points,
        pointsBack: 0,
        balance,
        balanceBack: 0,
        earned: quote.earns,
        earnedBack: 0,
      },
      payable: quote.payable,
      refunded: 0,
      units: basket.lines.reduce((sum, line) => sum + line.quantity, 0),
      returnable: true,
    };
    this.#sales = [saleOf(sale, basket, quote), ...this.#sales];
    return this.#answer(ok({ kind: 'done', receipt: receiptOf(row) }));
  }

  async topUp(_member: string, amount: string, _tender: string, receipt: string): Promise<Result<ToppedUp>> {
    const minor = /^\d+(\.\d{1,2})?$/.test(amount.trim()) ? Math.round(Number(amount) * 100) : 0;
    if (minor < 1 || minor > 500_000) return this.#answer(failed('amount_invalid', { limit: '500000' }));
    if (receipt.trim() === '') return this.#answer(failed('receipt_missing'));
    this.#account.balance.available += minor;
    const row = this.#append('topUp', `Top-up ${MEMBER.number}`);
    return this.#answer(ok({ receipt: receiptOf(row), member: this.#card() }));
  }

  async statement(_member: string, balance: boolean, before: number | null): Promise<Result<StatementView>> {
    if (!this.online) return this.#answer(failed('unreachable'));
    const after = balance ? this.#account.balance.available : this.#account.points.available;
    const line = { number: 1, kind: 'earn' as const, reason: 'gift' as const, state: 'booked' as const, note: null };
    const lots = [{ lot: 1, amount: after }];
    const lines =
      before === null ? [{ ...line, at: this.#clock(), amount: after, available: after, debt: 0, lots }] : [];
    return this.#answer(ok({ lines, more: false, at: this.#clock() }));
  }

  async sales() {
    return this.#answer(ok(this.#sales.map((sale) => sale.entry)));
  }

  async sale(opId: string): Promise<Result<SaleView>> {
    const sale = this.#sales.find((one) => one.entry.opId === opId);
    return this.#answer(sale ? ok(sale) : failed('not_found'));
  }

  async returnPreview(opId: string, lines: ReturnLine[], _policy: ReturnPolicy) {
    const sale = this.#sales.find((one) => one.entry.opId === opId);
    return this.#answer(sale ? ok(previewOf(sale, lines)) : failed('not_found'));
  }

  async returnSale(
    opId: string,
    lines: ReturnLine[],
    _policy: ReturnPolicy,
    promised: number,
    reason: string,
    managerId: string,
    managerPin: string,
  ): Promise<Result<Receipt>> {
    const sale = this.#sales.find((one) => one.entry.opId === opId);
    if (!sale) return this.#answer(failed('not_found'));
    const refusal = approval(reason, managerId, managerPin);
    if (refusal) return this.#answer(refusal);
    const { refund, coupons } = previewOf(sale, lines);
    if (refund !== promised) return this.#answer(failed('ticket_stale'));
    const back = (line: number) => lines.find((one) => one.line === line)?.quantity ?? 0;
    const left = {
      entry: { ...sale.entry, refunded: sale.entry.refunded + refund, voidable: false },
      lines: sale.lines.map((line) => ({ ...line, returned: line.returned + back(line.line) })),
      coupons: sale.coupons.map((one) => ({
        ...one,
        givenBack: coupons.some((other) => other.coupon === one.coupon && other.givenBack),
      })),
    };
    left.entry.returnable = left.lines.some((line) => line.returned < line.quantity);
    this.#sales = this.#sales.map((one) => (one === sale ? left : one));
    return this.#answer(ok(receiptOf(this.#append('returnSale', sale.entry.title))));
  }

  async slip(opId: string) {
    return this.#answer(ok({ path: `slips/${opId}.pdf` }));
  }

  async readPicture(base64: string) {
    if (base64.length === 0) return this.#answer(failed('picture_unreadable'));
    if (this.pictureTexts.length === 0) return this.#answer(failed('picture_without_code'));
    return this.#answer(ok(this.pictureTexts));
  }

  async readPastedPicture() {
    return this.pictureCopied ? this.readPicture('copied') : this.#answer(failed('picture_without_code'));
  }

  async confirm(ticket: string): Promise<Result<Confirmation>> {
    const held = this.#tickets.get(ticket);
    if (!held) return this.#answer(failed('ticket_stale'));
    this.#tickets.delete(ticket);
    held.done();
    const row = this.#append(held.kind, held.title);
    return this.#answer(ok({ kind: 'done', receipt: receiptOf(row) }));
  }

  async voidRedemption(opId: string, reason: string, managerId: string, managerPin: string) {
    const row = this.#rows.find((one) => one.opId === opId);
    if (!row?.voidable) return this.#answer(failed('operation_not_voidable'));
    const refusal = approval(reason, managerId, managerPin);
    if (refusal) return this.#answer(refusal);
    this.#sales = this.#sales.map((sale) =>
      sale.entry.opId === opId
        ? { ...sale, entry: { ...sale.entry, voided: true, voidable: false, returnable: false } }
        : sale,
    );
    this.#rows = this.#rows.map((one) => (one.opId === opId ? { ...one, voided: true, voidable: false } : one));
    return this.#answer(ok(receiptOf(this.#append('voidRedemption', row.title))));
  }

  async queue(state: string | null, beforeSeq: number | null) {
    const rows = this.#rows
      .filter((row) => state === null || row.state === state)
      .filter((row) => beforeSeq === null || row.seq < beforeSeq);
    return this.#answer(ok(rows.slice(0, 50)));
  }

  async syncNow() {
    if (!this.online) return this.#answer(failed('offline'));
    this.#deliver();
    const link = { ...this.#state.link, lastContact: this.#clock() };
    return this.#answer(ok(this.#change({ link })));
  }

  async cameras() {
    return this.#answer(ok([{ index: 0, name: 'Integrated camera' }]));
  }

  async openCamera() {
    this.#frames = 0;
    return this.#answer(ok(null));
  }

  async cameraFrame() {
    this.#frames += 1;
    const preview =
      'data:image/svg+xml,' +
      encodeURIComponent(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 40"><rect width="64" height="40" fill="#39424f"/>' +
          '<rect x="24" y="12" width="16" height="16" rx="1" fill="#f3efe6"/></svg>',
      );
    return this.#answer(ok({ preview, text: this.#frames > 40 ? '40718826' : null }));
  }

  async closeCamera() {
    return this.#answer(ok(null));
  }

  async demoHints() {
    if (this.#state.mode !== 'demo') return this.#answer(ok(null));
    return this.#answer(
      ok({
        clerks: CLERKS.map(({ name, pin }) => ({ name, pin })),
        coupons: this.#coupons.map((coupon) => coupon.code),
        pickups: this.#orders.map((order) => order.code),
        members: [MEMBER.number.replace(/\s/g, '')],
        products: PRODUCTS.flatMap((product) => product.barcode ?? []),
      }),
    );
  }

  onStateChanged(listener: (state: AppState) => void) {
    this.#listeners.add(listener);
    return Promise.resolve(() => void this.#listeners.delete(listener));
  }

  #card(): MemberCard {
    const coupons = this.#coupons.map((coupon) => {
      const usable = coupon.state === 'available';
      const reasons = usable ? [] : [{ code: coupon.state, params: { at: String(coupon.validUntil) } }];
      return { coupon: structuredClone(coupon), decision: usable ? ('honour' as const) : ('refuse' as const), reasons };
    });
    return { member: MEMBER, coupons, account: structuredClone(this.#account) };
  }

  #couponVerdict(coupon: CouponView): Verdict {
    const subject = { kind: 'coupon' as const, coupon };
    const at = { at: String(coupon.validUntil) };
    if (coupon.state === 'expired') return this.#verdict(subject, 'refuse', [{ code: 'expired', params: at }]);
    if (coupon.state === 'redeemed') {
      const params = { at: String(this.#clock()), store: STORE.nameZh };
      return this.#verdict(subject, 'refuse', [{ code: 'redeemed', params }]);
    }
    if (!this.online && coupon.offline === 'onlineOnly') return this.#verdict(subject, 'unconfirmed', ['online_only']);
    return {
      ...this.#verdict(subject, this.online ? 'honour' : 'honourOffline', []),
      action: 'redeem',
      ticket: this.#issue('redeemCoupon', coupon.nameZh, () => (coupon.state = 'redeemed')),
    };
  }

  #orderVerdict(order: OrderView): Verdict {
    const subject = { kind: 'order' as const, order };
    if (order.store && order.store.id !== STORE.id) {
      const params = { store_zh: order.store.nameZh, store_en: order.store.nameEn };
      return this.#verdict(subject, 'refuse', [{ code: 'other_store', params }]);
    }
    if (order.state === 'collected') {
      const params = { at: String(this.#clock() - 86_400_000), by: order.collector };
      return this.#verdict(subject, 'refuse', [{ code: 'already_collected', params }]);
    }
    return {
      ...this.#verdict(subject, this.online ? 'honour' : 'honourOffline', []),
      action: 'collect',
      ticket: this.#issue('collectOrder', order.number, () => (order.state = 'collected')),
    };
  }

  #verdict(subject: Verdict['subject'], decision: Verdict['decision'], reasons: (ReasonCode | Reason)[]): Verdict {
    return {
      ticket: null,
      decision,
      subject: structuredClone(subject),
      reasons: reasons.map((reason) => (typeof reason === 'string' ? { code: reason, params: {} } : reason)),
      action: null,
      shownAt: this.#clock(),
    };
  }

  #issue(kind: QueueRow['kind'], title: string, done: () => void): string {
    const ticket = `t-${this.#nextTicket++}`;
    this.#tickets.set(ticket, { title, kind, done });
    return ticket;
  }

  #append(kind: QueueRow['kind'], title: string): QueueRow {
    const seq = (this.#rows[0]?.seq ?? 100) + 1;
    const now = this.#clock();
    const row: QueueRow = {
      opId: `op-${seq}`,
      seq,
      epoch: 1,
      kind,
      title,
      at: now,
      clerk: this.#state.clerk?.name ?? '',
      state: this.online ? 'applied' : 'pending',
      exception: null,
      deliveredAt: this.online ? now : null,
      voided: false,
      voidable: kind !== 'voidRedemption' && kind !== 'returnSale',
    };
    this.#rows = [row, ...this.#rows];
    this.#change({});
    return row;
  }

  #deliver(): void {
    const now = this.#clock();
    this.#rows = this.#rows.map((row) =>
      row.state === 'pending' ? { ...row, state: 'applied', deliveredAt: now } : row,
    );
  }

  #change(over: Partial<AppState>): AppState {
    const counted = (state: QueueRow['state']) => this.#rows.filter((row) => row.state === state).length;
    const queue = { pending: counted('pending'), delivered: counted('applied'), exceptions: counted('exception') };
    this.#state = { ...this.#state, queue, ...over };
    for (const listener of this.#listeners) listener(this.#state);
    return this.#state;
  }

  async #answer<T>(result: Result<T>): Promise<Result<T>> {
    if (this.delay > 0) await new Promise((resolve) => setTimeout(resolve, this.delay));
    return result;
  }
}

function receiptOf(row: QueueRow): Receipt {
  const delivery = row.state === 'pending' ? ('toBeDelivered' as const) : ('confirmed' as const);
  return { opId: row.opId, seq: row.seq, at: row.at, delivery, title: row.title };
}

function approval(reason: string, managerId: string, managerPin: string): Result<never> | null {
  if (reason.trim() === '') return failed('reason_missing');
  const manager = CLERKS.find((one) => one.id === managerId && one.role === 'manager');
  if (!manager) return failed('not_allowed');
  return manager.pin === managerPin ? null : failed('wrong_pin', { left: '4' });
}

export function openFakeBackend(query: URLSearchParams): FakeBackend {
  const backend = new FakeBackend();
  backend.delay = 120;
  const locale = query.get('locale') === 'en' ? 'en' : 'zh-CN';
  const phase = query.get('phase');
  backend.start({ locale });
  if (phase === 'signIn' || phase === 'desk') backend.start({ phase, mode: 'demo', store: STORE });
  if (phase === 'desk') {
    const [clerk] = CLERKS;
    if (clerk) backend.start({ clerk: { id: clerk.id, name: clerk.name, role: clerk.role, lockedUntil: null } });
  }
  if (query.has('offline')) backend.setOnline(false);
  return backend;
}
