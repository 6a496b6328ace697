/**
 * Keyboard-wedge scanners: a scanner is a keyboard that types a code in a burst and ends it with Enter. Here is what
 * tells it from a person: times in, decisions out; no DOM, no clock, no timers.
 *
 * A burst can't be told from a person at its first key, so keys are let through, and the decision says from which key
 * on the fields are to be put back. A scan is whole or nothing: what may be only the tail of one is never handed out.
 */

import { formOf, hasAim } from './forms';

/** All times in ms. */
export const LIMITS = {
  /** A burst's usual pause between two keys: its median is at most this. A fast typist needs some 60. */
  usual: 50,
  /** Pauses up to this are the unsteadiness of a busy machine; longer ones are gaps. */
  steady: 90,
  /** A burst may have one gap, up to this: wireless scanners and remote desktops pause. */
  gap: 400,
  /** Median of the slowest scanners and lines. Such input is judged by what it says; people are slower still. */
  slow: 120,
  /** The same for the shortest codes: eight digits are also typed by people who are used to numbers. */
  slowShort: 100,
  /** Whoever pauses this long begins anew. */
  anew: 1000,
  /** An Enter this soon after a burst is not a person's. */
  afterwards: 500,
  /** Keys of the shortest burst without a prefix. Pickup codes have 8 digits. */
  shortest: 8,
  /** Digits of the longest PIN. Nobody must be kept from signing in because a PIN reads like a code. */
  longestPin: 12,
} as const;

/** What a scanner puts around each code, as set in Settings. */
export interface ScannerSettings {
  prefix: string;
  suffix: string;
  /** What tells that a scan is over. */
  ends: 'enter' | 'silence';
}

export const PLAIN_SCANNER: ScannerSettings = { prefix: '', suffix: '', ends: 'enter' };

/** Where the keys go: `pin` hides what is typed, `number` refuses scans. */
export type FieldKind = 'open' | 'pin' | 'number';

export interface Key {
  char: string;
  at: number;
}

export type Decision =
  /** A person's; let it pass. */
  | { kind: 'typed' }
  /** The whole of a scan, which began at this key. `sure` by its shape, otherwise by what it says. */
  | { kind: 'scan'; text: string; from: number; sure: boolean }
  /** A scanner's, but not to be told where it begins or whether it is whole. */
  | { kind: 'unclear'; from: number }
  /** A further terminator of what was decided already. */
  | { kind: 'echo' };

const TYPED: Decision = { kind: 'typed' };

export class Recogniser {
  #keys: Key[] = [];
  #broken = false;
  #lastBurst = Number.NEGATIVE_INFINITY;

  constructor(private readonly settings: () => ScannerSettings = () => PLAIN_SCANNER) {}

  /** Keys since the last decision, oldest first. */
  get keys(): readonly Key[] {
    return this.#keys;
  }

  /** So fast that no person types it. */
  get inBurst(): boolean {
    return this.#keys.length >= 3 && median(gapsOf(this.#keys)) <= LIMITS.usual;
  }

  /** True when a scan may begin with this key, so that what the fields hold now has to be kept. */
  key(char: string, at: number): boolean {
    const last = this.#keys.at(-1);
    if (last && at - last.at > LIMITS.anew) this.reset();
    const before = this.#keys.at(-1);
    this.#keys.push({ char, at });
    return before === undefined || at - before.at > LIMITS.steady;
  }

  /** A key that changes or leaves what was typed: a person's, so what comes next begins anew. */
  edited(): void {
    if (this.inBurst) this.#broken = true;
    else this.reset();
  }

  /** The terminator. */
  end(at: number, field: FieldKind): Decision {
    const last = this.#keys.at(-1);
    if (!last) return at - this.#lastBurst <= LIMITS.afterwards ? { kind: 'echo' } : TYPED;
    const decision = this.#judged(at - last.at, field);
    this.reset();
    if (decision.kind !== 'typed') this.#lastBurst = at;
    return decision;
  }

