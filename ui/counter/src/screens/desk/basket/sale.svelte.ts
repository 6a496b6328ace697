import { play } from '@counterfoil/shared';
import type {
  Backend,
  CardCoupon,
  CouponView,
  MemberCard,
  Payment,
  Problem,
  ProductView,
  QuotedCoupon,
  QuoteView,
  Reason,
  Receipt,
  SaleRefusal,
} from '../../../lib/backend';
import type { Tender } from './tenders';

export interface Line {
  product: ProductView;
  quantity: number;
}

/** A coupon and the text it came as, which is what proves that it was here. */
interface Scanned {
  coupon: CouponView;
  text: string;
}

/** What is left to show when the basket has become a sale. */
export interface Sold {
  receipt: Receipt;
  quote: QuoteView;
  items: number;
  member: MemberCard | null;
  /** How much of it stored value paid, minor units. */
  balance: number;
}

/** A scan that ran into the receipt number. */
interface RefusedScan {
  text: string;
  /** Goods; they are in the basket. */
  added: boolean;
  /** Beyond doubt; otherwise somebody may have typed it. */
  sure: boolean;
}

/** As many of one thing as the contract of quotes allows in a line without a sum ever overflowing. */
const MOST = 9_999;

/** The basket, whose it is, and what it costs: quoted anew at every change. */
export class Sale {
  lines = $state.raw<Line[]>([]);
  member = $state.raw<MemberCard | null>(null);
  /** Coupons that came by themselves, beside the member's. */
  scanned = $state.raw<Scanned[]>([]);
  /** The coupons ticked by hand; null = the best combination. */
  given = $state.raw<string[] | null>(null);
  quote = $state.raw<QuoteView | null>(null);
  /** The quote on the screen is not of this basket any more. */
  quoting = $state(false);
  problem = $state.raw<Problem | null>(null);
  /** What spoke against it when its payment was to be opened, or when it was to be confirmed. */
  refused = $state.raw<SaleRefusal | null>(null);
  /** How many points are to pay: as many as may are used. */
  points = $state(0);
  /** Whether stored value pays as much as it can. */
  withBalance = $state(false);
  /** What is held for the basket that is on the screen. */
  payment = $state.raw<Payment | null>(null);
  opening = $state(false);
  /** The line that keys work on. */
  selected = $state(0);
  /** The one used last: most customers of a shop pay alike. */
  tender = $state<Tender>('cash');
  receiptNumber = $state('');
  refusedScan = $state.raw<RefusedScan | null>(null);
  /** The receipt number is this product's barcode; whether it is meant is asked. */
  doubt = $state.raw<ProductView | null>(null);
  settling = $state(false);
  /** Esc was pressed once; the next one empties the basket. */
  clearing = $state(false);

  /** Answers to earlier questions are dropped. */
  #asked = 0;
  /** The ticket whose payment was opened last, and how much stored value was held with it. */
  #opened: { ticket: string; balance: number } | null = null;
  #renewal: ReturnType<typeof setTimeout> | undefined;
  /** The receipt number that was asked about and is meant. */
  #meant: string | null = null;
  /** What a key did last. */
  #byKey: { pressed: number; before: { lines: Line[]; selected: number }; after: Line[] } | null = null;

  constructor(private readonly backend: Backend) {}

  get active(): boolean {
    return this.lines.length > 0 || this.member !== null || this.scanned.length > 0;
  }

  get items(): number {
    return this.lines.reduce((sum, line) => sum + line.quantity, 0);
  }

  /** Coupons that are not among the member's own. */
  get others(): CouponView[] {
    const own = this.member?.coupons ?? [];
    return this.scanned.map(({ coupon }) => coupon).filter((one) => !own.some(({ coupon }) => coupon.id === one.id));
  }

  /** The member's coupons that a basket may use, and those that it can't whatever is in it. */
  get usable(): CardCoupon[] {
    return this.member?.coupons.filter((one) => one.decision !== 'refuse') ?? [];
  }

  get unusable(): CardCoupon[] {
    return this.member?.coupons.filter((one) => one.decision === 'refuse') ?? [];
  }

  /** What the quote says about a coupon. */
  quoted(id: string): QuotedCoupon | null {
    return this.quote?.coupons.find(({ coupon }) => coupon.id === id) ?? null;
  }

  /** Why a coupon that was scanned is none after all, when it is so. */
  unread(id: string): Reason[] {
    const text = this.scanned.find(({ coupon }) => coupon.id === id)?.text;
    return this.quote?.unread.find((one) => one.text === text)?.reasons ?? [];
  }

  get applied(): QuotedCoupon[] {
    return this.quote?.coupons.filter((one) => one.applied !== null) ?? [];
  }

  /** How much stored value pays, minor units. */
  get balance(): number {
    const { quote } = this;
    if (!this.withBalance || !quote?.account) return 0;
    return Math.max(0, Math.min(quote.account.balance.available, quote.payable));
  }

