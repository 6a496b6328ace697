import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { characterOf, listenForScans, type Scan, type Seen } from './listen';
import { PLAIN_SCANNER, type ScannerSettings } from './recogniser';

const CODE = '260411000000012345';

let scans: Scan[];
let unclear: number;
let settings: ScannerSettings;
let test: ((seen: Seen) => void) | null;
let stop: () => void;
let at: number;

/** Types as a browser would: the default action happens unless prevented. */
function press(target: Element, key: string, pause: number): boolean {
  at += pause;
  vi.advanceTimersByTime(pause);
  const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true });
  Object.defineProperty(event, 'timeStamp', { value: at });
  const allowed = target.dispatchEvent(event);
  const focused = document.activeElement ?? target;
  if (allowed && key.length === 1 && focused instanceof HTMLInputElement) {
    if (focused.maxLength > 0 && focused.value.length >= focused.maxLength) return allowed;
    focused.value += key;
    focused.setSelectionRange(focused.value.length, focused.value.length);
    focused.dispatchEvent(new Event('input', { bubbles: true }));
  }
  return allowed;
}

/** `gaps`: other pauses, by the place of the key before which they are. Answers whether Enter was let through. */
function scan(target: Element, pause = 4, gaps: Record<number, number> = {}, text = CODE): boolean {
  [...text].forEach((key, place) => press(target, key, gaps[place] ?? pause));
  return press(target, 'Enter', gaps[text.length] ?? pause);
}

function field(value = '', type = 'text'): HTMLInputElement {
  const made = document.createElement('input');
  made.type = type;
  made.value = value;
  document.body.append(made);
  made.focus();
  return made;
}

beforeEach(() => {
  vi.useFakeTimers();
  at = 10_000;
  scans = [];
  unclear = 0;
  settings = PLAIN_SCANNER;
  test = null;
  stop = listenForScans({
    onScan: (one) => scans.push(one),
    onUnclear: () => (unclear += 1),
    settings: () => settings,
    test: () => test,
  });
});
afterEach(() => {
  stop();
  vi.useRealTimers();
  document.body.replaceChildren();
});

describe('a field that a scan runs into', () => {
  it.each([5, 15, 40, 80])('is as before, value and selection, at %i ms a key and with a gap anywhere', (pause) => {
    for (let place = 1; place <= CODE.length; place += 1) {
      const into = field('customer returned it');
      into.setSelectionRange(3, 7);
      let told = '';
      into.addEventListener('input', () => (told = into.value));
      at += 2000;
      expect(scan(into, pause, { [place]: 400 })).toBe(false);
      expect(scans.splice(0)).toEqual([{ text: CODE, into: 'open', sure: pause < 80 }]);
      expect([into.value, told]).toEqual(['customer returned it', 'customer returned it']);
      expect([into.selectionStart, into.selectionEnd]).toEqual([3, 7]);
      into.remove();
    }
  });

  it('may have got the focus with the first key', () => {
    const omnibox = field('old');
    omnibox.blur();
    window.addEventListener('keydown', () => omnibox.focus(), { once: true });
    scan(document.body);
    expect(scans).toHaveLength(1);
    expect(omnibox.value).toBe('old');
  });

  it('may be one of several, when the focus moves within a scan', () => {
    const [one, other] = [field('one'), field('other')];
    one.focus();
    for (const key of CODE.slice(0, 7)) press(one, key, 5);
    other.focus();
    for (const key of CODE.slice(7)) press(other, key, 5);
    press(other, 'Enter', 5);
    expect(scans.map(({ text }) => text)).toEqual([CODE]);
    expect([one.value, other.value]).toEqual(['one', 'other']);
  });

  it('may be a list to choose from', () => {
    const list = document.createElement('select');
    list.innerHTML = '<option value="a">1 Ann</option><option value="b" selected>2 Bob</option>';
    document.body.append(list);
    let changed = '';
    list.addEventListener('change', () => (changed = list.value));
    press(list, '2', 5);
    list.value = 'a';
    for (const key of CODE.slice(1)) press(list, key, 5);
    press(list, 'Enter', 5);
    expect([list.value, changed]).toEqual(['b', 'b']);
    expect(scans).toHaveLength(1);
  });

  it('says whether it takes no scans or hides what is typed', () => {
    const number = field();
    number.dataset.scan = 'refused';
    scan(number);
    scan(field('', 'password'), 4, { 0: 2000 });
    expect(scans.map(({ into }) => into)).toEqual(['number', 'pin']);
  });

  it('keeps what a person typed just before', () => {
    const into = field();
    for (const key of 'faulty') press(into, key, 160);
    scan(into, 5, { 0: 300 });
    expect(scans.map(({ text }) => text)).toEqual([CODE]);
    expect(into.value).toBe('faulty');
  });
});