  /** Nothing came for longer than any gap; the end of a scan where scanners send none. */
  silence(at: number): Decision {
    if (this.settings().ends !== 'silence' || this.#broken) return TYPED;
    const text = textOf(this.#keys, 0);
    if (!isLongEnough(text, this.settings()) || !isClean(gapsOf(this.#keys)) || isHeldKey(text)) return TYPED;
    this.reset();
    this.#lastBurst = at;
    return { kind: 'scan', text: bareOf(text, this.settings()), from: 0, sure: true };
  }

  /** What came was looked at otherwise; its further terminators are none of a person's. */
  taken(at: number): void {
    this.reset();
    this.#lastBurst = at;
  }

  reset(): void {
    this.#keys = [];
    this.#broken = false;
  }

  #judged(pause: number, field: FieldKind): Decision {
    const decision = judge(this.#keys, pause, field, this.settings());
    if (!this.#broken || decision.kind === 'typed') return decision;
    return decision.kind === 'scan' && !decision.sure ? TYPED : { kind: 'unclear', from: 0 };
  }
}

/** What these keys were, when a terminator comes `pause` ms after the last of them. */
export function judge(keys: readonly Key[], pause: number, field: FieldKind, settings: ScannerSettings): Decision {
  const text = textOf(keys, 0);
  if (!isLongEnough(text, settings) || isHeldKey(text)) return TYPED;
  const late = pause > LIMITS.gap;
  const gaps = gapsOf(keys);
  const pauses = late ? gaps : [...gaps, pause];
  const fast = median(pauses) <= LIMITS.usual;
  const bare = bareOf(text, settings);
  const isCode = isCodeFor(bare, field);

  if (isClean(pauses) && (isCode || !late || field === 'number')) {
    return { kind: 'scan', text: bare, from: 0, sure: true };
  }
  const slow = bare.length > LIMITS.shortest ? LIMITS.slow : LIMITS.slowShort;
  if (isCode && median(pauses) <= slow && (fast || !late)) return { kind: 'scan', text: bare, from: 0, sure: fast };
  if (late && pause > LIMITS.afterwards && field !== 'number') return TYPED;
  return afterPerson(keys, pause, field, settings) ?? (fast || endsInBurst(keys) ? unclear(burstBegin(keys)) : TYPED);
}

const unclear = (from: number): Decision => ({ kind: 'unclear', from });

/** A person was typing when the scan came: its beginning, if it can only be one. */
function afterPerson(
  keys: readonly Key[],
  pause: number,
  field: FieldKind,
  settings: ScannerSettings,
): Decision | null {
  if (pause > LIMITS.gap) return null;
  const gaps = gapsOf(keys);
  const begins = gaps.flatMap((gap, index) => (gap > LIMITS.steady ? [index + 1] : []));
  const possible = begins.filter((begin) => {
    const tail = [...gaps.slice(begin), pause];
    const text = textOf(keys, begin);
    return isLongEnough(text, settings) && !text.startsWith(' ') && isClean(tail) && isPerson(keys.slice(0, begin));
  });
  const codes = possible.filter((begin) => isCodeFor(bareOf(textOf(keys, begin), settings), field));
  const [only] = codes;
  if (only === undefined) return null;
  if (codes.length > 1) return unclear(only);
  return { kind: 'scan', text: bareOf(textOf(keys, only), settings), from: only, sure: true };
}

/** Whether these were typed by hand: at a person's pace, and not the head of a scan that was cut. */
function isPerson(head: readonly Key[]): boolean {
  const gaps = gapsOf(head);
  const fast = gaps.filter((gap) => gap <= LIMITS.usual);
  return gaps.length > 1 && median(gaps) > LIMITS.slow && fast.length * 4 <= gaps.length;
}

/** A burst's last steady stretch is too long and too fast for a person. */
function endsInBurst(keys: readonly Key[]): boolean {
  const gaps = gapsOf(keys);
  const begin = gaps.findLastIndex((gap) => gap > LIMITS.steady) + 1;
  return keys.length - begin >= LIMITS.shortest && median(gaps.slice(begin)) <= LIMITS.usual;
}

/** Where the first stretch begins that no person typed. */
function burstBegin(keys: readonly Key[]): number {
  const gaps = gapsOf(keys);
  const first = gaps.findIndex((gap, index) => gap <= LIMITS.usual && (gaps[index + 1] ?? Infinity) <= LIMITS.usual);
  return Math.max(0, first);
}

/** One burst: fast, steady but for one gap. */
function isClean(pauses: readonly number[]): boolean {
  const gaps = pauses.filter((pause) => pause > LIMITS.steady);
  return median(pauses) <= LIMITS.usual && gaps.length <= 1 && gaps.every((gap) => gap <= LIMITS.gap);
}

function isCodeFor(bare: string, field: FieldKind): boolean {
  return formOf(bare) !== null && (field !== 'pin' || bare.length > LIMITS.longestPin);
}

/** A prefix is proof enough for the shortest code. */
function isLongEnough(text: string, settings: ScannerSettings): boolean {
  const marked = (settings.prefix !== '' && text.startsWith(settings.prefix)) || hasAim(text);
  return marked ? bareOf(text, settings).length > (hasAim(text) ? 3 : 0) : text.trim().length >= LIMITS.shortest;
}

/** A key held down repeats as fast as a scanner types. */
function isHeldKey(text: string): boolean {
  return text.length > 0 && [...text].every((char) => char === text[0]);
}

function bareOf(text: string, { prefix, suffix }: ScannerSettings): string {
  const headless = prefix !== '' && text.startsWith(prefix) ? text.slice(prefix.length) : text;
  const bare = suffix !== '' && headless.endsWith(suffix) ? headless.slice(0, -suffix.length) : headless;
  return bare.trim();
}

function textOf(keys: readonly Key[], from: number): string {
  return keys
    .slice(from)
    .map(({ char }) => char)
    .join('');
}

export function gapsOf(keys: readonly Key[]): number[] {
  return keys.slice(1).map(({ at }, index) => at - (keys[index]?.at ?? at));
}

/** Infinite for none, so that nothing is ever fast by default. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.POSITIVE_INFINITY;
}