  /** Whether the basket uses anything that head office holds for it. */
  get usesHeld(): boolean {
    return this.applied.length > 0 || (this.quote?.points?.used ?? 0) > 0 || this.balance > 0;
  }

  /** Whether something is to be held that is not held yet. */
  get canOpen(): boolean {
    const { ticket } = this.quote ?? {};
    const isOpen = this.#opened?.ticket === ticket && this.#opened?.balance === this.balance && this.payment !== null;
    return this.canSettle && this.usesHeld && !this.opening && this.refused === null && !isOpen;
  }

  get canSettle(): boolean {
    return this.lines.length > 0 && this.quote?.ticket != null && !this.quoting && !this.settling;
  }

  get needsReceiptNumber(): boolean {
    return this.canSettle && this.receiptNumber.trim() === '';
  }

  add(product: ProductView): void {
    const at = this.lines.findIndex((line) => line.product.sku === product.sku);
    const found = this.lines[at];
    if (found) {
      this.change(at, 1);
    } else {
      this.lines = [...this.lines, { product, quantity: 1 }];
      this.#changed();
    }
    this.selected = at < 0 ? this.lines.length - 1 : at;
  }

  change(at: number, by: number): void {
    const line = this.lines[at];
    if (!line || this.settling) return;
    const quantity = Math.min(MOST, line.quantity + by);
    if (quantity < 1) return this.remove(at);
    this.lines = this.lines.with(at, { ...line, quantity });
    this.selected = at;
    this.#changed();
  }

  /** A key changes the line that keys work on. What comes next may show that the key was the first of a scan. */
  changeByKey(by: number, pressed: number): void {
    const { lines, selected } = this;
    this.change(selected, by);
    this.#byKey = { pressed, before: { lines, selected }, after: this.lines };
  }

  /** The keys from then on were a scanner's: what one of them changed is as it was. */
  takeBack(began: number): void {
    const done = this.#byKey;
    this.#byKey = null;
    if (this.settling || done === null || done.pressed < began || done.after !== this.lines) return;
    this.lines = done.before.lines;
    this.selected = done.before.selected;
    this.#changed();
  }

  remove(at: number): void {
    if (this.settling) return;
    this.lines = this.lines.filter((_, index) => index !== at);
    this.selected = Math.max(0, Math.min(this.selected, this.lines.length - 1));
    this.#changed();
  }

  select(by: number): void {
    this.clearing = false;
    this.selected = Math.max(0, Math.min(this.lines.length - 1, this.selected + by));
  }

  setMember(card: MemberCard | null): void {
    if (this.settling) return;
    this.member = card;
    // What was ticked by hand was ticked among the coupons of somebody else.
    this.given = null;
    this.points = 0;
    this.withBalance = false;
    this.#changed();
  }

  /** The same member, as they stand now: what was chosen for the basket stays. */
  renewMember(card: MemberCard): void {
    if (this.settling || this.member?.member.id !== card.member.id) return;
    this.member = card;
    this.#changed();
  }

  addCoupon(coupon: CouponView, text: string): void {
    if (this.settling) return;
    this.scanned = [...this.scanned.filter((one) => one.coupon.id !== coupon.id), { coupon, text }];
    // Who scans a coupon wants it used.
    if (this.given && !this.given.includes(coupon.id)) this.given = [...this.given, coupon.id];
    this.#changed();
  }

  dropCoupon(id: string): void {
    if (this.settling) return;
    this.scanned = this.scanned.filter((one) => one.coupon.id !== id);
    this.given = this.given?.filter((one) => one !== id) ?? null;
    this.#changed();
  }

  isTicked(id: string): boolean {
    return this.given ? this.given.includes(id) : this.quoted(id)?.applied != null;
  }

  /** From the best combination, the first tick or untick starts a choice by hand. */
  toggle(id: string): void {
    if (this.settling) return;
    const ticked = this.given ?? this.applied.map(({ coupon }) => coupon.id);
    this.given = ticked.includes(id) ? ticked.filter((one) => one !== id) : [...ticked, id];
    this.#changed();
  }

  best(): void {
    if (this.settling) return;
    this.given = null;
    this.#changed();
  }

  /** So many points are to pay. */
  usePoints(points: number): void {
    if (this.settling) return;
    this.points = Math.max(0, Math.trunc(points) || 0);
    this.#changed();
  }

  /** Stored value is to pay as much as it can, or nothing. */
  useBalance(use: boolean): void {
    if (this.settling) return;
    this.withBalance = use;
    this.refused = null;
    // Asked anew with the other amount when the clerk comes to the money.
    this.payment = null;
  }

