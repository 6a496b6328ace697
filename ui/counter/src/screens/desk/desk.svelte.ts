import { play, type Sound } from '@counterfoil/shared';
import type { Backend, Problem, Receipt, ScanSource, Verdict } from '../../lib/backend';

/** What lies on the desk. One thing at a time. */
export type DeskView =
  | { kind: 'idle' }
  | { kind: 'looking'; text: string | null }
  | { kind: 'verdict'; text: string; verdict: Verdict; shownAt: number; source: ScanSource }
  | { kind: 'done'; receipt: Receipt; verdict: Verdict }
  | { kind: 'problem'; text: string | null; problem: Problem };

export interface Recent {
  at: number;
  title: Verdict['subject'];
  outcome: Receipt['delivery'] | 'refused';
  action: Verdict['action'];
}

/** Larger files are refused before they are read: decoding them would stall a small counter PC. */
export const PICTURE_LIMIT = 20 * 1024 * 1024;
const RECENT_LIMIT = 6;
/** A verdict from a scan is not confirmed by an Enter that came before a person can have read it, in ms. */
const READING_TIME = 250;

const SOUNDS: Record<string, Sound> = {
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
  /** Scanned while a confirm was under way; looked up after its answer. */
  held = $state<string | null>(null);
  cameraOpen = $state(false);
  recent = $state.raw<Recent[]>([]);

  /** Answers to earlier look-ups are dropped: only what was asked last may be shown. */
  #asked = 0;

  constructor(private readonly backend: Backend) {}

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
    if (this.confirming) {
      this.held = wanted;
      return;
    }
    const asked = this.#ask(wanted);
    this.text = '';
    const answer = await this.backend.lookUp(wanted, source);
    if (asked !== this.#asked) return;
    if (answer.status === 'error') return this.#showProblem(wanted, answer.error);
    this.#showVerdict(wanted, answer.data, source);
  }

  async readPicture(file: Blob): Promise<void> {
    if (this.confirming) return;
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
    const answer = await this.backend.readPicture(base64);
    if (asked !== this.#asked) return;
    if (answer.status === 'error') return this.#showProblem(null, answer.error);
    await this.lookUp(answer.data.text, 'camera');
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
      this.#remember(verdict, receipt.delivery);
      play('done');
    }
    const held = this.held;
    this.held = null;
    if (held !== null) await this.lookUp(held, 'scanned');
  }

  /** Enter, wherever the focus is: look up what is typed, else confirm, else make room for the next. */
  async enter(now: number = Date.now()): Promise<void> {
    if (this.text.trim() !== '') return this.lookUp(this.text, 'typed');
    if (this.view.kind === 'verdict' && this.canConfirm) {
      if (this.view.source === 'scanned' && now - this.view.shownAt < READING_TIME) return;
      return this.confirm();
    }
    if (this.view.kind === 'done') this.clear();
  }

  clear(): void {
    if (this.confirming) return;
    this.#asked += 1;
    this.view = { kind: 'idle' };
    this.text = '';
    this.confirmProblem = null;
  }

  #ask(text: string | null): number {
    this.#asked += 1;
    this.confirmProblem = null;
    this.cameraOpen = false;
    this.view = { kind: 'looking', text };
    return this.#asked;
  }

  #showVerdict(text: string, verdict: Verdict, source: ScanSource): void {
    this.view = { kind: 'verdict', text, verdict, source, shownAt: Date.now() };
    play(SOUNDS[verdict.decision] ?? 'note');
    if (verdict.decision === 'refuse') this.#remember(verdict, 'refused');
  }

  #showProblem(text: string | null, problem: Problem): void {
    this.view = { kind: 'problem', text, problem };
    play('unsure');
  }

  #remember(verdict: Verdict, outcome: Recent['outcome']): void {
    const entry = { at: Date.now(), title: verdict.subject, outcome, action: verdict.action };
    this.recent = [entry, ...this.recent].slice(0, RECENT_LIMIT);
  }
}

/** The bytes alone, without the "data:" head. Null when the browser can't read the file. */
function base64Of(file: Blob): Promise<string | null> {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => {
      const url = String(reader.result);
      resolve(url.slice(url.indexOf(',') + 1));
    };
    reader.onerror = () => resolve(null);
    reader.readAsDataURL(file);
  });
}
