/** The one place where a window's keys meet the recogniser, before any field sees them. */

import {
  LIMITS,
  PLAIN_SCANNER,
  Recogniser,
  type Decision,
  type FieldKind,
  type Key,
  type ScannerSettings,
} from './recogniser';

export interface Scan {
  text: string;
  /** What it ran into. */
  into: FieldKind;
  /** By its shape; otherwise a person may have typed it. */
  sure: boolean;
}

/** Keys as they came, for the test of scanners. */
export interface Seen {
  keys: readonly Key[];
  /** Null when nothing ended them. */
  end: 'enter' | 'tab' | null;
}

export interface ScanListener {
  onScan(scan: Scan): void;
  /** A scanner typed, and it can't be told what: nothing is looked up, the fields are as before. */
  onUnclear?(): void;
  /** Keys from this time on (`timeStamp`) were a scanner's: whoever acted on one of them takes that back. */
  onRestore?(began: number): void;
  settings?(): ScannerSettings;
  /** While a scanner is tested, what comes goes here alone. */
  test?(): ((seen: Seen) => void) | null;
}

/** A field that takes no scans says so: `data-scan="refused"`. */
const REFUSING = 'refused';
/** Inputs that nobody types into. */
const NOT_TYPED = ['button', 'checkbox', 'radio', 'file'];

type Field = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

/** What a field held when the key of this number came. */
interface Mark {
  from: number;
  field: Field;
  value: string;
  start: number | null;
  end: number | null;
}

function fieldOf(target: EventTarget | null): Field | null {
  if (target instanceof HTMLInputElement) return NOT_TYPED.includes(target.type) ? null : target;
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement ? target : null;
}

function kindOf(target: EventTarget | null): FieldKind {
  const field = fieldOf(target);
  if (field instanceof HTMLInputElement && field.type === 'password') return 'pin';
  return field?.dataset.scan === REFUSING ? 'number' : 'open';
}

function markOf(field: Field, from: number): Mark {
  const text = field instanceof HTMLSelectElement ? null : field;
  return { from, field, value: field.value, start: text?.selectionStart ?? null, end: text?.selectionEnd ?? null };
}

function restore({ field, value, start, end }: Mark): void {
  if (field.value !== value) {
    field.value = value;
    field.dispatchEvent(new Event('input', { bubbles: true }));
    if (field instanceof HTMLSelectElement) field.dispatchEvent(new Event('change', { bubbles: true }));
  }
  if (start !== null && !(field instanceof HTMLSelectElement)) field.setSelectionRange(start, end);
}

/** Physical keys of the layout that scanners type for, plain and with Shift. */
const SIGNS: Record<string, [string, string]> = {
  Minus: ['-', '_'],
  Equal: ['=', '+'],
  BracketLeft: ['[', '{'],
  BracketRight: [']', '}'],
  Backslash: ['\\', '|'],
  Semicolon: [';', ':'],
  Quote: ["'", '"'],
  Comma: [',', '<'],
  Period: ['.', '>'],
  Slash: ['/', '?'],
  Backquote: ['`', '~'],
  Space: [' ', ' '],
  Digit1: ['1', '!'],
  Digit2: ['2', '@'],
  Digit3: ['3', '#'],
  Digit4: ['4', '$'],
  Digit5: ['5', '%'],
  Digit6: ['6', '^'],
  Digit7: ['7', '&'],
  Digit8: ['8', '*'],
  Digit9: ['9', '('],
  Digit0: ['0', ')'],
  NumpadAdd: ['+', '+'],
  NumpadSubtract: ['-', '-'],
  NumpadMultiply: ['*', '*'],
  NumpadDivide: ['/', '/'],
  NumpadDecimal: ['.', '.'],
};

/**
 * The character of a key press. With a Chinese input method on, the browser reports "Process" instead of the
 * character, so the physical key is read.
 */
export function characterOf(event: KeyboardEvent): string | null {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  if (event.key.length === 1) return event.key;
  if (event.key !== 'Process' && event.key !== 'Unidentified' && !event.isComposing) return null;
  const sign = SIGNS[event.code]?.[event.shiftKey ? 1 : 0];
  if (sign !== undefined) return sign;
  const digit = /^Numpad(\d)$/.exec(event.code)?.[1];
  if (digit !== undefined) return digit;
  const letter = /^Key([A-Z])$/.exec(event.code)?.[1];
  return (event.shiftKey ? letter : letter?.toLowerCase()) ?? null;
}

/** Keys that change or leave what was typed. */
const EDITS = new Set([
  'Backspace',
  'Delete',
  'ArrowLeft',
  'ArrowRight',
  'ArrowUp',
  'ArrowDown',
  'Home',
  'End',
  'PageUp',
  'PageDown',
]);

class Listening {
  readonly #recogniser: Recogniser;
  #marks: Mark[] = [];
  /** Fields that keys of this run have changed, and what they read after the last of them. */
  #reached = new Map<Field, string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #target: EventTarget | null = null;

  constructor(private readonly listener: ScanListener) {
    this.#recogniser = new Recogniser(() => this.#settings);
  }

