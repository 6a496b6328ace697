import { play, type Scan, type Seen } from '@counterfoil/shared';
import { showLocale, type Place } from '@counterfoil/shared/words';
import { getContext, setContext } from 'svelte';
import { SvelteMap } from 'svelte/reactivity';
import { Desk } from '../screens/desk/desk.svelte';
import type { AppState, Backend, Problem, ProductView, Result, ScanSource } from './backend';
import './language';

export type Screen = 'desk' | 'today' | 'queue' | 'settings';

/** What every screen shares: the state of the counter, which screen is shown, and the desk with what lies on it. */
export class App {
  state = $state.raw<AppState | null>(null);
  /** Why there is no state at all, or why the last app-wide step failed. */
  problem = $state.raw<Problem | null>(null);
  screen = $state<Screen>('desk');
  helpOpen = $state(false);
  /** A dialog that must not be torn away by a scan; what is scanned meanwhile is held. */
  busyDialog = $state(false);
  heldScans = $state.raw<string[]>([]);
  /** A scan came while nobody was signed in. */
  scanIgnored = $state(false);
  /** A scanner typed what can't be told; nothing was looked up. */
  scanUnclear = $state(false);
  /** Set while a scanner is tested: what it types goes there and nowhere else. */
  scannerTest: ((seen: Seen) => void) | null = null;
  now = $state(Date.now());

  readonly desk: Desk;
  /** Goods that coupons are vouchers for; null until the answer comes, and for what isn't known here. */
  readonly #products = new SvelteMap<string, ProductView | null>();

  constructor(readonly backend: Backend) {
    this.desk = new Desk(backend);
  }

  /** For sentences: the store's zone and the currency of the counter. */
  get place(): Place {
    return { timeZone: this.state?.store?.timeZone, currency: this.state?.limits?.currency };
  }

  productNamed = (sku: string): ProductView | null => {
    const known = this.#products.get(sku);
    if (known !== undefined) return known;
    // Not while it is drawn: what is read there must not be written.
    queueMicrotask(() => void this.#askProduct(sku));
    return null;
  };

  async start(): Promise<void> {
    showLocale(navigator.language.startsWith('zh') ? 'zh-CN' : 'en');
    await this.backend.onStateChanged((state) => this.#show(state)).catch(() => undefined);
    this.take(await this.backend.appState());
  }

  /** Shows the state of an answer, or its problem; true when it went well. */
  take(answer: Result<AppState>): boolean {
    if (answer.status === 'error') {
      this.problem = answer.error;
      return false;
    }
    this.problem = null;
    this.#show(answer.data);
    return true;
  }

  async switchLocale(next: 'zh-CN' | 'en'): Promise<void> {
    // Shown at once; a machine that can't remember it still speaks the language asked for.
    showLocale(next);
    this.take(await this.backend.setLocale(next));
    showLocale(next);
  }

  async signOut(): Promise<void> {
    this.desk.empty();
    this.desk.recent = [];
    this.screen = 'desk';
    this.take(await this.backend.signOut());
  }

  /** Where a scan ran into a field that takes none, that field's owner is told; nothing is looked up of a person. */
  scan({ text, into, sure }: Scan): void {
    this.scanUnclear = false;
    const refused = into === 'number' && this.state?.phase === 'desk' && !this.busyDialog;
    if (refused) void this.desk.refuse(text, sure);
    else this.scanned(text);
  }

  unclear(): void {
    this.scanUnclear = true;
    play('unsure');
  }

  /** A scan is welcome on every screen and lost on none. */
  scanned(text: string, source: ScanSource = 'scanned'): void {
    if (this.state?.phase !== 'desk') {
      this.scanIgnored = true;
      return;
    }
    if (this.busyDialog) {
      this.heldScans = [...this.heldScans, text];
      return;
    }
    this.helpOpen = false;
    this.screen = 'desk';
    void this.desk.lookUp(text, source);
  }

  openDialog(): void {
    this.busyDialog = true;
  }

  closeDialog(): void {
    this.busyDialog = false;
    const held = this.heldScans;
    this.heldScans = [];
    for (const text of held) this.scanned(text);
  }

  async #askProduct(sku: string): Promise<void> {
    if (this.#products.has(sku)) return;
    this.#products.set(sku, null);
    const answer = await this.backend.productOf(sku);
    if (answer.status === 'ok') this.#products.set(sku, answer.data);
  }

  #show(state: AppState): void {
    const before = this.state;
    this.state = state;
    this.now = Date.now();
    if (before === null || before.locale !== state.locale) showLocale(state.locale);
    if (before?.phase !== state.phase) this.scanIgnored = false;
    if (before?.phase === 'desk' && state.phase !== 'desk') this.desk.empty();
  }
}

const KEY = Symbol('counter');

export function provideApp(app: App): void {
  setContext(KEY, app);
}

export function useApp(): App {
  return getContext<App>(KEY);
}
