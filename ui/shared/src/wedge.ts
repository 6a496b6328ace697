/**
 * Keyboard-wedge scanners: a USB scanner is a keyboard that types a code in a burst and ends it with Enter.
 *
 * A burst can't be told from a person at its first key, so keys are let through and the focused field is put back
 * as it was when the terminator proves that it was a scanner. Holding keys back instead would delay every
 * person's typing and break input methods.
 */

export interface WedgeOptions {
  /** A scan's usual pause between two keys, in ms: the median is at most this. A fast typist needs some 60. */
  usualGap: number;
  /** The longest single pause inside one scan, in ms. A busy PC delivers a scanner's keys in fits and starts. */
  longestGap: number;
  /** Shortest scan. Pickup codes have 8 digits; PINs are shorter, so a PIN and Enter is never a scan. */
  minLength: number;
}

export const WEDGE_DEFAULTS: WedgeOptions = { usualGap: 35, longestGap: 90, minLength: 8 };

export type WedgeStep =
  | { kind: 'start' }
  | { kind: 'more' }
  | { kind: 'scan'; text: string }
  | { kind: 'none' };

/** The timing alone: no DOM, no clock of its own. */
export class WedgeDetector {
  #text = '';
  #gaps: number[] = [];
  #last = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: WedgeOptions = WEDGE_DEFAULTS) {}

  /** `key` is one printable character, or "Enter"; `at` in ms. */
  feed(key: string, at: number): WedgeStep {
    const gap = at - this.#last;
    const inTime = gap <= this.options.longestGap;
    if (key === 'Enter') {
      const text = inTime && median(this.#gaps) <= this.options.usualGap ? this.#text : '';
      this.reset();
      return text.length >= this.options.minLength ? { kind: 'scan', text } : { kind: 'none' };
    }
    if (key.length !== 1) return { kind: 'none' };
    if (!inTime) this.reset();
    else this.#gaps.push(gap);
    this.#text += key;
    this.#last = at;
    return { kind: this.#text.length > 1 ? 'more' : 'start' };
  }

  /** Nothing was typed since the last terminator. */
  get isEmpty(): boolean {
    return this.#text === '';
  }

  reset(): void {
    this.#text = '';
    this.#gaps = [];
    this.#last = Number.NEGATIVE_INFINITY;
  }
}

/** Infinite for none, so that nothing is ever fast by default. */
function median(values: number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.POSITIVE_INFINITY;
}

type Field = HTMLInputElement | HTMLTextAreaElement;

interface Snapshot {
  field: Field | null;
  value: string;
  start: number | null;
  end: number | null;
}

function fieldOf(target: EventTarget | null): Field | null {
  return target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement ? target : null;
}

function snapshot(target: EventTarget | null): Snapshot {
  const field = fieldOf(target);
  return {
    field,
    value: field?.value ?? '',
    start: field?.selectionStart ?? null,
    end: field?.selectionEnd ?? null,
  };
}

function restore({ field, value, start, end }: Snapshot): void {
  if (!field || field.value === value) return;
  field.value = value;
  if (start !== null && field.selectionStart !== null) field.setSelectionRange(start, end);
  field.dispatchEvent(new Event('input', { bubbles: true }));
}

/**
 * The character of a key press. With a Chinese input method on, the browser reports "Process" instead of the
 * character, so the physical key is read: scanners type digits and Latin letters.
 */
export function characterOf(event: KeyboardEvent): string | null {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  if (event.key.length === 1) return event.key;
  if (event.key !== 'Process' && event.key !== 'Unidentified' && !event.isComposing) return null;
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code);
  if (digit && !event.shiftKey) return digit[1] ?? null;
  const letter = /^Key([A-Z])$/.exec(event.code);
  if (letter) return event.shiftKey ? (letter[1] ?? null) : (letter[1]?.toLowerCase() ?? null);
  return null;
}

/** A second terminator (CR LF) of the same scan arrives within this time, in ms; it must not press a button. */
const AFTER_SCAN = 120;

/** Listens on the whole window, before any field sees a key. Returns the way to stop. */
export function listenForScans(
  onScan: (text: string) => void,
  options: WedgeOptions = WEDGE_DEFAULTS,
  target: Window = window,
): () => void {
  const detector = new WedgeDetector(options);
  let before: Snapshot | null = null;
  let lastScan = Number.NEGATIVE_INFINITY;

  const swallow = (event: KeyboardEvent) => {
    event.preventDefault();
    event.stopImmediatePropagation();
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.repeat) return;
    const at = event.timeStamp;
    // Of the next scan, however soon it comes, there are characters before the terminator.
    if (event.key === 'Enter' && detector.isEmpty && at - lastScan <= AFTER_SCAN) return swallow(event);
    const key = event.key === 'Enter' ? 'Enter' : characterOf(event);
    if (key === null) return;
    const step = detector.feed(key, at);
    if (step.kind === 'start') before = snapshot(event.target);
    if (step.kind !== 'scan') return;
    swallow(event);
    lastScan = at;
    if (before) restore(before);
    before = null;
    onScan(step.text.trim());
  };

  target.addEventListener('keydown', onKeyDown, { capture: true });
  return () => target.removeEventListener('keydown', onKeyDown, { capture: true });
}
