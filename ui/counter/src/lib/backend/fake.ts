/**
 * A backend in memory, with demo data, so that screens can be looked at in a browser and tested without the desktop
 * shell. Used by vitest, `npm run dev` and `npm run build:fake`; never part of the normal build (see openBackend).
 *
 * In a browser: `?phase=desk&locale=en&offline=1` starts at a certain point.
 */

import type {
  AppState,
  Backend,
  Confirmation,
  CouponView,
  OrderView,
  Problem,
  QueueRow,
  Reason,
  Receipt,
  Result,
  Verdict,
} from './index';
import { CLERKS, STORE, demoCoupons, demoOrders, demoQueue } from './fake-data';

const ok = <T>(data: T): Result<T> => ({ status: 'ok', data });
const failed = (code: string, params: Record<string, string> = {}): Result<never> => ({
  status: 'error',
  error: { code, params, detail: `fake backend: ${code}` } satisfies Problem,
});

const ATTEMPTS = 5;

export class FakeBackend implements Backend {
  /** What a picture contains; null = no code in it. Tests set it. */
  pictureText: string | null = '40718826';
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
  #nextTicket = 1;
  #attempts = ATTEMPTS;
  #frames = 0;

  constructor(clock: () => number = Date.now) {
    this.#clock = clock;
    const now = clock();
    this.#coupons = demoCoupons(now);
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

  async lookUp(text: string, source: string) {
    this.lookUps.push({ text, source });
    const code = text.replace(/\s/g, '');
    const coupon = this.#coupons.find((one) => one.code === code);
    const order = this.#orders.find((one) => one.code === code);
    if (coupon) return this.#answer(ok(this.#couponVerdict(coupon)));
    if (order) return this.#answer(ok(this.#orderVerdict(order)));
    const digits = /^\d{8}$|^\d{18}$/.test(code);
    const reason = digits ? (this.online ? 'unknown_code' : 'unknown_offline') : 'not_a_code';
    return this.#answer(
      ok(this.#verdict({ kind: 'unknown', text }, reason === 'unknown_offline' ? 'unconfirmed' : 'refuse', [reason])),
    );
  }

  async readPicture(base64: string) {
    if (base64.length === 0) return this.#answer(failed('picture_unreadable'));
    if (this.pictureText === null) return this.#answer(failed('picture_without_code'));
    return this.#answer(ok({ text: this.pictureText, format: 'QRCode' }));
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
    if (reason.trim() === '') return this.#answer(failed('reason_missing'));
    const manager = CLERKS.find((one) => one.id === managerId && one.role === 'manager');
    if (!manager) return this.#answer(failed('not_allowed'));
    if (manager.pin !== managerPin) return this.#answer(failed('wrong_pin', { left: '4' }));
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
      }),
    );
  }

  async onStateChanged(listener: (state: AppState) => void) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
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

  #verdict(subject: Verdict['subject'], decision: Verdict['decision'], reasons: (string | Reason)[]): Verdict {
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
      voidable: kind !== 'voidRedemption',
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
