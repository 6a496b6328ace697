import { LIMITS, play, type Sound } from '@counterfoil/shared';
import type {
  Backend,
  CouponView,
  Found,
  PictureText,
  Problem,
  ProductView,
  Receipt,
  Result,
  ScanSource,
  Verdict,
} from '../../lib/backend';
import { Sale, type Sold } from './basket/sale.svelte';

/** What lies on the desk. One thing at a time. */
export type DeskView =
  | { kind: 'idle' }
  | { kind: 'looking'; text: string | null }
  | { kind: 'verdict'; text: string; verdict: Verdict; shownAt: number; source: ScanSource }
  | { kind: 'done'; receipt: Receipt; verdict: Verdict }
  | { kind: 'products'; text: string; products: ProductView[]; chosen: number; source: ScanSource }
  | { kind: 'sold'; sold: Sold }
  | { kind: 'problem'; text: string | null; problem: Problem; source: ScanSource };

/** A coupon whose verdict is on the screen, and what was read of it. */
interface Shown {
  coupon: CouponView;
  text: string;
}

export interface Recent {
  at: number;
  title: Verdict['subject'] | { kind: 'sale'; items: number };
  outcome: Receipt['delivery'] | 'refused';
  action: Verdict['action'];
}

/** Larger files are refused before they are read: decoding them would stall a small counter PC. */
export const PICTURE_LIMIT = 20 * 1024 * 1024;
/** The symbols that goods carry. */
const GOODS = ['EAN13', 'EAN8', 'UPCA', 'UPCE'];
const RECENT_LIMIT = 6;
/** What a scan has brought is not confirmed by an Enter that came before a person can have read it, in ms. */
const READING_TIME = LIMITS.afterwards;

const SOUNDS: Record<Verdict['decision'], Sound> = {
  honour: 'good',
  honourOffline: 'good',
  refuse: 'bad',
  unconfirmed: 'unsure',
  info: 'note',
};

export class Desk {
  view = $state.raw<DeskView>({ kind: 'idle' });
  /** What is typed and not yet looked up. */
  text = $state('');
  confirming = $state(false);
  /** Why the last confirm did not get an answer; the verdict stays, so it can be pressed again. */
  confirmProblem = $state.raw<Problem | null>(null);
  /** Scanned or read while something else has to be decided; looked up afterwards, in this order. */
  held = $state.raw<string[]>([]);
  cameraOpen = $state(false);
  recent = $state.raw<Recent[]>([]);

  readonly sale: Sale;

  /** Answers to earlier look-ups are dropped: only what was asked last may be shown. */
  #asked = 0;
  /** Goods scanned before the desk was emptied don't belong into the next basket. */
  #emptied = 0;
  #lastScan = Number.NEGATIVE_INFINITY;

  constructor(private readonly backend: Backend) {
    this.sale = new Sale(backend);
  }

  /** The basket has the stage, unless something stands before it that has to be decided first. */
  get showsSale(): boolean {
    // A choice of goods is shown where they will lie.
    if (!this.sale.active && this.view.kind !== 'products') return false;
    return this.view.kind !== 'sold' && this.view.kind !== 'done' && !this.#deciding;
  }