describe('what was typed and taken', () => {
  it('may have read just what the scan begins with, and is no cut all the same', () => {
    const into = field('26');
    into.select();
    // The first key replaces what is selected: after the second the field reads as before.
    into.addEventListener('keydown', (event) => {
      if (event.key.length === 1 && into.selectionStart === 0 && into.selectionEnd === into.value.length)
        into.value = '';
    });
    expect(scan(into)).toBe(false);
    expect(scans).toEqual([{ text: CODE, into: 'open', sure: true }]);
    expect(into.value).toBe('26');
  });

  it('is no part of the next scan, nor is its Enter the end of one', () => {
    const omnibox = field();
    for (const key of '13800138000') press(omnibox, key, 4);
    omnibox.value = '';
    scan(omnibox, 4, { 0: 150 });
    expect(scans.splice(0).map(({ text }) => text)).toEqual([CODE]);
    at += 1000;
    for (const key of 'Green tea 50 g') press(omnibox, key, 4);
    omnibox.value = '';
    expect(press(omnibox, 'Enter', 150)).toBe(true);
    expect(scans).toEqual([]);
  });

  it('is all of it: a field that is full takes none and changes nothing', () => {
    const pin = field('123456789012', 'password');
    pin.maxLength = 12;
    scan(pin, 4, { 9: 300 });
    expect(scans.map(({ text }) => text)).toEqual([CODE]);
    expect(pin.value).toBe('123456789012');
  });
});

describe('a person', () => {
  it('keeps what is typed, Enter included', () => {
    const into = field();
    expect(scan(into, 130)).toBe(true);
    expect(into.value).toBe(CODE);
    expect(scans).toEqual([]);
  });

  it('presses no button within half a second of a burst', () => {
    scan(document.body);
    expect(press(document.body, 'Enter', 10)).toBe(false);
    expect(press(document.body, 'Enter', 480)).toBe(false);
    expect(press(document.body, 'Enter', 300)).toBe(true);
    expect(scans).toHaveLength(1);
  });
});

describe('what can not be told', () => {
  it('is nothing: no tail in a field, no look-up, no button', () => {
    const into = field('kept');
    expect(scan(into, 5, { 4: 300, 9: 300 }, 'LOT-2026-0017')).toBe(false);
    expect([scans.length, unclear, into.value]).toEqual([0, 1, 'kept']);
  });
});

describe('two scans', () => {
  it('are two, however close they are', () => {
    scan(document.body, 2);
    scan(document.body, 2);
    expect(scans.map(({ text }) => text)).toEqual([CODE, CODE]);
  });
});

describe('scanners without a terminator', () => {
  it('are understood when Settings says so', () => {
    settings = { ...PLAIN_SCANNER, ends: 'silence' };
    const into = field('kept');
    for (const key of CODE) press(into, key, 5);
    expect(scans).toEqual([]);
    vi.advanceTimersByTime(401);
    expect(scans.map(({ text }) => text)).toEqual([CODE]);
    expect(into.value).toBe('kept');
  });

  it('otherwise leave their text where it is', () => {
    const into = field();
    for (const key of CODE) press(into, key, 5);
    vi.advanceTimersByTime(10_000);
    expect([scans.length, into.value]).toEqual([0, CODE]);
  });

  it('may use Tab', () => {
    for (const key of CODE) press(document.body, key, 5);
    expect(press(document.body, 'Tab', 5)).toBe(false);
    expect(scans).toHaveLength(1);
    expect(press(document.body, 'Tab', 5)).toBe(true);
  });
});

describe('a button that has the focus', () => {
  it('is not pressed by a space within a scan', () => {
    const button = document.createElement('button');
    document.body.append(button);
    for (const key of 'LOT-2026') press(button, key, 5);
    expect(press(button, ' ', 5)).toBe(false);
    for (const key of '0017') press(button, key, 5);
    expect(press(button, 'Enter', 5)).toBe(false);
    expect(scans.map(({ text }) => text)).toEqual(['LOT-2026 0017']);
  });
});

describe('the test of a scanner', () => {
  it('gets all that comes, and the desk nothing', () => {
    const seen: Seen[] = [];
    test = (one) => seen.push(one);
    const into = field('kept');
    expect(scan(into, 130)).toBe(false);
    // Nor does its second terminator press the button that closes the test.
    expect(press(into, 'Enter', 5)).toBe(false);
    at += 1000;
    for (const key of CODE) press(into, key, 5);
    vi.advanceTimersByTime(1000);
    expect(seen.map(({ keys, end }) => [keys.map(({ char }) => char).join(''), end])).toEqual([
      [CODE, 'enter'],
      [CODE, null],
    ]);
    expect([scans.length, into.value]).toEqual([0, 'kept']);
  });
});

describe('characterOf', () => {
  const typed = (init: KeyboardEventInit) => characterOf(new KeyboardEvent('keydown', init));

  it('reads the physical key while an input method is on', () => {
    expect(typed({ key: 'Process', code: 'Digit7' })).toBe('7');
    expect(typed({ key: 'Process', code: 'KeyB', shiftKey: true })).toBe('B');
    expect(typed({ key: 'Process', code: 'Semicolon', shiftKey: true })).toBe(':');
    expect(typed({ key: 'Process', code: 'BracketRight' })).toBe(']');
    expect(typed({ key: 'Process', code: 'Numpad4' })).toBe('4');
    expect(typed({ key: 'F8', code: 'F8' })).toBeNull();
    expect(typed({ key: 'c', code: 'KeyC', ctrlKey: true })).toBeNull();
  });
});