  /** Before the till takes money: what the basket uses is held for it, all of it or nothing. */
  async openPayment(): Promise<void> {
    const ticket = this.quote?.ticket;
    if (!ticket || !this.canOpen) return;
    this.opening = true;
    const { balance } = this;
    this.#opened = { ticket, balance };
    const answer = await this.backend.openPayment(ticket, balance);
    this.opening = false;
    // Meanwhile it may be another basket, or sold.
    if (this.quote?.ticket !== ticket || this.settling) return;
    if (answer.status === 'error') {
      this.problem = answer.error;
      if (answer.error.code === 'ticket_stale') await this.#requote();
    } else if (answer.data.kind === 'refused') {
      play('unsure');
      const { refusal } = answer.data;
      await this.#requote();
      this.refused = refusal;
    } else {
      this.payment = answer.data.payment;
      clearTimeout(this.#renewal);
      this.#renewal = setTimeout(() => this.#renew(ticket), this.payment.renewAfter);
    }
  }

  /** What is held is old: it is asked for anew while the payment stays open. */
  #renew(ticket: string): void {
    if (this.quote?.ticket !== ticket || this.payment === null) return;
    this.payment = null;
    void this.openPayment();
  }

  /** The clerk has turned to something else: what was held is given back. */
  closePayment(): void {
    clearTimeout(this.#renewal);
    const opened = this.#opened;
    this.#opened = null;
    this.payment = null;
    // Whether it arrives or not, what is held lapses by itself.
    if (opened) void this.backend.closePayment(opened.ticket);
  }

  /** Records exactly what the quote on the screen says. Null when it did not come to a sale. */
  async settle(): Promise<Sold | null> {
    const { quote } = this;
    if (!this.canSettle || !quote?.ticket) return null;
    this.settling = true;
    this.problem = null;
    this.refused = null;
    this.refusedScan = null;
    const receipt = this.receiptNumber.trim();
    this.doubt = await this.#productMeant(receipt);
    if (this.doubt) {
      this.settling = false;
      play('unsure');
      return null;
    }
    const { balance } = this;
    const answer = await this.backend.settle(quote.ticket, this.tender, receipt, balance);
    this.settling = false;
    if (answer.status === 'ok' && answer.data.kind === 'done') {
      const sold = { receipt: answer.data.receipt, quote, items: this.items, member: this.member, balance };
      // Of what is sold nothing is held.
      this.#opened = null;
      this.clear();
      play('done');
      return sold;
    }
    play('unsure');
    const problem = answer.status === 'error' ? answer.error : null;
    const refused = answer.status === 'ok' && answer.data.kind === 'refused' ? answer.data.refusal : null;
    // What was shown is no longer so; what is so is asked for at once, and the reason stays on the screen.
    if (refused !== null || problem?.code === 'ticket_stale') await this.#requote();
    this.refused = refused;
    this.problem = problem ?? this.problem;
    return null;
  }

  /** The receipt number is meant as it stands, barcode or not. */
  meant(): void {
    this.#meant = this.receiptNumber.trim();
    this.doubt = null;
  }

  notMeant(): void {
    this.receiptNumber = '';
    this.doubt = null;
  }

  /** Somebody types the receipt number: what was said about it is over. */
  receiptEdited(): void {
    this.doubt = null;
    this.refusedScan = null;
  }

  /** The product whose barcode stands in for the receipt number. A receipt of that number is possible, so it is asked. */
  async #productMeant(receipt: string): Promise<ProductView | null> {
    if (receipt === this.#meant) return null;
    const answer = await this.backend.productOf(receipt);
    return answer.status === 'ok' ? answer.data : null;
  }

  clear(): void {
    if (this.settling) return;
    this.#asked += 1;
    this.lines = [];
    this.member = null;
    this.scanned = [];
    this.given = null;
    this.quote = null;
    this.quoting = false;
    this.problem = null;
    this.refused = null;
    this.points = 0;
    this.withBalance = false;
    this.closePayment();
    this.selected = 0;
    this.receiptNumber = '';
    this.refusedScan = null;
    this.doubt = null;
    this.#meant = null;
    this.clearing = false;
  }

  #changed(): void {
    this.clearing = false;
    this.refused = null;
    void this.#requote();
  }

  async #requote(): Promise<void> {
    this.#asked += 1;
    const asked = this.#asked;
    this.problem = null;
    this.closePayment();
    if (this.lines.length === 0) {
      this.quote = null;
      this.quoting = false;
      return;
    }
    this.quoting = true;
    const answer = await this.backend.quote({
      lines: this.lines.map(({ product, quantity }) => ({ sku: product.sku, quantity })),
      member: this.member?.member.id ?? null,
      coupons: this.scanned.map((one) => one.text),
      select: this.given,
      points: this.points,
    });
    if (asked !== this.#asked) return;
    this.quoting = false;
    if (answer.status === 'error') {
      this.quote = null;
      this.problem = answer.error;
    } else {
      this.quote = answer.data;
    }
  }
}