  /** A verdict that waits for a yes or no. */
  get #deciding(): boolean {
    return this.view.kind === 'verdict' && this.view.verdict.subject.kind === 'order';
  }

  get canConfirm(): boolean {
    return (
      this.view.kind === 'verdict' &&
      this.view.verdict.ticket !== null &&
      this.view.verdict.action !== null &&
      !this.confirming &&
      this.confirmProblem?.code !== 'ticket_stale'
    );
  }

  async lookUp(text: string, source: ScanSource): Promise<void> {
    const wanted = text.trim();
    if (wanted === '') return;
    const read = source === 'scanned' || source === 'camera';
    // What is to be chosen is chosen first; who types something else has given it up.
    if (this.confirming || this.sale.settling || (read && this.view.kind === 'products')) {
      this.held = [...this.held, wanted];
      if (source === 'scanned') this.#lastScan = Date.now();
      return;
    }
    if (source === 'scanned') this.#lastScan = Date.now();
    const shown = this.#couponShown();
    const emptied = this.#emptied;
    const asked = this.#ask(wanted);
    this.text = '';
    const answer = await this.backend.lookUp(wanted, source);
    const overtaken = asked !== this.#asked;
    if (answer.status === 'ok' && emptied === this.#emptied) {
      const [product] = productsOf(answer.data);
      // Every scan of goods counts, also when the next one was faster than its answer.
      if (product) {
        this.#take(shown);
        this.sale.add(product);
        play('note');
        if (!overtaken) {
          this.view = { kind: 'idle' };
          await this.#lookUpHeld();
        }
        return;
      }
      // A choice that the next scan was faster than comes after that.
      if (overtaken && read && answer.data.kind === 'products') {
        this.held = [...this.held, wanted];
        if (this.view.kind === 'idle') await this.#lookUpHeld();
        return;
      }
    }
    if (overtaken) return;
    if (answer.status === 'error') return this.#showProblem(wanted, answer.error, source);
    this.#show(wanted, answer.data, source, shown);
    if (this.view.kind === 'idle') await this.#lookUpHeld();
  }

  /**
   * A scan ran into the receipt number, which is as before. Goods are none the less wanted; whose code anything else is
   * must not be said, so it waits to be asked for.
   */
  async refuse(text: string, sure: boolean): Promise<void> {
    if (this.sale.settling) {
      this.held = [...this.held, text];
      return;
    }
    this.#lastScan = Date.now();
    const emptied = this.#emptied;
    const answer = await this.backend.productOf(text);
    if (emptied !== this.#emptied) return;
    const product = answer.status === 'ok' ? answer.data : null;
    if (product) this.sale.add(product);
    this.sale.refusedScan = { text, added: product !== null, sure };
    play(product ? 'note' : 'unsure');
  }

  async readPicture(file: Blob): Promise<void> {
    if (this.confirming || this.sale.settling) return;
    const asked = this.#ask(null);
    if (file.size > PICTURE_LIMIT) {
      const detail = `${file.size} bytes, ${PICTURE_LIMIT} allowed`;
      return this.#showProblem(null, { code: 'picture_too_large', params: {}, detail });
    }
    const base64 = await base64Of(file);
    if (asked !== this.#asked) return;
    if (base64 === null) {
      return this.#showProblem(null, { code: 'picture_unreadable', params: {}, detail: 'the file could not be read' });
    }
    await this.#lookUpRead(await this.backend.readPicture(base64), asked);
  }

  /** Something was pasted that is no text, and the window was not given it. */
  async readPastedPicture(): Promise<void> {
    if (this.confirming || this.sale.settling) return;
    const asked = this.#ask(null);
    await this.#lookUpRead(await this.backend.readPastedPicture(), asked);
  }

  /** Goods go into the basket; of what else is in the picture one is shown, and the others wait for it. */
  async #lookUpRead(answer: Result<PictureText[]>, asked: number): Promise<void> {
    if (asked !== this.#asked) return;
    if (answer.status === 'error') return this.#showProblem(null, answer.error);
    const goods = answer.data.filter(({ format }) => GOODS.includes(format));
    const [first, ...others] = answer.data.filter(({ format }) => !GOODS.includes(format));
    for (const { text } of goods) await this.lookUp(text, 'camera');
    if (!first) return;
    this.held = [...this.held, ...others.map(({ text }) => text)];
    await this.lookUp(first.text, 'camera');
  }

  /** Acts on exactly the verdict that is shown. */
  async confirm(): Promise<void> {
    if (this.view.kind !== 'verdict' || !this.canConfirm) return;
    const { verdict, text, source } = this.view;
    if (verdict.ticket === null) return;
    this.confirming = true;
    this.confirmProblem = null;
    const answer = await this.backend.confirm(verdict.ticket);
    this.confirming = false;
    if (answer.status === 'error') {
      this.confirmProblem = answer.error;
      play('unsure');
    } else if (answer.data.kind === 'refused') {
      this.#showVerdict(text, answer.data.verdict, source);
    } else {
      const { receipt } = answer.data;
      this.view = { kind: 'done', receipt, verdict };
      this.#remember({ title: verdict.subject, outcome: receipt.delivery, action: verdict.action });
      play('done');
    }
    await this.#lookUpHeld();
  }

  /** The basket becomes a sale, as it is quoted on the screen. */
  async settle(): Promise<void> {
    const sold = await this.sale.settle();
    if (sold) {
      this.view = { kind: 'sold', sold };
      const title = { kind: 'sale' as const, items: sold.items };
      this.#remember({ title, outcome: sold.receipt.delivery, action: null });
    }
    await this.#lookUpHeld();
  }

  /** The coupon whose verdict is shown becomes part of a sale instead of being redeemed by itself. */
  putIntoSale(): void {
    const shown = this.#couponShown();
    this.view = { kind: 'idle' };
    this.#take(shown);
  }

  async choose(product: ProductView): Promise<void> {
    this.sale.add(product);
    this.view = { kind: 'idle' };
    await this.#lookUpHeld();
  }

  /** Moves in the list of products, else in the basket. */
  move(by: number): void {
    if (this.view.kind === 'products') {
      const last = this.view.products.length - 1;
      this.view = { ...this.view, chosen: Math.max(0, Math.min(last, this.view.chosen + by)) };
    } else {
      this.sale.select(by);
    }
  }

  /**
   * Enter, wherever the focus is: look up what is typed, else choose, else confirm, else make room for the next.
   * Returns true when the receipt number is what it waits for.
   */
  async enter(now: number = Date.now()): Promise<boolean> {
    if (this.text.trim() !== '') {
      await this.lookUp(this.text, 'typed');
    } else if (this.view.kind === 'products') {
      // The second end of a scan chooses nothing.
      const scanned = this.view.source === 'scanned' || this.held.length > 0;
      if (scanned && now - this.#lastScan < READING_TIME) return false;
      const product = this.view.products[this.view.chosen];
      if (product) await this.choose(product);
    } else if (this.view.kind === 'verdict' && !this.showsSale && this.canConfirm) {
      if (this.view.source === 'scanned' && now - this.view.shownAt < READING_TIME) return false;
      await this.confirm();
    } else if (this.view.kind === 'done' || this.view.kind === 'sold') {
      this.clear();
    } else if (this.showsSale && now - this.#lastScan >= READING_TIME) {
      if (this.sale.needsReceiptNumber) return true;
      await this.settle();
    }
    return false;
  }

  /** Takes away what stands before the basket, not the basket. */
  clear(): void {
    if (this.confirming) return;
    this.#asked += 1;
    this.view = { kind: 'idle' };
    this.text = '';
    this.confirmProblem = null;
    void this.#lookUpHeld();
  }

  /** Esc: one thing at a time, and a basket only when it is pressed twice. */
  escape(): void {
    if (this.confirming || this.sale.settling) return;
    if (this.view.kind !== 'idle' || this.text !== '' || !this.sale.active) this.clear();
    else if (this.sale.clearing) this.empty();
    else this.sale.clearing = true;
  }

  /** Everything goes: the basket, its member, and what stands before them. */
  empty(): void {
    this.#emptied += 1;
    this.held = [];
    this.clear();
    this.sale.clear();
  }

  #ask(text: string | null): number {
    this.#asked += 1;
    this.confirmProblem = null;
    this.cameraOpen = false;
    this.sale.clearing = false;
    this.view = { kind: 'looking', text };
    return this.#asked;
  }

  #show(text: string, found: Found, source: ScanSource, shown: Shown | null): void {
    if (found.kind === 'products') {
      this.#take(shown);
      this.view = { kind: 'products', text, products: found.products, chosen: 0, source };
      play(found.products.length > 0 ? 'note' : 'unsure');
    } else if (found.kind === 'member') {
      this.#take(shown);
      this.sale.setMember(found.card);
      this.view = { kind: 'idle' };
      play('note');
    } else if (this.sale.active && found.verdict.subject.kind === 'coupon') {
      // Beside a basket a coupon is used on the basket; whether it can be is for the quote to say.
      this.sale.addCoupon(found.verdict.subject.coupon, text);
      this.view = { kind: 'idle' };
      play('note');
    } else {
      this.#showVerdict(text, found.verdict, source);
    }
  }

  /** A coupon that was shown, not confirmed, before the goods came is part of the sale. */
  #take(shown: Shown | null): void {
    if (shown) this.sale.addCoupon(shown.coupon, shown.text);
  }

  #couponShown(): Shown | null {
    if (this.view.kind !== 'verdict') return null;
    const { text, verdict } = this.view;
    if (verdict.subject.kind !== 'coupon' || verdict.decision === 'refuse') return null;
    return { coupon: verdict.subject.coupon, text };
  }

  async #lookUpHeld(): Promise<void> {
    while (this.held.length > 0) {
      const [text = '', ...others] = this.held;
      this.held = others;
      await this.lookUp(text, 'scanned');
      // What is shown is decided first.
      if (this.view.kind === 'verdict' || this.view.kind === 'products') return;
    }
  }

  #showVerdict(text: string, verdict: Verdict, source: ScanSource): void {
    this.view = { kind: 'verdict', text, verdict, source, shownAt: Date.now() };
    play(SOUNDS[verdict.decision]);
    if (verdict.decision === 'refuse') {
      this.#remember({ title: verdict.subject, outcome: 'refused', action: verdict.action });
    }
  }

  #showProblem(text: string | null, problem: Problem, source: ScanSource = 'camera'): void {
    this.view = { kind: 'problem', text, problem, source };
    play('unsure');
  }

  #remember(entry: Omit<Recent, 'at'>): void {
    this.recent = [{ ...entry, at: Date.now() }, ...this.recent].slice(0, RECENT_LIMIT);
  }
}

/** What a barcode means beyond doubt; a name has to be chosen from a list. */
function productsOf(found: Found): ProductView[] {
  return found.kind === 'products' && found.exact ? found.products : [];
}

/** The bytes alone, without the "data:" head. Null when the browser can't read the file. */
function base64Of(file: Blob): Promise<string | null> {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => {
      const url = reader.result;
      resolve(typeof url === 'string' ? url.slice(url.indexOf(',') + 1) : null);
    };
    reader.onerror = () => resolve(null);
    reader.readAsDataURL(file);
  });
}