  get #settings(): ScannerSettings {
    return this.listener.settings?.() ?? PLAIN_SCANNER;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  keyDown(event: KeyboardEvent): void {
    if (this.#isTaken()) this.#begin();
    if (event.key === 'Enter') return this.#ended(event, 'enter');
    if (event.key === 'Tab' && this.#recogniser.inBurst) return this.#ended(event, 'tab');
    if (event.key === 'Escape') this.#begin();
    else if (EDITS.has(event.key) || event.key === 'Tab' || event.ctrlKey || event.metaKey) this.#recogniser.edited();
    const char = characterOf(event);
    if (char !== null) this.#typed(char, event);
  }

  changed(target: EventTarget | null): void {
    const field = fieldOf(target);
    if (field && this.#recogniser.keys.length > 0) this.#reached.set(field, field.value);
  }

  /** What was typed was taken out of its field, by a button that looks it up or sends it: it is no part of what follows. */
  #isTaken(): boolean {
    const last = this.#marks.at(-1)?.field;
    return last !== undefined && this.#reached.has(last) && last.value !== this.#reached.get(last);
  }

  /** The focus may come into a field with the very key that goes into it. */
  focused(target: EventTarget | null): void {
    const field = fieldOf(target);
    const { length } = this.#recogniser.keys;
    if (field && length > 0 && !this.#marks.some((mark) => mark.field === field)) {
      this.#marks.push(markOf(field, length - 1));
    }
  }

  #typed(char: string, event: KeyboardEvent): void {
    // A space presses the button that has the focus.
    if (char === ' ' && this.#recogniser.inBurst && !fieldOf(event.target)) event.preventDefault();
    const mayBegin = this.#recogniser.key(char, event.timeStamp);
    const from = this.#recogniser.keys.length - 1;
    if (from === 0) {
      this.#marks = [];
      this.#reached.clear();
    }
    const field = fieldOf(event.target);
    if (field && (mayBegin || !this.#marks.some((mark) => mark.field === field))) this.#marks.push(markOf(field, from));
    this.#target = event.target;
    this.#wait();
  }

  #wait(): void {
    clearTimeout(this.#timer);
    const wait = this.listener.test?.() ? LIMITS.anew : this.#settings.ends === 'silence' ? LIMITS.gap + 1 : null;
    if (wait !== null) this.#timer = setTimeout(() => this.#silent(wait), wait);
  }

  #silent(waited: number): void {
    if (this.listener.test?.()) return this.#tell(null);
    const { keys } = this.#recogniser;
    const last = keys.at(-1);
    if (last) this.#act(this.#recogniser.silence(last.at + waited), kindOf(this.#target), keys);
  }

  #ended(event: KeyboardEvent, end: 'enter' | 'tab'): void {
    clearTimeout(this.#timer);
    if (this.listener.test?.() && this.#recogniser.keys.length > 2) {
      swallow(event);
      this.#tell(end);
      return this.#recogniser.taken(event.timeStamp);
    }
    const into = kindOf(event.target);
    const { keys } = this.#recogniser;
    const decision = this.#recogniser.end(event.timeStamp, into);
    if (decision.kind === 'typed') return this.#begin();
    swallow(event);
    this.#act(decision, into, keys);
  }

  #act(decision: Decision, into: FieldKind, keys: readonly Key[]): void {
    if (decision.kind !== 'scan' && decision.kind !== 'unclear') return;
    this.#restore(decision.from, keys);
    if (decision.kind === 'unclear') this.listener.onUnclear?.();
    else this.listener.onScan({ text: decision.text, into, sure: decision.sure });
  }

  #tell(end: Seen['end']): void {
    const { keys } = this.#recogniser;
    const test = this.listener.test?.();
    if (test && keys.length > 2) {
      this.#restore(0, keys);
      test({ keys, end });
    }
    this.#begin();
  }

  /** Each field as it was before the first key from there on reached it. */
  #restore(from: number, keys: readonly Key[]): void {
    const first = keys[from];
    if (first) this.listener.onRestore?.(first.at);
    const done = new Set<Field>();
    for (const mark of this.#marks) {
      if (mark.from < from || done.has(mark.field)) continue;
      done.add(mark.field);
      restore(mark);
    }
    this.#marks = [];
    this.#reached.clear();
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#recogniser.reset();
    this.#marks = [];
    this.#reached.clear();
  }
}

function swallow(event: KeyboardEvent): void {
  event.preventDefault();
  event.stopImmediatePropagation();
}

/** Listens on the whole window. Returns the way to stop. */
export function listenForScans(listener: ScanListener, target: Window = window): () => void {
  const listening = new Listening(listener);
  const onKeyDown = (event: KeyboardEvent) => listening.keyDown(event);
  const onFocus = (event: FocusEvent) => listening.focused(event.target);
  target.addEventListener('keydown', onKeyDown, { capture: true });
  const onInput = (event: Event) => listening.changed(event.target);
  target.addEventListener('focusin', onFocus, { capture: true });
  target.addEventListener('input', onInput, { capture: true });
  return () => {
    listening.stop();
    target.removeEventListener('keydown', onKeyDown, { capture: true });
    target.removeEventListener('focusin', onFocus, { capture: true });
    target.removeEventListener('input', onInput, { capture: true });
  };
}
