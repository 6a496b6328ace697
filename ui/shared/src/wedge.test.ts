import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WedgeDetector, characterOf, listenForScans } from './wedge';

const CODE = '123456789012345678';

describe('WedgeDetector', () => {
  const type = (detector: WedgeDetector, text: string, gap: number, from = 0) => {
    let at = from;
    for (const key of text) detector.feed(key, (at += gap));
    return at;
  };

  it('knows a burst that ends with Enter', () => {
    const detector = new WedgeDetector();
    const at = type(detector, CODE, 5);
    expect(detector.feed('Enter', at + 5)).toEqual({ kind: 'scan', text: CODE });
  });

  it('leaves a person alone', () => {
    const detector = new WedgeDetector();
    const at = type(detector, CODE, 60);
    expect(detector.feed('Enter', at + 60)).toEqual({ kind: 'none' });
  });

  it('needs the terminator in time', () => {
    const detector = new WedgeDetector();
    const at = type(detector, CODE, 5);
    expect(detector.feed('Enter', at + 400)).toEqual({ kind: 'none' });
  });

  it('never takes a PIN for a scan', () => {
    const detector = new WedgeDetector();
    const at = type(detector, '123456', 5);
    expect(detector.feed('Enter', at + 5)).toEqual({ kind: 'none' });
  });

  it('forgives one hiccup of a busy machine', () => {
    const detector = new WedgeDetector();
    const at = type(detector, CODE.slice(0, 6), 3);
    const end = type(detector, CODE.slice(6), 3, at + 70);
    expect(detector.feed('Enter', end + 3)).toEqual({ kind: 'scan', text: CODE });
  });

  it('drops what a person typed just before', () => {
    const detector = new WedgeDetector();
    detector.feed('9', 0);
    const at = type(detector, CODE, 5, 200);
    expect(detector.feed('Enter', at + 5)).toEqual({ kind: 'scan', text: CODE });
  });
});

describe('listenForScans', () => {
  let scans: string[];
  let stop: () => void;

  /** Types as a browser would: the default action happens unless prevented. */
  const press = (target: HTMLElement, key: string, at: number) => {
    const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true });
    Object.defineProperty(event, 'timeStamp', { value: at });
    const allowed = target.dispatchEvent(event);
    if (allowed && key.length === 1 && target instanceof HTMLInputElement) target.value += key;
    return allowed;
  };
  const scan = (target: HTMLElement, from: number, gap = 4) => {
    let at = from;
    for (const key of CODE) press(target, key, (at += gap));
    return press(target, 'Enter', at + gap);
  };

  beforeEach(() => {
    scans = [];
    stop = listenForScans((text) => scans.push(text));
  });
  afterEach(() => {
    stop();
    document.body.replaceChildren();
  });

  it('puts the focused field back as it was and swallows Enter', () => {
    const field = document.createElement('input');
    field.value = 'customer returned it';
    let told = '';
    field.addEventListener('input', () => (told = field.value));
    document.body.append(field);
    expect(scan(field, 1000)).toBe(false);
    expect(scans).toEqual([CODE]);
    expect(field.value).toBe('customer returned it');
    expect(told).toBe('customer returned it');
  });

  it('works where no field has the focus', () => {
    scan(document.body, 1000);
    expect(scans).toEqual([CODE]);
  });

  it('keeps what a person types, Enter included', () => {
    const field = document.createElement('input');
    document.body.append(field);
    expect(scan(field, 1000, 80)).toBe(true);
    expect(field.value).toBe(CODE);
    expect(scans).toEqual([]);
  });

  it('swallows the second terminator of one scan', () => {
    scan(document.body, 1000);
    expect(press(document.body, 'Enter', 1000 + 4 * 19 + 10)).toBe(false);
    expect(press(document.body, 'Enter', 3000)).toBe(true);
  });
});

describe('two scans', () => {
  it('are two, however close they are', () => {
    const scans: string[] = [];
    const stop = listenForScans((text) => scans.push(text));
    let at = 1000;
    for (const key of [...CODE, 'Enter', ...CODE, 'Enter']) {
      const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true });
      Object.defineProperty(event, 'timeStamp', { value: (at += 2) });
      document.body.dispatchEvent(event);
    }
    stop();
    expect(scans).toEqual([CODE, CODE]);
  });
});

describe('characterOf', () => {
  it('reads the physical key while an input method is on', () => {
    expect(characterOf(new KeyboardEvent('keydown', { key: 'Process', code: 'Digit7' }))).toBe('7');
    expect(characterOf(new KeyboardEvent('keydown', { key: 'Process', code: 'KeyB', shiftKey: true }))).toBe('B');
    expect(characterOf(new KeyboardEvent('keydown', { key: 'F8', code: 'F8' }))).toBeNull();
    expect(characterOf(new KeyboardEvent('keydown', { key: 'c', code: 'KeyC', ctrlKey: true }))).toBeNull();
  });
});
